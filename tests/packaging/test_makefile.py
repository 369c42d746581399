"""`make demo` and `make test` set up what they need, once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

INPUTS = ("Makefile", "pyproject.toml", "constraints.txt")
STAMPED_SECONDS = 2_000_000_000


@pytest.fixture
def clone(repo_root: Path, tmp_path: Path) -> Path:
    """A folder with what the Makefile looks at, and nothing installed."""
    for name in INPUTS:
        shutil.copy(repo_root / name, tmp_path)
    return tmp_path


def _stamp(clone: Path, name: str) -> None:
    for file in (clone / ".venv/bin/python", clone / ".venv" / name):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (STAMPED_SECONDS, STAMPED_SECONDS))


def _plan(clone: Path, target: str) -> str:
    """The commands that make would run for a target."""
    command = ["make", "--no-print-directory", "--dry-run", target]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True).stdout


def test_fresh_clone_gets_its_environment(clone: Path) -> None:
    demo, test = _plan(clone, "demo"), _plan(clone, "test")
    assert "-m venv .venv" in demo
    assert "-c constraints.txt -e ." in demo
    assert "[dev]" not in demo
    assert "generate.py --prompt examples/ode-to-joy.mid" in demo
    assert "-c constraints.txt -e '.[dev]'" in test
    assert "-m pytest -n 2 --dist loadfile" in test


@pytest.mark.parametrize(
    ("stamp", "target"), [(".installed", "demo"), (".installed-dev", "demo"), (".installed-dev", "test")]
)
def test_second_run_installs_nothing(clone: Path, stamp: str, target: str) -> None:
    _stamp(clone, stamp)
    assert "install" not in _plan(clone, target)


def test_demo_environment_does_not_pass_for_the_development_one(clone: Path) -> None:
    _stamp(clone, ".installed")
    assert "-e '.[dev]'" in _plan(clone, "test")


def test_the_demo_ends_with_sound_and_a_command_that_works(clone: Path) -> None:
    said = [line for line in _plan(clone, "demo").splitlines() if line.startswith("echo ")]
    assert any("Listen:" in line and "out/ode-to-joy.mp3" in line for line in said)
    assert any(".venv/bin/python generate.py --prompt" in line for line in said)
    assert any("make app" in line for line in said)


def test_the_page_gets_its_own_environment_once(clone: Path) -> None:
    fresh = _plan(clone, "app")
    assert "-e '.[app]'" in fresh
    assert ".venv/bin/descant app" in fresh
    _stamp(clone, ".installed-app")
    assert "install" not in _plan(clone, "app")
    assert "install" not in _plan(clone, "demo")


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_changed_dependencies_are_installed_again(clone: Path, changed: str) -> None:
    _stamp(clone, ".installed-dev")
    os.utime(clone / changed, (STAMPED_SECONDS + 1, STAMPED_SECONDS + 1))
    assert "-e '.[dev]'" in _plan(clone, "demo")
    assert "-e '.[dev]'" in _plan(clone, "test")


def test_continuous_integration_runs_all_three(repo_root: Path) -> None:
    script = repo_root / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line.startswith("make ")] == ["make lint", "make types", "make test"]
