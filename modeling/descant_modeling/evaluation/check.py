"""The faults of voice leading in a file, each at its place: bar, beat, voices and notes.

The rules and Bach's rates are those of `descant_modeling.evaluation.rules`. A fault is an error if Bach makes it less
than once in 1,000 pitch changes or 16ths, else a warning.

Repeats are read as written. Where a second ending follows the first on paper, nothing is compared, nor is it across
the end of a phrase if the file has fermatas.

Units: bars are numbered as in the score (a pickup is 0), beats from 1 in the unit of the meter.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from symusic.core import ScoreTick, TrackTickList

from descant_modeling.evaluation.rules import RULES, Fault, VoiceLeadingRule, find_faults, reference_rates
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import Chorale, chorale_of_harmony, chorale_of_score
from descant_tokenizers.rendering.rhythm import TimeSignature
from descant_tokenizers.rendering.spelling import find_key, note_name, spell, spelled_as
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import VOICES, ReadResult, bars_of
from descant_tokenizers.scores.marks import Marks, Words
from descant_tokenizers.scores.voices import pick_voices

Level = Literal["error", "warning"]
LEVELS: tuple[Level, ...] = ("error", "warning")

_RULE_OF = {rule.key: rule for rule in RULES}
_FRAMES_PER_QUARTER = 4
_RARE_PER_1000 = 1.0


class Place(NamedTuple):
    """A place in a score: the number of a bar, and a beat from 1, with fractions."""

    bar: int
    beat: Fraction

    def __str__(self) -> str:
        return f"{self.bar}:{float(self.beat):.4g}"


def level_of(rule: VoiceLeadingRule) -> Level:
    """Return how serious a breach is: an error if Bach makes it less than once in 1,000 pitch changes or 16ths."""
    per_thousand = reference_rates().rates[rule.key].value * 1000 / rule.scale
    return "error" if per_thousand < _RARE_PER_1000 else "warning"


def rules_named(names: Sequence[str]) -> tuple[str, ...]:
    """Return keys of rules, given as they are or with hyphens.

    Raises:
        InputError: There is no such rule.
    """
    keys = tuple(name.strip().lower().replace("-", "_").replace(" ", "_") for name in names)
    for name, key in zip(names, keys, strict=True):
        if key not in _RULE_OF:
            raise InputError(f"There is no rule '{name.strip()}'. Choose from {', '.join(_RULE_OF).replace('_', '-')}.")
    return keys


@dataclass(frozen=True)
class FaultPlace:
    """A fault at its place in a score.

    Attributes:
        fault: The fault.
        start: Where it begins: of a motion, its second notes.
        end: Where a fault of a chord ends.
        onset: Its onset, in quarters.
        notes: Names of the notes of each voice: before and after a motion, else as the fault begins.
        marked: Voice, onset in quarters and pitch of each of these notes.
    """

    fault: Fault
    start: Place
    end: Place
    onset: Fraction
    notes: tuple[tuple[str, ...], ...]
    marked: tuple[tuple[str, Fraction, int], ...]

    @property
    def rule(self) -> VoiceLeadingRule:
        """The rule that it breaks."""
        return _RULE_OF[self.fault.rule]

    @property
    def level(self) -> Level:
        """How serious it is."""
        return level_of(self.rule)

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of its voices."""
        return tuple(VOICES[voice] for voice in self.fault.voices)

    @property
    def label(self) -> str:
        """Its name, and the initials of its voices."""
        return f"{self.rule.name} {'-'.join(voice[0] for voice in self.voices)}"

    def facts(self) -> dict[str, Any]:
        """Return it for JSON."""
        rate = reference_rates().rates[self.rule.key]
        return {
            "rule": self.rule.key,
            "name": self.rule.name,
            "level": self.level,
            "bar": self.start.bar,
            "beat": round(float(self.start.beat), 3),
            "end_bar": self.end.bar,
            "end_beat": round(float(self.end.beat), 3),
            "voices": list(self.voices),
            "notes": [list(names) for names in self.notes],
            "statement": self.rule.statement,
            "bach": {"value": round(rate.value, 2), "unit": self.rule.unit},
        }


@dataclass(frozen=True)
class CheckedScore:
    """A score in four voices and its faults.

    Attributes:
        score: The four voices, in tracks named after them.
        marks: Marks of the file.
        chorale: The voices on the 16th grid.
        rules: Keys of the rules to check; empty for all.
        fermatas_ticks: Onsets of notes with a fermata.
    """

    score: ScoreTick
    marks: Marks
    chorale: Chorale
    rules: tuple[str, ...] = ()
    fermatas_ticks: tuple[int, ...] = ()

    @cached_property
    def faults(self) -> tuple[FaultPlace, ...]:
        """All faults, in order of time."""
        found = find_faults(self.chorale, reference_rates().ranges, self.rules)
        names = _Namer(self)
        return tuple(names.place(fault) for fault in found)

    def worst(self, level: Level) -> tuple[FaultPlace, ...]:
        """Return the faults of a level or worse."""
        return tuple(place for place in self.faults if LEVELS.index(place.level) <= LEVELS.index(level))

    def rendering(self, title: str = "", **options: Any) -> Rendering:
        """Return the score with its faults marked: their notes in color, and a text above; `options` as there."""
        texts: dict[Fraction, list[str]] = {}
        for place in self.faults:
            texts.setdefault(place.onset, []).append(place.label)
        words = [Words(onset, ", ".join(dict.fromkeys(labels)), kind="fault") for onset, labels in texts.items()]
        marks = replace(self.marks, words=tuple(sorted([*self.marks.words, *words], key=lambda each: each.onset)))
        marked = frozenset(note for place in self.faults for note in place.marked)
        return Rendering(self.score, title or marks.title, marks=marks, marked=marked, **options)


