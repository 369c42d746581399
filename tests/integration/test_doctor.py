"""`descant doctor`: what is there, and emptying the caches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from descant_modeling import __version__


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with 3,000 bytes of ours in it, and a file that is not ours."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "descant"
    for name, size in (("pieces/a/b.json", 1_000), ("tokens/c.arrow", 2_000), ("mine.txt", 5)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * size)
    (folder / "pieces" / "link").symlink_to(folder / "mine.txt")
    return folder


def test_everything_is_named(descant: Callable[..., Any], caches: Path) -> None:
    done = descant("doctor")
    assert done.status == 0, done.err
    assert done.err == ""
    for words in (f"descant {__version__}", "torch 2", "cpu: ", "chorales: ", str(caches), "pieces: 0.0 MB"):
        assert words in done.out


def test_facts_are_plain_json_and_sizes_are_right(descant: Callable[..., Any], caches: Path) -> None:
    facts = json.loads(descant("doctor", "--json").out)
    assert facts["versions"]["descant"] == __version__
    assert facts["caches"] == {"pieces": 1_000, "datasets": 0, "tokens": 2_000, "compiled": 0}
    assert facts["devices"]["cpu"]
    assert facts["models"]["chorales"]["bytes"] > 1_000_000


def test_clearing_empties_our_caches_and_nothing_else(descant: Callable[..., Any], caches: Path) -> None:
    assert json.loads(descant("doctor", "--clear-cache", "--json").out)["removed_bytes"] == 3_000
    assert [path.name for path in caches.iterdir()] == ["mine.txt"]
    done = descant("doctor", "--clear-cache")  # nothing there any more: no mistake
    assert done.status == 0
    assert "removed   0.0 MB" in done.out


def test_a_cache_that_cannot_be_emptied_is_one_sentence(
    descant: Callable[..., Any], caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("shutil.rmtree", read_only)
    done = descant("doctor", "--clear-cache")
    assert done.status == 2
    assert (
        done.err
        == f"error: The cache {caches / 'pieces'} cannot be emptied (Read-only file system). Remove it yourself.\n"
    )
