"""Tokenization schemes behind one interface: miditok's, the presets and trained tokenizers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import miditok
from symusic.core import ScoreTick, TempoTick

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.comparison.catalogue import CATALOGUE, shared_config
from descant_tokenizers.scores import last_note_end
from descant_tokenizers.scores.bars import count_bars
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.kinds import FOUR_PART, MULTITRACK, MusicKind, kind_of
from descant_tokenizers.tokens.piece import StreamError, parse_piece
from descant_tokenizers.tokens.presets import PRESETS, VOICE_PROGRAMS, build_tokenizer, load_tokenizer, tokenizer_folder
from descant_tokenizers.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Tokens:
    """A score in the tokens of one scheme.

    Attributes:
        num_tokens: Tokens that a model reads one by one; a compound or merged token counts once.
        sequence: The tokens in the form of their scheme.
        ticks_per_quarter: Unit of the times in `Scheme.steps`.
        changes: A phrase for each kind of rounding or loss, if the scheme reports it.
    """

    num_tokens: int
    sequence: Any
    ticks_per_quarter: int
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One token that a model reads: the names of its parts (several if compound or merged) and its time."""

    names: tuple[str, ...]
    time_ticks: int


class Scheme(Protocol):
    """A tokenization of music.

    Attributes:
        name: Name on the command line, such as `tsd`; for the tokenizer of a folder, the folder.
        title: Name in print, such as `TSD`.
        kind: The kind of music whose tracks it takes.
        limits: A phrase for each limit.
        vocabulary_sizes: Number of different tokens; for compound tokens, a number for each of their places.
        voices: Names of the MIDI programs that are voices; empty where a program is an instrument.
    """

    name: str
    title: str
    kind: MusicKind
    limits: tuple[str, ...]
    vocabulary_sizes: tuple[int, ...]
    voices: Mapping[int, str]

    def encode(self, score: ScoreTick) -> Tokens:
        """Encode a score, which is not changed; raise `InputError` if the scheme refuses it."""

    def decode(self, tokens: Tokens) -> ScoreTick:
        """Decode tokens; raise `InputError` if they cannot be decoded."""

    def steps(self, tokens: Tokens) -> list[Step]:
        """List the tokens by name; `Tokens.num_tokens` of them."""


Result = TypeVar("Result")


