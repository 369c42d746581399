"""A typed view of a REMI vocabulary: what each token id stands for, in ticks and MIDI numbers.

Units: `ticks` are ticks of the tokenizer's own grid, `TokenTable.ticks_per_quarter` to the quarter note. miditok counts
positions and durations in beats of the current time signature, so the same token lasts half as long in 6/8 as in 3/4;
everything outside this file works in ticks.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from miditok import REMI


class Meter(NamedTuple):
    """A time signature with its lengths in grid ticks."""

    numerator: int
    denominator: int
    beat_ticks: int
    position_ticks: int

    @property
    def bar_ticks(self) -> int:
        """Length of a bar in grid ticks."""
        return self.numerator * self.beat_ticks


class TokenTable:
    """What the ids of a miditok REMI tokenizer mean, derived from its vocabulary alone.

    Args:
        tokenizer: A one-stream REMI tokenizer with programs and time signatures (the `satb` preset), with or without
            a trained BPE model; BPE ids are described by `base_ids`.
    """

    def __init__(self, tokenizer: REMI) -> None:
        self.tokenizer = tokenizer
        self.ticks_per_quarter: int = tokenizer.time_division
        vocabulary: dict[str, int] = dict(tokenizer.vocab)
        self.num_base_ids = len(vocabulary)
        self.size = len(tokenizer)
        self.names = [name for name, _ in sorted(vocabulary.items(), key=lambda item: item[1])]
        self.types = [name.split("_", 1)[0] for name in self.names]
        self.values = [name.split("_", 1)[1] for name in self.names]
        self._positions_per_beat: int = tokenizer.config.max_num_pos_per_beat

        self.pitch_of = {i: int(self.values[i]) for i in self.ids("Pitch")}
        self.position_of = {i: int(self.values[i]) for i in self.ids("Position")}
        self.meter_of = {i: self._meter(self.values[i]) for i in self.ids("TimeSig")}
        self.voice_of = {i: rank for rank, i in enumerate(self.ids("Program"))}
        self._duration_beats = {i: _beats(self.values[i]) for i in self.ids("Duration")}

        self.pitch_id = {pitch: i for i, pitch in self.pitch_of.items()}
        self.position_id = {position: i for i, position in self.position_of.items()}
        self.meter_id = {(m.numerator, m.denominator): i for i, m in self.meter_of.items()}
        self.voice_id = {rank: i for i, rank in self.voice_of.items()}
        (self.bar_id,) = self.ids("Bar")

    def ids(self, kind: str) -> list[int]:
        """Return the ids of one token type (`"Pitch"`, `"Bar"`, ...), ascending."""
        return [i for i, name in enumerate(self.types) if name == kind]

    def special(self, name: str) -> int:
        """Return the id of a special token given without its `_None` suffix."""
        return self.names.index(f"{name}_None")

    @property
    def num_voices(self) -> int:
        """Number of voices (programs) of the vocabulary."""
        return len(self.voice_of)

    @cached_property
    def duration_ticks(self) -> dict[int, dict[int, int]]:
        """`{denominator: {duration id: ticks}}`, only durations that are whole ticks."""
        result: dict[int, dict[int, int]] = {}
        for meter in self.meter_of.values():
            exact = {i: beats * meter.beat_ticks for i, beats in self._duration_beats.items()}
            result[meter.denominator] = {i: int(t) for i, t in exact.items() if t.denominator == 1}
        return result

    @cached_property
    def duration_id(self) -> dict[int, dict[int, int]]:
        """`{denominator: {ticks: duration id}}`, the inverse of `duration_ticks`."""
        return {den: {t: i for i, t in table.items()} for den, table in self.duration_ticks.items()}

    def base_ids(self, token_id: int) -> tuple[int, ...]:
        """Return the base ids that an id stands for: itself, or what a BPE id expands to (BPE's own marker: none)."""
        return self._expansions[token_id]

    @cached_property
    def _expansions(self) -> list[tuple[int, ...]]:
        single: list[tuple[int, ...]] = [(i,) for i in range(self.num_base_ids)]
        if self.size == self.num_base_ids:
            return single
        merged = self.tokenizer.vocab_model
        by_id = {i: text for text, i in merged.items()}
        learned: dict[str, list[str]] = self.tokenizer._vocab_learned_bytes_to_tokens
        base: dict[str, int] = dict(self.tokenizer.vocab)
        return [tuple(base[name] for name in learned[by_id[i]]) if i in by_id else single[i] for i in range(self.size)]

    def type_mask(self, *kinds: str) -> npt.NDArray[np.bool_]:
        """Return a boolean mask of shape (base vocabulary,) of the ids whose type is one of `kinds`."""
        return np.array([kind in kinds for kind in self.types])

    def _meter(self, text: str) -> Meter:
        numerator, denominator = map(int, text.split("/"))
        beat_ticks = self.ticks_per_quarter * 4 // denominator
        return Meter(numerator, denominator, beat_ticks, beat_ticks // self._positions_per_beat)


def _beats(value: str) -> Fraction:
    """Length in beats of a miditok duration value `beats.position.resolution`."""
    beats, position, resolution = map(int, value.split("."))
    return beats + Fraction(position, resolution)
