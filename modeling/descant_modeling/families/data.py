"""Training windows of four-part pieces: what sounds in each voice at every 16th.

Every window is a function of the seed, the step and its place in the batch, so a resumed run sees the same ones.
Shapes: V = 4 voices from high to low, T 16ths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from descant_modeling.families.config import WindowDataConfig
from descant_modeling.jsb_grid.data import (
    REST,
    Grid,
    GridVocabulary,
    corpus_grids,
    grid_ranges,
    grid_shifts,
    hash_grids,
    transposed,
)
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, Ints
from descant_tokenizers.scores import NUM_VOICES
from descant_tokenizers.tokens.piece import PitchRange

#: Share of a window by which it may reach over either end of a piece, so that ends are seen as often as middles.
OVERHANG = 0.25


class Window(NamedTuple):
    """A part of a piece.

    Attributes:
        piece: Index of the piece.
        start: Its first 16th in the piece.
        shift: Semitones by which it is moved up.
        pitches_VT: Its MIDI pitches, `SILENT` for rests.
    """

    piece: int
    start: int
    shift: int
    pitches_VT: Ints


@dataclass(frozen=True)
class FamilyData:
    """Training and validation pieces.

    Attributes:
        train: Training pieces, none shorter than a window.
        valid: Validation pieces.
        corpora: Hash of the training pieces by corpus name.
        voice_ranges: (lowest, highest) MIDI pitch of each voice in train.
        shifts: Transpositions of each training piece, inside the voices' ranges.
    """

    train: list[Grid]
    valid: list[Grid]
    corpora: dict[str, str]
    voice_ranges: tuple[PitchRange, ...]
    shifts: list[range]

    def windows(self, config: WindowDataConfig, seed: int, step: int, begin_unit: int = 1) -> list[Window]:
        """Draw the windows of a step, which begin at multiples of a unit; longer pieces are drawn more often."""
        rng = np.random.default_rng((seed, step))
        lengths = np.array([grid.num_16ths for grid in self.train])
        indices = rng.choice(len(lengths), config.batch_size, p=lengths / lengths.sum())
        return [self._cut(int(index), config.window_16ths, begin_unit, rng) for index in indices]

    def _cut(self, index: int, length: int, begin_unit: int, rng: np.random.Generator) -> Window:
        grid = self.train[index]
        over, latest = int(length * OVERHANG), grid.num_16ths - length
        start = min(max(0, int(rng.integers(-over, latest + over + 1))), latest)
        start -= start % begin_unit
        shift = int(rng.choice(self.shifts[index]))
        return Window(index, start, shift, transposed(grid.pitches_VT[:, start : start + length], shift))


def load_family_data(config: WindowDataConfig) -> FamilyData:
    """Load the four-part pieces of the configured corpora.

    Raises:
        InputError: A corpus or split does not exist, or no four-part piece is as long as a window.
    """
    by_corpus = {
        corpus: [grid for split in config.splits for grid in corpus_grids(corpus, split)] for corpus in config.corpora
    }
    pieces = [grid for grids in by_corpus.values() for grid in grids]
    ranges = grid_ranges(pieces)
    train = [grid for grid in pieces if grid.num_16ths >= config.window_16ths]
    if not train:
        raise InputError(
            f"{', '.join(config.corpora)} has no four-part piece of {config.window_16ths} 16ths in "
            f"{', '.join(config.splits)}. Add some, or lower data.window_16ths."
        )
    return FamilyData(
        train,
        corpus_grids(config.corpora[0], "valid"),
        {corpus: hash_grids(grids) for corpus, grids in by_corpus.items()},
        tuple(ranges),
        [grid_shifts(grid, ranges) for grid in train],
    )


def cells_of(vocabulary: GridVocabulary, pitches_VT: Ints, name: str = "the piece") -> Ints:
    """Return a piece as cells (V, T): 0 for a rest, then the pitches upwards; errors show `name`.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    ids = np.array(vocabulary.encode(pitches_VT, name).ids[1:-1])
    return ids.reshape(-1, NUM_VOICES).T - REST


def batch_cells(vocabulary: GridVocabulary, pitches: Sequence[Ints]) -> Tensor:
    """Return pieces of equal length as cells (B, V, T)."""
    return torch.from_numpy(np.stack([cells_of(vocabulary, pitches_VT) for pitches_VT in pitches]))


def pitches_of(vocabulary: GridVocabulary, cells_VT: Ints) -> Ints:
    """Return the pitches of cells (V, T), all known."""
    return np.where(cells_VT == 0, SILENT, cells_VT - 1 + vocabulary.lowest)
