"""Durations that end inside a beat lean to more in simple meters, and to fewer in compound ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.rhythm import COMPOUND_NATS, NO_LEANING, SIMPLE_NATS, off_beat_ends
from descant_modeling.decoding.sampler import draw

SIXTEENTH = 24


def meter_id(vocabulary, numerator: int, denominator: int) -> int:
    [found] = [i for i, m in vocabulary.meter_of.items() if (m.numerator, m.denominator) == (numerator, denominator)]
    return found


@pytest.mark.parametrize(
    ("meter", "offset", "length", "expected"),
    [
        ((4, 4), 0, 2, SIMPLE_NATS),  # an eighth on the beat
        ((4, 4), 2, 2, 0.0),  # one after the beat ends with it
        ((4, 4), 0, 6, SIMPLE_NATS),  # a dotted quarter
        ((3, 4), 4, 8, 0.0),
        ((6, 8), 0, 2, COMPOUND_NATS),
        ((6, 8), 0, 4, COMPOUND_NATS),  # a quarter of 6/8 ends inside its beat
        ((6, 8), 0, 6, 0.0),
        ((6, 8), 4, 2, 0.0),
    ],
)
def test_what_ends_inside_a_beat(hint_vocabulary, meter, offset: int, length: int, expected: float) -> None:
    """Onsets and lengths in 16ths."""
    ids, nats = off_beat_ends(hint_vocabulary, meter_id(hint_vocabulary, *meter), offset * SIXTEENTH)
    duration = hint_vocabulary.duration_id[meter[1]][length * SIXTEENTH]
    assert (nats if duration in ids else 0.0) == expected


def test_a_leaning_adds_to_the_log_likelihood() -> None:
    row = SimpleNamespace(
        random=np.random.default_rng(0), kind=None, moving_on=(), leaning=(np.array([1]), np.log(2.0)),
        legal=lambda: np.ones(3, bool),
    )  # fmt: skip
    logits = np.log(np.array([[0.5, 0.25, 0.25]], np.float32))
    drawn = draw(logits, [row], GenerationConfig(temperature=1.0, top_p=1.0))
    assert np.exp(drawn.log_p_BV[0]) == pytest.approx([0.5, 0.5, 0.25])
    assert drawn.log_p[0] == pytest.approx(np.log([0.5, 0.25, 0.25])[drawn.token_ids[0]])
    row.leaning = NO_LEANING
    assert np.exp(draw(logits, [row], GenerationConfig()).log_p_BV[0]) == pytest.approx([0.5, 0.25, 0.25])
