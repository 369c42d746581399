"""A version: one piece that was written, and everything the page shows and hears of it.

Units: ticks of the version's score; `_seconds` as it is played.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from symusic.core import NoteTick, ScoreTick

from descant_modeling.app.wishes import Listener
from descant_modeling.drafts import Generated
from descant_modeling.evaluation.bach import RuleRow, rule_rows
from descant_modeling.evaluation.grid import chorale_of_harmony
from descant_tokenizers.scores import VOICES, bars_of

__all__ = ["Clock", "Version", "details", "runs_of"]

AddedNotes = frozenset[tuple[str, int, int]]


class Clock:
    """Seconds at which ticks of a score are played."""

    def __init__(self, score: ScoreTick) -> None:
        changes = {0: 120.0} | {tempo.time: tempo.qpm for tempo in sorted(score.tempos, key=lambda tempo: tempo.time)}
        self._ticks = sorted(changes)
        self._rates = [60 / (changes[tick] * score.ticks_per_quarter) for tick in self._ticks]
        self._seconds = [0.0]
        for index, tick in enumerate(self._ticks[1:]):
            self._seconds.append(self._seconds[-1] + (tick - self._ticks[index]) * self._rates[index])

    def seconds(self, ticks: float) -> float:
        """Return when a tick is played."""
        index = bisect.bisect_right(self._ticks, ticks) - 1
        return self._seconds[index] + (ticks - self._ticks[index]) * self._rates[index]


@dataclass(frozen=True)
class Version:
    """One piece that was written.

    Attributes:
        number: Its number among the visitor's, from 1.
        title: The melody's.
        made: How it came about, a few words.
        settings: Model, seed and whatever else makes it again.
        score: The piece.
        added: The written notes, as `Generated.added` has them.
        remarks: What was chosen and changed on the way.
        again: Takes a seed and a listener; writes the whole request once more.
    """

    number: int
    title: str
    made: str
    settings: dict[str, Any]
    score: ScoreTick
    added: AddedNotes
    remarks: tuple[str, ...] = ()
    again: Callable[[int, Listener], Generated] | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What the page calls it."""
        return f"Version {self.number}"

    def is_given(self, voice: str, note: NoteTick) -> bool:
        """Whether a note is the prompt's own."""
        return (voice, note.time, note.pitch) not in self.added

    @property
    def own_voices(self) -> tuple[str, ...]:
        """Tracks in which nothing was written: they stay as they are."""
        written = {voice for voice, _, _ in self.added}
        return tuple(track.name for track in self.score.tracks if track.name not in written)

    @property
    def own_bars(self) -> tuple[int, ...]:
        """Indices of bars in which nothing that was written begins: they stay as they are."""
        onsets = sorted(time for _, time, _ in self.added)
        own = []
        for index, bar in enumerate(bars_of(self.score)):
            place = bisect.bisect_left(onsets, bar.start_ticks)
            if place == len(onsets) or onsets[place] >= bar.end_ticks:
                own.append(index)
        return tuple(own)

    @property
    def is_four_part(self) -> bool:
        """Whether it is one in the sense of the rules."""
        return {track.name for track in self.score.tracks if track.notes} == set(VOICES)

    def rules(self) -> list[RuleRow]:
        """Return what it breaks, beside Bach; nothing for what is not in four parts."""
        return rule_rows(chorale_of_harmony(self.score, self.name)) if self.is_four_part else []


def details(version: Version) -> dict[str, Any]:
    """Return what the browser needs to draw and play a version."""
    clock = Clock(version.score)
    tracks = [track for track in version.score.tracks if track.notes]
    return {
        "number": version.number,
        "name": version.name,
        "title": version.title,
        "made": version.made,
        "remarks": list(version.remarks),
        "voices": [{"name": track.name, "own": track.name in version.own_voices} for track in tracks],
        "bars": [
            {
                "number": bar.number,
                "start": round(clock.seconds(bar.start_ticks), 4),
                "end": round(clock.seconds(bar.end_ticks), 4),
                "own": index in version.own_bars,
            }
            for index, bar in enumerate(bars_of(version.score))
        ],
        "notes": [
            [
                voice,
                round(clock.seconds(note.time), 4),
                round(clock.seconds(note.end), 4),
                note.pitch,
                int(version.is_given(track.name, note)),
            ]
            for voice, track in enumerate(tracks)
            for note in track.notes
        ],
        "rules": [_rule_facts(row) for row in version.rules()],
    }


def _rule_facts(row: RuleRow) -> dict[str, Any]:
    return {
        "label": row.label,
        "unit": row.unit,
        "found": row.found,
        "rate": round(row.rate, 2),
        "expected": round(row.expected, 2),
        "bach": {"value": round(row.bach.value, 2), "low": round(row.bach.low, 2), "high": round(row.bach.high, 2)},
    }


def runs_of(indices: Sequence[int], without: Collection[int]) -> list[tuple[int, int]]:
    """Return the stretches of neighbours among indices, first and last of each, some left out."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if index in without:
            continue
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs
