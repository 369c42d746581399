"""Files read in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from descant_modeling.app import reading
from descant_modeling.app.reading import FileReader
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits
from descant_tokenizers.scores.reading import parse_score

TUNE = b'X:1\nT:Tune\nK:C\nC"Am"DEF|\nw:a b\n'


def spin(*_arguments: object, **_options: object) -> None:
    while True:
        pass


def hoard(*_arguments: object, **_options: object) -> None:
    bytearray(10**10)


def die(*_arguments: object, **_options: object) -> None:
    os._exit(1)


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


@pytest.mark.skipif(os.name == "nt", reason="the system limits neither time nor memory")
@pytest.mark.parametrize("deed", [spin, hoard, die])
def test_a_file_beyond_the_limits_is_one_sentence(deed: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader's process is a copy of this one with a function that breaks it in place of the parser."""
    if deed is hoard and not Path("/proc/self/statm").exists():
        pytest.skip("memory is limited on Linux only")
    context = reading.multiprocessing.get_context("fork")
    monkeypatch.setattr(reading.multiprocessing, "get_context", lambda _method: context)
    monkeypatch.setattr(reading, "parse_score", deed)
    monkeypatch.setattr(reading, "MAX_CPU_SECONDS", 0)
    reader = FileReader()
    try:
        started = time.process_time()
        with pytest.raises(InputError, match=r"^song.abc takes too much time or memory to read\. Simplify it, or cut"):
            reader.parse(Path("song.abc"), TUNE, Limits())
        assert time.process_time() - started < 1
        monkeypatch.setattr(reading, "parse_score", parse_score)
        assert len(reader.parse(Path("song.abc"), TUNE, Limits()).score.tracks) == 1
    finally:
        reader.close()  # a copy of this process holds its pipes, and a browser's would never close


def test_a_closed_reader_starts_again(reader: FileReader) -> None:
    reader.close()
    reader.close()
    assert len(reader.parse(Path("song.abc"), TUNE, Limits()).score.tracks) == 1
