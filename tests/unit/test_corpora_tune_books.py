"""Tune books: many pieces in one file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from descant_tokenizers.cli.main import summary
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.corpora.files import FileReader, FolderCorpus, keys_in, score_keys, source_file, stem_of
from descant_tokenizers.corpora.workers import read_one

BOOK = """% A book
L:1/4
M:3/4

X:7
T:First
K:G
G|GAB|c2d|]

X:8
T:Zweites Stück
M:2/4
K:D
DF|Ad|]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a book of two tunes and a file of one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "tunes"
    folder.mkdir()
    (folder / "book.abc").write_text(BOOK, encoding="utf-8")
    (folder / "one.abc").write_text("X:1\nT:One\nL:1/4\nK:C\nCDEF|]\n")
    return folder


def test_each_tune_is_a_piece(folder: Path) -> None:
    keys = score_keys(folder)
    assert keys == ["book.abc#1", "book.abc#2", "one.abc"]
    assert [stem_of(key) for key in keys] == ["book#1", "book#2", "one"]
    assert [source_file(key) for key in keys] == ["book.abc", "book.abc", "one.abc"]


def test_fields_before_the_first_tune_hold_for_all(folder: Path) -> None:
    corpus = FolderCorpus.of(folder)
    first, second = (read_one(corpus.reader, key).piece for key in corpus.keys[:2])
    assert first is not None
    assert second is not None
    assert (first.metadata.title, first.time_signature, first.num_notes) == ("First", "3/4", 6)
    assert (second.metadata.title, second.time_signature, second.num_notes) == ("Zweites Stück", "2/4", 4)
    assert corpus.facts_of(corpus.keys[1], second).id == "book#2"


def test_a_tune_is_cached_by_itself(folder: Path) -> None:
    corpus = FolderCorpus.of(folder)
    assert not read_one(corpus.reader, "book.abc#2").is_cached
    (folder / "book.abc").write_text(BOOK.replace("GAB", "GBA"), encoding="utf-8")
    assert read_one(corpus.reader, "book.abc#2").is_cached
    assert not read_one(corpus.reader, "book.abc#1").is_cached


def test_a_book_that_shrinks_while_it_is_read_is_a_user_error(folder: Path) -> None:
    with pytest.raises(InputError, match="changed while"):
        FileReader(folder).load("book.abc#3")


def test_an_unreadable_book_is_one_piece_with_a_reason(folder: Path) -> None:
    (folder / "big.abc").write_bytes(b"X:1\nX:2\n" + b"%" * (4 * 2**20))
    assert keys_in(folder, "big.abc") == ["big.abc"]
    assert "bytes" in read_one(FolderCorpus.of(folder).reader, "big.abc").reason


def test_a_file_may_hold_the_sign_that_tells_tunes(folder: Path) -> None:
    (folder / "book.abc#1.mid").write_bytes(b"")
    assert source_file("book.abc#1.mid") == "book.abc#1.mid"


def test_what_is_said_against_a_tune_names_it(folder: Path) -> None:
    (folder / "book.abc").write_text(BOOK.replace("DF|Ad|]", "z2|z2|]"), encoding="utf-8")
    reader = FolderCorpus.of(folder).reader
    assert read_one(reader, "book.abc#1").piece
    book = folder / "book.abc"
    assert read_one(reader, "book.abc#2").reason == f"Tune 2 of {book} holds no notes. Choose a file with music in it."


def test_a_report_counts_books_and_their_tunes(folder: Path, tmp_path: Path) -> None:
    report = build_dataset(str(folder), tmp_path / "out", num_proc=1)
    assert (report.num_files, report.num_found, report.num_rows) == (2, 3, 3)
    assert "  3 pieces found, counting each tune of a tune book" in summary(report, tmp_path / "out", 1.0).splitlines()


def test_what_this_very_run_has_read_was_not_read_before(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "one.abc", folder / "same.abc")
    assert [build_dataset(str(folder), tmp_path / out, num_proc=1).num_cached for out in ("a", "b")] == [0, 3]


def test_repeats_are_written_out_unless_asked_otherwise(tmp_path: Path) -> None:
    tunes = tmp_path / "tunes"
    tunes.mkdir()
    (tunes / "tune.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\n|:CDEF:|GABc|]\n", encoding="utf-8")
    found = [FolderCorpus.of(tunes, unfold=unfold) for unfold in (True, False)]
    pieces = [read_one(corpus.reader, "tune.abc").piece for corpus in found]
    assert [piece and piece.num_notes for piece in pieces] == [12, 8]
    assert found[0].fingerprint() != found[1].fingerprint()
    with pytest.raises(InputError, match="Give --no-repeats for a folder of your own only"):
        build_dataset("folk", tmp_path / "out", unfold=False)
