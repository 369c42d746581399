"""The families on the sixteenths grid: trained, resumed, scored, and asked for music."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from prompts import assert_harmony, chorale, events, melody, outside, scale
from symusic.core import NoteTick, NoteTickList
from torch.distributions import Normal

from descant_modeling import load
from descant_modeling.cnn.config import CnnModelConfig
from descant_modeling.cnn.networks import UNKNOWN, CnnNetwork
from descant_modeling.cnn.run import score_chronological, score_orderless
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.evaluation.cards import FAMILIES
from descant_modeling.families.checkpoints import family_card
from descant_modeling.generation.base import Request
from descant_modeling.generation.grid import read_grid_prompt
from descant_modeling.jsb_grid.data import BOS, Grid, GridVocabulary
from descant_modeling.models.checkpoints import find_checkpoint
from descant_modeling.models.networks import load_network
from descant_modeling.objectives import prepare_run
from descant_modeling.rnn.config import RnnModelConfig
from descant_modeling.rnn.networks import RnnNetwork, stream_of
from descant_modeling.rnn.run import score_pieces
from descant_modeling.training.run import RunOptions
from descant_modeling.training.trainer import Trainer
from descant_modeling.vae.config import VaeModelConfig
from descant_modeling.vae.networks import VaeNetwork, between, divergence
from descant_modeling.vae.run import measure_ways
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.pianoroll.frames import SILENT
from descant_tokenizers.scores import VOICES

TINY: dict[str, dict[str, Any]] = {
    "rnn": {"model": {"width": 8, "num_layers": 2}},
    "cnn": {"model": {"filters": 4, "num_layers": 2}},
    "vae": {"model": {"width": 8, "latent_size": 4}, "loss": {"annealing_steps": 3, "free_nats": 0}},
}
#: Those that harmonize.
HARMONIZING = pytest.mark.parametrize("trained", ["rnn", "cnn"], indirect=True)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of chorales in several keys, of which at least one is in valid."""
    folder = tmp_path_factory.mktemp("chorales")
    for number in range(8):
        score = chorale(3)
        for track in score.tracks:
            pitches = track.notes.numpy()["pitch"] + number % 5
            pitches[number :: 3 + number] += 1
            notes = [
                NoteTick(n.time, n.duration, int(pitch), 80) for n, pitch in zip(track.notes, pitches, strict=True)
            ]
            track.notes = NoteTickList(notes)
        score.dump_midi(folder / f"{number}.mid")
    build_dataset(str(folder), folder / "dataset", num_proc=1)
    return folder / "dataset"


