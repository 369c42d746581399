"""Every command of the README, the quickstart and the tutorials is run in order, on a smaller scale.

An untrained model stands in for the embedded one. Commands that need the Hub run in tests/integration/test_hub.py;
other programs are not run. The translations show the same commands (tests/docs/test_commands.py).
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descant_tokenizers.scores import read_score, write_midi
from descant_tokenizers.tokens.encode import decode_piece
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
ELSEWHERE = re.compile(
    r"tensorboard|make |^git clone|^cd |\.venv/|python -m (venv|pip)|\bpush\b|user/|descant app|--corpus chorales"
)

TINY_STEPS = ["max_steps=2", "eval_every=2", "save_every=2", "--device", "cpu", "--quiet"]
#: Options that make a command small, by its first words; the last of two equal options wins.
SMALLER = {
    "train --config configs/gan.yaml": [*TINY_STEPS, "data.batch_size=2", "optimizer.critic_steps=1"],
    "train": [*TINY_STEPS, "model.width=16", "model.num_layers=1", "model.num_heads=2", "data.batch_tokens=600"],
    "generate": ["--best-of", "1", "--formats", "midi"],
    "evaluate harmonization": ["--limit", "1", "--quiet"],
    "evaluate memorization": ["--limit", "1", "--quiet"],
    "evaluate report": ["--limit", "1", "--shown", "1", "--quiet"],
    "tokenizer train": ["--vocab-size", "540"],
}


def _commands(page: Path) -> Iterator[list[str]]:
    """The commands of a page as arguments of `descant`, without those that are run elsewhere."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        for line in block[1].replace("\\\n", " ").split("\n"):
            words = shlex.split(line, comments=True)
            if not words or ELSEWHERE.search(line):
                continue
            if words[0] == "accelerate":  # launch train.py
                words = words[1:]
            yield words[1:] if words[0] == "descant" else [words[1].removesuffix(".py"), *words[2:]]


def _smaller(words: list[str], stand_in: Path) -> list[str]:
    line = " ".join(words)
    found = next((extra for beginning, extra in SMALLER.items() if line.startswith(beginning)), [])
    if words[0] == "generate" and "--model" not in words:
        return [*words, *found, "--model", str(stand_in)]
    if words[0] == "generate" and not {"midinet", "roll-gan"}.isdisjoint(words):
        found = []
    elif words[0] == "generate" and not {"gan", "runs/gan"}.isdisjoint(words):
        found = found[2:]  # it draws no tokens
    if words[0] == "generate":
        words = [str(stand_in) if word == "chorales" else word for word in words]
    return [*words, *found]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a checkout."""
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_all(descant: Callable[..., Any], tiny_checkpoint: Path) -> Callable[[str, int], None]:
    """A function that runs the commands of a page and checks how many there are at least."""

    def run(name: str, least: int) -> None:
        commands = list(_commands(ROOT / name))
        assert len(commands) >= least
        for words in commands:
            ended = descant(*_smaller(words, tiny_checkpoint))
            assert ended.status == 0, f"descant {' '.join(words)}\n{ended.err}"

    return run


def _write_chorales(folder: Path, vocabulary: Vocabulary, random_piece: Callable[..., Piece], number: int) -> None:
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True)
    for index in range(number):
        write_midi(decode_piece(vocabulary, random_piece(rng, 8)), folder / f"{index:02}.mid")


def _write_bands(folder: Path, vocabulary: Vocabulary, random_band: Callable[..., Piece]) -> None:
    rng = np.random.default_rng(4)
    folder.mkdir(parents=True)
    for number in range(24):
        programs = ((0, 33, -1), (0, 40), (73,))[number % 3]
        write_midi(decode_piece(vocabulary, random_band(rng, 12, programs)), folder / f"{number:02}.mid")
    (folder / "00.mid").rename(folder / "song.mid")


@pytest.mark.slow
def test_the_readme(
    place: Path, run_all: Callable[[str, int], None], vocabulary: Vocabulary, random_piece: Callable[..., Piece]
) -> None:
    _write_chorales(place / "path" / "to" / "files", vocabulary, random_piece, 2)
    shutil.copy(place / "path/to/files/00.mid", "chorale.mid")
    shutil.copy(ROOT / "examples" / "twinkle.mid", "melody.mid")
    duet = read_score(place / "chorale.mid")
    duet.tracks = type(duet.tracks)([duet.tracks[0], duet.tracks[3]])
    duet.dump_midi("duet.mid")
    run_all("README.md", 10)
    names = {path.name for path in (place / "out").iterdir()}
    assert {"melody-harmonize.mid", "duet-harmonize.mid", "chorale-continue.mid", "chorale-infill.mid"} <= names


@pytest.mark.slow
def test_the_quickstart(place: Path, run_all: Callable[[str, int], None]) -> None:
    run_all("docs/quickstart.md", 10)
    names = {path.name for path in (place / "out").iterdir()}
    assert {"ode-to-joy-harmonize.mid", "ode-to-joy-harmonize-continue.mid"} <= names


@pytest.mark.slow
def test_from_a_midi_folder(
    place: Path, run_all: Callable[[str, int], None], gm_vocabulary: Vocabulary, random_band: Callable[..., Piece]
) -> None:
    _write_bands(place / "path" / "to" / "midis", gm_vocabulary, random_band)
    (place / "tune.mid").symlink_to(ROOT / "examples" / "twinkle.mid")
    run_all("docs/tutorials/midi-folder.md", 9)
    assert (place / "runs" / "mine" / "best" / "model.safetensors").is_file()
    assert {"song-continue.mid", "song-infill.mid", "tune-harmonize.mid"} <= {f.name for f in (place / "out").iterdir()}


@pytest.mark.slow  # reads the chorales where they were never read
def test_the_gan_step_by_step(place: Path, run_all: Callable[[str, int], None]) -> None:
    run_all("docs/tutorials/gan.md", 8)
    assert (place / "runs" / "gan" / "losses.png").is_file()
    assert list((place / "out" / "harmonies" / "gan").glob("*.mid"))
    page = (ROOT / "docs/tutorials/gan.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "gan.md", "exec"), {})


@pytest.mark.slow
def test_how_tokens_look(place: Path, run_all: Callable[[str, int], None]) -> None:
    run_all("docs/tutorials/tokens.md", 5)
    assert (place / "out" / "bpe" / "tokenizer.json").is_file()


@pytest.mark.slow  # reads the chorales where they were never read
def test_how_to_read_the_evaluation(
    place: Path,
    descant: Callable[..., Any],
    run_all: Callable[[str, int], None],
    tiny_checkpoint: Path,
    vocabulary: Vocabulary,
    random_piece: Callable[..., Piece],
) -> None:
    (place / "runs").mkdir()
    (place / "runs" / "mine").symlink_to(tiny_checkpoint)
    _write_chorales(place / "midis", vocabulary, random_piece, 20)
    built = descant("dataset", "build", place / "midis", "--out", "data/mine", "--licence", "CC0-1.0")
    assert built.status == 0, built.err
    run_all("docs/tutorials/evaluation.md", 4)
    assert (place / "report.html").stat().st_size > 10_000
