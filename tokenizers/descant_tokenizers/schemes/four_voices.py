"""The preset `satb`, with or without trained merges, as a `Scheme`."""

from __future__ import annotations

from collections.abc import Sequence

from miditok import TokSequence
from symusic.core import ScoreTick

from descant_tokenizers.errors import InputError
from descant_tokenizers.schemes.base import Step, Tokens
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.piece import Piece, StreamError, parse_piece, piece_ids
from descant_tokenizers.tokens.presets import VOICE_PROGRAMS
from descant_tokenizers.tokens.vocabulary import TokenTable

__all__ = ["FourVoices"]


class FourVoices:
    """The project's own way to write four named voices, as its models read them.

    Args:
        name: What to call it.
        table: A vocabulary of the preset `satb`, or of one that was trained from it.
    """

    limits = (
        "tracks named after the four voices, one note at a time in each",
        "pitches 30 to 90, no drums, no other instruments; anything else is refused, never changed in silence",
    )

    def __init__(self, name: str, table: TokenTable) -> None:
        self.name, self._table = name, table
        self.title = "satb (REMI for four voices)" + (", merged" if table.tokenizer.is_trained else "")
        self.voices = {program: voice for voice, program in VOICE_PROGRAMS.items()}

    @property
    def vocabulary_sizes(self) -> tuple[int, ...]:
        """See `Scheme.vocabulary_sizes`."""
        return (self._table.size,)

    def encode(self, score: ScoreTick) -> Tokens:
        """See `Scheme.encode`."""
        strangers = [track.name for track in score.tracks if track.name not in VOICES]
        if strangers:
            raise InputError(f"{self.title} holds tracks named {', '.join(VOICES)} only; choose another scheme.")
        piece = encode_score(self._table, score).piece
        ids = self._ids(piece)
        return Tokens(len(ids), ids, self._table.ticks_per_quarter)

    def decode(self, tokens: Tokens) -> ScoreTick:
        """See `Scheme.decode`."""
        try:
            return decode_piece(self._table, parse_piece(self._table, self._base(tokens.sequence)))
        except StreamError as error:
            raise InputError(f"{self.title} cannot decode it ({error}); choose another scheme.") from error

    def steps(self, tokens: Tokens) -> list[Step]:
        """See `Scheme.steps`."""
        base_ids = self._base(tokens.sequence)
        times = self._times(base_ids, parse_piece(self._table, base_ids))
        steps, position = [], 0
        for token_id in tokens.sequence:
            base = self._table.base_ids(token_id)
            time = times[position] if base else 0
            steps.append(Step(tuple(self._table.names[i] for i in base), time))
            position += len(base)
        return steps

    def _ids(self, piece: Piece) -> list[int]:
        base = piece_ids(self._table, piece)
        tokenizer = self._table.tokenizer
        if not tokenizer.is_trained:
            return base
        sequence = TokSequence(ids=base)
        tokenizer.complete_sequence(sequence)
        tokenizer.encode_token_ids(sequence)
        return list(sequence.ids)

    def _base(self, ids: Sequence[int]) -> list[int]:
        return [base for token_id in ids for base in self._table.base_ids(token_id)]

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
