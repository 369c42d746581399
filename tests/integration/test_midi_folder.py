"""From a folder of any MIDI files to a model that generates, as in configs/midi-folder.yaml."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.scores import write_midi
from descant_tokenizers.tokens.encode import decode_piece
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.vocabulary import Vocabulary


@pytest.fixture
def midis(
    gm_vocabulary: Vocabulary, random_band: Callable[..., Piece], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of thirty small MIDI files, a broken one and a dangling link, and a cache of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "midis"
    folder.mkdir()
    rng = np.random.default_rng(4)
    for number in range(30):
        programs = ((0, 33, -1), (0, 40), (73,))[number % 3]
        write_midi(decode_piece(gm_vocabulary, random_band(rng, 3, programs)), folder / f"{number:02}.mid")
    (folder / "broken.mid").write_bytes(b"MThd")
    (folder / "dangling.mid").symlink_to(folder / "nowhere.mid")
    return folder


def test_a_folder_of_midi_is_a_corpus_with_all_its_tracks(midis: Path) -> None:
    corpus = load_corpus(str(midis), parts="all")
    assert sum(len(rows) for rows in corpus.values()) == 30
    again = load_corpus(str(midis), parts="all")
    assert {name: rows["id"] for name, rows in again.items()} == {name: rows["id"] for name, rows in corpus.items()}
    (midis / "00.mid").unlink()
    assert sum(len(rows) for rows in load_corpus(str(midis), parts="all").values()) == 29


def test_from_a_folder_to_music(midis: Path, descant: Any, repo_root: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((repo_root / "configs" / "midi-folder.yaml").read_text())
    assert config["data"]["tokenizer"] == "gm"
    small = ["model.width=32", "model.num_layers=1", "model.num_heads=2", "model.max_tokens=300", "precision=fp32"]
    small += ["max_steps=4", "eval_every=4", "save_every=4", "data.batch_tokens=600", f"out_dir={tmp_path / 'runs'}"]
    file = repo_root / "configs" / "midi-folder.yaml"
    trained = descant("train", "--config", file, f"data.corpora=[{midis}]", *small, "--device", "cpu")
    assert trained.status == 0, trained.err
    assert "nats per 16th" in trained.out
    run = tmp_path / "runs" / "midi-folder"
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    (valid,) = [line for line in lines if line["kind"] == "valid"]
    assert valid["nats_per_16th"] > 0
    scored = descant("evaluate", "likelihood", "--model", run, "--corpus", midis, "--json")
    assert scored.status == 0, scored.err
    assert json.loads(scored.out)["nats_per_16th"] == pytest.approx(valid["nats_per_16th"], rel=1e-4)
    out = tmp_path / "more.mid"
    arguments = ["--model", run, "--out", out, "--seed", 1, "--formats", "midi"]
    for task in (["--task", "continue", "--bars", 1], ["--task", "infill", "--bars", "2", "--force"]):
        ended = descant("generate", "--prompt", midis / "00.mid", *task, *arguments)
        assert ended.status == 0, ended.err
    ended = descant(
        "generate", "--prompt", midis / "01.mid", "--given", "violin", "--write", "bass", "--force", *arguments
    )
    assert ended.status == 0, ended.err
    assert "written  Electric Bass (finger)" in ended.out


def test_a_dataset_of_any_midi_is_tokenized(midis: Path, descant: Any, tmp_path: Path) -> None:
    built = descant("dataset", "build", midis, "--out", tmp_path / "ds", "--parts", "all", "--num-proc", 1, "--quiet")
    assert built.status == 0, built.err
    ended = descant("dataset", "tokenize", tmp_path / "ds", "--out", tmp_path / "tokens", "--preset", "gm")
    assert ended.status == 0, ended.err
    assert "957 tokens of vocabulary; 0 refused" in ended.out
