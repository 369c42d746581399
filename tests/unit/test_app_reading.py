"""Files read in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from descant_modeling.app import reading
from descant_modeling.app.reading import FileReader
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits
from descant_tokenizers.scores.reading import parse_score

TUNE = b'X:1\nT:Tune\nK:C\nC"Am"DEF|\nw:a b\n'


@pytest.fixture(scope="module")
def reader() -> Iterator[FileReader]:
    reader = FileReader()
    yield reader
    reader.close()


def test_what_is_read_is_what_the_reader_reads(reader: FileReader) -> None:
    path = Path("tune.abc")
    for options in ({}, {"marks": True}, {"marks": True, "unfold": False}):
        found, own = reader.parse(path, TUNE, Limits(), **options), parse_score(path, TUNE, **options)
        assert found.score.dumps_midi() == own.score.dumps_midi()
        assert (found.repairs, found.marks, found.metadata) == (own.repairs, own.marks, own.metadata)


def test_errors_are_those_of_the_reader(reader: FileReader) -> None:
    for data in (b"", b"MThd", b"X:1\nK:C\n" + b"c'''''''|"):
        with pytest.raises(InputError) as own:
            parse_score(Path("bad.abc"), data)
        with pytest.raises(InputError) as found:
            reader.parse(Path("bad.abc"), data, Limits())
        assert str(found.value) == str(own.value)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_a_file_beyond_the_limits_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_EXTRA_BYTES", 2**24)
    reader = FileReader()
    try:
        with pytest.raises(InputError, match=r"^song.abc takes too much time or memory to read\. Simplify it, or cut"):
            reader.parse(Path("song.abc"), TUNE + b"[CEG]" * 2**21, Limits(max_bytes=2**24))
        assert len(reader.parse(Path("song.abc"), TUNE, Limits()).score.tracks) == 1
    finally:
        reader.close()


def test_a_closed_reader_starts_again(reader: FileReader) -> None:
    reader.close()
    reader.close()
    assert len(reader.parse(Path("song.abc"), TUNE, Limits()).score.tracks) == 1
