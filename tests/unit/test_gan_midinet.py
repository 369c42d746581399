"""MidiNet: its layers against stock ones, its two networks' steps, and the bars that it learns from."""

import numpy as np
import pytest
import torch
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick
from torch import nn

from descant_modeling.gan.config import MidinetConfig, MidinetDataConfig, MidinetOptimizerConfig
from descant_modeling.gan.data import MelodyData, chord_vectors, vectors_of
from descant_modeling.gan.metrics import in_chord, likeness, melody_metrics
from descant_modeling.gan.midinet import (
    ChannelNorm,
    MidinetDiscriminator,
    MidinetGenerator,
    MidinetStep,
    column_conv,
    column_deconv,
    compose_bars,
    draw_midinet_noise,
    mean_distance,
    melody_rolls,
    with_chord,
)
from descant_modeling.models.transformer import count_parameters
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.chords import (
    ALL_CHORDS,
    Chord,
    chord_of_harmony,
    chord_of_melody,
    parse_chord,
    triads_of_key,
)
from descant_tokenizers.pianoroll.melodies import bar_rows, filled_pitches, melody_bars


def columns(x):
    """(B, H, C) as what a stock convolution takes: (B, C, H, 1)."""
    return x.transpose(1, 2)[..., None]


def make_step(seed=3, **optimizer):
    data = MidinetDataConfig(batch_size=8)
    return MidinetStep(MidinetConfig(seed=seed, data=data, optimizer=MidinetOptimizerConfig(**optimizer)))


def random_data(number=24, shifts=(0,)):
    rng = np.random.default_rng(0)
    pitches = torch.from_numpy(rng.integers(60, 72, (number, 16)))
    previous = torch.where(torch.arange(number)[:, None] % 4 == 0, -1, pitches.roll(1, 0))
    chords = torch.from_numpy(rng.integers(0, 12, number)), torch.from_numpy(rng.integers(0, 2, number))
    return MelodyData(pitches, previous, *chords, shifts)


# Networks


def test_parameter_counts():
    assert count_parameters(MidinetGenerator()) == 530_625
    assert count_parameters(MidinetDiscriminator()) == 312_703


def test_the_shape_of_every_stage():
    torch.manual_seed(0)
    generator, critic = MidinetGenerator(), MidinetDiscriminator()
    data = random_data()
    bars, chords, previous = data.at(torch.arange(6))
    assert [tuple(seen.shape[1:]) for seen in generator.conditioner(previous)] == [(2, 16), (4, 16), (8, 16), (16, 16)]
    inputs = []
    stages = [*generator.dense, *generator.up_norms]
    hooks = [m.register_forward_hook(lambda m, args, out: inputs.append(tuple(out.shape[1:]))) for m in stages]
    written = generator(draw_midinet_noise(6, torch.Generator()), chords, previous)
    for hook in hooks:
        hook.remove()
    assert inputs == [(1024,), (256,), (4, 128), (8, 128), (16, 128)]
    assert [tuple(up.weight.shape[:2]) for up in generator.ups] == [(157, 128)] * 3
    assert tuple(generator.out.weight.shape) == (157, 1, 1, 128)
    assert written.shape == bars.shape == (6, 1, 16, 128)
    assert 0 < written.min() < written.max() < 1
    logits, features = critic(bars, chords)
    assert logits.shape == (6,)
    assert features.shape == (6, 8, 14)
    assert critic.second(columns(with_chord(features, chords))).shape == (6, 77, 3, 1)


def test_matrix_products_are_the_stock_layers():
    torch.manual_seed(0)
    x = torch.randn(3, 8, 5, dtype=torch.float64)
    conv, tiling = nn.Conv2d(5, 7, (4, 1), stride=2).double(), nn.Conv2d(5, 7, (2, 1), stride=(2, 1)).double()
    up = nn.ConvTranspose2d(5, 7, (2, 1), stride=(2, 1)).double()
    for fast, layer in ((column_conv, conv), (column_conv, tiling), (column_deconv, up)):
        torch.testing.assert_close(columns(fast(layer, x)), layer(columns(x)))
    norm, stock = ChannelNorm(5).double(), nn.BatchNorm2d(5, eps=1e-5, momentum=0.1).double()
    torch.testing.assert_close(columns(norm(x)), stock(columns(x)))
    torch.testing.assert_close(norm.running_var, stock.running_var)


def test_the_ends_of_both_networks_are_the_stock_layers():
    torch.manual_seed(0)
    generator, critic = MidinetGenerator(), MidinetDiscriminator()
    bars, chords, _ = random_data().at(torch.arange(4))
    planes = torch.cat([bars, chords[:, :, None, None].expand(-1, -1, 16, 128)], dim=1)
    expected = nn.functional.leaky_relu(critic.first(planes), 0.2)
    torch.testing.assert_close(columns(critic.features(bars, chords)), expected, rtol=1e-4, atol=1e-6)
    seen = nn.functional.leaky_relu(
        generator.conditioner.norms[0](generator.conditioner.first(bars)[..., 0].transpose(1, 2)), 0.2
    )
    torch.testing.assert_close(generator.conditioner(bars)[-1], seen, rtol=1e-4, atol=1e-5)
    last = []
    hook = generator.up_norms[2].register_forward_hook(lambda m, args, out: last.append(nn.functional.relu(out)))
    written = generator(draw_midinet_noise(4, torch.Generator()), chords, bars)
    hook.remove()
    x = torch.cat([with_chord(last[0], chords), generator.conditioner(bars)[-1]], dim=2)
    torch.testing.assert_close(written, torch.sigmoid(generator.out(columns(x))), rtol=1e-4, atol=1e-5)