def check_score(read: ReadResult, name: str, rules: Sequence[str] = ()) -> CheckedScore:
    """Find the faults of a file.

    Args:
        read: The file, read with its marks, and with its repeats as written.
        name: Its name in errors.
        rules: Keys of the rules to check; all by default.

    Raises:
        InputError: The file is not in four voices.
    """
    chorale = chorale_of_score(read.score, name, read.fermatas_ticks)
    score = read.score.copy()
    voices = pick_voices(read.score, VOICES).tracks
    for voice, track in voices.items():
        track.name = voice
    score.tracks = TrackTickList(list(voices.values()))
    later = [sign.time for sign in read.marks.repeats if sign.kind == "ending" and min(sign.passes, default=1) > 1]
    return CheckedScore(score, read.marks, _cut_at(chorale, later), tuple(rules), tuple(read.fermatas_ticks))


def check_harmony(score: ScoreTick, name: str) -> CheckedScore:
    """Find the faults of a generated piece, in tracks named after the voices, of which some may be silent.

    Phrase ends are not excused.

    Raises:
        InputError: There are no notes.
    """
    return CheckedScore(score, Marks(), chorale_of_harmony(score, name).without_fermatas())


def _cut_at(chorale: Chorale, times: Iterable[Fraction]) -> Chorale:
    """Return a piece in which nothing is compared across some times, in quarters."""
    frames = {int(time * _FRAMES_PER_QUARTER) for time in times}
    cuts_T = np.isin(np.arange(chorale.num_frames), sorted(frames))
    return replace(chorale, phrase_ends_T=chorale.phrase_ends_T | cuts_T)


class _Namer:
    """Names the places and notes of a score."""

    def __init__(self, checked: CheckedScore) -> None:
        self._score, self._marks, self._lines = checked.score, checked.marks, checked.chorale.lines
        self._bars = bars_of(self._score)
        self._starts = [bar.start_ticks for bar in self._bars]
        self._key = find_key(self._score, self._marks.mode).key
        self._parts = self._marks.parts_of(list(self._score.tracks), self._score.ticks_per_quarter)

    def place(self, fault: Fault) -> FaultPlace:
        """Name a fault."""
        after = [self._note(voice, fault.begin) for voice in fault.voices]
        before = [self._note(voice, fault.begin - 1) for voice in fault.voices] if fault.before else []
        columns = [before, after] if before else [after]
        onset = max(onset for onset, _ in after)
        marked = [(VOICES[v], *note) for notes in columns for v, note in zip(fault.voices, notes, strict=True)]
        return FaultPlace(
            fault,
            self._at(onset),
            self._at(max(Fraction(fault.end, _FRAMES_PER_QUARTER), onset)),
            onset,
            tuple(tuple(self._name(voice, *notes[row]) for notes in columns) for row, voice in enumerate(fault.voices)),
            tuple(dict.fromkeys(marked)),
        )

    def _note(self, voice: int, frame: int) -> tuple[Fraction, int]:
        """Return onset in quarters and pitch of the note that a voice sounds in a frame."""
        line = self._lines[voice]
        index = int(np.searchsorted(line.onsets_16ths, frame, side="right")) - 1
        unit = self._score.ticks_per_quarter
        ticks = round(float(line.onsets_16ths[index]) * unit / _FRAMES_PER_QUARTER)
        return Fraction(ticks, unit), int(line.pitches[index])

    def _at(self, onset: Fraction) -> Place:
        """Return the bar and beat of a time in quarters; the beats of a pickup are counted back from its end."""
        unit = self._score.ticks_per_quarter
        index = max(bisect.bisect_right(self._starts, onset * unit) - 1, 0)
        bar = self._bars[index]
        is_pickup = bar.number == 0 and len(self._bars) > 1
        shown = self._bars[1] if is_pickup else bar
        meter = TimeSignature(shown.numerator, shown.denominator)
        missing = meter.length - Fraction(bar.length_ticks, unit) if is_pickup else Fraction(0)
        return Place(bar.number, 1 + (onset - Fraction(bar.start_ticks, unit) + max(missing, Fraction(0))) / meter.beat)

    def _name(self, voice: int, onset: Fraction, pitch: int) -> str:
        """Return the name of a note as the file spells it, else as it is spelled in the key."""
        part = self._parts[voice]
        written = None if part is None else self._marks.spellings.get((part, onset, pitch))
        spelled = spelled_as(pitch, *written) if written else spell(pitch, self._key.sharps, self._key.mode)
        step, alter, octave = spelled
        return f"{note_name(step, alter)}{octave}"


def check_facts(checked: CheckedScore) -> dict[str, Any]:
    """Return the faults of a score for JSON, and their numbers by level."""
    return {
        "num_faults": {level: sum(place.level == level for place in checked.faults) for level in LEVELS},
        "faults": [place.facts() for place in checked.faults],
    }
