"""Any single-stream tokenizer of miditok as a `Scheme`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import miditok
from miditok import MusicTokenizer
from symusic.core import ScoreTick, TempoTick

from descant_tokenizers.errors import InputError, printable
from descant_tokenizers.schemes.base import Step, Tokens
from descant_tokenizers.schemes.catalogue import CATALOGUE, SchemeSpec
from descant_tokenizers.schemes.settings import Music, shared_config
from descant_tokenizers.scores import last_note_end
from descant_tokenizers.scores.bars import count_bars
from descant_tokenizers.tokens.presets import VOICE_PROGRAMS

__all__ = ["MiditokScheme", "catalogue_scheme"]

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


def catalogue_scheme(name: str, music: Music) -> MiditokScheme:
    """Build one of miditok's schemes with the shared settings.

    Args:
        name: A name in `CATALOGUE`.
        music: What its vocabulary has to hold.
    """
    spec = CATALOGUE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # several schemes say at length which settings they switch off
        tokenizer = getattr(miditok, spec.cls)(shared_config(music, **spec.extra))
    voices = {program: voice for voice, program in VOICE_PROGRAMS.items()} if music is Music.VOICES else {}
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
