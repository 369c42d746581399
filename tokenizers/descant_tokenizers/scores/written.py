"""Parts as a notation file writes them, and the score and marks that they make.

Units: quarter notes, as exact fractions; ticks where a name says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple, TypeVar

from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TrackTick

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores.jumps import sorted_signs
from descant_tokenizers.scores.marks import (
    Grace,
    Hairpin,
    Lyric,
    Marks,
    Metronome,
    PartPlace,
    Place,
    RepeatSign,
    SlurEnd,
    Words,
)
from descant_tokenizers.scores.measures import DEFAULT_VELOCITY, TICKS_PER_QUARTER, Measure
from descant_tokenizers.scores.repeats import Notation

_MAX_NAMED = 4
_MAX_OPEN_TIES = 8  # of one pitch
_QUALIFIED = re.compile(r"(.*?)( of | over | between | without | that |$)(.*)")
_MAX_TITLE = 120
_MINOR = ("minor", "aeolian")
_MODES = ("dorian", "phrygian", "lydian", "mixolydian", "locrian")

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class WrittenGrace:
    """A grace note or chord as written.

    Attributes:
        onset: Onset of the note that it precedes.
        pitches: MIDI pitch of each note, with step and alteration as for a `WrittenNote`.
        length: Written length in quarters.
        has_slash: It has a slash.
        has_fermata: It has a fermata.
        symbols: Its articulations, ornaments and techniques.
        voice: Name of its voice.
        staff: Number of its staff in the part, from 1.
    """

    onset: Fraction
    pitches: list[tuple[int, tuple[str, int] | None]]
    length: Fraction
    has_slash: bool
    has_fermata: bool = False
    symbols: tuple[str, ...] = ()
    voice: str = ""
    staff: int = 1

    @property
    def mark(self) -> Grace:
        """The mark that it becomes."""
        numbers, spellings = zip(*sorted(self.pitches, key=lambda pitch: pitch[0]), strict=True)
        own = spellings if any(spellings) else ()
        return Grace(numbers, self.length, self.has_slash, self.has_fermata, tuple(dict.fromkeys(self.symbols)), own)


@dataclass(slots=True, eq=False)
class WrittenNote:
    """A note as written; one that a tie continues is a note of its own.

    Attributes:
        onset: Its onset in the part.
        end: Its end.
        pitch: MIDI pitch at which it sounds.
        spelling: Step and alteration as written, None if it does not sound as written or is a microtone.
        voice: Name of its voice.
        staff: Number of its staff in the part, from 1.
        place: Its place in its chord, from 0.
        measure: Index of its measure, from 0.
        velocity: MIDI velocity, None if the file states none.
        ties: Some of `start` and `stop`.
        lyrics: Its syllables.
        has_fermata: It has a fermata.
        symbols: Its articulations, ornaments and techniques.
        graces: Grace notes and chords before it.
        head: The note that sounds: itself, or the first of the tied notes that it continues.
    """

    onset: Fraction
    end: Fraction
    pitch: int
    spelling: tuple[str, int] | None
    voice: str
    staff: int
    place: int
    measure: int
    velocity: int | None = None
    ties: frozenset[str] = frozenset()
    lyrics: tuple[Lyric, ...] = ()
    has_fermata: bool = False
    symbols: tuple[str, ...] = ()
    graces: list[WrittenGrace] = field(default_factory=list)
    head: WrittenNote | None = None


AnyWritten = WrittenNote | WrittenGrace


@dataclass
class WrittenPart:
    """One part.

    Attributes:
        name: Its name.
        program: General MIDI program, 0-127, None if the file states none.
        notes: Its notes in the order of the file.
        slurs: First and last note of each slur; either may be a grace note.
        hairpins: Onset and end of each hairpin, and whether it is a crescendo.
        keys: Sharps at sounding pitch and mode, by onset.
        tempos: Quarters per minute, by onset.
        metronomes: Metronome marks.
        words: Words, dynamics, rehearsal marks.
        chords: Chord symbols.
        signs: Repeat signs.
        voices: Measure, staff and name of each voice that has notes or rests in a measure.
    """

    name: str
    program: int | None = None
    notes: list[WrittenNote] = field(default_factory=list)
    slurs: list[tuple[AnyWritten, AnyWritten]] = field(default_factory=list)
    hairpins: list[tuple[Fraction, Fraction, bool]] = field(default_factory=list)
    keys: dict[Fraction, tuple[int, str]] = field(default_factory=dict)
    tempos: dict[Fraction, float] = field(default_factory=dict)
    metronomes: list[Metronome] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    chords: list[Words] = field(default_factory=list)
    signs: list[RepeatSign] = field(default_factory=list)
    voices: set[tuple[int, int, str]] = field(default_factory=set)


@dataclass
class Report:
    """What is left out of a score: every kind is counted, and named once.

    Attributes:
        dropped: What is left out.
        elements: Further elements that are left out, by name.
        unreadable: What cannot be read, each with its line.
        num_microtones: Notes between semitones.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    elements: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    num_microtones: int = 0

    def sentences(self) -> list[str]:
        """Return a phrase for everything that was left out, and one for what was rounded."""
        dropped = [f"{count:,} {_plural(noun, count)}" for noun, count in self.dropped.items() if count]
        if elements := +self.elements:
            names = [printable(name.replace("-", " "), 24) for name, _ in elements.most_common(_MAX_NAMED)]
            more = ", ..." if len(elements) > len(names) else ""
            count = elements.total()
            dropped.append(f"{count:,} other {_plural('mark', count)} ({', '.join(names)}{more})")
        found = [f"dropped: {', '.join(dropped)}"] if dropped else []
        if self.unreadable:
            line, example = self.unreadable[0]
            first = f"the first in line {line} ({printable(example, 24)})"
            found.append(f"unreadable tokens: {len(self.unreadable):,}, {first}")
        count = self.num_microtones
        return [*found, f"{count:,} {_plural('microtone', count)} rounded to a semitone"] if count else found


