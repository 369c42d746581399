"""Score files in a folder: hidden ones, links, karaoke files and names that are not UTF-8."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError, printable, shown
from descant_tokenizers.corpora.files import FolderCorpus, file_path, score_files, score_keys
from descant_tokenizers.scores import read_score

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"
MIDI = (CASES / "mid_lyrics.mid").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("tune.mid", "sub/song.kar", "sub/wave.rmi", ".hidden/tune.mid", "sub/.git/tune.mid", "sub/.tune.mid"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(MIDI)
    (tmp_path / "notes.txt").write_text("no score", encoding="utf-8")
    return tmp_path


def test_hidden_files_and_folders_are_left_out(folder: Path) -> None:
    assert score_keys(folder) == ["sub/song.kar", "sub/wave.rmi", "tune.mid"]


def test_links_are_followed_once(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far.mid").write_bytes(MIDI)
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "link").symlink_to(elsewhere)
    (folder / "link2").symlink_to(elsewhere)
    (folder / "sub" / "dangling").symlink_to(folder / "nowhere")
    assert score_files(folder) == ["link/far.mid", "sub/song.kar", "sub/wave.rmi", "tune.mid"]


def test_a_name_that_is_not_utf8_is_read_under_a_name_that_is(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \\x41.mid")
    try:
        (folder / name).write_bytes(MIDI)
    except OSError:
        pytest.skip("this file system only takes UTF-8")
    key = r"caf\xe9 \x41.mid"
    assert key in score_keys(folder)
    assert read_score(file_path(folder, key)).note_num() == 22
    corpus = FolderCorpus.of(folder)
    assert len(corpus.fingerprint()) == 16
    reading = corpus.reader.read(key, corpus.reader.load(key))
    assert reading.score.note_num() == 22
    assert corpus.id_of(key) == r"caf\xe9 \x41"


def test_errors_show_a_name_that_is_not_utf8() -> None:
    name = os.fsdecode(b"caf\xe9.mid")
    assert (
        str(InputError(f"There is no file {name}. Check the name."))
        == "There is no file caf\ufffd.mid. Check the name."
    )
    assert printable(name, 40) == shown(name) == "caf\ufffd.mid"
