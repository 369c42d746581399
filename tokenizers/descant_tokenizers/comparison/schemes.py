"""What every tokenization scheme offers, whatever its tokens are: from a score to tokens, back, and bar by bar.

Any single-stream tokenizer of miditok as a `Scheme`.

The project's own presets, with or without trained merges, as schemes.

Schemes by name: miditok's, the presets, and the tokenizer of any folder.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any, Protocol, TypeVar

import miditok
from miditok import MusicTokenizer
from symusic.core import ScoreTick, TempoTick

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.comparison.catalogue import CATALOGUE, SchemeMusic, SchemeSpec, shared_config
from descant_tokenizers.scores import VOICES, last_note_end
from descant_tokenizers.scores.bars import count_bars
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.kinds import FOUR_PART, MULTITRACK, kind_of
from descant_tokenizers.tokens.piece import Piece, StreamError, parse_piece, piece_ids
from descant_tokenizers.tokens.presets import PRESETS, VOICE_PROGRAMS, build_tokenizer, load_tokenizer, tokenizer_folder
from descant_tokenizers.tokens.vocabulary import Vocabulary

__all__ = [
    "CustomScheme",
    "MiditokScheme",
    "Scheme",
    "Step",
    "Tokens",
    "bits_per_token",
    "catalogue_scheme",
    "default_schemes",
    "load_scheme",
    "scheme_names",
]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A score in the tokens of one scheme.

    Attributes:
        num_tokens: What a model reads one after the other. A compound token, or one that BPE merged, counts once.
        sequence: The tokens as their scheme's `decode` and `steps` take them.
        ticks_per_quarter: Unit of the times in `Scheme.steps`.
    """

    num_tokens: int
    sequence: Any
    ticks_per_quarter: int


@dataclass(frozen=True, slots=True)
class Step:
    """One of the tokens that a model reads, with the names of what it consists of.

    Attributes:
        names: One name, such as `Pitch_60`; several for a compound token and for one that BPE merged.
        time_ticks: When the music stands that it tells of, in the ticks of its `Tokens`.
    """

    names: tuple[str, ...]
    time_ticks: int


class Scheme(Protocol):
    """A way to write music in tokens."""

    @property
    def name(self) -> str:
        """What the command line calls it, such as `tsd`; for a tokenizer of a folder, the folder."""

    @property
    def title(self) -> str:
        """Its name in print, such as `TSD`."""

    @property
    def limits(self) -> tuple[str, ...]:
        """What it cannot say, one sentence each."""

    @property
    def vocabulary_sizes(self) -> tuple[int, ...]:
        """Number of different tokens; of compound tokens, one number for each of their places."""

    @property
    def voices(self) -> dict[int, str]:
        """The names of MIDI programs that stand for voices; empty where a program is an instrument."""

    def encode(self, score: ScoreTick) -> Tokens:
        """Write a score in tokens; raises `InputError` where the scheme refuses it. The score is not changed."""

    def decode(self, tokens: Tokens) -> ScoreTick:
        """Read tokens back; raises `InputError` where they cannot be read."""

    def steps(self, tokens: Tokens) -> list[Step]:
        """List the tokens by name; `Tokens.num_tokens` of them."""


def bits_per_token(scheme: Scheme) -> float:
    """Return the length in bits of a token in a code of fixed length: the sum over a compound token's places."""
    return sum(log2(size) for size in scheme.vocabulary_sizes)


Result = TypeVar("Result")


