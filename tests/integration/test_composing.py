"""MidiNet and the roll GAN: trained, stopped and resumed by the GANs' trainer, and music without a prompt."""

from __future__ import annotations

import json

import pytest
import torch
from datasets import Dataset, DatasetDict
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling import load
from descant_modeling.gan.checkpoints import load_gan
from descant_modeling.gan.data import load_melodies, load_rolls
from descant_modeling.gan.midinet import MidinetGenerator
from descant_modeling.gan.networks import RollGenerator
from descant_modeling.models.networks import NetworkMeta, save_network
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll import stored
from descant_tokenizers.scores import VOICES, bars_of

KINDS = ("roll-gan", "midinet")


def logged(trainer):
    lines = [json.loads(line) for line in (trainer.folder / "log.jsonl").read_text().splitlines()]
    return {(line["kind"], line["step"]): {**line, "seconds": 0} for line in lines}


@pytest.mark.parametrize("kind", KINDS)
def test_two_steps_and_one_are_three(make_gan_trainer, kind):
    whole = make_gan_trainer(kind, "whole", "sample_steps=[1,3]")
    whole.train()
    whole.log.close()
    assert {"losses.png", "metrics.png", "samples.png", "last"} <= {path.name for path in whole.folder.iterdir()}

    first = make_gan_trainer(kind, "cut")
    for _ in range(2):
        losses = first.task.step()
        first.progress.step += 1
        first.after_step(losses)
    first.save_last()
    first.log.close()
    torch.manual_seed(99)  # a resumed run must not depend on what the process did before
    second = make_gan_trainer(kind, "cut")
    second.resume()
    assert second.progress.step == 2
    second.train()
    second.log.close()
    one, other = whole.task.tensors(), second.task.tensors()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert logged(whole) == logged(second)

    checkpoint = load_gan(str(whole.folder))
    weights = checkpoint.network.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in whole.task.pair.generator.state_dict().items())
    assert checkpoint.meta.objective == kind
    card = (checkpoint.folder / "README.md").read_text()
    assert "| share in one scale |" in card
    assert "{" not in card
    assert whole.task.first_command(whole.folder).startswith("python generate.py --model ")


# Generation


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """Checkpoints of generators that have learned nothing: MidiNet plays pitches 60-79, the roll GAN some of all."""
    torch.manual_seed(0)
    found = {}
    rolls = RollGenerator(8, (4, 4, 4, 4)).train(False)
    with torch.no_grad():
        written = rolls(rolls.draw_noise(1, torch.Generator().manual_seed(0)))
        rolls.convs[-1].bias.sub_(torch.atanh(written).flatten(2).quantile(0.9, dim=2)[0])
    bars = MidinetGenerator().train(False)
    with torch.no_grad():
        bars.dense[0].weight.mul_(100)  # so that noise counts
        outside = [pitch for pitch in range(128) if not 60 <= pitch < 80]
        bars.out.weight[128:141, 0, 0, outside] = -10  # wherever a chord is given
    for kind, generator in (("midinet", bars), ("roll-gan", rolls)):
        found[kind] = tmp_path_factory.mktemp(kind)
        save_network(found[kind], generator, NetworkMeta({"none": "0"}, objective=kind), "untrained\n", torch.float16)
    return found


@pytest.fixture
def compose(descant, untrained, tmp_path):
    """A function that composes with an untrained model and returns the JSON and the scores."""

    def run(kind, *options):
        out = tmp_path / "out" / "written.mid"
        fixed = ("--out", out, "--json", "--formats", "midi", "--force", "--device", "cpu")
        outcome = descant("generate", "--model", untrained[kind], *fixed, *options)
        assert outcome.status == 0, outcome.err
        facts = json.loads(outcome.out)
        return facts, [ScoreTick.from_file(name) for name in facts["outputs"]]

    return run


def test_a_melody_from_nothing(compose):
    facts, (score,) = compose("midinet", "--bars", "6", "--chords", "C G | Am, F#m", "--seed", "1")
    assert facts["task"] == "compose"
    assert facts["given"] == []
    assert facts["remarks"] == ["over the chords C G Am F#m C G"]
    assert [track.name for track in score.tracks] == facts["written"] == ["Melody"]
    assert len(bars_of(score)) == 6
    ends = [note.end for note in score.tracks[0].notes]
    assert [note.start for note in score.tracks[0].notes] == [0, *ends[:-1]], "one note at a time, and no rests"
    facts, (score,) = compose("midinet", "--chords", "Dm G C", "--seed", "1")
    assert facts["remarks"] == ["over the chords Dm G C"]
    assert len(bars_of(score)) == 3
    assert len(bars_of(compose("midinet")[1][0])) == 8


