"""`-h` of every command, and the prompt as the first word of `generate`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prompts import melody, scale


@pytest.mark.parametrize("command", [(), ("generate",), ("check",), ("dataset",), ("tokenizer", "inspect")])
def test_h_is_help(descant: Callable[..., Any], command: tuple[str, ...]) -> None:
    found = descant(*command, "-h")
    assert (found.status, found.err) == (0, "")
    assert "Usage:" in found.out


def test_scripts_have_h_too(repo_root: Path) -> None:
    found = subprocess.run([sys.executable, "generate.py", "-h"], cwd=repo_root, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert "[PROMPT]" in found.stdout


def test_the_prompt_may_be_the_first_word(
    descant: Callable[..., Any], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    melody(scale(4, 480)).dump_midi("tune.mid")
    options = ("--model", tiny_checkpoint, "--formats", "midi", "--seed", 1, "--quiet")
    assert descant("generate", "tune.mid", *options, "--out", "a.mid") == (0, "", "")
    assert descant("generate", "--prompt", "tune.mid", *options, "--out", "b.mid") == (0, "", "")
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()
    assert descant("generate", "tune.mid", "--prompt", "other.mid").err == (
        "error: The prompt is tune.mid and other.mid. Give one of them.\n"
    )
