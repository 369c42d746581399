"""Sessions of the page, and what each keeps in memory: the uploaded score and the takes written from it.

Units: ticks of the take's score; seconds of playing time.
"""

from __future__ import annotations

import bisect
import itertools
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from symusic.core import NoteTick, ScoreTick

from descant_modeling.app.jobs import Job
from descant_modeling.app.language import ENGLISH, Language
from descant_modeling.app.requests import PageRequest
from descant_modeling.evaluation.check import CheckedScore, FaultPlace, check_harmony
from descant_modeling.evaluation.rules import rule_facts
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import Layout
from descant_tokenizers.rendering.spelling import parse_key
from descant_tokenizers.rendering.verovio import why_no_pdf
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import VOICES, ReadResult, bars_of

__all__ = ["AddedNotes", "Clock", "RecentTakes", "Session", "Sessions", "Take", "details", "runs_of"]

AddedNotes = frozenset[tuple[str, int, int]]


class Clock:
    """Converts ticks of a score to seconds."""

    def __init__(self, score: ScoreTick) -> None:
        changes = {0: 120.0} | {tempo.time: tempo.qpm for tempo in sorted(score.tempos, key=lambda tempo: tempo.time)}
        self._ticks = sorted(changes)
        self._rates = [60 / (changes[tick] * score.ticks_per_quarter) for tick in self._ticks]
        lengths = [(b - a) * rate for (a, b), rate in zip(itertools.pairwise(self._ticks), self._rates, strict=False)]
        self._seconds = [0.0, *itertools.accumulate(lengths)]

    def seconds(self, ticks: float) -> float:
        """Return when a tick is played, to 0.1 ms."""
        index = bisect.bisect_right(self._ticks, ticks) - 1
        return round(self._seconds[index] + (ticks - self._ticks[index]) * self._rates[index], 4)


