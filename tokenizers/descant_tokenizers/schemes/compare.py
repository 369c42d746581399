"""The same music through several schemes: how long the stream gets, and what comes back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from symusic.core import ScoreTick

from descant_tokenizers.errors import InputError
from descant_tokenizers.schemes.base import Scheme, bits_per_token
from descant_tokenizers.schemes.fidelity import fidelity
from descant_tokenizers.schemes.settings import Music, label_voices, music_of
from descant_tokenizers.scores import bars_of

__all__ = ["Comparison", "SchemeResult", "compare", "music_of_all"]

Progress = Callable[[int, int], None]


@dataclass
class SchemeResult:
    """What one scheme made of all pieces.

    Sums run over the pieces that the scheme took, but those that it refused count as not exact, and their notes as
    lost. Seconds are those of the processor, on one core.

    Attributes:
        name: What the scheme is called.
        title: Its name in print.
        vocabulary_sizes: See `Scheme.vocabulary_sizes`.
        bits_per_token: See `bits_per_token`.
        limits: See `Scheme.limits`.
        num_pieces: All pieces.
        num_exact: Pieces that came back with all notes and time signatures to the tick.
        num_same_notes: Pieces that came back with all notes to the tick.
        num_notes: Notes of the pieces taken.
        num_notes_refused: Notes of the others.
        num_notes_back: Notes that came back, right or wrong.
        num_notes_exact: Notes that came back with onset and duration to the tick.
        num_notes_matched: Notes that came back with their onset within `fidelity.TOLERANCE_QUARTERS`.
        num_bars: Bars of the pieces taken.
        num_tokens: Their tokens.
        refusals: Reason to number of pieces.
    """

    name: str
    title: str
    vocabulary_sizes: tuple[int, ...]
    bits_per_token: float
    limits: tuple[str, ...]
    num_pieces: int = 0
    num_exact: int = 0
    num_same_notes: int = 0
    num_notes: int = 0
    num_notes_refused: int = 0
    num_notes_back: int = 0
    num_notes_exact: int = 0
    num_notes_matched: int = 0
    num_bars: int = 0
    num_tokens: int = 0
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, Any]:
        """Return everything that the table shows, and the sums that it comes from, ready for JSON."""
        return {
            **vars(self),
            "vocabulary": sum(self.vocabulary_sizes),
            "num_refused": self.refusals.total(),
            "tokens_per_note": _ratio(self.num_tokens, self.num_notes),
            "tokens_per_bar": _ratio(self.num_tokens, self.num_bars),
            "bits_per_note": _ratio(self.num_tokens * self.bits_per_token, self.num_notes),
            "exact_share": _ratio(self.num_exact, self.num_pieces),
            "same_notes_share": _ratio(self.num_same_notes, self.num_pieces),
            "note_f1": _ratio(
                2 * self.num_notes_matched, self.num_notes + self.num_notes_refused + self.num_notes_back
            ),
            "notes_per_second": _ratio(self.num_notes, self.encode_seconds),
        }

    def add(self, scheme: Scheme, score: ScoreTick, num_bars: int) -> None:
        """Send one piece through the scheme."""
        self.num_pieces += 1
        start = time.process_time()
        try:
            tokens = scheme.encode(score)
            encoded = time.process_time()
            copy = scheme.decode(tokens)
        except InputError as error:
            self.refusals[str(error)] += 1
            self.num_notes_refused += score.note_num()
            return
        self.encode_seconds += encoded - start
        self.decode_seconds += time.process_time() - encoded
        kept = fidelity(score, copy)
        self.num_exact += kept.is_exact
        self.num_same_notes += kept.same_notes
        self.num_notes += kept.num_notes
        self.num_notes_back += kept.num_back
        self.num_notes_exact += kept.num_exact
        self.num_notes_matched += kept.num_matched
        self.num_bars += num_bars
        self.num_tokens += tokens.num_tokens


@dataclass(frozen=True)
class Comparison:
    """The results of several schemes over the same pieces.

    Attributes:
        music: What the vocabularies hold.
        num_pieces: Pieces.
        num_notes: Their notes.
        num_bars: Their bars, pickups included.
        results: One for each scheme, in the order asked for.
    """

    music: Music
    num_pieces: int
    num_notes: int
    num_bars: int
    results: tuple[SchemeResult, ...]

    def figures(self) -> dict[str, Any]:
        """Return the comparison, ready for JSON."""
        return {
            "music": str(self.music),
            "num_pieces": self.num_pieces,
            "num_notes": self.num_notes,
            "num_bars": self.num_bars,
            "schemes": [result.figures() for result in self.results],
        }


def music_of_all(scores: Mapping[str, ScoreTick]) -> Music:
    """Tell which vocabulary all of some scores need."""
    return Music.VOICES if all(music_of(score) is Music.VOICES for score in scores.values()) else Music.ANY


def compare(
    scores: Mapping[str, ScoreTick], schemes: Sequence[Scheme], music: Music, progress: Progress | None = None
) -> Comparison:
    """Send every score through every scheme.

    Args:
        scores: At least one score, by name. Where `music` is `VOICES`, tracks get the programs of the voices first.
        schemes: The schemes, opened for `music`.
        music: `music_of_all(scores)`.
        progress: Called with the number of scores done and of all scores.
    """
    results = tuple(
        SchemeResult(scheme.name, scheme.title, scheme.vocabulary_sizes, bits_per_token(scheme), scheme.limits)
        for scheme in schemes
    )
    total_notes = total_bars = 0
    for done, score in enumerate(scores.values(), start=1):
        ready = label_voices(score) if music is Music.VOICES else score
        num_bars = len(bars_of(ready))
        total_notes, total_bars = total_notes + ready.note_num(), total_bars + num_bars
        for scheme, result in zip(schemes, results, strict=True):
            result.add(scheme, ready, num_bars)
        if progress is not None:
            progress(done, len(scores))
    return Comparison(music, len(scores), total_notes, total_bars, results)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