# Steps


def test_each_step_changes_one_network_only(watch):
    step = make_step()
    bars, chords, previous = step.batch(random_data(), torch.arange(8))
    fake = step.fake(draw_midinet_noise(8, torch.Generator()), chords, previous)
    generator, critic = watch(step.generator), watch(step.critic)
    step.discriminator_step(bars, fake.detach(), chords)
    assert generator() == set()
    assert {"first.weight", "second_norm.weight", "score.weight"} <= critic()
    critic = watch(step.critic)
    step.generator_step(bars, fake, chords)
    assert critic() == set()
    assert {"out.weight", "conditioner.first.weight", "dense.0.weight"} <= generator()
    assert all(parameter.requires_grad for parameter in step.critic.parameters())


def test_an_iteration_is_one_step_and_two():
    step = make_step()
    step.iterate(random_data(), 0)
    steps = [
        int(next(iter(optimizer.state.values()))["step"])
        for optimizer in (step.critic_optimizer, step.generator_optimizer)
    ]
    assert steps == [1, 2]
    assert step.critic_optimizer.defaults["lr"] == 5e-5
    assert step.critic_optimizer.defaults["betas"] == (0.5, 0.999)


def test_real_bars_are_smoothed_and_fake_ones_are_not():
    step = make_step()
    for parameter in step.critic.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(step.critic.score.bias, 2.0)  # the same answer to whatever it sees
    bars, chords, _ = step.batch(random_data(), torch.arange(8))
    loss = step.discriminator_step(bars, torch.zeros_like(bars), chords)
    on, off = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    assert float(loss) == pytest.approx(0.9 * on + 0.1 * off + off, rel=1e-5)


def test_features_and_bars_are_matched_by_their_means():
    one, other = torch.zeros(4, 2, 3), torch.ones(4, 2, 3)
    assert float(mean_distance(one, other)) == 3.0  # half of six squares
    step = make_step()
    bars, chords, previous = step.batch(random_data(), torch.arange(8))
    fake = step.fake(draw_midinet_noise(8, torch.Generator()), chords, previous)
    with torch.no_grad():
        features, real = (step.critic.features(rolls, chords) for rolls in (fake, bars))
        expected = 0.1 * mean_distance(features, real) + 0.01 * mean_distance(fake, bars)
    _, matching = step.generator_step(bars, fake, chords)
    torch.testing.assert_close(matching, expected)


def test_it_learns_a_single_bar():
    """With one bar as data the generator moves its mean there: its pitch becomes the highest."""
    data = MelodyData(torch.full((4, 16), 64), torch.full((4, 16), -1), torch.zeros(4).long(), torch.zeros(4).long())
    step = make_step(1, learning_rate=1e-3, bar_weight=1.0)
    first = step.iterate(data, 0)
    last = [step.iterate(data, iteration) for iteration in range(1, 25)][-1]
    assert last["matching"] < first["matching"] / 4
    _, chords, previous = data.at(torch.arange(4))
    step.generator.train()
    with torch.no_grad():
        bars = step.generator(draw_midinet_noise(4, torch.Generator().manual_seed(0)), chords, previous)
    assert melody_rolls(bars)[:, :, 64, 0].mean() > 0.9


# Data


def test_keys_move_bars_and_chords_together():
    data = random_data(shifts=(0, 2))
    assert len(data) == 48
    bars, chords, previous = data.at(torch.tensor([5, 29]))
    assert torch.equal(bars[1], bars[0].roll(2, dims=2))
    assert torch.equal(previous[1], previous[0].roll(2, dims=2))
    assert torch.equal(chords[1, :12], chords[0, :12].roll(2))
    assert chords[1, 12] == chords[0, 12]
    _, _, first = data.at(torch.tensor([0, 24]))
    assert not first.any(), "before a first bar there is silence, in every key"


def test_chords_have_names_and_vectors():
    assert [str(parse_chord(name)) for name in ("C", "f#m", "Bb", "A#", "Cb")] == ["C", "F#m", "Bb", "Bb", "B"]
    assert all(parse_chord(str(chord)) == chord for chord in ALL_CHORDS)
    assert len(set(ALL_CHORDS)) == 24
    assert vectors_of([Chord(9, True)]).tolist() == [[0] * 9 + [1, 0, 0, 1]]
    assert torch.equal(vectors_of([Chord(9, True)]), chord_vectors(torch.tensor([9]), torch.tensor([1])))
    assert Chord(9, True).pitch_classes == (9, 0, 4)
    for name in ("H", "Cdim", "", "C7", "C##"):
        with pytest.raises(InputError, match="Give major and minor triads"):
            parse_chord(name)


