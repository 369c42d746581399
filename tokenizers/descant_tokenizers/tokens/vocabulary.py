"""A typed view of a REMI vocabulary: the meaning of each token id, in ticks and MIDI numbers.

Units: `ticks` are ticks of the tokenizer's own grid, `Vocabulary.ticks_per_quarter` to the quarter note. miditok counts
positions and durations in beats of the current time signature, so the same token lasts half as long in 6/8 as in 3/4.
All code outside this file works in ticks.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from symusic.core import TrackTick

from descant_tokenizers.scores.ensembles import ensemble_of
from descant_tokenizers.scores.tracks import DRUMS, program_name, program_of
from descant_tokenizers.tokens.bpe import SubwordMerges
from descant_tokenizers.tokens.presets import SBAT_PROGRAMS, STYLES, VOICE_PROGRAMS

if TYPE_CHECKING:
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


class IdArrays(NamedTuple):
    """Ids as arrays: by position in the bar, rank of the voice and MIDI pitch; by denominator and ticks of a duration.

    Places without an id hold -1; `pitch` excludes drums.
    """

    position: npt.NDArray[np.int64]
    voice: npt.NDArray[np.int64]
    pitch: npt.NDArray[np.int64]
    duration: dict[int, npt.NDArray[np.int64]]


class Vocabulary:
    """The ids of a miditok REMI tokenizer and what they mean, derived from its vocabulary alone.

    Args:
        tokenizer: A one-stream REMI tokenizer with programs and time signatures (of a preset), with or without merges.
            The attributes describe its base tokens; `base_ids` expands merged tokens.

    Attributes:
        names: Name of each base id in miditok, such as `Pitch_60`; `types` and `values` are the parts of it.
        pitch_of: MIDI pitch of each pitch id, drums included.
        voice_of: Rank of the voice of each program id. Voices are programs in the order of their ids.
        programs: MIDI program of each voice, by rank; -1 for drums.
        drum_voice: Rank of the drums; -1 if the vocabulary has none.
        program_of: `{voice: program}` in the order of the stream, if the voices are Soprano, Alto, Tenor and Bass;
            otherwise empty.
        ensemble: The ensemble whose parts are the voices, if any.
        velocity_of: MIDI velocity of each velocity id; empty if notes have none.
        tempo_of: Quarters per minute of each tempo id; empty if there are no tempos.

    Raises:
        ValueError: The tokenizer was not trained by Descant; see `SubwordMerges`.
    """

    def __init__(self, tokenizer: REMI) -> None:
        self._tokenizer: REMI | bytes = tokenizer
        self.ticks_per_quarter: int = tokenizer.time_division
        vocabulary: dict[str, int] = dict(tokenizer.vocab)
        self.num_base_ids = len(vocabulary)
        self.size = len(tokenizer)
        self._merges = SubwordMerges(tokenizer)
        self.names = sorted(vocabulary, key=vocabulary.__getitem__)
        self.types, self.values = map(list, zip(*(name.split("_", 1) for name in self.names), strict=True))
        self._positions_per_beat: int = tokenizer.config.max_num_pos_per_beat

        self.pitch_of = {i: int(self.values[i]) for i in (*self.ids("Pitch"), *self.ids("PitchDrum"))}
        self.velocity_of = {i: int(self.values[i]) for i in self.ids("Velocity")}
        self.tempo_of = {i: float(self.values[i]) for i in self.ids("Tempo")}
        self.position_of = {i: int(self.values[i]) for i in self.ids("Position")}
        self.meter_of = {i: self._meter(self.values[i]) for i in self.ids("TimeSig")}
        self.voice_of = {i: rank for rank, i in enumerate(self.ids("Program"))}
        self.programs = tuple(int(self.values[i]) for i in self.voice_of)
        self.drum_voice = self.programs.index(DRUMS) if DRUMS in self.programs else -1
        orders = {tuple(order.values()): order for order in (VOICE_PROGRAMS, SBAT_PROGRAMS)}
        self.program_of = orders.get(self.programs, {})
        self.ensemble = ensemble_of(self.programs)

        self.pitch_id = {self.pitch_of[i]: i for i in self.ids("Pitch")}
        self.drum_id = {self.pitch_of[i]: i for i in self.ids("PitchDrum")} or self.pitch_id
        self.velocity_id = {velocity: i for i, velocity in self.velocity_of.items()}
        self.tempo_id = {tempo: i for i, tempo in self.tempo_of.items()}
        self.position_id = {position: i for i, position in self.position_of.items()}
        self.meter_id = {(m.numerator, m.denominator): i for i, m in self.meter_of.items()}
        self.voice_id = {rank: i for i, rank in self.voice_of.items()}
        (self.bar_id,) = self.ids("Bar")

    @property
    def tokenizer(self) -> REMI:
        """The tokenizer itself."""
        if isinstance(self._tokenizer, bytes):
            self._tokenizer = pickle.loads(self._tokenizer)
        return self._tokenizer

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the tokenizer separately, so that a worker process that never uses it does not import miditok."""
        packed = self._tokenizer if isinstance(self._tokenizer, bytes) else pickle.dumps(self._tokenizer)
        return {**vars(self), "_tokenizer": packed}

    def ids(self, kind: str) -> list[int]:
        """Return the ids of one token type (`"Pitch"`, `"Bar"`, ...), ascending."""
        return [i for i, name in enumerate(self.types) if name == kind]

    def special(self, name: str) -> int:
        """Return the id of a special token, given without its `_None` suffix."""
        return self.names.index(f"{name}_None")

    @cached_property
    def style_id(self) -> dict[str, int]:
        """`{style: id}` of the special tokens that request a style; empty in most vocabularies."""
        return {style: self.names.index(name) for style, name in STYLES.items() if name in self.names}

    @property
    def has_merges(self) -> bool:
        """True if there are merged tokens."""
        return self.size > self.num_base_ids

    @property
    def tokens_per_note(self) -> int:
        """Number of base tokens of a note, without its position."""
        return 4 if self.velocity_of else 3

    @property
    def num_voices(self) -> int:
        """Number of voices (programs) of the vocabulary."""
        return len(self.voice_of)

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the voices by rank in four-part music, otherwise empty."""
        return tuple(self.program_of)

    @property
    def meter_ranges(self) -> str:
        """The time signatures in words: "1-6/2, 1-12/4, ..."."""
        most: dict[int, int] = {}
        for numerator, denominator in self.meter_id:
            most[denominator] = max(numerator, most.get(denominator, 0))
        return ", ".join(f"1-{most[denominator]}/{denominator}" for denominator in sorted(most))

    def pitch_ids(self, voice: int) -> dict[int, int]:
        """Return `{MIDI pitch: id}` of the pitches that a voice, given by rank, can play."""
        return self.drum_id if voice == self.drum_voice else self.pitch_id

    def rank_of(self, track: TrackTick) -> int | None:
        """Return the rank of a track's voice, None if it has none.

        It is found by name in four-part music and in an ensemble, else by program.
        """
        names = self.voices if self.ensemble is None else self.ensemble.names
        if names:
            return names.index(track.name) if track.name in names else None
        program = program_of(track)
        return self.programs.index(program) if program in self.programs else None

    def voice_name(self, rank: int) -> str:
        """Return the name of a voice: Soprano, ..., that of an ensemble's part, a General MIDI instrument, or Drums."""
        if self.ensemble is not None:
            return self.ensemble.names[rank]
        return self.voices[rank] if self.voices else program_name(self.programs[rank])

    @cached_property
    def duration_ticks(self) -> dict[int, dict[int, int]]:
        """`{denominator: {duration id: ticks}}`, only durations that are whole ticks."""
        beats = {i: beats_of(self.values[i]) for i in self.ids("Duration")}
        result: dict[int, dict[int, int]] = {}
        for meter in self.meter_of.values():
            exact = {i: length * meter.beat_ticks for i, length in beats.items()}
            result[meter.denominator] = {i: int(t) for i, t in exact.items() if t.denominator == 1}
        return result

    @cached_property
    def duration_id(self) -> dict[int, dict[int, int]]:
        """`{denominator: {ticks: duration id}}`, the inverse of `duration_ticks`."""
        return {den: {ticks: i for i, ticks in ticks_of.items()} for den, ticks_of in self.duration_ticks.items()}

    @cached_property
    def id_arrays(self) -> IdArrays:
        """Ids for arrays of positions, voices, pitches and durations."""
        durations = {denominator: _lookup(ids) for denominator, ids in self.duration_id.items()}
        return IdArrays(_lookup(self.position_id), _lookup(self.voice_id), _lookup(self.pitch_id), durations)

    def base_ids(self, token_id: int) -> tuple[int, ...]:
        """Return the base ids of an id: itself, or the parts of a merged token."""
        return self._merges.expansions[token_id]

    def expand(self, ids: Iterable[int]) -> list[int]:
        """Return the base ids of a stream."""
        return [base_id for token_id in ids for base_id in self._merges.expansions[token_id]]

    def merge(self, base_ids: Sequence[int]) -> list[int]:
        """Return the ids that a model sees for base ids: the same, or merged tokens; see `SubwordMerges.merge`."""
        return self._merges.merge(base_ids)

    def sha256(self) -> str:
        """Return a hash of the meaning of every id; see `SubwordMerges.sha256`."""
        return self._merges.sha256()

    def type_mask(self, *kinds: str) -> npt.NDArray[np.bool_]:
        """Return a boolean mask of shape (base vocabulary,) of the ids whose type is one of `kinds`."""
        return np.array([kind in kinds for kind in self.types])

    def _meter(self, text: str) -> Meter:
        numerator, denominator = map(int, text.split("/"))
        beat_ticks = self.ticks_per_quarter * 4 // denominator
        return Meter(numerator, denominator, beat_ticks, beat_ticks // self._positions_per_beat)


def _lookup(ids: Mapping[int, int]) -> npt.NDArray[np.int64]:
    array = np.full(max(ids) + 1, -1, dtype=np.int64)
    array[list(ids)] = list(ids.values())
    return array


def beats_of(value: str) -> Fraction:
    """Return the length in beats of a miditok duration value, `beats.position.resolution`."""
    beats, position, resolution = map(int, value.split("."))
    return beats + Fraction(position, resolution)
