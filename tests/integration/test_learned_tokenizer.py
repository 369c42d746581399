"""Learned tokens from a corpus to music: the command, a model trained with them, the three tasks, likelihood."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import typer
import yaml
from miditok import REMI
from symusic.core import NoteTick, ScoreTick, TrackTick
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from descant_modeling.api import Model, load
from descant_modeling.cli.main import train_command
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.models.checkpoints import load_checkpoint
from descant_tokenizers.cli.main import tokenizer_app
from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.scores import VOICES, read_score
from descant_tokenizers.tokens import dataset as module
from descant_tokenizers.tokens.presets import VOICE_PROGRAMS, load_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

VOCAB_SIZE = 600
ON_ONE_CORE = ("--device", "cpu", "--threads", 1)
TPQ = 480


class Trained(NamedTuple):
    """What stands in the folder of this module's tests."""

    dataset: Path
    tokenizer: Path
    run: Path


def song(rng: random.Random, num_beats: int = 12) -> ScoreTick:
    score = ScoreTick(TPQ)
    for (name, program), lowest in zip(VOICE_PROGRAMS.items(), (62, 57, 50, 42), strict=True):
        track = TrackTick(name, program, False)
        pitches = [lowest + rng.randrange(12) for _ in range(num_beats)]
        track.notes.extend([NoteTick(TPQ * beat, TPQ, pitch, 80) for beat, pitch in enumerate(pitches)])
        score.tracks.append(track)
    return score