@dataclass(frozen=True, eq=False)
class Take:
    """One generated piece.

    Attributes:
        number: Its number in the session, from 1.
        title: Title of the melody.
        made: A few words on how it was made.
        settings: Model, seed and whatever else reproduces it.
        score: The piece.
        added: The generated notes, as in `Sample.added`.
        request: The request, to write it again.
        remarks: Choices and changes made during generation.
        chords: The chords of each bar but a pickup, as in `Sample.chords`; empty if none were planned.
        phrases: Numbers of the bars in which phrases end, and their source, as in `GenerationResult`.
        stems: The sound of each voice by name, by percent of the tempo, once it was requested.
    """

    number: int
    title: str
    made: str
    settings: dict[str, Any]
    score: ScoreTick
    added: AddedNotes
    request: PageRequest = field(repr=False)
    remarks: tuple[str, ...] = ()
    chords: tuple[str, ...] = ()
    phrases: tuple[tuple[int, ...], str] = ((), "")
    stems: dict[float, dict[str, bytes]] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Its name on the page."""
        return f"Take {self.number}"

    def is_given(self, voice: str, note: NoteTick) -> bool:
        """Return True if a note belongs to the prompt."""
        return (voice, note.time, note.pitch) not in self.added

    @cached_property
    def own_voices(self) -> tuple[str, ...]:
        """Tracks without generated notes; they are always kept."""
        written = {voice for voice, _, _ in self.added}
        return tuple(track.name for track in self.score.tracks if track.name not in written)

    @cached_property
    def own_bars(self) -> tuple[int, ...]:
        """Indices of bars in which no generated note begins; they are always kept."""
        onsets = sorted(time for _, time, _ in self.added)
        bars = enumerate(bars_of(self.score))
        at = bisect.bisect_left
        return tuple(index for index, bar in bars if at(onsets, bar.start_ticks) == at(onsets, bar.end_ticks))

    @property
    def is_four_part(self) -> bool:
        """True if exactly the four voices have notes."""
        return {track.name for track in self.score.tracks if track.notes} == set(VOICES)

    @cached_property
    def checked(self) -> CheckedScore | None:
        """Its faults of voice leading, if it is in four parts."""
        return check_harmony(self.score, self.name) if self.is_four_part else None

    @cached_property
    def marked_renderings(self) -> dict[str, Rendering]:
        """Its renderings with the faults marked."""
        if self.checked is None:
            return self.renderings
        marked = self.checked.rendering(self.title)
        return {
            layout: replace(rendering, marks=marked.marks, marked=marked.marked)
            for layout, rendering in self.renderings.items()
        }

    @cached_property
    def renderings(self) -> dict[str, Rendering]:
        """Its renderings with `open` staves, and with `closed` ones if it is in four parts."""
        caption = f"{self.title}: {self.name.lower()}"
        layouts: tuple[Layout, ...] = ("open", "closed") if self.is_four_part else ("open",)
        key = None if self.request.key is None else parse_key(self.request.key)
        return {
            layout: Rendering(
                self.score, self.title, caption, is_given=self.is_given, arrangement=layout, chosen_key=key
            )
            for layout in layouts
        }

    def forget(self) -> None:
        """Drop its sheet music and sound, which are made again on request."""
        self.stems.clear()
        for cached in ("renderings", "marked_renderings"):
            self.__dict__.pop(cached, None)


class RecentTakes:
    """The takes that were looked at or heard last; the others keep no sheet music and no sound, which are large."""

    def __init__(self, num_kept: int) -> None:
        self._num_kept = num_kept
        self._takes: OrderedDict[Take, None] = OrderedDict()
        self._lock = threading.Lock()

    def use(self, take: Take) -> Take:
        """Note that a take is used, and return it."""
        with self._lock:
            self._takes[take] = None
            self._takes.move_to_end(take)
            while len(self._takes) > self._num_kept:
                self._takes.popitem(last=False)[0].forget()
        return take


def details(take: Take, say: Language = ENGLISH) -> dict[str, Any]:
    """Return what the browser needs to draw and play a take; names stay English, and sentences are in a language."""
    seconds, bars = Clock(take.score).seconds, bars_of(take.score)
    tracks = [track for track in take.score.tracks if track.notes]
    return {
        "number": take.number,
        "name": say.filled(take.name),
        "title": take.title,
        "made": say.filled(take.made),
        "remarks": list(map(say.filled, take.remarks)),
        "voices": [{"name": track.name, "own": track.name in take.own_voices} for track in tracks],
        "bars": [
            {
                "number": bar.number,
                "start": seconds(bar.start_ticks),
                "end": seconds(bar.end_ticks),
                "start_ticks": bar.start_ticks,
                "end_ticks": bar.end_ticks,
                "own": index in take.own_bars,
            }
            for index, bar in enumerate(bars)
        ],
        "notes": [
            [voice, seconds(note.time), seconds(note.end), note.pitch, int(take.is_given(track.name, note))]
            for voice, track in enumerate(tracks)
            for note in track.notes
        ],
        "ticks": [[note.time, note.duration] for track in tracks for note in track.notes],
        "ticks_per_quarter": take.score.ticks_per_quarter,
        "plan": _plan(take, [bar.number for bar in bars], say) if take.chords else None,
        "rules": rule_facts(take.checked.chorale) if take.checked else [],
        "faults": [_fault(take, place) for place in take.checked.faults] if take.checked else None,
        "has_pdf": why_no_pdf() is None,
    }


def _fault(take: Take, place: FaultPlace) -> dict[str, Any]:
    """Return a fault, when it sounds, and whether it can be mended without touching the user's voices."""
    time = Clock(take.score).seconds(float(place.onset * take.score.ticks_per_quarter))
    return place.facts() | {"time": time, "mendable": not set(place.voices) <= set(take.own_voices)}


