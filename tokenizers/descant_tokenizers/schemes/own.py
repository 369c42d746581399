"""The project's own presets, with or without trained merges, as schemes."""

from __future__ import annotations

from collections.abc import Sequence

from symusic.core import ScoreTick

from descant_tokenizers.errors import InputError
from descant_tokenizers.schemes.base import Step, Tokens
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.piece import Piece, StreamError, parse_piece, piece_ids
from descant_tokenizers.tokens.vocabulary import TokenTable

__all__ = ["OwnScheme"]

_FOUR_VOICES = (
    "tracks named after the four voices, one note at a time in each",
    "pitches 30 to 90, no drums, no other instruments; anything else is refused, never changed in silence",
)
_ANY_INSTRUMENTS = (
    "of notes of one program and pitch that begin together one stays, and one that still sounds when its pitch is "
    "struck again ends there, as on a keyboard",
)


class OwnScheme:
    """Music as the project's models read it: a preset, or a tokenizer that was trained from one.

    Args:
        name: What to call it.
        title: Its name in print.
        table: Its vocabulary.
    """

    def __init__(self, name: str, title: str, table: TokenTable) -> None:
        self.name, self.title, self._table = name, title, table
        self.is_four_part = table.is_four_part
        self.limits = _FOUR_VOICES if self.is_four_part else _ANY_INSTRUMENTS
        self.voices = {program: voice for voice, program in table.program_of.items()}

    @property
    def vocabulary_sizes(self) -> tuple[int, ...]:
        """See `Scheme.vocabulary_sizes`."""
        return (self._table.size,)

    def encode(self, score: ScoreTick) -> Tokens:
        """See `Scheme.encode`."""
        if self.is_four_part and not {track.name for track in score.tracks} <= set(VOICES):
            raise InputError(f"{self.title} holds tracks named {', '.join(VOICES)} only; choose another scheme.")
        ids = self._table.merge(piece_ids(self._table, encode_score(self._table, score).piece))
        return Tokens(len(ids), ids, self._table.ticks_per_quarter)

    def decode(self, tokens: Tokens) -> ScoreTick:
        """See `Scheme.decode`."""
        try:
            return decode_piece(self._table, parse_piece(self._table, self._table.expand(tokens.sequence)))
        except StreamError as error:
            raise InputError(f"{self.title} cannot decode it ({error}); choose another scheme.") from error

    def steps(self, tokens: Tokens) -> list[Step]:
        """See `Scheme.steps`."""
        base_ids = self._table.expand(tokens.sequence)
        times = self._times(base_ids, parse_piece(self._table, base_ids))
        steps, place = [], 0
        for token_id in tokens.sequence:
            parts = self._table.base_ids(token_id)
            time = times[min(place, len(times) - 1)]
            steps.append(Step(tuple(self._table.names[part] for part in parts), time))
            place += len(parts)
        return steps

    def _times(self, base_ids: Sequence[int], piece: Piece) -> list[int]:
        """Return the time of every base token, that of a note's tokens being its onset."""
        times, time = [], 0
        bars = zip(piece.bar_starts_ticks(), piece.bars, strict=False)
        for token_id in base_ids:
            if token_id == self._table.bar_id:
                start, bar = next(bars)
                time = start
            elif token_id in self._table.position_of:
                time = start + self._table.position_of[token_id] * bar.meter.position_ticks
            times.append(time)
        return times
