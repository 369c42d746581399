"""Chorales on a grid of 16ths, from the benchmark's file or Descant's corpora, and their tokens.

The tokens are soprano, alto, tenor and bass of the first 16th, then of the second, and so on to EOS. A token is a MIDI
pitch or a rest; a held note and a repeated one look alike. Before the first 16th of every beat there may be a token
that counts beats. It depends only on the place in the stream, so it carries no information about the music, but it lets
rotary positions, which are relative, find the beat and the voice.

Shapes: V = 4 voices from high to low, T 16ths.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from descant_modeling.training.examples import BatchSource
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.pianoroll.frames import SILENT, Ints, chorale_of_row
from descant_tokenizers.scores import NUM_VOICES
from descant_tokenizers.tokens.piece import PitchRange, join_ranges, shifts_within
from descant_tokenizers.tokens.tasks import Encoded

PAD, BOS, EOS, REST = range(4)
_NUM_SPECIAL = 4
_16THS_PER_BEAT = 4
_HIGHEST_PITCH = 127


@dataclass(frozen=True)
class GridVocabulary:
    """Token ids in order: PAD, BOS, EOS, rest, the pitches upwards, the beats of a cycle.

    Attributes:
        lowest: Lowest MIDI pitch.
        highest: Highest MIDI pitch.
        beat_cycle: Beats with tokens of their own before the cycle repeats; 0 if beats have none.
    """

    lowest: int
    highest: int
    beat_cycle: int

    @property
    def size(self) -> int:
        """Number of token ids."""
        return self._first_beat + self.beat_cycle

    @property
    def _first_beat(self) -> int:
        return _NUM_SPECIAL + self.highest - self.lowest + 1

    @classmethod
    def of_ranges(cls, ranges: Sequence[PitchRange], beat_cycle: int = 0) -> GridVocabulary:
        """Return a vocabulary of all pitches between the lowest and the highest one of some voices."""
        lows, highs = zip(*ranges, strict=True)
        return cls(min(lows), max(highs), beat_cycle)

    def encode(self, pitches_VT: Ints, name: str = "the piece") -> Encoded:
        """Encode MIDI pitches, `SILENT` for rests; all tokens but BOS are targets. Errors show `name`.

        Raises:
            InputError: A pitch is outside the vocabulary.
        """
        sounding = pitches_VT[pitches_VT != SILENT]
        if len(sounding) and not self.lowest <= sounding.min() <= sounding.max() <= self.highest:
            raise InputError(
                f"{name} has pitches from {sounding.min()} to {sounding.max()}, and the model knows "
                f"{self.lowest} to {self.highest}. Leave it out."
            )
        voices_VT = np.where(pitches_VT == SILENT, REST, pitches_VT - self.lowest + _NUM_SPECIAL)
        ids = [BOS]
        for frame, tokens in enumerate(voices_VT.T.tolist()):
            if self.beat_cycle and frame % _16THS_PER_BEAT == 0:
                ids.append(self._first_beat + frame // _16THS_PER_BEAT % self.beat_cycle)
            ids += tokens
        ids.append(EOS)
        return Encoded(ids, [False] + [True] * (len(ids) - 1))

    def decode(self, ids: list[int]) -> Ints:
        """Decode a whole stream to pitches (V, T)."""
        pitches = [
            SILENT if token == REST else token - _NUM_SPECIAL + self.lowest
            for token in ids
            if REST <= token < self._first_beat
        ]
        return np.array(pitches, dtype=np.int64).reshape(-1, NUM_VOICES).T

    def sha256(self) -> str:
        """Return a hash of the meaning of every token id."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class Grid(NamedTuple):
    """The pitches of four voices at every 16th.

    Attributes:
        name: Name of the piece.
        pitches_VT: MIDI pitches, `SILENT` for rests.
    """

    name: str
    pitches_VT: Ints

    @property
    def num_16ths(self) -> int:
        """Length in 16ths."""
        return int(self.pitches_VT.shape[1])

    @property
    def num_notes(self) -> int:
        """Number of notes that the grid can distinguish: a voice starts a pitch that it did not sound before."""
        before_VT = np.pad(self.pitches_VT[:, :-1], ((0, 0), (1, 0)), constant_values=SILENT)
        return int(((self.pitches_VT != before_VT) & (self.pitches_VT != SILENT)).sum())


