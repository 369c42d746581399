"""The unconditional roll GAN: sizes, and the conditional GAN's steps without a condition."""

import numpy as np
import pytest
import torch
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.gan.config import GanOptimizerConfig, RollGanConfig
from descant_modeling.gan.metrics import free_roll_metrics
from descant_modeling.gan.networks import RollGenerator, UNetCritic, UpConv
from descant_modeling.gan.variants import roll_gan_parts
from descant_modeling.gan.wgan import WganStep, critic_gradients, naive_critic_loss
from descant_modeling.models.transformer import count_parameters
from descant_tokenizers.pianoroll.windows import windows_of


def test_the_shape_of_every_stage_and_the_counts():
    generator, critic = roll_gan_parts(RollGanConfig()).build()
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
    with pytest.raises(ValueError, match=r"model\.filters is \(64, 64, 64\): give four numbers of 1 to 1024"):
        RollGenerator(128, (64, 64, 64))
    with pytest.raises(ValueError, match=r"model\.filters is .*: give four numbers of 1 to 1024"):
        RollGenerator(128, (64, 64, 64, 10**9))
    with pytest.raises(ValueError, match=r"model\.noise_size is 0: give 1 to 1024"):
        RollGenerator(0)


def test_fast_gradients_without_a_condition_are_those_of_autograd(random_rolls):
    torch.manual_seed(0)
    critic = UNetCritic(4, (4, 6, 8, 10), 64).double()
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    real, fake = random_rolls(3, 64).double(), torch.tanh(torch.randn(3, 4, 64, 128, dtype=torch.float64))
    share = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    loss = naive_critic_loss(critic, real, fake, None, share)
    expected = torch.autograd.grad(loss.total, list(critic.parameters()), allow_unused=True)
    fast = critic_gradients(critic, real, fake, None, share, torch.float64)
    assert fast.penalty.item() == pytest.approx(loss.penalty.item(), rel=1e-5)
    for parameter, gradient in zip(critic.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_each_step_changes_one_network_only(random_rolls, watch):
    learner = WganStep(3, GanOptimizerConfig(), 2, parts=roll_gan_parts(RollGanConfig()))
    real, rng = random_rolls(2, 64), torch.Generator().manual_seed(0)
    generator, critic = watch(learner.generator), watch(learner.critic)
    learner._critic_step(real, rng)
    assert generator() == set()
    assert "score.weight" in critic()
    critic = watch(learner.critic)
    learner._generator_step(real, rng)
    assert critic() == set()
    assert "dense.weight" in generator()


def test_samples_that_repeat_each_other_are_alike():
    rolls = np.zeros((4, 64, 128, 4), dtype=bool)
    rolls[:, :, 60, :] = True
    found = free_roll_metrics(rolls, rolls)
    assert (found.likeness, found.voices, found.histogram_distance) == (1, 4, 0)
    rolls[1::2] = np.roll(rolls[1::2], 1, axis=2)
    assert free_roll_metrics(rolls, rolls).likeness == 0


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
