"""Scores as MusicXML, through music21: measures, voices, ties, tuplets, beams, accidentals, clefs and brackets.

Voices are laid out here note by note, because music21 does not handle a pickup's time signature, given notes, or note
values that show the beats.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from music21 import (
    bar,
    chord,
    clef,
    instrument,
    key,
    metadata,
    meter,
    note,
    pitch,
    stream,
    tie,
)
from music21.layout import StaffGroup
from music21.musicxml.m21ToXml import ScoreExporter
from music21.musicxml.xmlObjects import MusicXMLExportException

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.rendering.accidentals import show_accidentals
from descant_tokenizers.rendering.clefs import clefs_of
from descant_tokenizers.rendering.durations import SHORT_TYPES, mark_tuplet, set_value
from descant_tokenizers.rendering.layers import (
    Displacement,
    Layer,
    Notated,
    NoteGroup,
    PrintedMeasure,
    Staff,
    Voice,
    braced,
    engraved_tracks,
    groups_inside,
    height_of,
    is_covered,
    layers_of,
    measures_of,
    staves_of,
    staves_of_one,
)
from descant_tokenizers.rendering.note_marks import NoteMarks
from descant_tokenizers.rendering.rhythm import TimeSignature, Tuplet, note_values, tuplets_of
from descant_tokenizers.rendering.signs import (
    FAULT_COLOR,
    Annotator,
    AnyStream,
    IndexedSpanners,
    finished,
    write_bar_lines,
    write_signs,
)
from descant_tokenizers.rendering.spelling import LOWEST_PRINTED, spell, spelled_as
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.tracks import program_name
from descant_tokenizers.scores.validation import Limits

if TYPE_CHECKING:
    from descant_tokenizers.rendering.write import Rendering

ADDED_COLOR = "#0072B2"
MAX_NOTES = 12_000
MAX_MEASURES = Limits().max_bars  # so that sheet music can be read again
_LEGEND = "black: given, blue: added"
_MAX_TITLE = 120
_PERCUSSION_CHANNEL = 9
_MAX_TEMPOS = 8  # a recorded performance has hundreds; then only the first is printed

_Elements = Iterator[tuple[Fraction, note.GeneralNote]]
"""Notes and rests, each with its offset in its measure."""


def notate(rendering: Rendering) -> Notated:
    """Write a MusicXML 4.0 file. Percussion is left out.

    Raises:
        InputError: The score has no pitched notes or more than :data:`MAX_NOTES`, more measures than
            :data:`MAX_MEASURES`, a closed score is requested for tracks that are not four voices, or a bar is shorter
            than notation can express.
    """
    score = rendering.written.score
    tracks = engraved_tracks(score)
    num_notes = sum(len(track.notes) for track in tracks)
    if not num_notes:
        raise InputError("The score has no pitched notes to engrave. Give one that has.")
    if num_notes > MAX_NOTES:
        raise InputError(f"The score has {num_notes:,} notes, and at most {MAX_NOTES:,} are engraved. Cut it shorter.")
    marks = rendering.written.marks
    measures = measures_of(score, marks, is_folded=score is not rendering.score)
    if len(measures) > MAX_MEASURES:
        raise InputError(
            f"The score has {len(measures):,} measures, and at most {MAX_MEASURES:,} are engraved. Cut it shorter."
        )
    is_notated = bool(marks.spellings)  # no other file spells notes
    layered = [
        layers_of(track, score.ticks_per_quarter, measures, rendering.written.is_given, is_notated=is_notated)
        for track in tracks
    ]
    parts = marks.parts_of(tracks, score.ticks_per_quarter)
    voices = [
        Voice(track.name or f"Track {number}", layers, part, track.program)
        for number, (track, (layers, _), part) in enumerate(zip(tracks, layered, parts, strict=True), start=1)
    ]
    builder = _Notation(rendering, measures)
    result = builder.score(voices)
    # All is made here; music21 would also copy the score, and count chord symbols as notes.
    exporter = ScoreExporter(result, makeNotation=False)
    exporter.spannerBundle = IndexedSpanners(list(result.spannerBundle), builder.written)
    try:
        exporter.parse()
        data: bytes = exporter.asBytes()
    except MusicXMLExportException as error:
        reason = printable(str(error), 100)
        raise InputError(f"The score's bars cannot be written ({reason}). Correct its time signatures.") from error
    moved = [each for _, each in layered]
    title = printable(rendering.title or marks.title, _MAX_TITLE)
    legend = _LEGEND if rendering.is_colored and rendering.is_given is not None else ""
    displacement = Displacement(sum(m.num_notes for m in moved), max(m.largest for m in moved))
    return Notated(finished(data.decode("utf-8"), title, marks, legend), displacement, builder.num_lost_slurs)


class _Notation:
    """Builds music21 parts that share their measures and keys."""

    def __init__(self, rendering: Rendering, measures: Sequence[PrintedMeasure]) -> None:
        self._rendering, self._score, self._measures = rendering, rendering.written.score, measures
        self._marks, self._key = rendering.written.marks, rendering.key
        self._given = NoteMarks(self._marks, self._spelled)
        self.num_lost_slurs = 0
        self.written: list[list[AnyStream]] = []  # the staves of each part of the file
        signatures = {self._quarters(event.time): event.key for event in self._score.key_signatures}
        is_written = signatures and rendering.chosen_key is None
        self._sharps = signatures if is_written else {Fraction(0): self._key.sharps}
        minor = {self._quarters(event.time) for event in self._score.key_signatures if event.tonality == 1}
        self._minor = minor if is_written else set()

    def _quarters(self, ticks: int) -> Fraction:
        return Fraction(ticks, self._score.ticks_per_quarter)

    def score(self, voices: Sequence[Voice]) -> AnyStream:
        """Return the voices as a score of music21."""
        result = stream.Score()
        result.metadata = metadata.Metadata(
            title=printable(self._rendering.title or self._marks.title, _MAX_TITLE) or None
        )
        result.metadata.composer = printable(self._marks.composer, _MAX_TITLE) or None
        result.metadata.lyricist = printable(self._marks.lyricist, _MAX_TITLE) or None
        staves = staves_of(voices, self._rendering.arrangement, self._marks)
        joined = staves_of_one(staves, self._marks)
        for number, staff in enumerate(staves):
            kind = stream.PartStaff if {number, number - 1} & joined else stream.Part
            result.append(self._part(kind(id=f"P{number + 1}"), staff))
        parts = list(result.parts)
        is_choir = len(staves) == len(voices) and {voice.name for voice in voices} <= set(VOICES)
        pairs = braced(staves)
        for first in sorted({*pairs, *joined}):
            hands = parts[first : first + 2]
            result.insert(0, StaffGroup(hands, name=pairs.get(first), symbol="brace", barTogether=True))
            for part in hands if first in pairs else ():
                part.style.printPartName = False  # type: ignore[attr-defined]
        if len(parts) > 1 and not pairs and not joined:  # bar lines leave room for the lyrics between staves
            result.insert(0, StaffGroup(parts, symbol="bracket", barTogether=not (is_choir or self._marks.lyrics)))
        self._write_above(parts[0])
        self._write_below(parts[-1])
        self._write_beside()
        self.written = [
            parts[first : first + 2] if first in joined else parts[first : first + 1]
            for first in range(len(parts))
            if first - 1 not in joined
        ]
        self.num_lost_slurs = self._given.write_slurs(self.written)
        return result

    def _part(self, part: AnyStream, staff: Staff) -> AnyStream:
        part.partName = "\n".join(printable(voice.name, _MAX_TITLE) for voice in staff)
        part.insert(0, _instrument(staff[0].program))
        for voice in staff:
            self._given.settle(voice, part)
        part.partAbbreviation = "\n".join(f"{voice.name[0]}." for voice in staff) if len(staff) > 1 else None
        before, clefs = None, clefs_of(staff, self._measures)
        for index, own in enumerate(self._measures):
            measure = stream.Measure(number=own.number)
            if own.is_continued or own.number == 0:
                measure.showNumber = stream.enums.ShowNumber.NEVER
            if index == 0 or clefs[index] != clefs[index - 1]:
                measure.insert(0, getattr(clef, clefs[index])())
            self._put_key(measure, own, index)
            if own.meter != before:
                measure.insert(0, _time_signature(own.meter))
                before = own.meter
            if own.offset:
                measure.paddingLeft = float(own.offset)
            if (missing := own.meter.length - own.offset - own.length) > 0:
                measure.paddingRight = float(missing)
            self._fill(measure, own, staff)
            part.append(measure)
        show_accidentals(part)
        for measure in part.getElementsByClass(stream.Measure):
            _put_beams(measure)
        last = part.getElementsByClass(stream.Measure).last()
        assert last is not None, "a score with notes has bars"
        last.rightBarline = bar.Barline("final")
        write_bar_lines(part, self._measures, self._marks.repeats)
        return part

    def _put_key(self, measure: AnyStream, own: PrintedMeasure, index: int) -> None:
        inside = [time for time in self._sharps if own.start <= time < own.end]
        if inside:
            measure.insert(0, self._signature(self._sharps[max(inside)], is_minor=max(inside) in self._minor))
        elif index == 0:
            measure.insert(0, self._signature(0))

    def _signature(self, sharps: int, *, is_minor: bool = False) -> key.KeySignature:
        """Return a key signature, with its mode where the file states one other than major."""
        if self._marks.mode and sharps == self._key.sharps and self._rendering.chosen_key is None:
            return self._key.to_music21()
        signature = key.KeySignature(sharps)
        return signature.asKey("minor") if is_minor else signature

    def _fill(self, measure: AnyStream, own: PrintedMeasure, staff: Staff) -> None:
        """Fill a measure with the layers of a staff's voices, each in a music21 voice if there are several.

        A track with several layers is read by one player, who rests only where all of them do.
        """
        chosen: list[tuple[Voice, Layer]] = []
        for voice in staff:
            sounding = [inside for layer in voice.layers if (inside := groups_inside(layer, own))]
            if len(staff) == 1:
                sounding.sort(key=height_of, reverse=True)
            chosen += [(voice, inside) for inside in sounding or [()]]
        rests: set[tuple[Fraction, float]] = set()
        for number, (voice, layer) in enumerate(chosen, start=1):
            target = measure if len(chosen) == 1 else stream.Voice(id=str(number))
            is_upper = None
            if len(chosen) > 1:
                is_upper = voice is staff[0] if len(staff) > 1 else number % 2 == 1
            for offset, element in self._elements(voice, layer, own, is_upper):
                if element.isRest and not element.duration.tuplets:
                    place = offset, float(element.quarterLength)
                    start = own.start + offset
                    others = [other for _, other in chosen if other is not layer] if len(staff) == 1 else []
                    is_played = is_covered(start, start + Fraction(element.quarterLength), others)
                    # one rest stands for all voices of a staff
                    element.style.hideObjectOnPrint = is_played or place in rests
                    rests.add(place)
                target.insert(offset, element)
            if target is not measure:
                measure.insert(0, target)

    def _elements(self, voice: Voice, layer: Layer, own: PrintedMeasure, is_upper: bool | None) -> _Elements:
        """Yield the notes and rests that fill a measure, each of one note value."""
        if not layer:
            yield Fraction(0), _measure_rest(own)
            return
        shift = own.offset - own.start
        points = {place + shift for group in layer for place in (group.onset, group.end)} | {own.offset}
        tuplets = tuplets_of(own.meter, points, own.offset + own.length)
        members: dict[Tuplet, list[note.GeneralNote]] = {}

        def rests(start: Fraction, end: Fraction) -> _Elements:
            values = note_values(own.meter, start + shift, end + shift, tuplets, is_rest=True) if start < end else ()
            for value in values:
                rest = note.Rest()
                set_value(rest, value, members)
                yield value.start - own.offset, rest

        at = own.start
        for group in layer:
            begin, end = max(group.onset, own.start), min(group.end, own.end)
            yield from rests(at, begin)
            values = list(note_values(own.meter, begin + shift, end + shift, tuplets))
            for index, value in enumerate(values):
                is_first = index == 0 and group.onset == begin
                is_last = index + 1 == len(values) and group.end == end
                element = self._element(voice, group, is_first=is_first, is_last=is_last, is_upper=is_upper)
                set_value(element, value, members)
                for grace in self._given.graces(voice, group) if is_first else ():
                    yield value.start - own.offset, grace
                yield value.start - own.offset, element
            at = end
        yield from rests(at, own.end)
        for elements in members.values():
            mark_tuplet(elements)

    def _element(
        self, voice: Voice, group: NoteGroup, *, is_first: bool, is_last: bool, is_upper: bool | None
    ) -> note.NotRest:
        heads = [self._head(voice, number, group, is_given=given) for number, given in group.pitches]
        element: note.NotRest = heads[0] if len(heads) == 1 else chord.Chord(heads)
        if self._rendering.is_colored and len(heads) > 1 and not any(given for _, given in group.pitches):
            element.style.color = ADDED_COLOR  # includes the stem and the beam, as that of a single head does
        tied = {(False, False): "continue", (False, True): "stop", (True, False): "start"}.get((is_first, is_last))
        if tied is not None:
            for head in heads:
                head.tie = tie.Tie(tied)
        if is_upper is not None:
            element.stemDirection = "up" if is_upper else "down"
        self._given.attach(element, voice, group, is_first=is_first, is_last=is_last, is_upper=is_upper)
        return element

    def _head(self, voice: Voice, number: int, group: NoteGroup, *, is_given: bool) -> note.Note:
        place = None if voice.part is None or not is_given else (voice.part, group.time, number)
        as_written = None if place is None else self._marks.spellings.get(place)
        head = note.Note(self._spelled(number, group.onset, as_written))
        if (voice.name, group.time, number) in self._rendering.marked:
            head.style.color = FAULT_COLOR
        elif self._rendering.is_colored and not is_given:
            head.style.color = ADDED_COLOR
        return head

    def _spelled(self, number: int, onset: Fraction, as_written: tuple[str, int] | None = None) -> pitch.Pitch:
        """Spell a pitch as the file does, else in the key."""
        times = [time for time in self._sharps if time <= onset]
        step, alter, octave = spell(number, self._sharps[max(times)] if times else 0, self._key.mode)
        if as_written is not None and self._rendering.chosen_key is None:
            step, alter, octave = spelled_as(number, *as_written)
        if octave < 0 or number < LOWEST_PRINTED:  # B sharp for C0, or a note that is printed an octave higher
            step, alter, octave = spell(max(number, number % 12 + LOWEST_PRINTED), 0)
        spelled = pitch.Pitch(step, octave=octave)
        if alter:
            spelled.accidental = pitch.Accidental(alter)
        return spelled

    def _write_above(self, part: AnyStream) -> None:
        """Write repeats, words, tempos and chord symbols above the first staff."""
        marks, above = self._marks, Annotator(part, self._measures)
        write_signs(part, self._measures, marks.repeats)
        above.write_words((each for each in marks.words if each.part is None), is_above=True)
        tempos = [(self._quarters(event.time), event.qpm) for event in self._score.tempos]
        tempos = tempos if len(tempos) <= _MAX_TEMPOS else tempos[:1]
        above.write_tempos(tempos, marks.metronomes, marks.words)
        if self._rendering.with_chords:
            above.write_chords(self._rendering.chords, self._score.ticks_per_quarter, numerals=False)
        else:
            above.write_chord_texts(marks.chords)

    def _write_below(self, part: AnyStream) -> None:
        """Write words of no part and Roman numerals below the last staff."""
        below = Annotator(part, self._measures)
        below.write_words((each for each in self._marks.words if each.part is None), is_above=False)
        if self._rendering.with_chords:
            below.write_chords(self._rendering.chords, self._score.ticks_per_quarter, numerals=True)

    def _write_beside(self) -> None:
        """Write the words, dynamics and hairpins of each part at its staff."""
        indices = {each.part for each in self._marks.words} | {each.part for each in self._marks.hairpins}
        for index in sorted(each for each in indices if each is not None):
            if (home := self._given.home(index)) is not None:
                beside = Annotator(home, self._measures)
                for is_above in (True, False):
                    beside.write_words((each for each in self._marks.words if each.part == index), is_above=is_above)
                beside.write_hairpins(each for each in self._marks.hairpins if each.part == index)


class _Played(instrument.Instrument):
    """An instrument that shares its MIDI channel if there are more than fifteen; music21 prints a warning for each."""

    def autoAssignMidiChannel(self, usedChannels: list[int], maxMidi: int = 16) -> int:  # noqa: N802
        """Choose the first free channel, or the next one in turn; that of percussion is left out."""
        channels = [channel for channel in range(maxMidi) if channel != _PERCUSSION_CHANNEL]
        free = [channel for channel in channels if channel not in usedChannels]
        self.midiChannel = free[0] if free else channels[len(usedChannels) % len(channels)]
        return self.midiChannel


def _instrument(program: int) -> instrument.Instrument:
    """Return an instrument that programs play with a General MIDI program."""
    played = _Played()
    played.midiProgram = program
    played.instrumentName = program_name(program)
    return played


def _put_beams(measure: AnyStream) -> None:
    """Join the short notes of a measure by beams; music21 takes a millisecond even where there are none."""
    layers = measure.voices or [measure]
    if sum(each.duration.type in SHORT_TYPES for layer in layers for each in layer.notes) > 1:
        stream.makeNotation.makeBeams(measure, inPlace=True)
    else:
        measure.streamStatus.beams = True


def _time_signature(own: TimeSignature) -> meter.TimeSignature:
    signature = meter.TimeSignature(f"{own.numerator}/{own.denominator}")
    if own.groups:  # music21 beams 13/8 as one group
        signature.beamSequence = meter.MeterSequence([f"{size}/{own.denominator}" for size in own.groups])
    return signature


def _measure_rest(own: PrintedMeasure) -> note.Rest:
    rest = note.Rest()
    rest.duration.quarterLength = own.length
    rest.fullMeasure = True
    return rest
