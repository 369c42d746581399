"""Nothing in the repository names a machine or a package registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

FORBIDDEN = {
    "a package registry's host": rb"(?:pypi|pythonhosted|npmjs|debian)\.org|download\.pytorch\.",
    "a path of one machine": rb"(?<![\w.~-])/(?:home|opt|root|Users|work)/\w",
    "a package from a local file": rb"@ file:|--find-links|--index-url",
}


@pytest.fixture(scope="module")
def tracked_files(repo_root: Path) -> list[Path]:
    """Every file under version control, this one left out: it holds what it looks for."""
    command = ["git", "ls-files", "-z"]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("this tree is not a git checkout")
    files = [repo_root / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and file != Path(__file__).resolve()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(tracked_files: list[Path], repo_root: Path, what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [str(file.relative_to(repo_root)) for file in tracked_files if pattern.search(file.read_bytes())]
    assert not found, f"{what} stands in {found}"


def test_no_file_is_huge(tracked_files: list[Path]) -> None:
    assert [file for file in tracked_files if file.stat().st_size > 20_000_000] == []


def test_no_corpus_file_is_tracked(tracked_files: list[Path]) -> None:
    """Corpora come from packages; their licences differ, so that no file of theirs is copied here."""
    assert [file for file in tracked_files if file.suffix in {".krn", ".mxl"} and "tests" not in file.parts] == []