def test_four_bars_of_four_tracks_from_nothing(compose):
    facts, (score,) = compose("roll-gan", "--seed", "1")
    assert [track.name for track in score.tracks] == facts["written"] == list(VOICES)
    assert len(bars_of(score)) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_noise_changes_the_music_and_the_seed_repeats_it(compose, kind):
    first, second = (compose(kind, "--seed", "5", "--num-samples", "2")[1] for _ in range(2))
    assert [score.dumps_midi() for score in first] == [score.dumps_midi() for score in second]
    third = compose(kind, "--seed", "6")[1]
    assert len({score.dumps_midi() for score in (*first, *third)}) == 3


def test_chords_and_the_bar_before_count(compose):
    one, other = (compose("midinet", "--seed", "5", "--chords", chords)[1][0] for chords in ("C C", "C F#m"))
    bar = 4 * 480

    def notes(score, first, end):
        return [(n.time, n.duration, n.pitch) for n in score.tracks[0].notes if n.time >= first and n.end <= end]

    assert notes(one, 0, bar - 480) == notes(other, 0, bar - 480)
    assert notes(one, bar, 2 * bar) != notes(other, bar, 2 * bar)


def test_a_melody_is_harmonized_further(compose, descant, tiny_checkpoint, tmp_path):
    facts, (melody,) = compose("midinet", "--bars", "2", "--seed", "3")
    out = tmp_path / "harmony.mid"
    outcome = descant(
        "generate", "--prompt", facts["outputs"][0], "--model", tiny_checkpoint, "--out", out, "--formats", "midi",
        "--seed", "1", "--device", "cpu", "--quiet",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    score = ScoreTick.from_file(out)
    # Random weights may leave a voice silent, and MIDI then has no track of it.
    names = [track.name for track in score.tracks]
    assert names[0] == VOICES[0]
    assert 1 < len(names) <= len(VOICES)
    assert set(names) <= set(VOICES)
    assert [note.pitch for note in score.tracks[0].notes] == [note.pitch for note in melody.tracks[0].notes]


def test_the_same_from_python(untrained):
    model = load(str(untrained["midinet"]), device="cpu")
    result = model.compose(bars=2, chords=["C", "G"], seed=1, num_samples=2)
    assert len(result.samples) == 2
    with pytest.raises(InputError, match="This model generates without a prompt"):
        model.harmonize(result.score)
    with pytest.raises(InputError, match="generates without a prompt"):
        load(str(untrained["roll-gan"]), device="cpu").harmonize(result.score)
    with pytest.raises(InputError, match="This model needs a prompt"):
        load("gan", device="cpu").compose()


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("midinet", ("--prompt", "{tune}"), "This model generates without a prompt. Leave --prompt out"),
        ("roll-gan", ("--prompt", "{tune}", "--task", "continue"), "This model generates without a prompt"),
        ("midinet", ("--prompt", "{tune}", "--task", "compose"), "--task compose takes no --prompt"),
        ("gan", (), "--prompt is missing. Give a MIDI"),
        ("midinet", ("--task", "harmonize"), "--prompt is missing. Give a MIDI"),
        ("midinet", ("--chords", "C Hm"), "The chord is 'Hm'. Give major and minor triads"),
        ("midinet", ("--bars", "0"), "The number of bars to write is 0. Give 1 to 256"),
        ("midinet", ("--bars", "2-3"), "--bars is '2-3'. Give a number of bars, such as 8."),
        ("midinet", ("--given", "soprano"), "--given selects tracks of a prompt"),
        ("midinet", ("--track", "1"), "--track selects tracks of a prompt"),
        ("midinet", ("--top-p", "0.5"), "This model does not sample tokens"),
        ("midinet", ("--style", "bach"), "This model was trained without styles. Leave --style out"),
        ("roll-gan", ("--style", "bach"), "This model was trained without styles. Leave --style out"),
        ("midinet", ("--own-melody",), "This model never generates the given melody"),
        ("roll-gan", ("--chords", "C G"), "This model takes no chords"),
        ("roll-gan", ("--bars", "8"), "This model writes four bars at a time. Leave --bars out"),
    ],
)
def test_what_makes_no_sense_is_refused(descant, untrained, repo_root, tmp_path, model, options, message):
    out = tmp_path / "new" / "out.mid"
    filled = [option.format(tune=repo_root / "examples" / "ode-to-joy.mid") for option in options]
    name = untrained.get(model, model)
    outcome = descant("generate", "--model", name, "--out", out, "--formats", "midi", "--device", "cpu", *filled)
    assert outcome.status == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not out.parent.exists()


