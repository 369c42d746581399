"""The grid as an objective: trained, resumed, scored on its file and on a corpus, and refused where it cannot serve."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from symusic.core import NoteTick, ScoreTick, TrackTick
from transformers import AutoModelForCausalLM

from descant_modeling.jsb_grid.checkpoints import load_grid, score_grids
from descant_modeling.jsb_grid.data import GridVocabulary, corpus_grids, read_grids
from descant_modeling.objectives import prepare_run
from descant_modeling.training.run import RunOptions
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.pianoroll.frames import SILENT, chorale_of_row

LOWEST = (62, 55, 48, 40)


@pytest.fixture(scope="module")
def grid_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid file of short pieces: quarter notes within an octave of each voice, and a rest in the tenor."""
    rng = np.random.default_rng(1)

    def piece(num_beats: int) -> list[list[int]]:
        beats = [[low + int(rng.integers(0, 12)) for low in LOWEST] for _ in range(num_beats)]
        beats[0][2] = SILENT
        return [beat for beat in beats for _ in range(4)]

    path = tmp_path_factory.mktemp("grid") / "pieces.json"
    sizes = {"train": (8, 12, 8, 16, 9, 8, 12, 8), "valid": (8, 10, 12)}
    path.write_text(json.dumps({split: [piece(size) for size in beats] for split, beats in sizes.items()}))
    return path


