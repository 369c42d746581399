"""Every command of the quickstart and the tutorials is run, one after the other as they stand there, only smaller.

What needs the Hub is run in tests/integration/test_hub.py, what another program does is its own affair.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descant_tokenizers.scores import write_midi
from descant_tokenizers.tokens.encode import decode_piece
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.vocabulary import TokenTable

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
ELSEWHERE = re.compile(r"tensorboard|make |\.venv/|python -m venv|\bpush\b|user/")

TINY_STEPS = ["max_steps=2", "eval_every=2", "save_every=2", "--device", "cpu", "--quiet"]
#: What makes a command small, by its first words; an option that stands twice counts as it stands last.
SMALLER = {
    "train --config configs/gan.yaml": [*TINY_STEPS, "data.batch_size=2", "optimizer.critic_steps=1"],
    "train": [*TINY_STEPS, "model.width=16", "model.num_layers=1", "model.num_heads=2", "data.batch_tokens=600"],
    "generate": ["--best-of", "1", "--formats", "midi"],
    "evaluate harmonization": ["--limit", "1", "--quiet"],
    "evaluate memorization": ["--limit", "1", "--quiet"],
    "evaluate report": ["--limit", "1", "--shown", "1", "--quiet"],
    "tokenizer train": ["--vocab-size", "540"],
}


def _commands(name: str) -> Iterator[list[str]]:
    """The commands of a page as `descant` is called, without what is run elsewhere."""
    for block in BLOCK.finditer((ROOT / "docs" / name).read_text(encoding="utf-8")):
        for line in block[1].replace("\\\n", " ").split("\n"):
            words = shlex.split(line, comments=True)
            if not words or ELSEWHERE.search(line):
                continue
            if words[0] == "accelerate":  # launch train.py
                words = words[1:]
            program, rest = words[1].removesuffix(".py") if words[0] != "descant" else "", words[1:]
            yield [program, *words[2:]] if program else rest


def _smaller(words: list[str]) -> list[str]:
    line = " ".join(words)
    found = next((extra for beginning, extra in SMALLER.items() if line.startswith(beginning)), [])
    if words[0] == "generate" and ("gan" in words or "runs/gan" in words):
        found = ["--formats", "midi"]  # it draws no tokens
    return [*words, *found]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a checkout."""
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run_all(name: str, least: int, descant: Callable[..., Any]) -> None:
    commands = list(_commands(name))
    assert len(commands) >= least
    for words in commands:
        ended = descant(*_smaller(words))
        assert ended.status == 0, f"descant {' '.join(words)}\n{ended.err}"


def _write_bands(folder: Path, table: TokenTable, random_band: Callable[..., Piece]) -> None:
    rng = np.random.default_rng(4)
    folder.mkdir(parents=True)
    for number in range(24):
        programs = ((0, 33, -1), (0, 40), (73,))[number % 3]
        write_midi(decode_piece(table, random_band(rng, 12, programs)), folder / f"{number:02}.mid")
    (folder / "00.mid").rename(folder / "song.mid")


@pytest.mark.slow
def test_the_quickstart(place: Path, descant: Callable[..., Any]) -> None:
    _run_all("quickstart.md", 10, descant)
    names = {path.name for path in (place / "out").iterdir()}
    assert {"ode-to-joy-harmonize.mid", "ode-to-joy-harmonize-continue.mid"} <= names


@pytest.mark.slow
def test_from_a_midi_folder(
    place: Path, descant: Callable[..., Any], gm_table: TokenTable, random_band: Callable[..., Piece]
) -> None:
    _write_bands(place / "path" / "to" / "midis", gm_table, random_band)
    (place / "tune.mid").symlink_to(ROOT / "examples" / "twinkle.mid")
    _run_all("tutorials/midi-folder.md", 9, descant)
    assert (place / "runs" / "mine" / "best" / "model.safetensors").is_file()
    assert {"song-continue.mid", "song-infill.mid", "tune-harmonize.mid"} <= {f.name for f in (place / "out").iterdir()}


@pytest.mark.slow  # reads the chorales where they were never read
def test_the_gan_step_by_step(place: Path, descant: Callable[..., Any]) -> None:
    _run_all("tutorials/gan.md", 8, descant)
    assert (place / "runs" / "gan" / "losses.png").is_file()
    assert list((place / "out" / "harmonies" / "gan").glob("*.mid"))
    (block,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/tutorials/gan.md").read_text(encoding="utf-8"), re.DOTALL
    )
    exec(compile(block, "gan.md", "exec"), {})


@pytest.mark.slow
def test_how_tokens_look(place: Path, descant: Callable[..., Any]) -> None:
    _run_all("tutorials/tokens.md", 5, descant)
    assert (place / "out" / "bpe" / "tokenizer.json").is_file()


@pytest.mark.slow  # reads the chorales where they were never read
def test_how_to_read_the_evaluation(place: Path, descant: Callable[..., Any], tiny_checkpoint: Path) -> None:
    (place / "runs").mkdir()
    (place / "runs" / "mine").symlink_to(tiny_checkpoint)
    (place / "midis").symlink_to(ROOT / "examples")
    built = descant("dataset", "build", place / "midis", "--out", "data/mine", "--licence", "CC0-1.0", "--parts", "all")
    assert built.status == 0, built.err
    _run_all("tutorials/evaluation.md", 4, descant)
    assert (place / "report.html").stat().st_size > 10_000
