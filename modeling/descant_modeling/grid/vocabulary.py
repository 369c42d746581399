"""Tokens of the grid: soprano, alto, tenor and bass of the first 16th, then of the second, and so on to EOS.

A token is a MIDI pitch or a rest; a held note and a repeated one look alike. Before the first 16th of every beat may
stand a token that counts beats, which follows from the place in the stream alone: it tells nothing about the music, but
lets rotary positions, which are relative, find the beat and the voice.

Shapes: V = 4 voices from high to low, T 16ths.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np

from descant_modeling.evaluation.grid import SILENT, Ints
from descant_modeling.likelihood import NUM_VOICES
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.layout import Encoded

PAD, BOS, EOS, REST = range(4)
_NUM_SPECIAL = 4
_16THS_PER_BEAT = 4


@dataclass(frozen=True)
class GridVocabulary:
    """What each token id means: PAD, BOS, EOS, rest, the pitches upwards, the beats of a cycle.

    Attributes:
        lowest: Lowest MIDI pitch.
        highest: Highest MIDI pitch.
        beat_cycle: Beats that have tokens of their own before they begin anew; 0 if beats have none.
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

    def encode(self, pitches_VT: Ints, name: str = "the piece") -> Encoded:
        """Write a piece as tokens; all but BOS count.

        Args:
            pitches_VT: MIDI pitches, `SILENT` for rests.
            name: What to call it in errors.

        Raises:
            InputError: A pitch is outside the vocabulary.
        """
        sounding = pitches_VT[pitches_VT != SILENT]
        if len(sounding) and not self.lowest <= sounding.min() <= sounding.max() <= self.highest:
            raise InputError(
                f"{name} has pitches from {sounding.min()} to {sounding.max()}, the model knows "
                f"{self.lowest} to {self.highest}: leave it out"
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
        """Read a whole stream back, (V, T)."""
        pitches = [
            SILENT if token == REST else token - _NUM_SPECIAL + self.lowest
            for token in ids
            if REST <= token < self._first_beat
        ]
        return np.array(pitches, dtype=np.int64).reshape(-1, NUM_VOICES).T

    def sha256(self) -> str:
        """Hash of what every token id means."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
