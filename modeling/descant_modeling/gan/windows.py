"""A melody of any length and meter in the GAN's windows: two halves of 16 sixteenths, bars of 4/4 in training.

Each bar gets a half of its own, from its first step on: a bar of 3/4 fills 12 of the 16 steps, and what is written
behind it is dropped; a longer bar than 4/4 is split into pieces of at most four beats. A pickup stands at the end of
the second half of a window of its own, so that bars 1 and 2 share the next one. Windows do not overlap. Their rolls are
laid end to end before notes are read from them: what sounds on both sides of a seam is one note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from descant_modeling.gan.networks import NUM_PITCHES, NUM_STEPS
from descant_tokenizers.rolls import STEPS_PER_BEAT
from descant_tokenizers.scores import Bar

HALF_STEPS = NUM_STEPS // 2

Roll = NDArray[np.bool_]


@dataclass(frozen=True)
class Piece:
    """A bar, or a part of a long one, and where it lies.

    Attributes:
        start_ticks: Its onset in the score.
        num_steps: Its length, 1-16.
        half: Which half of which window, counted from 0 over all windows.
        offset: Steps of that half before it.
    """

    start_ticks: int
    num_steps: int
    half: int
    offset: int


@dataclass(frozen=True)
class Windows:
    """How a score lies in windows.

    Attributes:
        pieces: Consecutive pieces.
        edges_ticks: Onset of each step of all pieces in the score, and the end of the last one.
    """

    pieces: tuple[Piece, ...]
    edges_ticks: tuple[int, ...]

    @property
    def number(self) -> int:
        """Number of windows."""
        return self.pieces[-1].half // 2 + 1

    def cut(self, roll: Roll) -> Roll:
        """(steps of all pieces, P) -> (windows, 32, P); nothing sounds where no piece lies."""
        halves = np.zeros((2 * self.number, HALF_STEPS, NUM_PITCHES), dtype=np.bool_)
        for piece, (first, last) in zip(self.pieces, self._spans(), strict=True):
            halves[piece.half, piece.offset : piece.offset + piece.num_steps] = roll[first:last]
        return halves.reshape(self.number, NUM_STEPS, NUM_PITCHES)

    def join(self, rolls: Roll) -> Roll:
        """(windows, 32, P, tracks) -> (steps of all pieces, P, tracks)."""
        halves = rolls.reshape(2 * self.number, HALF_STEPS, *rolls.shape[2:])
        return np.concatenate([halves[p.half, p.offset : p.offset + p.num_steps] for p in self.pieces])

    def _spans(self) -> Iterator[tuple[int, int]]:
        first = 0
        for piece in self.pieces:
            yield first, first + piece.num_steps
            first += piece.num_steps


def windows_of(bars: Sequence[Bar], ticks_per_quarter: int) -> Windows:
    """Lay bars into windows.

    Args:
        bars: At least one; they follow each other.
        ticks_per_quarter: Resolution of the score, at least 4.
    """
    step = Fraction(ticks_per_quarter, STEPS_PER_BEAT)
    pieces: list[Piece] = []
    for bar in bars:
        num_steps = ceil(bar.length_ticks / step)
        for first in range(0, num_steps, HALF_STEPS):
            length = min(HALF_STEPS, num_steps - first)
            is_pickup = bar.number == 0
            half = 1 if is_pickup and not pieces else (pieces[-1].half + 1 if pieces else 0)
            offset = HALF_STEPS - length if is_pickup else 0
            pieces.append(Piece(bar.start_ticks + round(first * step), length, half, offset))
    edges = [piece.start_ticks + round(index * step) for piece in pieces for index in range(piece.num_steps)]
    return Windows(tuple(pieces), (*edges, bars[-1].end_ticks))
