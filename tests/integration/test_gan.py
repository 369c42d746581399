"""The GAN as an objective: trained, stopped and resumed, and behind `generate.py`."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.gan.checkpoints import load_gan
from descant_modeling.gan.data import load_rolls, sounding
from descant_modeling.gan.generate import layout_of
from descant_modeling.gan.networks import UNetGenerator, draw_noise
from descant_modeling.models.checkpoints import load_checkpoint
from descant_modeling.models.networks import NetworkMeta, save_network
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of


def logged(trainer, kind="train"):
    """The log's lines of one kind by step, the times left out."""
    lines = [json.loads(line) for line in (trainer.folder / "log.jsonl").read_text().splitlines()]
    return {line["step"]: {**line, "seconds": 0} for line in lines if line["kind"] == kind}


def test_two_steps_and_one_are_three(make_gan_trainer, monkeypatch):
    whole = make_gan_trainer("gan", "whole", "sample_steps=[1,3]")
    whole.train()
    whole.log.close()
    assert {path.name for path in whole.folder.iterdir()} == {
        "last", "log.jsonl", "losses.png", "metrics.png", "samples", "samples.png", "tensorboard",
    }  # fmt: skip

    first = make_gan_trainer("gan", "cut")
    interrupts = iter([signal.SIGINT])
    monkeypatch.setattr(first.log, "progress", lambda *_: [os.kill(os.getpid(), number) for number in interrupts])
    with pytest.raises(KeyboardInterrupt):  # asked for after the first step, seen by the second
        first.train()
    first.log.close()
    assert first.progress.step == 2

    torch.manual_seed(99)  # a resumed run must not depend on what the process did before
    second = make_gan_trainer("gan", "cut")
    second.resume()
    second.train()
    second.log.close()
    one, other = whole.task.tensors(), second.task.tensors()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert logged(whole) == logged(second)
    assert logged(whole, "valid") == logged(second, "valid")


def test_the_checkpoint_writes_what_the_trainer_wrote(make_gan_trainer):
    trainer = make_gan_trainer("gan", "run", "max_steps=1")
    trainer.train()
    trainer.log.close()
    checkpoint = load_gan(str(trainer.folder))
    weights, trained = checkpoint.network.state_dict(), trainer.task.pair.generator.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in trained.items())
    assert checkpoint.meta.training["step"] == 1
    assert set(checkpoint.meta.training["metrics"]) >= {"non_empty_bars", "in_scale", "histogram_distance"}
    assert "| share in one scale |" in (checkpoint.folder / "README.md").read_text()
    assert sounding(trainer.task.generate()).shape == (2, 32, 128, 4)
    with pytest.raises(InputError, match=r"holds a gan model\. Give a causal one"):
        load_checkpoint(str(trainer.folder))


def test_a_loss_that_is_not_finite_stops_the_run(make_gan_trainer):
    trainer = make_gan_trainer("gan", "run")
    torch.nn.init.constant_(trainer.task.pair.critic.score.weight, float("nan"))
    with pytest.raises(InputError, match=r"The \w+ of step 1 is nan\. Lower"):
        trainer.train()
    assert not (trainer.folder / "last").exists()


