"""The GAN's metrics on rolls whose values are known."""

import numpy as np
import pytest

from descant_modeling.gan.metrics import histogram_distance, in_scale, melody_kept, non_empty_bars, roll_metrics


def silence(samples=1):
    return np.zeros((samples, 32, 128, 4), dtype=bool)


def test_bars_with_one_cell_are_not_empty():
    rolls = silence()
    assert non_empty_bars(rolls) == 0
    rolls[0, 15, 60, 2] = rolls[0, 16, 60, 3] = True
    assert non_empty_bars(rolls) == 2 / 8


def test_the_distance_of_histograms_goes_from_zero_to_one():
    one, other = silence(), silence()
    one[0, :, 60, :] = True
    other[0, :16, 60, :] = True
    assert histogram_distance(one, other) == 0
    other[0, 16:, 61, :] = True
    assert histogram_distance(one, other) == pytest.approx(0.5)
    assert histogram_distance(silence(), one) == 1


def test_a_scale_may_have_any_tonic_and_an_even_spread_is_seven_of_twelve():
    rolls = silence(2)
    for pitch in (61, 63, 65, 66, 68, 70, 72):  # D flat major
        rolls[0, 0, pitch, 0] = True
    assert in_scale(rolls) == 1, "a silent sample does not count"
    rolls[1, 0, 48:60, 0] = True
    assert in_scale(rolls) == pytest.approx((1 + 7 / 12) / 2)
    assert in_scale(silence()) == 0


def test_the_melody_counts_where_it_sounds():
    rolls = silence()
    rolls[0, :8, 60, 0] = True
    rolls[0, 8:16, 60, 1] = True
    melodies = np.zeros((1, 32, 128), dtype=bool)
    melodies[0, :16, 60] = True
    assert melody_kept(rolls, melodies) == 0.5
    found = roll_metrics(rolls, melodies, rolls)
    assert found["histogram_distance"] == pytest.approx(0.5)  # two tracks are silent, in the reference too
    assert found["voices"] == 0.5