@pytest.mark.parametrize(("name", "bars", "tracks"), [("midinet", 8, 1), ("roll-gan", 4, 4)])
def test_the_embedded_models_write_in_their_ranges(name, bars, tracks):
    result = load(name, device="cpu").compose(seed=1, num_samples=4)
    ranges = load_gan(name).meta.voice_ranges
    low, high = min(low for low, _ in ranges) - 3, max(high for _, high in ranges) + 3
    for sample in result.samples:
        assert len(sample.score.tracks) == tracks
        assert len(bars_of(sample.score)) == bars
        inside = [low <= note.pitch <= high for track in sample.score.tracks for note in track.notes]
        assert sum(inside) > 0.95 * len(inside)
        assert len(inside) > 2 * bars
    assert load_gan(name).folder.joinpath("model.safetensors").stat().st_size < 6_000_000


# Data


def tune(name, split, num_tracks, bars=3):
    score = ScoreTick(480)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    for rank in range(num_tracks):
        track = TrackTick(str(rank), 0, False)
        track.notes.extend([NoteTick(480 * i, 480, 72 - 12 * rank + 2 * (i % 3), 80) for i in range(4 * bars)])
        score.tracks.append(track)
    row = {"id": name, "composer": "", "title": name, "licence": "", "key": "C major", "time_signature": "4/4"}
    return {**row, "corpus": "chorales" if num_tracks > 1 else "folk", "split": split, "music": score.dumps_midi()}


@pytest.fixture
def two_corpora(monkeypatch):
    """Replace both corpora by one chorale and one tune in each split."""

    def load_corpus(name, **_):
        number = 4 if name == "chorales" else 1
        splits = ("train", "valid", "test")
        return DatasetDict({s: Dataset.from_list([tune(f"{name}-{s}", s, number)]) for s in splits})

    monkeypatch.setattr(stored, "load_corpus", load_corpus)


@pytest.mark.parametrize("file_format", ["arrow", "parquet"])
def test_the_command_builds_bars_of_melody(descant, two_corpora, tmp_path, file_format):
    out = tmp_path / "bars"
    done = descant("dataset", "build", "melody-bars", "--out", out, "--format", file_format, "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert report["splits"] == {split: {"chorales": 3, "folk": 3} for split in ("train", "valid")}
    assert report["filled"] == 0
    found = load_melodies(str(out), (-1, 0, 1))
    assert (len(found.train), len(found.valid)) == (18, 6)
    assert found.voice_ranges == ((72, 76),)
    assert {"chorales", "folk"} < set(found.corpora)
    bars, chords, previous = found.train.at(torch.tensor([6, 7]))
    assert torch.equal(previous[1], bars[0])
    assert chords.shape == (2, 13)
    again = descant("dataset", "build", "melody-bars", "--out", out)
    assert (again.status, "already exists" in again.err) == (2, True)
    with pytest.raises(InputError, match=r"There is no corpus 'bars'\. Give melody-bars"):
        load_melodies("bars", (0,))
    with pytest.raises(InputError, match="is not a dataset of chorales-rolls-64"):
        load_rolls(str(out), is_long=True)


@pytest.mark.slow  # reads the chorales where they were never read
def test_the_long_rolls_are_four_bars(descant, tmp_path):
    out = tmp_path / "rolls"
    done = descant("dataset", "build", "chorales-rolls-64", "--out", out, "--json")
    assert json.loads(done.out)["splits"] == {"train": 1913, "valid": 182}
    assert load_rolls(str(out), is_long=True).valid.shape == (182, 4, 64, 128)
    with pytest.raises(InputError, match="are not -1 and \\+1 in the shape"):
        load_rolls(str(out))