def run_command(command: typer.Typer | Callable[..., None], *arguments: object) -> None:
    """Run a command in this process; it prints nothing."""
    app = command
    if not isinstance(app, typer.Typer):
        app = typer.Typer()
        app.command()(command)
    result = CliRunner().invoke(app, [*map(str, arguments), "--quiet"], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A tokenizer learned from a folder of MIDI files, and a tiny model trained with it for a few steps."""
    folder = tmp_path_factory.mktemp("learned")
    (folder / "songs").mkdir()
    rng = random.Random(1)
    for number in range(20):
        song(rng).dump_midi(folder / "songs" / f"{number}.mid")
    build_dataset(str(folder / "songs"), folder / "dataset", num_proc=1)
    options = ("--vocab-size", VOCAB_SIZE, "--out", folder / "tokenizer")
    run_command(tokenizer_app, "train", folder / "dataset", *options)
    values = {
        "name": "tiny",
        "out_dir": str(folder / "runs"),
        "max_steps": 4,
        "eval_every": 4,
        "save_every": 2,
        "precision": "fp32",
        "model": {"width": 16, "num_layers": 1, "num_heads": 2, "dropout": 0.0, "max_tokens": 512},
        "layout": {"given_at_onsets": False},
        "data": {"corpora": [str(folder / "dataset")], "tokenizer": str(folder / "tokenizer"), "batch_tokens": 600},
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    run_command(train_command, "--config", folder / "tiny.yaml", *ON_ONE_CORE)
    return Trained(folder / "dataset", folder / "tokenizer", folder / "runs" / "tiny")


@pytest.fixture(scope="module")
def writer(trained: Trained) -> Model:
    return load(str(trained.run), "cpu")


def test_the_model_has_the_tokenizers_vocabulary(trained: Trained) -> None:
    checkpoint = load_checkpoint(str(trained.run))
    vocabulary = Vocabulary(load_tokenizer(trained.tokenizer))
    assert checkpoint.model.config.vocab_size == checkpoint.vocabulary.size == vocabulary.size == VOCAB_SIZE
    assert checkpoint.meta.vocabulary_sha256 == checkpoint.vocabulary.sha256() == vocabulary.sha256()
    assert json.loads((trained.run / "run.json").read_text())["vocabulary_sha256"] == vocabulary.sha256()


def test_it_loads_and_decodes_with_none_of_our_code(trained: Trained) -> None:
    folder = trained.run / "best"
    tokenizer, model = REMI.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer) == VOCAB_SIZE
    sequence = tokenizer.encode(song(random.Random(2)))
    assert max(sequence.ids) >= len(tokenizer.vocab), "no learned token"
    assert model(input_ids=torch.tensor([sequence.ids])).logits.shape[-1] == VOCAB_SIZE
    decoded = tokenizer.decode(sequence.ids)
    assert sum(len(track.notes) for track in decoded.tracks) == 4 * 12


def assert_sound(score: ScoreTick, prompt: ScoreTick, kept: dict[str, str], until: int | None = None) -> None:
    """Voices are single lines, and given notes are there as they were; in the first ticks only, if `until` is given."""
    for track in score.tracks:
        notes = sorted(track.notes, key=lambda note: note.time)
        assert all(a.end <= b.time for a, b in itertools.pairwise(notes)), track.name
    for name, source in kept.items():
        (found,) = [track for track in score.tracks if track.name == name]
        (given,) = [track for track in prompt.tracks if track.name == source]
        notes = [(n.time, n.end, n.pitch) for n in found.notes if until is None or n.time < until]
        assert notes == [(n.time, n.end, n.pitch) for n in given.notes]


@pytest.mark.parametrize("temperature", [0.0, 1.0, 5.0])
def test_whatever_it_writes_decodes(writer: Model, temperature: float) -> None:
    config = GenerationConfig(temperature=temperature, top_p=1.0, num_samples=4, seed=1)
    prompt = song(random.Random(3))
    melody = ScoreTick(TPQ)
    melody.tracks.append(prompt.tracks[0].copy())
    harmonized = writer.harmonize(melody, config).samples
    continued = writer.continue_(prompt, config, bars=3).samples
    infilled = writer.infill(prompt, config, bars=(2, 2)).samples
    for sample in harmonized:
        assert_sound(sample.score, prompt, {"Soprano": "Soprano"})
        assert {name for name, _, _ in sample.added} == {"Alto", "Tenor", "Bass"}
    for sample in continued:
        assert_sound(sample.score, prompt, dict(zip(VOICES, VOICES, strict=True)), until=12 * TPQ)
        assert sample.added
    for sample in infilled:
        assert_sound(sample.score, prompt, {})
        assert {onset // (4 * TPQ) for _, onset, _ in sample.added} <= {1}
    everything = [*harmonized, *continued, *infilled]
    if temperature == 5.0:  # about every token alike: learned ones among them
        assert sum(s.num_tokens for s in everything) < 3.75 * sum(len(s.added) for s in everything)


def test_the_commands_take_it(trained: Trained, descant: Callable[..., Any], tmp_path: Path) -> None:
    song(random.Random(4)).dump_midi(tmp_path / "tune.mid")
    generate = ("generate", "--prompt", tmp_path / "tune.mid", "--model", trained.run, "--device", "cpu", "--seed", 1)
    out = tmp_path / "more.mid"
    options = ("--task", "continue", "--bars", 2, "--out", out, "--formats", "midi", "--quiet")
    assert descant(*generate, *options).status == 0
    assert read_score(out).end() > 12 * TPQ
    evaluate = ("evaluate", "likelihood", "--model", trained.run, "--corpus", trained.dataset, "--device", "cpu")
    likelihood = descant(*evaluate, "--json")
    assert likelihood.status == 0, likelihood.err
    assert 0 < json.loads(likelihood.out)["nats_per_voice_16th"] < 10
    for option in ("--tokenizer", "--preset", "--model"):
        shown = descant("tokenizer", "inspect", tmp_path / "tune.mid", option, trained.tokenizer)
        assert shown.status == 0, shown.err
        assert "+Program_" in shown.out
        assert "base tokens" in shown.out
    tokenized = tmp_path / "tokenized"
    command = ("dataset", "tokenize", trained.dataset, "--tokenizer", trained.tokenizer)
    result = descant(*command, "--out", tokenized, "--num-proc", 2)
    assert result.status == 0, result.err
    assert Vocabulary(load_tokenizer(tokenized)).sha256() == Vocabulary(load_tokenizer(trained.tokenizer)).sha256()


def test_a_resumed_run_keeps_its_own_tokenizer(trained: Trained, tmp_path: Path) -> None:
    run = shutil.copytree(trained.run, tmp_path / "run")
    hidden = trained.tokenizer.rename(trained.tokenizer.with_name("elsewhere"))
    try:
        run_command(train_command, "--resume", run, "max_steps=6", *ON_ONE_CORE)
    finally:
        hidden.rename(trained.tokenizer)
    assert load_checkpoint(str(run / "last")).vocabulary.size == VOCAB_SIZE
    assert json.loads((run / "summary.json").read_text())["step"] == 6


def test_nothing_is_overwritten_silently(trained: Trained, descant: Callable[..., Any], tmp_path: Path) -> None:
    out = shutil.copytree(trained.tokenizer, tmp_path / "tokenizer")
    before = (out / "tokenizer.json").read_bytes()
    command = ("tokenizer", "train", trained.dataset, "--vocab-size", 560, "--out", out)
    refused = descant(*command)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.strip() == f"error: {out} already exists and is not empty. Choose another folder or add --force."
    assert (out / "tokenizer.json").read_bytes() == before
    replaced = descant(*command, "--force", "--json")
    assert replaced.status == 0, replaced.err
    facts = json.loads(replaced.out)
    assert facts["vocab_size"] == len(load_tokenizer(out)) == 560
    assert facts["splits"]["train"]["compression"] > 1.5
    assert facts["splits"]["train"]["tokens_per_note"] < facts["splits"]["train"]["base_tokens_per_note"]
    foreign = descant(*command[:-1], trained.run / "best", "--force")
    assert foreign.status == 2
    assert "does not look like a trained tokenizer" in foreign.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--vocab-size", 524), "The vocabulary size is 524. Give more than the 524 tokens of the preset"),
        (("--vocab-size", 600, "--preset", "nope"), "'nope' is not a tokenizer preset"),
    ],
)
def test_mistakes_are_one_sentence(
    trained: Trained, descant: Callable[..., Any], tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    result = descant("tokenizer", "train", trained.dataset, *arguments, "--out", tmp_path / "new")
    assert result.status == 2
    assert len(result.err.strip().splitlines()) == 1
    assert words in result.err
    assert not (tmp_path / "new").exists()


def test_unigram_by_the_command(trained: Trained, descant: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "unigram"
    result = descant("tokenizer", "train", trained.dataset, "--vocab-size", 560, "--model", "Unigram", "--out", out)
    assert result.status == 0, result.err
    assert result.out.splitlines()[0].startswith(f"{out}: 560 tokens, 36 of them merged by Unigram, trained on ")
    hint = f"descant train data.tokenizer={out} layout.given_at_onsets=false data.corpora=[{trained.dataset}]"
    assert result.out.splitlines()[-1] == f"train a model with it: {hint}"


_KILLED = """
import os, signal
from descant_modeling.cli.main import main
from descant_tokenizers.tokens import dataset

tokenize_row, rows = dataset._tokenize_row, []

def killed(row, layout):
    rows.append(row)
    if len(rows) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return tokenize_row(row, layout)

dataset._tokenize_row, dataset.SHARD_ROWS = killed, 5
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_command_killed_while_it_tokenizes_goes_on_to_the_same_tokens(
    trained: Trained, descant: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    songs, out, whole = trained.dataset.with_name("songs"), tmp_path / "out", tmp_path / "whole"
    command = ("tokenizer", "train", songs, "--vocab-size", 560, "--num-proc", 1, "--out")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    dead = subprocess.run([sys.executable, "-c", _KILLED, *map(str, command), str(out)], env=environment, timeout=100)
    assert dead.returncode == -signal.SIGKILL
    assert not out.exists()
    rows, tokenize_row = [], module._tokenize_row
    monkeypatch.setattr(module, "_tokenize_row", lambda row, layout: rows.append(row) or tokenize_row(row, layout))
    monkeypatch.setattr(module, "SHARD_ROWS", 5)
    numbers = []
    for folder, cache in ((out, "cache"), (whole, "other-cache")):
        rows.clear()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
        assert descant(*command, folder).status == 0
        numbers.append(len(rows))
    assert numbers[0] == numbers[1] - 5, "the first shard was there"
    assert sorted(path.name for path in out.iterdir()) == ["tokenizer.json", "training.json"]
    for path in out.iterdir():
        assert path.read_bytes() == (whole / path.name).read_bytes()