class MiditokScheme:
    """A scheme of `CATALOGUE` with the shared settings and a vocabulary for a kind of music."""

    kind = MULTITRACK  # takes all tracks

    def __init__(self, name: str, music: MusicKind) -> None:
        self._spec = spec = CATALOGUE[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # several schemes warn at length about settings that they switch off
            self._tokenizer = tokenizer = getattr(miditok, spec.cls)(shared_config(music, **spec.extra))
        assert tokenizer.one_token_stream, "a scheme is one stream"
        self.name, self.title, self.limits = name, spec.title, spec.limits
        self.voices: Mapping[int, str] = (
            {program: voice for voice, program in VOICE_PROGRAMS.items()} if music is FOUR_PART else {}
        )
        self.vocabulary_sizes = tuple(map(len, tokenizer.vocab)) if tokenizer.is_multi_voc else (len(tokenizer),)

    def encode(self, score: ScoreTick) -> Tokens:
        """See `Scheme.encode`."""
        if (limit := self._spec.max_bars) is not None:
            # MuMIDI counts bars of 4/4, Octuple those of the score
            num_bars = max(count_bars(score), -(-last_note_end(score) // (4 * score.ticks_per_quarter)))
            if num_bars > limit:
                raise InputError(f"{self.title} counts {limit} bars and the score has {num_bars}. Shorten the score.")
        return self._guarded("encode the score", self._encode, score)

    def decode(self, tokens: Tokens) -> ScoreTick:
        """See `Scheme.decode`; uses only the ids, as they come from a model."""
        score: ScoreTick = self._guarded("decode the tokens", self._tokenizer.decode, list(tokens.sequence.ids))
        return score

    def steps(self, tokens: Tokens) -> list[Step]:
        """See `Scheme.steps`."""
        sequence = tokens.sequence
        if not sequence.events:
            times = _mumidi_times(sequence.tokens, self._tokenizer.config.max_num_pos_per_beat)
            return [Step(tuple(names), time) for names, time in zip(sequence.tokens, times, strict=True)]
        shown = _with_intervals(sequence.tokens) if self.name == "beat" else sequence.tokens
        names = [(name,) if isinstance(name, str) else tuple(name) for name in shown]
        events = [event[0] if isinstance(event, list) else event for event in sequence.events]
        return [Step(parts, max(event.time, 0)) for parts, event in zip(names, events, strict=True)]

    def _encode(self, score: ScoreTick) -> Tokens:
        source = score.copy()
        if self._spec.needs_tempo and not source.tempos:
            source.tempos.append(TempoTick(0, qpm=120))
        ready = self._tokenizer.preprocess_score(source)
        sequence = self._tokenizer.encode(ready, no_preprocess_score=True)
        keeps_events = bool(sequence.events)  # not in MuMIDI, whose times are counted in positions, see `steps`
        unit = ready.ticks_per_quarter if keeps_events else self._tokenizer.config.max_num_pos_per_beat
        return Tokens(len(sequence.ids), sequence, unit)

    def _guarded(self, what: str, do: Callable[[Any], Result], argument: Any) -> Result:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return do(argument)
        except Exception as error:  # miditok does not wrap its errors
            reason = printable(f"{type(error).__name__}: {error}", 120)
            raise InputError(f"{self.title} cannot {what} ({reason}). Choose another scheme.") from error


def _with_intervals(names: list[str]) -> list[str]:
    """Return BEAT's tokens with `PitchInterval` for each pitch that counts down from the one before in its group."""
    renamed, is_relative = [], False
    for name in names:
        kind, _, value = name.partition("_")
        renamed.append(f"PitchInterval_{value}" if kind == "Pitch" and is_relative else name)
        is_relative = kind in ("Pitch", "PitchDrum") or (is_relative and kind not in ("Bar", "Beat", "Program"))
    return renamed


def _mumidi_times(compounds: list[list[str]], positions_per_beat: int) -> list[int]:
    """Return the time of each MuMIDI token, in positions, from the bar and position that it carries."""
    times = []
    for names in compounds:
        values = dict(name.split("_", 1) for name in names)
        position = values["PositionPosEnc"]
        offset = 0 if position == "None" else int(position)
        times.append(int(values["BarPosEnc"]) * 4 * positions_per_beat + offset)
    return times


_LIMITS = {
    FOUR_PART: (
        "tracks named after the four voices, one note at a time in each",
        "pitches 30 to 90, no drums, no other instruments; anything else is refused, never silently changed",
    ),
    MULTITRACK: (
        "of notes of one program and pitch that begin together one stays, and one that still sounds when its pitch is "
        "struck again ends there, as on a keyboard",
    ),
}


class CustomScheme:
    """A preset or a tokenizer trained from one, named by its preset, folder or Hub id."""

    def __init__(self, name: str, vocabulary: Vocabulary) -> None:
        self.name, self._vocabulary, self.kind = name, vocabulary, kind_of(vocabulary)
        self.title = f"{name} (preset)" if name in PRESETS else Path(name).resolve().name
        self.limits = _LIMITS[self.kind]
        self.vocabulary_sizes: tuple[int, ...] = (vocabulary.size,)
        self.voices: Mapping[int, str] = {program: voice for voice, program in vocabulary.program_of.items()}

    def encode(self, score: ScoreTick) -> Tokens:
        """See `Scheme.encode`."""
        encoded = encode_score(self._vocabulary, score)
        ids = self._vocabulary.merge(encoded.ids)
        return Tokens(len(ids), ids, self._vocabulary.ticks_per_quarter, encoded.changes)

    def decode(self, tokens: Tokens) -> ScoreTick:
        """See `Scheme.decode`; voices always have the programs of the preset `satb`."""
        try:
            piece = parse_piece(self._vocabulary, self._vocabulary.expand(tokens.sequence))
        except StreamError as error:
            raise InputError(f"{self.title} cannot decode the tokens ({error}). Choose another scheme.") from error
        score = decode_piece(self._vocabulary, piece)
        for track in score.tracks if self.voices else ():
            track.program = VOICE_PROGRAMS[track.name]
        return score

    def steps(self, tokens: Tokens) -> list[Step]:
        """See `Scheme.steps`."""
        vocabulary = self._vocabulary
        times = self._times(vocabulary.expand(tokens.sequence))
        steps, place = [], 0
        for token_id in tokens.sequence:
            parts = vocabulary.base_ids(token_id)
            steps.append(Step(tuple(vocabulary.names[part] for part in parts), times[place]))
            place += len(parts)
        return steps

    def _times(self, base_ids: Sequence[int]) -> list[int]:
        """Return the time of every base token; the tokens of a note have the time of its onset."""
        vocabulary = self._vocabulary
        piece = parse_piece(vocabulary, base_ids)
        bars = zip(piece.bar_starts_ticks(), piece.bars, strict=False)
        times, time = [], 0
        for token_id in base_ids:
            if token_id == vocabulary.bar_id:
                start, bar = next(bars)
                time = start
            elif token_id in vocabulary.position_of:
                time = start + vocabulary.position_of[token_id] * bar.meter.position_ticks
            times.append(time)
        return times


def scheme_names() -> tuple[str, ...]:
    """Return the names of the schemes to compare; other presets differ from `satb` in special tokens and order only."""
    return ("satb", "gm", *CATALOGUE)


def default_schemes(kind: MusicKind) -> tuple[str, ...]:
    """Return the names of the schemes that fit a kind of music; `satb` fits only four voices."""
    return tuple(name for name in scheme_names() if kind is FOUR_PART or name != "satb")


def load_scheme(name: str, kind: MusicKind) -> Scheme:
    """Build a scheme.

    Args:
        name: One of `scheme_names()`, in any case (`MIDI-Like` is `midilike`), a folder with a `tokenizer.json`, or a
            Hub id.
        kind: The music that its vocabulary must hold; presets and folders have their own vocabulary.

    Raises:
        InputError: The scheme does not exist, or the folder's tokenizer cannot be read.
    """
    known = name.lower().replace("-", "")
    if known in CATALOGUE:
        return MiditokScheme(known, kind)
    if known in PRESETS:
        return CustomScheme(known, Vocabulary(build_tokenizer(known)))
    folder = tokenizer_folder(name)
    if folder is not None and (folder / TOKENIZER_FILE).is_file():
        return CustomScheme(name, Vocabulary(load_tokenizer(folder)))
    raise InputError(
        f"{name!r} is not a tokenizer scheme. Choose one of {', '.join(scheme_names())}, or a folder with a "
        f"{TOKENIZER_FILE}."
    )
