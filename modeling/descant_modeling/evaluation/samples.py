"""Music that a model writes, cut so that it can be set beside the same stretch of Bach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from symusic.core import NoteTickList, ScoreTick

from descant_modeling.evaluation.grid import Chorale, chorale_of_harmony
from descant_modeling.generation import MusicModel
from descant_modeling.writing import GenerationConfig
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.scores import bars_of

__all__ = ["Pair", "continue_rows", "excerpt"]

PROMPT_BARS = 2
MAX_BARS = 16


class Pair(NamedTuple):
    """A stretch that a model wrote, and the same stretch of Bach's piece."""

    written: Chorale
    bach: Chorale


def excerpt(score: ScoreTick, start: int, end: int) -> ScoreTick:
    """Return the notes that begin in a stretch, in ticks, moved to the beginning."""
    part = score.copy()
    for track in part.tracks:
        track.notes = NoteTickList([note for note in track.notes if start <= note.time < end])
        for note in track.notes:
            note.time -= start
    return part


def continue_rows(
    model: MusicModel,
    rows: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> list[Pair]:
    """Let a model go on after the first two bars of each piece, for as long as the piece is (16 bars at most).

    Args:
        model: A causal model.
        rows: Four-part pieces of a dataset; those of no more than two bars are left out.
        seed: Same seed, same music.
        progress: Called with the share done, 0-1.
    """
    pairs = []
    for index, row in enumerate(rows):
        score = row_to_score(row)
        bars = [bar for bar in bars_of(score) if bar.number > PROMPT_BARS][:MAX_BARS]
        if bars:
            start, end = bars[0].start_ticks, bars[-1].end_ticks
            prompt = excerpt(score, 0, start)
            result = model.continue_(prompt, GenerationConfig(seed=seed + index), num_bars=len(bars))
            written = result.samples[0].score
            factor = written.ticks_per_quarter // score.ticks_per_quarter
            stretches = excerpt(written, factor * start, factor * end), excerpt(score, start, end)
            if all(any(track.notes for track in stretch.tracks) for stretch in stretches):
                pairs.append(Pair(*(chorale_of_harmony(stretch, row["id"]) for stretch in stretches)))
        if progress is not None:
            progress((index + 1) / len(rows))
    return pairs
