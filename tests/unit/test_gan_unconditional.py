"""The unconditional roll GAN: sizes, and the conditional GAN's steps without a condition."""

import numpy as np
import pytest
import torch
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.gan.config import RollGanConfig, RollGanDataConfig
from descant_modeling.gan.metrics import free_roll_metrics
from descant_modeling.gan.networks import RollGenerator, UNetCritic, UpConv
from descant_modeling.gan.wgan import RollGanStep
from descant_modeling.models.transformer import count_parameters
from descant_tokenizers.pianoroll.windows import windows_of


def test_the_shape_of_every_stage_and_the_counts():
    step = RollGanStep(RollGanConfig())
    generator, critic = step.generator, step.critic
    shapes = []
    stages = [generator.dense, *(m for m in generator.modules() if isinstance(m, UpConv))]
    hooks = [m.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:]))) for m in stages]
    rolls = generator(generator.draw_noise(2, torch.Generator()))
    for hook in hooks:
        hook.remove()
    assert shapes == [(4096,), (128, 8, 16), (64, 16, 32), (32, 32, 64), (4, 64, 128)]
    assert rolls.shape == (2, 4, 64, 128)
    assert rolls.abs().max() <= 1
    assert critic(rolls).shape == (2,)
    assert critic.last_shape == (4, 8, 128)
    assert count_parameters(generator) == 957_348
    assert count_parameters(critic) == 177_393
    assert count_parameters(UNetCritic(4, num_steps=64)) == 2_773_953  # as wide as the conditional GAN's


def test_sizes_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"model\.filters is \(64, 64, 64\)\. Give four numbers of 1 to 1024"):
        RollGenerator(128, (64, 64, 64))
    with pytest.raises(ValueError, match=r"model\.filters is .*\. Give four numbers of 1 to 1024"):
        RollGenerator(128, (64, 64, 64, 10**9))
    with pytest.raises(ValueError, match=r"model\.noise_size is 0\. Give 1 to 1024"):
        RollGenerator(0)


def test_each_step_changes_one_network_only(random_rolls, watch):
    step = RollGanStep(RollGanConfig(seed=3, data=RollGanDataConfig(batch_size=2)))
    real, rng = random_rolls(2, 64), torch.Generator().manual_seed(0)
    generator, critic = watch(step.generator), watch(step.critic)
    step.critic_step(real, rng)
    assert generator() == set()
    assert "score.weight" in critic()
    critic = watch(step.critic)
    step.generator_step(real, rng)
    assert critic() == set()
    assert "dense.weight" in generator()


def test_samples_that_repeat_each_other_are_alike():
    rolls = np.zeros((4, 64, 128, 4), dtype=bool)
    rolls[:, :, 60, :] = True
    found = free_roll_metrics(rolls, rolls)
    assert (found["likeness"], found["voices"], found["histogram_distance"]) == (1, 4, 0)
    rolls[1::2] = np.roll(rolls[1::2], 1, axis=2)
    assert free_roll_metrics(rolls, rolls)["likeness"] == 0


def test_windows_may_overlap():
    score = ScoreTick(480)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    for pitch in (70, 60, 50, 40):
        track = TrackTick(str(pitch), 0, False)
        track.notes.extend([NoteTick(tick, 480, pitch, 80) for tick in range(0, 6 * 1920, 480)])
        score.tracks.append(track)
    row = {"time_signature": "4/4", "music": score.dumps_midi()}
    assert [window.first_bar for window in windows_of(row, 4, overlap=True)] == [1, 2, 3]
    assert [(window.first_bar, window.length_ticks) for window in windows_of(row, 4)] == [(1, 4 * 1920)]
