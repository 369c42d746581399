"""The cache keeps what was read, and ignores entries that are broken."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copyfile

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build, load_corpus
from descant_tokenizers.corpora.cache import (
    cache_dir,
    cache_path,
    load_piece,
    make_cache_folder,
    piece_version,
    prune_cache,
    save_piece,
)
from descant_tokenizers.corpora.files import FolderCorpus
from descant_tokenizers.corpora.rows import CorpusPiece
from descant_tokenizers.corpora.store import check_out
from descant_tokenizers.corpora.workers import read_all

PIECE = CorpusPiece(b"MThd\x00\xff", 4, True, 12, "F minor", "3/4", (480, 960), "ab", "cd", ("Alto: 1 overlap cut",))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == tmp_path / "cache" / "descant"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "descant"


def test_a_piece_comes_back_as_it_was(tmp_path: Path) -> None:
    save_piece(tmp_path / "ab" / "abcd.json", PIECE)
    assert load_piece(tmp_path / "ab" / "abcd.json") == PIECE


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"music": "!"}'])
def test_a_damaged_entry_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert load_piece(tmp_path / "x.json") is None
    assert load_piece(tmp_path / "missing.json") is None


def test_the_key_is_content_reader_and_version() -> None:
    place = cache_path(b"same", "Folder")
    assert place == cache_path(b"same", "Folder")
    assert place != cache_path(b"other", "Folder")
    assert place != cache_path(b"same", "Other")
    assert piece_version() in str(place)


def test_a_cache_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="set XDG_CACHE_HOME"):
        save_piece(tmp_path / "file" / "x.json", PIECE)


def test_no_worker_reads_nothing() -> None:
    with pytest.raises(InputError, match="num_proc is 0"):
        next(read_all(FolderCorpus(Path(), ()), num_proc=0))


def test_only_a_dataset_of_ours_is_ever_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    check_out(out, force=False)
    out.mkdir()
    check_out(out, force=False)
    (out / "thesis.docx").touch()
    with pytest.raises(InputError, match="already exists and is not empty"):
        check_out(out, force=False)
    with pytest.raises(InputError, match="does not look like a dataset"):
        check_out(out, force=True)
    (out / "report.json").touch()
    check_out(out, force=True)


def test_a_file_is_no_place_for_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "song.mid").touch()
    with pytest.raises(InputError, match="already exists"):
        check_out(tmp_path / "song.mid", force=False)
    with pytest.raises(InputError, match="does not look like a dataset"):
        check_out(tmp_path / "song.mid", force=True)


def test_what_no_run_has_used_for_long_is_removed() -> None:
    folders = {}
    for days in (0, 29, 31, 400):
        folders[days] = cache_dir() / "pieces" / f"Files-{days}"
        make_cache_folder(folders[days] / "ab")
        (folders[days] / "ab" / "x.json").write_text("{}")
        os.utime(folders[days], (time.time() - 86_400 * days,) * 2)
    assert sorted(prune_cache()) == sorted([folders[31], folders[400]])
    assert [days for days, folder in folders.items() if folder.exists()] == [0, 29]
    make_cache_folder(folders[29])
    assert prune_cache(max_idle_days=1) == [], "a folder in use is young again"


def test_a_corpus_that_two_ask_for_at_once_is_built_once(
    tmp_path: Path, repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, calls = tmp_path / "tunes", []
    folder.mkdir()
    copyfile(repo_root / "examples" / "ode-to-joy.mid", folder / "ode.mid")

    def counted(*arguments: object, original: object = build.build_dataset, **options: object) -> object:
        calls.append(arguments)
        time.sleep(0.5)
        assert callable(original)
        return original(*arguments, **options)

    monkeypatch.setattr(build, "build_dataset", counted)
    with ThreadPoolExecutor(2) as pool:
        datasets = list(pool.map(lambda name: load_corpus(name, num_proc=1), [str(folder)] * 2))
    assert len(calls) == 1
    assert [sum(map(len, dataset.values())) for dataset in datasets] == [1, 1]