class MiditokScheme:
    """A tokenizer of miditok.

    Args:
        name: What to call it.
        tokenizer: It must write all tracks to one stream, and not be trained.
        spec: Its title, limits and needs.
        voices: Names of the programs that stand for voices.
    """

    def __init__(
        self, name: str, tokenizer: MusicTokenizer, spec: SchemeSpec, voices: dict[int, str] | None = None
    ) -> None:
        assert tokenizer.one_token_stream, "a scheme is one stream"
        self.name, self.title, self.limits = name, spec.title, spec.limits
        self.voices = voices or {}
        self._tokenizer, self._spec = tokenizer, spec

    @property
    def vocabulary_sizes(self) -> tuple[int, ...]:
        """See `Scheme.vocabulary_sizes`."""
        tokenizer = self._tokenizer
        return tuple(map(len, tokenizer.vocab)) if tokenizer.is_multi_voc else (len(tokenizer),)

    def encode(self, score: ScoreTick) -> Tokens:
        """See `Scheme.encode`."""
        self._check_length(score)
        return self._guarded("encode", self._encode, score)

    def decode(self, tokens: Tokens) -> ScoreTick:
        """See `Scheme.decode`."""
        return self._guarded("decode", self._decode, tokens)

    def steps(self, tokens: Tokens) -> list[Step]:
        """See `Scheme.steps`."""
        sequence = tokens.sequence
        if not sequence.events:
            times = _mumidi_times(sequence.tokens, self._tokenizer.config.max_num_pos_per_beat)
            return [Step(tuple(names), time) for names, time in zip(sequence.tokens, times, strict=True)]
        names = [(name,) if isinstance(name, str) else tuple(name) for name in sequence.tokens]
        events = [event[0] if isinstance(event, list) else event for event in sequence.events]
        return [Step(parts, max(event.time, 0)) for parts, event in zip(names, events, strict=True)]

    def _encode(self, score: ScoreTick) -> Tokens:
        source = score.copy()
        if self._spec.needs_tempo and not source.tempos:
            source.tempos.append(TempoTick(0, qpm=120))
        ready = self._tokenizer.preprocess_score(source)
        sequence = self._tokenizer.encode(ready, no_preprocess_score=True)
        keeps_events = bool(sequence.events)  # MuMIDI does not; its times are read in positions, see `steps`
        unit = ready.ticks_per_quarter if keeps_events else self._tokenizer.config.max_num_pos_per_beat
        return Tokens(len(sequence.ids), sequence, unit)

    def _decode(self, tokens: Tokens) -> ScoreTick:
        # From the ids alone: what a model writes.
        score: ScoreTick = self._tokenizer.decode(list(tokens.sequence.ids))
        return score

    def _check_length(self, score: ScoreTick) -> None:
        limit = self._spec.max_bars
        if limit is None:
            return
        # MuMIDI counts in 4/4, the other one in the bars of the score.
        num_bars = max(count_bars(score), -(-last_note_end(score) // (4 * score.ticks_per_quarter)))
        if num_bars > limit:
            raise InputError(f"{self.title} counts {limit} bars and the score has {num_bars}; take a shorter one.")

    def _guarded(self, what: str, do: Callable[[Any], Result], argument: Any) -> Result:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return do(argument)
        except Exception as error:  # miditok raises whatever went wrong inside it
            reason = printable(f"{type(error).__name__}: {error}", 120)
            raise InputError(f"{self.title} cannot {what} it ({reason}); choose another scheme.") from error


def catalogue_scheme(name: str, music: SchemeMusic) -> MiditokScheme:
    """Build one of miditok's schemes with the shared settings.

    Args:
        name: A name in `CATALOGUE`.
        music: What its vocabulary has to hold.
    """
    spec = CATALOGUE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # several schemes say at length which settings they switch off
        tokenizer = getattr(miditok, spec.cls)(shared_config(music, **spec.extra))
    voices = {program: voice for voice, program in VOICE_PROGRAMS.items()} if music is SchemeMusic.VOICES else {}
    return MiditokScheme(name, tokenizer, spec, voices)


def _mumidi_times(compounds: list[list[str]], positions_per_beat: int) -> list[int]:
    """Read the time of each MuMIDI token from the bar and position that it carries, in positions."""
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
        "pitches 30 to 90, no drums, no other instruments; anything else is refused, never changed in silence",
    ),
    MULTITRACK: (
        "of notes of one program and pitch that begin together one stays, and one that still sounds when its pitch is "
        "struck again ends there, as on a keyboard",
    ),
}