@pytest.mark.slow  # reads the chorales where they were never read
def test_the_command_builds_the_rolls(descant, tmp_path):
    out = tmp_path / "rolls"
    done = descant("dataset", "build", "chorales-rolls", "--out", out, "--format", "parquet", "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert report["splits"] == {"train": 229, "valid": 64}
    assert 0 < report["merged"] < report["num_notes"] / 5
    data = load_rolls(str(out))
    assert data.train.shape == (229, 4, 32, 128)
    assert data.corpora == {str(out): load_rolls("chorales-rolls").corpora["chorales-rolls"]}
    again = descant("dataset", "build", "chorales-rolls", "--out", out)
    assert (again.status, "already exists" in again.err) == (2, True)
    with pytest.raises(InputError, match=r"There is no corpus 'rolls'\. Give chorales-rolls"):
        load_rolls("rolls")


# Generation


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A checkpoint of a generator that has learned nothing: it plays some of all cells in each track."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("untrained")
    generator = UNetGenerator().train(False)
    with torch.no_grad():
        rolls = generator(-torch.ones(1, 1, 32, 128), draw_noise(1, torch.Generator().manual_seed(0)))
        generator.out.bias.sub_(torch.atanh(rolls).flatten(2).quantile(0.9, dim=2)[0])
    save_network(folder, generator, NetworkMeta({"none": "0"}, ((60, 81),) * 4), "untrained\n", torch.float16)
    return folder


@pytest.fixture
def melody(tmp_path):
    """A function that writes a melody of quarter notes in a meter, with a pickup, and returns its file."""

    def write(numerator=4, pickup=True, pitch=67):
        score = ScoreTick(480)
        start = 480 * pickup
        if pickup:
            score.time_signatures.append(TimeSignatureTick(0, 1, 4))
        score.time_signatures.append(TimeSignatureTick(start, numerator, 4))
        track = TrackTick("Tune", 0, False)
        track.notes.extend([NoteTick(480 * i, 480, pitch + i % 3, 77) for i in range(pickup + 3 * numerator)])
        score.tracks.append(track)
        path = tmp_path / f"tune-{numerator}.mid"
        score.dump_midi(path)
        return path

    return write


@pytest.fixture
def harmonize(descant, untrained, tmp_path):
    """A function that harmonizes a file with the untrained model and returns the JSON and the scores."""

    def run(path, *options):
        out = tmp_path / "out" / "written.mid"
        outcome = descant(
            "generate", "--prompt", path, "--model", untrained, "--out", out, "--json", "--formats", "midi", "--force",
            "--device", "cpu", *options,
        )  # fmt: skip
        assert outcome.status == 0, outcome.err
        facts = json.loads(outcome.out)
        return facts, [ScoreTick.from_file(name) for name in facts["outputs"]]

    return run


def notes(track):
    return [(note.time, note.duration, note.pitch) for note in track.notes]


def test_four_tracks_with_the_prompts_own_melody(harmonize, melody):
    path = melody()
    facts, (score,) = harmonize(path, "--seed", "1")
    assert [track.name for track in score.tracks] == list(VOICES)
    own = ScoreTick.from_file(path).tracks[0]
    assert notes(score.tracks[0]) == notes(own)
    assert all(track.end() <= own.end() for track in score.tracks)
    assert facts["written"] == list(VOICES[1:])
    assert 0 < facts["melody_kept"][0] < 1
    assert any("the model itself reproduced" in remark for remark in facts["remarks"])

    _, (other,) = harmonize(path, "--seed", "1", "--own-melody")
    assert notes(other.tracks[0]) != notes(own)
    assert notes(other.tracks[3]) == notes(score.tracks[3])


def test_noise_changes_the_music_and_the_seed_repeats_it(harmonize, melody):
    path = melody()
    _, first = harmonize(path, "--seed", "5", "--num-samples", "2")
    _, second = harmonize(path, "--seed", "5", "--num-samples", "2")
    _, third = harmonize(path, "--seed", "6")
    assert [score.dumps_midi() for score in first] == [score.dumps_midi() for score in second]
    assert notes(first[0].tracks[1]) != notes(first[1].tracks[1])
    assert notes(first[0].tracks[1]) != notes(third[0].tracks[1])


@pytest.mark.parametrize("numerator", [2, 3, 5])
def test_any_meter_is_heard_and_written_in_its_own_bars(harmonize, melody, numerator):
    path = melody(numerator)
    _, (score,) = harmonize(path, "--seed", "1")
    assert [(t.time, t.numerator) for t in score.time_signatures] == [(0, 1), (480, numerator)]
    assert all(note.time % 120 == 0 for track in score.tracks for note in track.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--task", "continue"), "This model only harmonizes a melody"),
        (("--task", "infill", "--bars", "1"), "This model only harmonizes a melody"),
        (("--given", "bass"), "This model takes one melody as its soprano"),
        (("--temperature", "0.5"), "This model does not sample tokens"),
    ],
)
def test_what_it_cannot_do_is_refused(descant, untrained, melody, tmp_path, options, message):
    out = tmp_path / "new" / "out.mid"
    outcome = descant("generate", "--prompt", melody(), "--model", untrained, "--out", out, *options)
    assert outcome.status == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not out.parent.exists()