def _plural(noun: str, count: int) -> str:
    """Return a noun for a number of things: 2 `note of percussion` are `notes of percussion`."""
    head, place, rest = _QUALIFIED.match(noun).groups()  # type: ignore[union-attr]
    rest = rest.replace("is ", "are ", 1) if place == " that " else rest
    return noun if count == 1 else f"{head}s{place}{rest}"


class Line(NamedTuple):
    """A track to be: its name, General MIDI program and notes."""

    name: str
    program: int
    notes: Sequence[WrittenNote]


class _OpenTie(NamedTuple):
    """The first of some tied notes, and end and voice of the latest one."""

    head: WrittenNote
    end: Fraction
    voice: str


def make_notation(
    lines: Sequence[Line],
    parts: Sequence[WrittenPart],
    measures: Sequence[Measure],
    about: Marks,
    report: Report,
    part_order: Sequence[str] = "",
) -> Notation:
    """Make a score as written.

    Args:
        lines: The tracks; together they have the notes of all parts.
        parts: The parts, with what stands above and below their notes.
        measures: The measures of all parts.
        about: Title and authors.
        report: Receives what is left out.
        part_order: Labels of the sections in the order in which they are played; empty for the order as written.
    """
    score = ScoreTick(TICKS_PER_QUARTER)
    for line in lines:
        score.tracks.append(_track(line))
    keys = _keys(parts)
    own_keys = ((sharps - keys[time][0]) % 12 for part in parts for time, (sharps, _) in part.keys.items())
    report.dropped["key signature of one part"] += sum(difference > 0 for difference in own_keys)
    for time, (sharps, mode) in _changes(keys):
        score.key_signatures.append(KeySignatureTick(_ticks(time), sharps, int(mode in _MINOR)))
    for time, rate in _changes({time: rate for part in reversed(parts) for time, rate in part.tempos.items()}):
        score.tempos.append(TempoTick(_ticks(time), qpm=rate))
    heads = [note.head or note for line in lines for note in line.notes if note.has_fermata]
    fermatas = tuple(sorted({_ticks(head.onset) for head in heads}))
    return Notation(score, measures, _signs(parts), _marks(lines, parts, about, report), fermatas, part_order)


def _ticks(quarters: Fraction) -> int:
    return round(float(quarters * TICKS_PER_QUARTER))


def _at(quarters: Fraction) -> Fraction:
    """Return a time as the tick that stands for it."""
    return Fraction(_ticks(quarters), TICKS_PER_QUARTER)


def _track(line: Line) -> TrackTick:
    """Make a track of the notes that sound.

    A note that continues a tie lengthens the open one of its pitch; of several, which are unisons, that of its voice.
    """
    track = TrackTick(line.name, line.program, False)
    open_ties: dict[int, list[_OpenTie]] = {}
    ends: dict[WrittenNote, Fraction] = {}
    for note in sorted(line.notes, key=lambda note: note.onset):
        if note.end == note.onset:
            continue
        known = [tie for tie in open_ties.get(note.pitch, ()) if tie.end >= note.onset][-_MAX_OPEN_TIES:]
        head = note
        ending = [tie for tie in known if tie.end == note.onset] if "stop" in note.ties else []
        if ending:
            own = next((tie for tie in ending if tie.voice == note.voice), ending[0])
            known.remove(own)
            head = note.head = own.head
        ends[head] = note.end
        if "start" in note.ties:
            known.append(_OpenTie(head, note.end, note.voice))
        open_ties[note.pitch] = known
    sounding: dict[int, Fraction] = {}
    for head, end in ends.items():
        held = sounding[head.pitch] = max(end, sounding.get(head.pitch, end))  # another voice may hold a unison on
        time = _ticks(head.onset)
        if (length := _ticks(held) - time) > 0:
            track.notes.append(NoteTick(time, length, head.pitch, head.velocity or DEFAULT_VELOCITY))
    return track


def _keys(parts: Iterable[WrittenPart]) -> dict[Fraction, tuple[int, str]]:
    """Return sharps and mode by onset from all parts; a signature with a mode beats one without."""
    found: dict[Fraction, tuple[int, str]] = {}
    for part in parts:
        for time, (sharps, mode) in part.keys.items():
            if time not in found or (mode and not found[time][1]):
                found[time] = sharps, mode
    return found


