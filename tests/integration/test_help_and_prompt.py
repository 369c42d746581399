"""`-h` of every command, and the prompt as the first word of `generate`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from prompts import melody, scale

from descant_modeling.cli.examples import EXAMPLES
from descant_modeling.cli.main import app


@pytest.mark.parametrize("command", [(), ("generate",), ("check",), ("dataset",), ("tokenizer", "inspect")])
def test_h_is_help(descant: Callable[..., Any], command: tuple[str, ...]) -> None:
    found = descant(*command, "-h")
    assert (found.status, found.err) == (0, "")
    assert "Usage:" in found.out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("generate --barz 1", "There is no option --barz. Did you mean --bars?"),
        ("generate --zzzz", "There is no option --zzzz. See descant generate --help."),
        ("generate tune.mid --seed", "--seed has no value. Give one."),
        ("generate tune.mid --quiet=3", "--quiet takes no value. Leave the value out."),
        ("generate tune.mid --seed one", "--seed is not a whole number. Give one."),
        ("generate tune.mid --temperature hot", "--temperature is not a number. Give one."),
        ("check tune.mid --level bad", "--level is 'bad'. Give one of error, warning, none."),
        ("check", "The argument FILE is missing. See descant check --help."),
        ("dataset build folder", "--out is missing. See descant dataset build --help."),
        ("check a.mid b.mid", "There is a word too many: b.mid. See descant check --help."),
        ("generat tune.mid", "There is no command generat. Did you mean generate or render?"),
        ("dataset sell", "There is no command sell. See descant dataset --help."),
    ],
)
def test_wrong_usage_is_one_line(descant: Callable[..., Any], line: str, sentence: str) -> None:
    assert descant(*line.split()) == (2, "", f"error: {sentence}\n")


def test_commands_are_grouped_and_have_examples(descant: Callable[..., Any]) -> None:
    help_text = descant("--help").out
    words = (
        "─ Music ─",
        "│ generate ",
        "│ serve ",
        "─ Models ─",
        "│ train ",
        "─ Help ─",
        "─ Data and tokens ─",
        "│ dataset ",
    )
    assert sorted(words, key=help_text.index) == list(words)
    assert "descant check chorale.mid --repair" in " ".join(descant("check", "--help").out.split())


@pytest.mark.parametrize("group", ["dataset", "tokenizer", "evaluate"])
def test_commands_for_research_have_headings_and_examples(group: str) -> None:
    for name, command in typer.main.get_command(app).commands[group].commands.items():  # type: ignore[attr-defined]
        options = [option for option in command.params if option.param_type_name == "option" and option.name != "help"]
        assert all(option.rich_help_panel for option in options), name
        _, examples = command.epilog.split("Examples:\n")
        lines = examples.split("\n")
        assert 2 <= len(lines) <= 3, name
        assert all(line.startswith(f"descant {group} {name} ") and len(line) < 79 for line in lines), name


def test_examples_are_shown_line_by_line(descant: Callable[..., Any]) -> None:
    lines = [line.strip() for line in descant("evaluate", "likelihood", "-h").out.split("\n")]
    assert all(example in lines for example in EXAMPLES["evaluate likelihood"])


@pytest.mark.parametrize(("script", "command"), [("generate.py", "generate"), ("train.py", "train"), ("app.py", "app")])
def test_scripts_have_h_and_examples_too(repo_root: Path, script: str, command: str) -> None:
    found = subprocess.run([sys.executable, script, "-h"], cwd=repo_root, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert EXAMPLES[command][0] in found.stdout


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