@pytest.fixture(scope="module")
def config(grid_json: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The YAML file of a tiny run."""
    folder = tmp_path_factory.mktemp("config")
    values = {
        "objective": "grid",
        "name": "tiny",
        "out_dir": str(folder / "runs"),
        "max_steps": 8,
        "eval_every": 4,
        "save_every": 8,
        "log_every": 1,
        "precision": "fp32",
        "model": {"width": 16, "num_layers": 1, "num_heads": 2, "dropout": 0.1, "max_tokens": 512},
        "data": {"grid_json": str(grid_json), "batch_tokens": 600},
        "optimizer": {"learning_rate": 0.01, "warmup_steps": 2},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def run(config: Path) -> Path:
    """The folder of the tiny run, trained to its end."""
    trainer = prepare_run(config, RunOptions(device="cpu", threads=1, quiet=True))
    trainer.train()
    trainer.log.close()
    return trainer.folder


def test_a_run_leaves_a_stock_model_and_what_its_tokens_mean(run: Path, grid_json: Path) -> None:
    names = "README.md config.json descant.json generation_config.json model.safetensors"
    assert sorted(path.name for path in (run / "best").iterdir()) == names.split()
    meta = json.loads((run / "best" / "descant.json").read_text())
    assert meta["objective"] == "grid"
    pitches = [pitch for grid in read_grids(grid_json, "train") for pitch in grid.pitches_VT.ravel() if pitch >= 0]
    assert meta["vocabulary"] == {"lowest": min(pitches), "highest": max(pitches), "beat_cycle": 12}
    model = AutoModelForCausalLM.from_pretrained(run / "best")
    assert model.config.vocab_size == GridVocabulary(**meta["vocabulary"]).size
    assert meta["training"]["splits"] == ["train"]
    card = ModelCard((run / "best" / "README.md").read_text())
    assert card.data.eval_results[0].metric_value == round(meta["training"]["valid_nats_per_voice_16th"], 4)
    assert f"{GridVocabulary(**meta['vocabulary']).size} tokens" in card.text
    assert "\n## Intended use\n" in card.text
    assert "{" not in card.text
    header = json.loads((run / "run.json").read_text())
    assert header["num_pieces"] == {"train": 8, "valid": 3}


def test_it_learns_and_the_best_checkpoint_scores_as_in_training(run: Path, grid_json: Path) -> None:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert losses[-1] < losses[0]
    measured = min(line["nats_per_voice_16th"] for line in lines if line["kind"] == "valid")
    checkpoint = load_grid(str(run))
    score = score_grids(checkpoint.model, checkpoint.meta.vocabulary, read_grids(grid_json, "valid"))
    assert score.headline == pytest.approx(measured, rel=1e-6)
    assert checkpoint.meta.training["valid_nats_per_voice_16th"] == measured


def test_a_stopped_run_goes_on_bit_for_bit(run: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = prepare_run(config, RunOptions(("name=stopped",), device="cpu", threads=1, quiet=True))
    after_step = stopped.after_step

    def stop_in_the_third_step(losses: dict[str, float]) -> None:
        after_step(losses)
        if stopped.progress.step == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(stopped, "after_step", stop_in_the_third_step)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    stopped.log.close()
    assert stopped.progress.step == 3
    resumed = prepare_run(None, RunOptions(resume=stopped.folder, device="cpu", threads=1, quiet=True))
    resumed.train()
    resumed.log.close()
    ends = [load_grid(str(folder / "last")).model.state_dict() for folder in (run, stopped.folder)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_command_scores_a_grid_file(descant, run: Path, grid_json: Path) -> None:
    command = ("evaluate", "likelihood", "--model", run, "--grid-json", grid_json, "--device", "cpu")
    done = descant(*command, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    meta = load_grid(str(run)).meta
    assert facts["nats_per_voice_16th"] == pytest.approx(meta.training["valid_nats_per_voice_16th"], abs=1e-5)
    assert (facts["corpus"], facts["split"], facts["num_pieces"]) == ("pieces.json", "valid", 3)
    assert list(facts["pieces"]) == ["valid-0", "valid-1", "valid-2"]
    assert facts["pitch_accuracy"] == {}
    assert "nats per voice-16th [" in descant(*command, "--split", "train").out


def test_the_command_scores_a_corpus_as_what_sounds_at_every_16th(descant, run: Path, tmp_path: Path) -> None:
    """Two quarters, repeated, and a half: on the grid all are one long pitch."""
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(2):
        score = ScoreTick(480)
        for name, low in zip(("Soprano", "Alto", "Tenor", "Bass"), LOWEST, strict=True):
            track = TrackTick(name, 0, False)
            pitch = low + number + 1
            track.notes.extend([NoteTick(0, 480, pitch, 80), NoteTick(480, 480, pitch, 80)])
            track.notes.append(NoteTick(960, 960, pitch + 2, 80))
            score.tracks.append(track)
        score.dump_midi(songs / f"{number}.mid")
    build_dataset(str(songs), tmp_path / "dataset", num_proc=1)
    grids = corpus_grids(str(tmp_path / "dataset"), "valid")
    assert grids
    for grid in grids:
        number = grid.pitches_VT[0, 0] - LOWEST[0] - 1
        expected = [[low + number + 1] * 8 + [low + number + 3] * 8 for low in LOWEST]
        assert grid.pitches_VT.tolist() == expected
    command = ("evaluate", "likelihood", "--model", run, "--corpus", tmp_path / "dataset", "--device", "cpu")
    done = descant(*command, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert facts["num_pieces"] == len(grids)
    assert facts["num_notes"] == 8 * len(grids)
    for piece in facts["pieces"].values():
        assert piece["nats"] / 64 == pytest.approx(piece["nats_per_voice_16th"], abs=1e-4)


@pytest.mark.slow
def test_valid_chorales_are_the_grids_of_the_other_measures() -> None:
    rows, vocabulary = split_rows("chorales:valid"), GridVocabulary(36, 81, 12)
    grids = corpus_grids("chorales", "valid")
    assert [grid.name for grid in grids] == [row["id"] for row in rows]
    for grid, row in zip(grids, rows, strict=True):
        decoded_VT = vocabulary.decode(vocabulary.encode(grid.pitches_VT, grid.name).ids)
        np.testing.assert_array_equal(decoded_VT, chorale_of_row(row).pitches_VT)
    assert sum(4 * grid.num_16ths for grid in grids) == pytest.approx(56_000, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "harmonize", "--grid-json", "{json}"), "is a grid model, which supports only continuation"),
        (("--split", "test", "--grid-json", "{json}"), "has no split 'test'. Choose from train, valid"),
        (("--grid-json", "{json}.none"), "does not exist. Give the JSB Chorales on a 16th grid"),
    ],
)
def test_what_a_grid_model_cannot_score_is_refused(descant, run, grid_json, arguments, message) -> None:
    named = [argument.format(json=grid_json) for argument in arguments]
    done = descant("evaluate", "likelihood", "--model", run, *named, "--device", "cpu", "--quiet")
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_only_a_grid_model_scores_a_grid_file(descant, tiny_checkpoint: Path, grid_json: Path, run: Path) -> None:
    done = descant("evaluate", "likelihood", "--model", tiny_checkpoint, "--grid-json", grid_json, "--device", "cpu")
    assert done.status == 2
    assert "--grid-json is for grid models" in done.err
    with pytest.raises(InputError, match=r"is not a grid model\. Give a run"):
        load_grid(str(tiny_checkpoint))
    done = descant("generate", "--prompt", grid_json, "--model", run)
    assert done.status == 2
    assert "error: " in done.err


def test_a_run_needs_a_file_that_fits(config: Path, grid_json: Path, tmp_path: Path) -> None:
    folders = set(Path(yaml.safe_load(config.read_text())["out_dir"]).iterdir())
    for overrides, message in (
        (("data.grid_json=null",), r"data\.grid_json is not set\. Give data\.grid_json=FILE"),
        ((f"data.grid_json={tmp_path}/none.json",), r"none\.json does not exist"),
        (("model.max_tokens=200",), r"train-3 has 274 tokens\. Set model\.max_tokens to 274 or more"),
    ):
        with pytest.raises(InputError, match=message):
            prepare_run(config, RunOptions(overrides, device="cpu", threads=1, quiet=True))
    assert set(Path(yaml.safe_load(config.read_text())["out_dir"]).iterdir()) == folders


@pytest.mark.parametrize("key", ["vocabulary", "vocabulary_sha256", "voice_ranges"])
def test_a_spoilt_description_of_the_tokens_is_refused(run: Path, tmp_path: Path, key: str) -> None:
    folder = shutil.copytree(run / "best", tmp_path / "spoilt")
    meta = json.loads((folder / "descant.json").read_text())
    for value, message in ((None, "cannot be read"), ("x", "cannot be read|describes other tokens")):
        meta[key] = value
        if value is None:
            del meta[key]
        (folder / "descant.json").write_text(json.dumps(meta))
        if key == "voice_ranges" and value is None:
            continue
        with pytest.raises(InputError, match=message):
            load_grid(str(folder))


def test_beats_of_another_cycle_are_refused(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run / "best", tmp_path / "spoilt")
    text = (folder / "descant.json").read_text()
    (folder / "descant.json").write_text(text.replace('"beat_cycle": 12', '"beat_cycle": 11'))
    with pytest.raises(InputError, match="describes other tokens than the model has"):
        load_grid(str(folder))