@pytest.fixture(scope="module", params=list(TINY))
def trained(request: pytest.FixtureRequest, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A tiny run of a family, trained to its end; its configuration file is beside its folder."""
    folder = tmp_path_factory.mktemp(request.param)
    values = {
        "objective": request.param,
        "name": request.param,
        "out_dir": str(folder),
        **{"max_steps": 6, "eval_every": 3, "save_every": 6, "log_every": 1, "precision": "fp32"},
        "data": {"corpora": [str(corpus)], "splits": ["train"], "batch_size": 2, "window_16ths": 32},
        "optimizer": {"learning_rate": 0.01, "warmup_steps": 2},
        **TINY[request.param],
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    trainer = prepare_run(folder / "tiny.yaml", RunOptions(device="cpu", threads=1, quiet=True))
    trainer.train()
    trainer.log.close()
    return trainer


def test_a_run_leaves_a_checkpoint_and_curves(trained: Trainer) -> None:
    assert (trained.folder / "metrics.png").stat().st_size > 1000
    found = find_checkpoint(str(trained.folder / "last"))
    loaded = load_network(found, FAMILIES[found.objective].build)
    kept, own = loaded.network.state_dict(), trained.task.published_model.state_dict()
    assert all(torch.equal(kept[name], own[name]) for name in own)
    assert loaded.meta.training["step"] == 6
    assert "{" not in (found.folder / "README.md").read_text()


def test_a_stopped_run_goes_on_bit_for_bit(trained: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    options = RunOptions(("name=stopped",), device="cpu", threads=1, quiet=True)
    stopped = prepare_run(trained.folder.parent / "tiny.yaml", options)
    after_step = stopped.after_step

    def stop_in_the_third_step(losses: dict[str, float]) -> None:
        after_step(losses)
        if stopped.progress.step == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(stopped, "after_step", stop_in_the_third_step)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    stopped.log.close()
    resumed = prepare_run(None, RunOptions(resume=stopped.folder, device="cpu", threads=1, quiet=True))
    resumed.train()
    resumed.log.close()
    ends = [trainer.task.tensors() for trainer in (trained, resumed)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@HARMONIZING
def test_given_voices_are_kept_and_the_others_written(trained: Trainer) -> None:
    model = load(str(trained.folder), device="cpu")
    prompt = melody([*scale(8, 480, start=480), (480 * 9, 320, 67), (480 * 9 + 320, 160, 69)], name="Soprano")
    result = model.harmonize(prompt, seed=1)
    assert_harmony(prompt, result.score)
    assert (result.given, result.written) == (VOICES[:1], VOICES[1:])
    assert sum(len(track.notes) for track in result.score.tracks) - 10 == len(result.samples[0].added) > 10
    again = model.harmonize(prompt, seed=1)
    assert again.score.dumps_midi() == result.score.dumps_midi()
    assert model.harmonize(prompt, seed=2).score.dumps_midi() != result.score.dumps_midi()


@HARMONIZING
def test_new_notes_are_in_the_ranges_of_training_where_a_melody_is_moved_for_the_model(trained: Trainer) -> None:
    low = melody(scale(8, 480, base=31), name="Soprano")
    result = load(str(trained.folder), device="cpu").harmonize(low, seed=1)
    (remark,) = [remark for remark in result.remarks if "semitones" in remark]
    assert remark.endswith("semitones up for the model, and back")
    shift = int(remark.split()[1])
    assert shift > 12
    ranges = trained.task.meta.voice_ranges
    for track, (lowest, highest) in zip(result.score.tracks[1:], ranges[1:], strict=True):
        assert all(lowest <= note.pitch + shift <= highest for note in track.notes)


def test_a_kept_pitch_is_struck_again_with_the_melody_on_beats_only() -> None:
    tune = melody([(0, 480, 67), (480, 240, 69), (720, 240, 71), (960, 960, 72)])
    prompt = read_grid_prompt(Request("harmonize", tune), ((60, 81), (52, 74), (46, 69), (36, 66)))
    held = np.full((4, 16), 60)
    (sample,) = prompt.result([held], GenerationConfig()).samples
    assert [note.time for note in sample.score.tracks[1].notes] == [0, 480, 960]


def test_music_of_nothing_but_rests_is_refused() -> None:
    request = Request("infill", melody([(0, 960, 72), (960, 960, 74)]), bars=(1, 1))
    prompt = read_grid_prompt(request, [(30, 90)] * 4)
    with pytest.raises(InputError, match="nothing but rests"):
        prompt.result([np.full_like(prompt.pitches_VT, SILENT)], GenerationConfig())


@pytest.mark.parametrize("trained", ["rnn"], indirect=True)
def test_the_rnn_continues_and_refuses_to_infill(trained: Trainer) -> None:
    model, prompt = load(str(trained.folder), device="cpu"), chorale(2)
    result = model.continue_(prompt, bars=2, seed=3)
    assert result.written == VOICES
    for track, own in zip(result.score.tracks, prompt.tracks, strict=True):
        assert events(track.notes)[: len(own.notes)] == events(own.notes)
    new = [(note.time, note.end) for track in result.score.tracks for note in track.notes if note.time >= 8 * 480]
    assert new
    assert min(new)[0] == 8 * 480
    assert max(end for _, end in new) <= 16 * 480
    with pytest.raises(InputError, match="does not infill, but it can harmonize and continue"):
        model.infill(prompt, bars=(1, 1))


def test_a_network_without_weights_finds_all_tokens_equally_likely() -> None:
    """Its likelihood is that of a die: ln K for every token, EOS included."""
    vocabulary = GridVocabulary(36, 81, 0)
    network = RnnNetwork(RnnModelConfig(8, 1, 0.5), vocabulary).train(False)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    rng = np.random.default_rng(0)
    grids = [Grid(str(length), rng.choice([SILENT, 40, 60, 81], (4, length))) for length in (9, 70)]
    scores = score_pieces(network, grids).pieces
    for grid, score in zip(grids, scores, strict=True):
        assert score.nats == pytest.approx((4 * grid.num_16ths + 1) * math.log(4 + 81 - 36 + 1), rel=1e-5)
        assert score.length == 4 * grid.num_16ths


def test_each_step_of_an_rnn_is_told_what_it_continues() -> None:
    """Previous token, last token of the voice to predict, how long that has lasted, and the place."""
    vocabulary = GridVocabulary(60, 80, 0)
    pitches_VT = np.array([[72] * 20, [67] * 18 + [69, 69], [64, SILENT] * 10, [60] * 20])
    stream = stream_of(vocabulary, pitches_VT)
    ids = vocabulary.encode(pitches_VT).ids
    assert stream[:, -1].tolist() == ids[1:]
    assert stream[:5, :4].tolist() == [
        [BOS, BOS, 0, 0],
        *([ids[n], BOS, 0, n] for n in (1, 2, 3)),
        [ids[4], ids[1], 1, 4],
    ]
    soprano, alto, tenor = (stream[voice::4, 2].tolist() for voice in range(3))
    assert soprano == [*range(17), 16, 16, 16, 16]
    assert alto == [*range(17), 16, 16, 1]
    assert set(tenor[1:]) == {1}


def test_no_token_of_an_rnn_depends_on_later_ones() -> None:
    torch.manual_seed(1)
    network = RnnNetwork(RnnModelConfig(8, 2, 0.5), GridVocabulary(36, 81, 0)).train(False)
    rng = np.random.default_rng(0)
    pitches_VT = rng.integers(36, 82, (4, 30))
    changed_VT = pitches_VT.copy()
    changed_VT[2, 20] += 1 if changed_VT[2, 20] < 81 else -1
    first, second = (
        network.losses([stream_of(network.vocabulary, part)])[0].detach() for part in (pitches_VT, changed_VT)
    )
    place = 4 * 20 + 2
    assert torch.equal(first[:place], second[:place])
    assert not torch.allclose(first[place:], second[place:])


@pytest.mark.parametrize("trained", ["rnn"], indirect=True)
def test_the_command_scores_a_corpus_with_an_rnn(descant, trained: Trainer, corpus: Path) -> None:
    command = ("evaluate", "likelihood", "--model", trained.folder / "last", "--corpus", corpus, "--device", "cpu")
    done = descant(*command, "--quiet")
    assert done.status == 0, done.err
    value = trained.task.state.figures["nats_per_voice_16th"]
    assert f"{value:.3f}"[:4] in done.out


@pytest.mark.parametrize("trained", ["cnn"], indirect=True)
def test_the_cnn_infills_and_harmonizes_any_voice(trained: Trainer) -> None:
    model, prompt = load(str(trained.folder), device="cpu"), chorale(3)
    result = model.infill(prompt, bars=(2, 2), given=["Soprano"], seed=1, steps=2)
    assert result.written == VOICES[1:]
    assert outside(result.score, 1920, 3840) == outside(prompt, 1920, 3840)
    assert events(result.score.tracks[0].notes) == events(prompt.tracks[0].notes)
    assert {onset for voice, onset, _ in result.samples[0].added} <= set(range(1920, 3840, 120))
    bass = melody(scale(8, 480, base=48), name="Bass")
    from_bass = model.harmonize(bass, given=["bass"], seed=1, steps=2)
    assert_harmony(bass, from_bass.score, "Bass")
    assert (from_bass.given, from_bass.written) == (VOICES[3:], VOICES[:3])
    with pytest.raises(InputError, match="does not vary, but it can harmonize, continue and infill"):
        model.vary(prompt)
    with pytest.raises(InputError, match="no use for amount"):
        model.harmonize(bass, given=["bass"], amount=0.5)


def test_a_cnn_without_weights_finds_all_cells_equally_likely() -> None:
    """Both likelihoods are then ln K for every cell, in any order."""
    network = CnnNetwork(CnnModelConfig(4, 2), GridVocabulary(36, 81, 0)).train(False)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    grid = Grid("one", np.random.default_rng(0).choice([SILENT, 40, 60, 81], (4, 40)))
    for score in (score_orderless(network, [grid], num_masks=3), score_chronological(network, [grid])):
        assert score.pieces[0].nats == pytest.approx(160 * math.log(47), rel=1e-5)


def test_a_cnn_sees_known_cells_only() -> None:
    torch.manual_seed(1)
    network = CnnNetwork(CnnModelConfig(4, 3), GridVocabulary(36, 81, 0)).train(False)
    cells = torch.randint(0, 47, (1, 4, 20))
    unknown = torch.zeros(1, 4, 20, dtype=torch.bool)
    unknown[0, 1, 5:9] = True
    other = torch.where(unknown, (cells + 1) % 47, cells)
    first, second = (network(torch.where(unknown, UNKNOWN, part)) for part in (cells, other))
    assert torch.equal(first, second)
    losses = network.cell_losses(cells, unknown)
    assert torch.equal(losses > 0, unknown)
    expected = -first[0, 1, 6].log_softmax(0)[cells[0, 1, 6]]
    assert losses[0, 1, 6].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("trained", ["vae"], indirect=True)
def test_the_vae_varies_and_morphs(trained: Trainer) -> None:
    model, prompt = load(str(trained.folder), device="cpu"), chorale(3)
    result = model.vary(prompt, amount=0.9, seed=1)
    assert [track.name for track in result.score.tracks] == list(VOICES)
    assert max(onset for _, onset, _ in result.samples[0].added) < 3 * 1920
    varied = [model.vary(prompt, amount=0.0, seed=seed).score.dumps_midi() for seed in (1, 2)]
    assert varied[0] == varied[1]
    with pytest.raises(InputError, match="writes 4 voices, and the prompt has 1"):
        model.vary(melody(scale(8, 480)))
    other = chorale(2)
    path = model.morph(prompt, other, steps=3).score
    assert max(note.end for track in path.tracks for note in track.notes) <= 3 * 2 * 1920
    with pytest.raises(InputError, match="does not harmonize, but it can vary and morph"):
        model.harmonize(prompt)


def test_a_variation_leaves_room_for_a_pickup_that_is_held() -> None:
    prompt = melody([(0, 1440, 67), (1440, 960, 67)], meters=((0, 1, 4), (480, 4, 4)), name="Soprano")
    (track,) = load("vae-melody", device="cpu").vary(prompt, amount=0.0).score.tracks
    assert [(note.time, note.duration) for note in track.notes[:1]] == [(0, 1440)]
    assert track.notes[1].time >= 1440


@pytest.mark.parametrize("trained", ["vae"], indirect=True)
def test_a_vae_writes_in_the_ranges_of_training(trained: Trainer) -> None:
    """Whatever its weights say: here that the highest pitch of all is likeliest in every voice."""
    model = load(str(trained.folder), device="cpu")
    network = model.generator.network
    for out in network.out:
        torch.nn.init.zeros_(out.weight)
        out.bias.data = torch.arange(len(out.bias)).float()
    varied, morphed = model.vary(chorale(2)), model.morph(chorale(2), chorale(3), steps=2)
    assert "semitones" not in " ".join(varied.remarks)
    highest = [high for _, high in trained.task.meta.voice_ranges]
    for result in (varied, morphed):
        assert [{note.pitch for note in track.notes} for track in result.score.tracks] == [{pitch} for pitch in highest]


def test_the_divergence_is_that_of_the_formula() -> None:
    """That of Kingma and Welling 2014, appendix B."""
    means_BZ, deviations_BZ = (
        torch.tensor([[0.5, -1.0, 0.0], [0.0, 0.0, 0.0]]),
        torch.tensor([[0.2, 0.7, 1.0], [1.0] * 3]),
    )
    expected_B = -0.5 * (1 + deviations_BZ.square().log() - means_BZ.square() - deviations_BZ.square()).sum(1)
    assert torch.allclose(divergence(Normal(means_BZ, deviations_BZ)), expected_B)
    assert expected_B[1] == 0


def test_the_way_between_two_vectors_is_an_arc() -> None:
    first, second = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    way = between(first, second, 5)
    assert torch.allclose(way[[0, -1]], torch.stack([first, second]), atol=1e-6)
    assert torch.allclose(way.norm(dim=1), torch.tensor([2.0, 2.5, 3.0, 3.5, 4.0]))
    angles = torch.rad2deg(torch.atan2(way[:, 1], way[:, 0]))
    assert torch.allclose(angles, torch.tensor([0.0, 22.5, 45.0, 67.5, 90.0]), atol=1e-3)
    straight = between(torch.stack([first, first]), torch.stack([second, 3 * first]), 5)
    assert torch.equal(straight[0], way)
    assert torch.allclose(straight[1], torch.tensor([[2.0, 0], [3, 0], [4, 0], [5, 0], [6, 0]]))


def test_the_changes_on_a_way_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a circle of radius 4, whose points are rounded to cells: 8 changes, 2 between the ends."""
    network = VaeNetwork(VaeModelConfig(4, 8, 2, 0.5), GridVocabulary(36, 81, 0)).train(False)
    latents = torch.tensor([[4.0, 0.0], [0.0, 4.0], [1.0, 1.0]])
    assert measure_ways(network, latents[:1]) == (1.0, 0.0)
    monkeypatch.setattr(network, "decode", lambda latents_BZ: latents_BZ.round()[:, None])
    assert measure_ways(network, latents) == (4.0, 1.0)


@pytest.mark.parametrize("trained", ["vae"], indirect=True)
def test_the_command_morphs(descant, trained: Trainer, tmp_path: Path) -> None:
    for name in ("a", "b"):
        chorale(2).dump_midi(tmp_path / f"{name}.mid")
    command = ("generate", "--prompt", tmp_path / "a.mid", "--model", trained.folder / "last", "--formats", "midi")
    done = descant(*command, "--morph", tmp_path / "b.mid", "--steps", "3", "--out", tmp_path / "way.mid")
    assert done.status == 0, done.err
    assert f"two bars of {tmp_path / 'a.mid'} and two of the file to morph into" in done.out
    assert (tmp_path / "way.mid").is_file()
    done = descant(*command, "--task", "vary", "--given", "soprano")
    assert done.status == 2
    assert "--given is for harmonize, continue and infill" in done.err
    done = descant(*command, "--morph", tmp_path / "b.mid", "--task", "vary")
    assert done.status == 2
    assert "--morph turns a --prompt into another file" in done.err


@HARMONIZING
def test_the_command_sets_families_side_by_side(descant, trained: Trainer, corpus: Path) -> None:
    model = str(trained.folder / "last")
    command = ("evaluate", "families", "--model", model, "--corpus", corpus, "--reference", f"{corpus}:train")
    done = descant(*command, "--limit", "1", "--json", "--device", "cpu")
    assert done.status == 0, done.err
    (facts,) = json.loads(done.out)["models"].values()
    assert facts["num_parameters"] == sum(p.numel() for p in trained.task.model.parameters())
    assert facts["harmonization"]["soprano_kept"] == 100
    assert 0 < facts["likelihood"]["value"] < 10
    assert facts["tasks"][0] == "harmonize"


@pytest.mark.parametrize("name", ["rnn", "cnn", "vae", "vae-melody"])
def test_embedded_weights_are_small_and_their_card_is_complete(name: str) -> None:
    found = find_checkpoint(name)
    assert (found.folder / "model.safetensors").stat().st_size < 6_000_000
    loaded = load_network(found, FAMILIES[found.objective].build)
    card = (found.folder / "README.md").read_text(encoding="utf-8")
    assert card == family_card(loaded.meta, loaded.network)
    assert "Not measured" not in card


@pytest.mark.parametrize("name", ["rnn", "cnn"])
def test_embedded_models_harmonize_in_the_ranges_of_training(name: str) -> None:
    prompt = melody([(0, 480, 67), (480, 480, 69), (960, 480, 71), (1440, 960, 72)], name="Soprano")
    model = load(name, device="cpu")
    result = model.harmonize(prompt, seed=1)
    assert_harmony(prompt, result.score)
    ranges = find_checkpoint(name).meta["voice_ranges"]
    for track, (lowest, highest) in zip(result.score.tracks[1:], ranges[1:], strict=True):
        assert sum(note.duration for note in track.notes) > 0.8 * 2400
        assert all(lowest <= note.pitch <= highest for note in track.notes)


@pytest.mark.parametrize(("name", "num_voices"), [("vae", 4), ("vae-melody", 1)])
def test_embedded_autoencoders_vary_and_morph(name: str, num_voices: int) -> None:
    prompt = chorale(3) if num_voices == 4 else melody(scale(8, 480), name="Soprano")
    model = load(name, device="cpu")
    varied = model.vary(prompt, amount=0.5, seed=1)
    assert varied.written == VOICES[:num_voices]
    assert len(varied.samples[0].added) > 4 * num_voices
    assert len(model.morph(prompt, prompt, steps=2).score.tracks) == num_voices
