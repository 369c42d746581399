"""The `descant` command answers at once, and a user's mistake is one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from descant_modeling import __version__
from descant_tokenizers.cli import main as cli
from descant_tokenizers.common.errors import InputError

HEAVY = ("torch", "transformers", "datasets", "miditok", "music21", "matplotlib")


def _descant(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "descant_modeling.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _exit_status_of(action: BaseException | None, monkeypatch: pytest.MonkeyPatch) -> object:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def _act() -> None:
        if action is not None:
            raise action

    monkeypatch.setattr(sys, "argv", ["descant"])
    with pytest.raises(SystemExit) as exit_info:
        cli.run(app)
    return exit_info.value.code


def test_version_is_printed() -> None:
    assert _descant("--version").stdout == f"descant {__version__}\n"


def test_help_names_the_groups() -> None:
    done = _descant("--help")
    assert done.returncode == 0, done.stderr
    assert "dataset" in done.stdout
    assert "tokenizer" in done.stdout


def test_help_loads_no_heavy_library() -> None:
    story = f"import sys, descant_modeling.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", story], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_unknown_command_is_wrong_usage() -> None:
    done = _descant("compose-a-symphony")
    assert done.returncode == cli.EXIT_BAD_INPUT
    assert done.stderr == "error: There is no command compose-a-symphony. See descant --help.\n"


def test_bad_input_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status = _exit_status_of(InputError("tune.mid has no notes: give a file with a melody"), monkeypatch)
    assert status == cli.EXIT_BAD_INPUT
    streams = capsys.readouterr()
    assert streams.err == "error: tune.mid has no notes: give a file with a melody\n"
    assert streams.out == ""


def test_interruption_has_its_own_status(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _exit_status_of(KeyboardInterrupt(), monkeypatch) == cli.EXIT_INTERRUPTED


def test_success_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _exit_status_of(None, monkeypatch) == 0


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def _act() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["descant"])
    with pytest.raises(ZeroDivisionError):
        cli.run(app)


@pytest.mark.parametrize("script", ["train.py", "generate.py", "app.py"])
def test_a_missing_installation_is_one_sentence(repo_root: Path, script: str) -> None:
    bare = [sys.executable, "-I", "-S", str(repo_root / script), "--help"]  # no site-packages
    done = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: This Python has no module descant_modeling. Run `make ")
