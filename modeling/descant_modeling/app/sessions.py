"""Who is on the page: what each visitor uploaded and had written, kept in memory for as long as there is room.

A version: one piece that was written, and everything the page shows and hears of it.

Units: ticks of the version's score; `_seconds` as it is played.
"""

from __future__ import annotations

import bisect
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from symusic.core import NoteTick, ScoreTick

from descant_modeling.app.jobs import Job
from descant_modeling.app.requests import Listener
from descant_modeling.evaluation.rules import RuleRow, rule_rows
from descant_modeling.generation.base import Sample
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import chorale_of_harmony
from descant_tokenizers.scores import VOICES, bars_of

__all__ = ["Clock", "Session", "Sessions", "Take", "details", "runs_of"]

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
class Take:
    """One piece that was written.

    Attributes:
        number: Its number among the visitor's, from 1.
        title: The melody's.
        made: How it came about, a few words.
        settings: Model, seed and whatever else makes it again.
        score: The piece.
        added: The written notes, as `Sample.added` has them.
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
    again: Callable[[int, Listener], Sample] | None = field(default=None, repr=False, compare=False)

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


def details(version: Take) -> dict[str, Any]:
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


@dataclass
class Session:
    """One open page.

    Attributes:
        token: Names the visitor in addresses; nobody can guess it.
        num_kept: Versions that are kept.
        source: The uploaded score, and the id that the editor knows it by.
        versions: What was written, oldest first.
        num_written: How many versions ever were.
        job: What is being written.
    """

    token: str
    num_kept: int
    source: tuple[str, ScoreTick] | None = None
    versions: list[Take] = field(default_factory=list)
    num_written: int = 0
    job: Job[Any] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take_source(self, score: ScoreTick) -> str:
        """Keep an uploaded score in place of the last one; return its id."""
        name = secrets.token_hex(6)
        self.source = (name, score)
        return name

    def score_of(self, name: str) -> ScoreTick:
        """Return the uploaded score.

        Raises:
            InputError: It is not there any more.
        """
        if self.source is None or self.source[0] != name:
            raise InputError("the file is not here any more; upload it again.")
        return self.source[1]

    def next_number(self) -> int:
        """Return the number of the next version."""
        with self._lock:
            self.num_written += 1
            return self.num_written

    def keep(self, versions: Sequence[Take]) -> None:
        """Add versions; the oldest ones go if there are too many."""
        with self._lock:
            self.versions = [*self.versions, *versions][-self.num_kept :]

    def version(self, number: int) -> Take:
        """Return a version.

        Raises:
            InputError: It is not there any more.
        """
        found = next((version for version in self.versions if version.number == number), None)
        if found is None:
            raise InputError(f"version {number} is not here any more; write another one.")
        return found

    def stop(self) -> None:
        """Stop what is being written."""
        if self.job is not None:
            self.job.stop()


class Sessions:
    """All visitors, by the key that their page sends and by their token.

    Args:
        max_visitors: How many are kept; those who have been quiet for longest go.
        num_kept: Versions of each that are kept.
    """

    def __init__(self, max_visitors: int, num_kept: int) -> None:
        self._max_visitors, self._num_kept = max_visitors, num_kept
        self._by_key: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: str) -> Session:
        """Return the visitor of a page, a new one if nobody has come from it yet."""
        with self._lock:
            visitor = self._by_key.pop(key, None) or Session(secrets.token_urlsafe(16), self._num_kept)
            self._by_key[key] = visitor
            while len(self._by_key) > self._max_visitors:
                self._by_key.popitem(last=False)[1].stop()
            return visitor

    def find(self, token: str) -> Session:
        """Return the visitor with a token.

        Raises:
            InputError: There is none.
        """
        with self._lock:
            for visitor in self._by_key.values():
                if secrets.compare_digest(visitor.token.encode(), token.encode()):
                    return visitor
        raise InputError("this page has been closed; reload it.")

    def leave(self, key: str) -> None:
        """Stop what a visitor was waiting for; the versions stay, because a page that slept may come back."""
        with self._lock:
            visitor = self._by_key.get(key)
        if visitor is not None:
            visitor.stop()