class CustomScheme:
    """Music as the project's models read it: a preset, or a tokenizer that was trained from one.

    Args:
        name: What to call it.
        title: Its name in print.
        vocabulary: Its vocabulary.
    """

    def __init__(self, name: str, title: str, vocabulary: Vocabulary) -> None:
        self.name, self.title, self._vocabulary = name, title, vocabulary
        self.kind = kind_of(vocabulary)
        self.limits = _LIMITS[self.kind]
        self.voices = {program: voice for voice, program in vocabulary.program_of.items()}

    @property
    def vocabulary_sizes(self) -> tuple[int, ...]:
        """See `Scheme.vocabulary_sizes`."""
        return (self._vocabulary.size,)

    def encode(self, score: ScoreTick) -> Tokens:
        """See `Scheme.encode`."""
        if self.kind is FOUR_PART and not {track.name for track in score.tracks} <= set(VOICES):
            raise InputError(f"{self.title} holds tracks named {', '.join(VOICES)} only; choose another scheme.")
        ids = self._vocabulary.merge(piece_ids(self._vocabulary, encode_score(self._vocabulary, score).piece))
        return Tokens(len(ids), ids, self._vocabulary.ticks_per_quarter)

    def decode(self, tokens: Tokens) -> ScoreTick:
        """See `Scheme.decode`."""
        try:
            return decode_piece(
                self._vocabulary, parse_piece(self._vocabulary, self._vocabulary.expand(tokens.sequence))
            )
        except StreamError as error:
            raise InputError(f"{self.title} cannot decode it ({error}); choose another scheme.") from error

    def steps(self, tokens: Tokens) -> list[Step]:
        """See `Scheme.steps`."""
        base_ids = self._vocabulary.expand(tokens.sequence)
        times = self._times(base_ids, parse_piece(self._vocabulary, base_ids))
        steps, place = [], 0
        for token_id in tokens.sequence:
            parts = self._vocabulary.base_ids(token_id)
            time = times[min(place, len(times) - 1)]
            steps.append(Step(tuple(self._vocabulary.names[part] for part in parts), time))
            place += len(parts)
        return steps

    def _times(self, base_ids: Sequence[int], piece: Piece) -> list[int]:
        """Return the time of every base token, that of a note's tokens being its onset."""
        times, time = [], 0
        bars = zip(piece.bar_starts_ticks(), piece.bars, strict=False)
        for token_id in base_ids:
            if token_id == self._vocabulary.bar_id:
                start, bar = next(bars)
                time = start
            elif token_id in self._vocabulary.position_of:
                time = start + self._vocabulary.position_of[token_id] * bar.meter.position_ticks
            times.append(time)
        return times


def scheme_names() -> tuple[str, ...]:
    """Return every name that `load_scheme` knows, presets first."""
    # the other presets have the music of satb: they add special tokens or change the order of voices
    return ("satb", "gm", *CATALOGUE)


def default_schemes(music: SchemeMusic) -> tuple[str, ...]:
    """Return the names of the schemes that fit: without the preset for four voices where there is other music."""
    return tuple(name for name in scheme_names() if music is SchemeMusic.VOICES or name != "satb")


def load_scheme(name: str, music: SchemeMusic) -> Scheme:
    """Build a scheme.

    Args:
        name: One of `scheme_names()`, in any case (`MIDI-Like` is `midilike`), or a folder with a `tokenizer.json`, or
            a Hub id.
        music: What its vocabulary has to hold; a preset and a folder have theirs already.

    Raises:
        InputError: There is no such scheme, or the folder's tokenizer cannot be read.
    """
    known = name.lower().replace("-", "")
    if known in CATALOGUE:
        return catalogue_scheme(known, music)
    if known in PRESETS:
        return CustomScheme(known, f"{known} (preset)", Vocabulary(build_tokenizer(known)))
    folder = tokenizer_folder(name)
    if folder is not None and (folder / TOKENIZER_FILE).is_file():
        label = Path(name).resolve().name
        return CustomScheme(name, label, Vocabulary(load_tokenizer(folder)))
    raise InputError(
        f"unknown tokenizer scheme {name!r}; choose one of {', '.join(scheme_names())}, or a folder with a "
        f"{TOKENIZER_FILE}."
    )