def _changes(events: dict[Fraction, _T]) -> Iterator[tuple[Fraction, _T]]:
    """Yield events in order of time, without repetitions."""
    before: _T | None = None
    for time in sorted(events):
        if events[time] != before:
            yield time, events[time]
        before = events[time]


def _signs(parts: Iterable[WrittenPart]) -> list[RepeatSign]:
    """Return the signs of all parts, each once."""
    return sorted_signs({(sign.time, sign.kind): sign for part in parts for sign in reversed(part.signs)}.values())


def _marks(lines: Sequence[Line], parts: Sequence[WrittenPart], about: Marks, report: Report) -> Marks:
    lyrics: dict[PartPlace, tuple[Lyric, ...]] = {}
    graces: dict[PartPlace, tuple[Grace, ...]] = {}
    symbols: dict[PartPlace, tuple[str, ...]] = {}
    spellings: dict[PartPlace, tuple[str, int]] = {}
    fermatas: dict[Place, Fraction] = {}
    places: dict[AnyWritten, SlurEnd] = {}
    for index, line in enumerate(lines):
        for note in line.notes:
            head = note.head or note
            place = places[note] = index, _at(head.onset), head.pitch
            if note.lyrics:
                lyrics.setdefault(place, note.lyrics)
            if note.graces:
                known = graces.get(place, ())
                places |= {grace: (*place, number) for number, grace in enumerate(note.graces, len(known))}
                graces[place] = known + tuple(grace.mark for grace in note.graces)
            if note.symbols:
                symbols[place] = tuple(dict.fromkeys(symbols.get(place, ()) + note.symbols))
            if note.spelling is not None:
                spellings.setdefault(place, note.spelling)
            if note.has_fermata:
                fermatas.setdefault((_at(note.onset), note.pitch), _at(note.end))
    modes = [mode for _, (_, mode) in sorted(_keys(parts).items())]
    lines_of = _lines_of(lines, parts)
    homes = [min(own, default=None) for own in lines_of]
    return replace(
        about,
        lyrics=lyrics,
        fermatas=fermatas,
        words=_words(parts, homes),
        chords=_each_once(part.chords for part in parts),
        graces=graces,
        slurs=tuple(_slurs(parts, places, report)),
        symbols=symbols,
        hairpins=_hairpins(parts, homes),
        metronomes=tuple({mark.onset: mark for part in reversed(parts) for mark in part.metronomes}.values()),
        mode=modes[0] if modes and modes[0] in _MODES else "",
        spellings=spellings,
        pairs=tuple(
            (own[0], own[1])
            for part, own in zip(parts, lines_of, strict=True)
            if len(own) == 2 and all(lines[index].name == part.name for index in own)
        ),
    )


def _slurs(
    parts: Iterable[WrittenPart], places: Mapping[AnyWritten, SlurEnd], report: Report
) -> Iterator[tuple[SlurEnd, SlurEnd]]:
    """Yield the slurs between notes that sound; the count of the others goes to the report."""
    for first, last in (slur for part in parts for slur in part.slurs):
        start, end = places.get(first), places.get(last)
        if start is None or end is None or start[1] > end[1]:  # as of a grace note whose voice goes on later
            report.dropped["slur of a grace note without a note"] += 1
        elif first is last:
            report.dropped["slur over one note"] += 1
        else:
            yield start, end


def _lines_of(lines: Sequence[Line], parts: Sequence[WrittenPart]) -> list[list[int]]:
    """Return for each part the indices of the lines that have notes of it."""
    lines_of = {note: index for index, line in enumerate(lines) for note in line.notes}
    return [sorted({lines_of[note] for note in part.notes if note in lines_of}) for part in parts]


def _words(parts: Sequence[WrittenPart], homes: Sequence[int | None]) -> tuple[Words, ...]:
    """Return the words of all parts in order of time.

    Those that hold for all parts are kept once: tempos, rehearsal marks, and what stands above the first part.
    """
    shared = {(each.onset, each.text) for part in parts[:1] for each in part.words if each.is_above}
    placed = [
        each
        if each.kind not in ("words", "dynamic") or (each.is_above and (each.onset, each.text) in shared)
        else replace(each, part=home)
        for part, home in zip(parts, homes, strict=True)
        for each in part.words
    ]
    return _each_once([placed])


def _hairpins(parts: Sequence[WrittenPart], homes: Sequence[int | None]) -> tuple[Hairpin, ...]:
    found = {
        Hairpin(home, _at(onset), _at(end), is_louder)
        for part, home in zip(parts, homes, strict=True)
        for onset, end, is_louder in part.hairpins
        if home is not None and onset < end
    }
    return tuple(sorted(found, key=lambda each: (each.onset, each.part, each.end, each.is_louder)))


def _each_once(groups: Iterable[Iterable[Words]]) -> tuple[Words, ...]:
    """Return what stands at one time and staff several times once, in order of time."""
    found = {
        (_at(each.onset), each.text, each.part): replace(each, onset=_at(each.onset))
        for group in groups
        for each in group
        if each.text
    }
    return tuple(sorted(found.values(), key=lambda each: each.onset))