def test_a_broken_checkpoint_is_refused(untrained, tmp_path):
    for name, content, message in [
        ("model.safetensors", "no weights", "cannot be loaded"),
        ("config.json", "{}", "is of another architecture"),
        ("descant.json", "[]", "cannot be read"),
    ]:
        folder = tmp_path / name
        folder.mkdir()
        for file in untrained.iterdir():
            os.symlink(file, folder / file.name)
        (folder / name).unlink()
        (folder / name).write_text(content)
        with pytest.raises(InputError, match=message):
            load_gan(str(folder))


def test_windows_hold_every_step_once():
    score = ScoreTick(480)
    score.time_signatures.extend(
        [TimeSignatureTick(0, 1, 4), TimeSignatureTick(480, 3, 4), TimeSignatureTick(1920, 3, 2)]
    )
    track = TrackTick("", 0, False)
    track.notes.append(NoteTick(0, 480 + 3 * 480 + 2 * 2880, 60, 80))
    score.tracks.append(track)
    windows = layout_of(bars_of(score), 480)
    parts = [(4, 1, 12), (12, 2, 0), (16, 3, 0), (8, 4, 0), (16, 5, 0), (8, 6, 0)]  # steps, half, steps before them
    expected = [half * 16 + offset + step for num_steps, half, offset in parts for step in range(num_steps)]
    assert windows.slots.tolist() == expected
    assert windows.edges_ticks == tuple(range(0, 480 + 3 * 480 + 2 * 2880 + 1, 120))
    roll = np.random.default_rng(0).random((len(windows.edges_ticks) - 1, 128)) < 0.2
    cut = windows.cut(roll)
    assert cut.shape == (4, 32, 128)
    assert np.array_equal(windows.join(cut[..., None])[..., 0], roll)


def test_a_resolution_that_no_step_divides_makes_no_step_more():
    score = ScoreTick(9601)
    track = TrackTick("", 0, False)
    track.notes.append(NoteTick(0, 8 * 9601, 60, 80))
    score.tracks.append(track)
    windows = layout_of(bars_of(score), 9601)
    assert windows.slots.tolist() == list(range(32))
    assert [windows.edges_ticks[step] for step in (0, 16, 32)] == [0, 4 * 9601, 8 * 9601]
    assert np.diff(windows.edges_ticks).min() >= 2400


@pytest.mark.slow
def test_what_it_writes_is_measured_as_any_other_harmony(descant, untrained):
    done = descant("evaluate", "harmonization", "--model", untrained, "--limit", 1, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)["models"][untrained.name]
    assert facts["soprano_kept"] == 100
    assert facts["bach_outgrades"]["value"] == 100


def test_the_embedded_model_harmonizes_a_melody_that_it_keeps(descant, repo_root, tmp_path):
    out = tmp_path / "tune.mid"
    prompt = repo_root / "examples" / "ode-to-joy.mid"
    outcome = descant("generate", "--prompt", prompt, "--model", "gan", "--out", out, "--seed", "1", "--json")
    assert outcome.status == 0, outcome.err
    (kept,) = json.loads(outcome.out)["melody_kept"]
    assert kept > 0.9
    score = ScoreTick.from_file(out)
    assert [track.name for track in score.tracks] == list(VOICES)
    medians = [np.median([note.pitch for note in track.notes]) for track in score.tracks]
    assert medians == sorted(medians, reverse=True), "voices do not lie from high to low"
    assert out.with_suffix(".png").is_file()