def _plan(take: Take, numbers: Iterable[int], say: Language) -> dict[str, Any]:
    """Return what was planned before the voices were written, given the numbers of the bars."""
    phrases, source = take.phrases
    return {
        "key": say.filled(str(take.renderings["open"].key_found)),
        "phrases": list(phrases),
        "phrase_source": source,
        "bars": [
            {"number": number, "chords": chords}
            for number, chords in zip((number for number in numbers if number), take.chords, strict=False)
        ],
    }


def runs_of(indices: Iterable[int], without: Collection[int]) -> list[tuple[int, int]]:
    """Return the first and last index of each run of consecutive indices, leaving some out."""
    kept = set(indices) - set(without)
    firsts = (index for index in sorted(kept) if index - 1 not in kept)
    lasts = (index for index in sorted(kept) if index + 1 not in kept)
    return list(zip(firsts, lasts, strict=True))


@dataclass
class Session:
    """One tab of a browser with the page.

    Attributes:
        token: The session's secret name in URLs.
        num_kept: Number of takes and of uploaded files to keep.
        sources: What was read of uploaded files, by the id by which the editor knows each, oldest first.
        takes: The takes, oldest first.
        numbers: Numbers for further takes.
        job: The current job.
    """

    token: str
    num_kept: int
    sources: dict[str, ReadResult] = field(default_factory=dict)
    takes: list[Take] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)
    job: Job[Any] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def has(self, token: str) -> bool:
        """Return True if this is the session's token."""
        return secrets.compare_digest(self.token.encode(), token.encode())

    def keep_source(self, read: ReadResult) -> str:
        """Keep what was read of an uploaded file, and of the last ones, which Undo brings back; return its id."""
        name = secrets.token_hex(6)
        self.sources[name] = read
        while len(self.sources) > self.num_kept:
            del self.sources[next(iter(self.sources))]
        return name

    def source_music(self, name: str) -> ReadResult:
        """Return what was read of the uploaded file; raise an `InputError` if it is gone."""
        if name not in self.sources:
            raise InputError("The file is no longer here. Upload it again.")
        return self.sources[name]

    def keep(self, takes: Sequence[Take]) -> None:
        """Add takes; the oldest ones are dropped if there are too many."""
        with self._lock:
            self.takes = [*self.takes, *takes][-self.num_kept :]

    def take(self, number: int) -> Take:
        """Return a take; raise an `InputError` if it is gone."""
        found = next((take for take in self.takes if take.number == number), None)
        if found is None:
            raise InputError(f"Take {number} is no longer here. Write another one.")
        return found

    def stop(self) -> None:
        """Stop the current job."""
        if self.job is not None:
            self.job.stop()


class Sessions:
    """All sessions, by the key that their page sends and by their token; the longest inactive ones are dropped."""

    def __init__(self, max_sessions: int, num_kept: int) -> None:
        self._max_sessions, self._num_kept = max_sessions, num_kept
        self._by_key: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: str) -> Session:
        """Return the session of a page; open one for a new page."""
        with self._lock:
            session = self._by_key.pop(key, None) or Session(secrets.token_urlsafe(16), self._num_kept)
            self._by_key[key] = session
            while len(self._by_key) > self._max_sessions:
                self._by_key.popitem(last=False)[1].stop()
            return session

    def resume(self, key: str, token: str) -> Session:
        """Return the session with a token for a page that was reloaded, its job stopped; open one if there is none."""
        with self._lock:
            old = next((old for old, session in self._by_key.items() if session.has(token)), None)
            if old is not None:
                self._by_key[key] = self._by_key.pop(old)
        session = self.of(key)
        session.stop()
        return session

    def find(self, token: str) -> Session:
        """Return the session with a token; raise an `InputError` if there is none."""
        with self._lock:
            for session in self._by_key.values():
                if session.has(token):
                    return session
        raise InputError("This page has been closed. Reload it.")

    def leave(self, key: str) -> None:
        """Stop a session's job; its takes stay, because a page that slept may come back."""
        with self._lock:
            session = self._by_key.get(key)
        if session is not None:
            session.stop()