def read_grids(path: Path, split: str) -> list[Grid]:
    """Read one split of a grid file: JSON with a list of pieces for each split, a piece being a list of 16ths.

    Each 16th is `[S, A, T, B]` in MIDI pitches, -1 for a rest: the form of the public JSB-Chorales-dataset.

    Raises:
        InputError: The file or split does not exist or does not have this form, or a piece has no notes.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist. Give the JSB Chorales on a 16th grid as JSON.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}). Give the JSB Chorales on a 16th grid.") from None
    items = values.items() if isinstance(values, dict) else ()
    splits = {key: pieces for key, pieces in items if pieces and isinstance(pieces, list)}
    if split not in splits:
        remedy = f"Choose from {', '.join(splits)}." if splits else "Give the JSB Chorales on a 16th grid."
        raise InputError(f"{path} has no split {split!r}. {remedy}")
    return [
        Grid(f"{split}-{number}", _pitches(piece, f"{path}: piece {number} of {split}"))
        for number, piece in enumerate(splits[split])
    ]


def _pitches(piece: object, where: str) -> Ints:
    try:
        pitches_TV = np.array(piece)
    except ValueError:
        pitches_TV = np.empty(0)
    sound = pitches_TV.ndim == 2 and pitches_TV.shape[1] == NUM_VOICES and pitches_TV.dtype.kind == "i"
    if not sound or not SILENT <= pitches_TV.min() <= pitches_TV.max() <= _HIGHEST_PITCH:
        raise InputError(f"{where} is not a list of [S, A, T, B] in MIDI pitches, -1 for a rest. Correct the file.")
    if pitches_TV.max() == SILENT:
        raise InputError(f"{where} has no notes. Leave it out.")
    return pitches_TV.T.astype(np.int64)


def corpus_grids(corpus: str, split: str) -> list[Grid]:
    """Return the four-part pieces of a split of one of Descant's corpora, as the other evaluations read them.

    Raises:
        InputError: The corpus or split does not exist, or has no four-part pieces.
    """
    return [Grid(row["id"], chorale_of_row(row).pitches_VT) for row in split_rows(f"{corpus}:{split}")]


def grid_ranges(grids: Sequence[Grid]) -> list[PitchRange]:
    """Return the (lowest, highest) MIDI pitch of each voice; one that always rests gets the empty range (127, 0)."""
    return join_ranges(map(_ranges, grids), NUM_VOICES)


def grid_shifts(grid: Grid, ranges: Sequence[PitchRange]) -> range:
    """Return the transpositions of at most 6 semitones that keep every voice inside its range; 0 always."""
    return shifts_within(_ranges(grid), ranges)


def _ranges(grid: Grid) -> dict[int, PitchRange]:
    """Return the range of each voice that does not always rest."""
    sounding = ((voice, line_T[line_T != SILENT]) for voice, line_T in enumerate(grid.pitches_VT))
    return {voice: (int(line_T.min()), int(line_T.max())) for voice, line_T in sounding if len(line_T)}


def transposed(pitches_VT: Ints, shift: int) -> Ints:
    """Return pitches moved up by semitones; rests stay."""
    return np.where(pitches_VT == SILENT, SILENT, pitches_VT + shift)


def hash_grids(grids: Sequence[Grid]) -> str:
    """Return a hash of the pieces' pitches."""
    digest = hashlib.sha256()
    for grid in grids:
        digest.update(json.dumps(grid.pitches_VT.tolist()).encode())
    return digest.hexdigest()


class GridSource(BatchSource):
    """Pieces, each in one transposition per epoch if `transpose` is set; never split, so they must fit the model."""

    def __init__(self, grids: Sequence[Grid], vocabulary: GridVocabulary, *, seed: int, transpose: bool) -> None:
        super().__init__(len(grids), seed, PAD)
        self.grids, self.vocabulary = grids, vocabulary
        ranges = grid_ranges(grids)
        self.shifts = [grid_shifts(grid, ranges) if transpose else range(1) for grid in grids]

    def example(self, index: int, epoch: int) -> Encoded:
        """Return piece `index` in the transposition of an epoch."""
        shift = int(np.random.default_rng((self.seed, epoch, index)).choice(self.shifts[index]))
        return self.vocabulary.encode(transposed(self.grids[index].pitches_VT, shift))