def roll(*voices):
    """(16, 128, voices): each voice a list of (first step, end, pitch)."""
    cells = np.zeros((16, 128, len(voices)), dtype=bool)
    for voice, notes in enumerate(voices):
        for first, end, pitch in notes:
            cells[first:end, pitch, voice] = True
    return cells


def test_the_chord_of_a_bar():
    a_minor = roll([(0, 16, 76)], [(0, 16, 72)], [(0, 16, 64)], [(0, 16, 57)])
    assert str(chord_of_harmony(a_minor)) == "Am"
    # Half a bar each of C and G, with as much weight in all: what the bass holds decides.
    mixed = roll([(0, 8, 76), (8, 16, 74)], [(0, 16, 67)], [(0, 8, 60), (8, 16, 59)], [(0, 16, 43)])
    assert str(chord_of_harmony(mixed)) == "G"
    assert str(chord_of_melody(roll([(0, 8, 67), (8, 16, 71)])[..., 0], "G major")) == "G"
    assert str(chord_of_melody(roll([(0, 8, 67), (8, 16, 71)])[..., 0], "E minor")) == "Em"
    assert str(chord_of_melody(roll([(0, 16, 62)])[..., 0], "G major")) == "G", "of equals the tonic's"
    assert [str(chord) for chord in triads_of_key("C major")] == ["C", "G", "F", "Am", "Dm", "Em"]
    assert [str(chord) for chord in triads_of_key("A minor")] == ["Am", "E", "Dm", "F", "C", "G", "Em"]


def test_rests_take_the_pitch_before_them():
    cells = np.zeros((16, 128), dtype=bool)
    cells[2:5, 60] = cells[8, 64] = cells[8, 67] = True
    assert filled_pitches(cells) == ((60,) * 8 + (67,) * 8, 12)


def test_bars_follow_each_other_where_full_bars_of_four_four_do():
    score = ScoreTick(480)
    score.time_signatures.extend(
        [TimeSignatureTick(0, 1, 4), TimeSignatureTick(480, 4, 4), TimeSignatureTick(480 + 3840, 3, 4)]
    )
    score.time_signatures.append(TimeSignatureTick(480 + 3840 + 1440, 4, 4))
    track = TrackTick("", 0, False)
    track.notes.extend([NoteTick(tick, 480, 60 + tick // 480, 80) for tick in range(0, 480 + 3840 + 1440 + 1920, 480)])
    score.tracks.append(track)
    row = {
        "id": "tune", "time_signature": "4/4", "key": "C major", "music": score.dumps_midi(), "composer": "",
        "title": "", "corpus": "folk", "licence": "", "split": "train",
    }  # fmt: skip
    bars = melody_bars(row)
    assert [(bar.bar.number, bar.pitches[0], bar.pitches[-1]) for bar in bars] == [
        (1, 61, 64),
        (2, 65, 68),
        (4, 72, 75),
    ]
    rows = list(bar_rows(row, bars))
    assert [line["previous"][:1] for line in rows] == [[], [61], []]
    assert [line["id"] for line in rows] == ["tune:1", "tune:2", "tune:4"]


# Writing


def test_one_pitch_sounds_at_each_step():
    bars = torch.rand(3, 1, 16, 128)
    cells = melody_rolls(bars)
    assert cells.shape == (3, 16, 128, 1)
    assert (cells.sum(2) == 1).all()
    assert cells[1, 7, int(bars[1, 0, 7].argmax()), 0]


def test_each_bar_is_written_after_the_one_before():
    torch.manual_seed(0)
    generator = MidinetGenerator().train(False)
    heard = []
    hook = generator.conditioner.register_forward_pre_hook(lambda m, args: heard.append(args[0].clone()))
    roll = compose_bars(generator, vectors_of([Chord(0, False)] * 3), torch.Generator().manual_seed(1))
    hook.remove()
    assert roll.shape == (48, 128)
    assert not heard[0].any()
    for bar, first_step in zip(heard[1:], (0, 16), strict=True):
        assert torch.equal(bar[0, 0].bool(), torch.from_numpy(roll[first_step : first_step + 16]))


def test_metrics_of_melodies():
    cells = np.stack([roll([(0, 8, 60), (8, 16, 65)]), roll([(0, 8, 60), (8, 16, 65)])])
    chords = np.zeros((2, 12), dtype=bool)
    chords[:, [0, 4, 7]] = True
    found = melody_metrics(cells, chords, cells)
    assert found["in_chord"] == 0.5
    assert found["notes_per_bar"] == 2
    assert found["leap"] == 5
    assert found["likeness"] == found["non_empty_bars"] == 1
    assert found["histogram_distance"] == 0
    assert likeness(np.stack([cells[0], roll([(0, 8, 60), (8, 16, 72)])])) == pytest.approx(8 / 24)
    assert in_chord(np.zeros((1, 16, 128), dtype=bool), chords[:1]) == 0
