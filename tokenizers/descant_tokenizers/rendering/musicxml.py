"""Scores as MusicXML, through music21: measures, voices, ties, tuplets, beams, accidentals, clefs and brackets.

Voices are laid out here note by note, because music21 does not handle a pickup's time signature, given notes, or note
values that show the beats.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from music21 import (
    bar,
    chord,
    clef,
    duration,
    dynamics,
    expressions,
    harmony,
    key,
    metadata,
    meter,
    note,
    pitch,
    stream,
    tempo,
    tie,
)
from music21.layout import StaffGroup
from music21.musicxml.m21ToXml import GeneralObjectExporter
from music21.musicxml.xmlObjects import MusicXMLExportException

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.rendering.chords import ChordName
from descant_tokenizers.rendering.layers import (
    Displacement,
    Layer,
    NoteGroup,
    PrintedMeasure,
    Staff,
    Voice,
    clef_of,
    engraved_tracks,
    layers_of,
    measure_at,
    measures_of,
    staves_of,
)
from descant_tokenizers.rendering.rhythm import NoteValue, TimeSignature, Tuplet, note_values, tuplets_of
from descant_tokenizers.rendering.spelling import note_name, spell
from descant_tokenizers.scores import VOICES

if TYPE_CHECKING:
    from descant_tokenizers.rendering.write import Rendering

ADDED_COLOR = "#0072B2"
MAX_NOTES = 20_000
_NUMERALS_Y = -70  # tenths of a staff space from its top line; equal ones are engraved on one line
_MAX_TEMPOS = 8  # a recorded performance has hundreds; then only the first is printed
_LONG_TYPES = {Fraction(8): "breve", Fraction(4): "whole", Fraction(2): "half", Fraction(1): "quarter"}
_SHORT_TYPES = ("eighth", "16th", "32nd", "64th", "128th")

AnyStream = Any  # the type parameter of music21's streams says nothing here
_Elements = Iterator[tuple[Fraction, note.GeneralNote]]
"""Notes and rests, each with its offset in its measure."""


def notate(rendering: Rendering) -> tuple[str, Displacement]:
    """Return the text of a MusicXML 4.0 file, and how far notes moved to times that note values reach.

    Percussion is left out.

    Raises:
        InputError: The score has no pitched notes or more than :data:`MAX_NOTES`, a closed score is requested for
            tracks that are not four voices, or a bar is shorter than notation can express.
    """
    score = rendering.score
    tracks = engraved_tracks(score)
    num_notes = sum(len(track.notes) for track in tracks)
    if not num_notes:
        raise InputError("The score has no pitched notes to engrave. Give one that has.")
    if num_notes > MAX_NOTES:
        raise InputError(f"The score has {num_notes:,} notes, and at most {MAX_NOTES:,} are engraved. Cut it shorter.")
    measures = measures_of(score)
    layered = [layers_of(track, score.ticks_per_quarter, measures, rendering.is_given) for track in tracks]
    parts = rendering.marks.parts_of(tracks, score.ticks_per_quarter)
    voices = [
        Voice(track.name or f"Track {number}", layers, part)
        for number, (track, (layers, _), part) in enumerate(zip(tracks, layered, parts, strict=True), start=1)
    ]
    result = _Notation(rendering, measures).score(voices)
    try:
        data: bytes = GeneralObjectExporter().parse(result)
    except MusicXMLExportException as error:
        reason = printable(str(error), 100)
        raise InputError(f"The score's bars cannot be written ({reason}). Correct its time signatures.") from error
    moved = [each for _, each in layered]
    return _with_plain_ids(data.decode("utf-8")), Displacement(
        sum(m.num_notes for m in moved), max(m.largest for m in moved)
    )


def _with_plain_ids(text: str) -> str:
    """Number the parts, which music21 names at random: the same score gives the same file."""
    for number, name in enumerate(re.findall(r'<score-part id="(P[0-9a-f]{32})">', text), start=1):
        text = text.replace(name, f"P{number}")
    return text


class _Notation:
    """Builds music21 parts that share their measures and keys."""

    def __init__(self, rendering: Rendering, measures: Sequence[PrintedMeasure]) -> None:
        self._rendering, self._score, self._measures = rendering, rendering.score, measures
        self._marks, self._key = rendering.marks, rendering.key
        signatures = {self._quarters(event.time): event.key for event in self._score.key_signatures}
        is_written = signatures and rendering.chosen_key is None
        self._chords = rendering.chords if rendering.with_chords else ()
        self._sharps = signatures if is_written else {Fraction(0): self._key.sharps}

    def _quarters(self, ticks: int) -> Fraction:
        return Fraction(ticks, self._score.ticks_per_quarter)

    def score(self, voices: Sequence[Voice]) -> AnyStream:
        result = stream.Score()
        result.metadata = metadata.Metadata(title=printable(self._rendering.title or self._marks.title, 120) or None)
        result.metadata.composer = printable(self._marks.composer, 120) or None
        staves = staves_of(voices, self._rendering.arrangement, self._marks)
        for number, staff in enumerate(staves, start=1):
            result.append(self._part(f"P{number}", staff))
        parts = list(result.parts)
        is_choir = len(staves) == len(voices) and {voice.name for voice in voices} <= set(VOICES)
        if len(parts) > 1:  # a choir's bar lines leave room for the lyrics between staves
            result.insert(0, StaffGroup(parts, symbol="bracket", barTogether=not is_choir))
        self._write_above(parts[0])
        self._write_below(parts[-1])
        return result

    def _part(self, part_id: str, staff: Staff) -> AnyStream:
        part = stream.Part(id=part_id)
        part.partName = printable(", ".join(voice.name for voice in staff), 60)
        part.partAbbreviation = "/".join(voice.name[0] for voice in staff) if len(staff) > 1 else None
        before = None
        for index, own in enumerate(self._measures):
            measure = stream.Measure(number=own.number)
            if index == 0:
                measure.append(getattr(clef, clef_of(staff))())
            self._put_key(measure, own, index)
            if own.meter != before:
                measure.insert(0, _time_signature(own.meter))
                before = own.meter
            if own.offset:
                measure.paddingLeft = float(own.offset)
            self._fill(measure, own, staff)
            part.append(measure)
        part.makeAccidentals(inPlace=True, cautionaryNotImmediateRepeat=False)
        for measure in part.getElementsByClass(stream.Measure):
            stream.makeNotation.makeBeams(measure, inPlace=True)
        last = part.getElementsByClass(stream.Measure).last()
        assert last is not None, "a score with notes has bars"
        last.rightBarline = bar.Barline("final")
        return part

    def _put_key(self, measure: AnyStream, own: PrintedMeasure, index: int) -> None:
        inside = [time for time in self._sharps if own.start <= time < own.end]
        if inside:
            measure.insert(0, key.KeySignature(self._sharps[max(inside)]))
        elif index == 0:
            measure.insert(0, key.KeySignature(0))

    def _fill(self, measure: AnyStream, own: PrintedMeasure, staff: Staff) -> None:
        """Fill a measure with the layers of a staff's voices, each in a music21 voice if there are several."""
        chosen: list[tuple[Voice, Layer]] = []
        for voice in staff:
            sounding = [inside for layer in voice.layers if (inside := _inside(layer, own))]
            chosen += [(voice, inside) for inside in sounding or [()]]
        for number, (voice, layer) in enumerate(chosen, start=1):
            target = measure if len(chosen) == 1 else stream.Voice(id=str(number))
            is_upper = None
            if len(chosen) > 1:
                is_upper = voice is staff[0] if len(staff) > 1 else number % 2 == 1
            for offset, element in self._elements(voice, layer, own, is_upper):
                target.insert(offset, element)
            if target is not measure:
                measure.insert(0, target)

    def _elements(self, voice: Voice, layer: Layer, own: PrintedMeasure, is_upper: bool | None) -> _Elements:
        """Yield the notes and rests that fill a measure, each of one note value."""
        if not layer:
            yield Fraction(0), _measure_rest(own)
            return
        shift = own.offset - own.start
        points = {place + shift for group in layer for place in (group.onset, group.end)}
        tuplets = tuplets_of(own.meter, points, own.offset + own.length)
        members: dict[Tuplet, list[note.GeneralNote]] = {}

        def rests(start: Fraction, end: Fraction) -> _Elements:
            values = note_values(own.meter, start + shift, end + shift, tuplets, is_rest=True) if start < end else ()
            for value in values:
                rest = note.Rest()
                _set_value(rest, value, members)
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
                _set_value(element, value, members)
                yield value.start - own.offset, element
            at = end
        yield from rests(at, own.end)
        for elements in members.values():
            _mark_tuplet(elements)

    def _element(
        self, voice: Voice, group: NoteGroup, *, is_first: bool, is_last: bool, is_upper: bool | None
    ) -> note.NotRest:
        heads = [self._head(number, group, is_given=given) for number, given in group.pitches]
        element: note.NotRest = heads[0] if len(heads) == 1 else chord.Chord(heads)
        if not any(given for _, given in group.pitches):
            element.style.color = ADDED_COLOR  # includes the stem and the beam
        tied = {(False, False): "continue", (False, True): "stop", (True, False): "start"}.get((is_first, is_last))
        if tied is not None:
            for head in heads:
                head.tie = tie.Tie(tied)
        if is_upper is not None:
            element.stemDirection = "up" if is_upper else "down"
        if is_first:
            self._put_lyrics(element, voice, group)
        if is_last and self._has_fermata(group):
            mark = expressions.Fermata()
            mark.type = "inverted" if is_upper is False else "upright"
            element.expressions.append(mark)
        return element

    def _head(self, number: int, group: NoteGroup, *, is_given: bool) -> note.Note:
        times = [time for time in self._sharps if time <= group.onset]
        step, alter, octave = spell(number, self._sharps[max(times)] if times else 0, self._key.mode)
        spelled = pitch.Pitch(step, octave=octave)
        if alter:
            spelled.accidental = pitch.Accidental(alter)
        head = note.Note(spelled)
        if not is_given:
            head.style.color = ADDED_COLOR
        return head

    def _put_lyrics(self, element: note.NotRest, voice: Voice, group: NoteGroup) -> None:
        if voice.part is None:
            return
        for number, given in group.pitches:
            lyrics = self._marks.lyrics.get((voice.part, group.time, number), ()) if given else ()
            for each in lyrics:
                element.lyrics.append(note.Lyric(each.text, number=each.verse, syllabic=each.syllabic))
            if lyrics:
                return

    def _has_fermata(self, group: NoteGroup) -> bool:
        """Return True if a note has a fermata, or ends together with another voice's note that has one."""
        marks = self._marks
        if group.end in marks.fermata_ends:
            return True
        return any(
            pitch == number and group.onset <= onset < group.end
            for (onset, pitch) in marks.fermatas
            for number, given in group.pitches
            if given
        )

    def _write_above(self, part: AnyStream) -> None:
        """Write the legend, words, tempos and chord symbols above the first staff."""
        if self._rendering.is_given is not None:
            self._insert(part, Fraction(0), _text("black: given, blue: added", "above"))
        for each in self._marks.words:
            if each.is_above:
                self._insert(part, each.onset, _text(each.text, "above"))
        tempos = [(self._quarters(event.time), round(event.qpm)) for event in self._score.tempos]
        for time, quarters_per_minute in tempos if len(tempos) <= _MAX_TEMPOS else tempos[:1]:
            self._insert(part, time, tempo.MetronomeMark(number=quarters_per_minute))
        for name in self._chords:
            self._insert(part, self._quarters(name.time_ticks), _chord_symbol(name))

    def _write_below(self, part: AnyStream) -> None:
        """Write dynamics and Roman numerals below the last staff."""
        for each in self._marks.words:
            if not each.is_above:
                mark = dynamics.Dynamic(each.text) if each.text in dynamics.shortNames else _text(each.text, "below")
                mark.placement = "below"
                self._insert(part, each.onset, mark)
        for name in self._chords:
            if name.numeral:
                numeral = _text(name.numeral, "below")
                numeral.style.absoluteY = _NUMERALS_Y
                self._insert(part, self._quarters(name.time_ticks), numeral)

    def _insert(self, part: AnyStream, time: Fraction, element: Any) -> None:
        index = measure_at(self._measures, time)
        if time < self._measures[index].end:
            part.getElementsByClass(stream.Measure)[index].insert(time - self._measures[index].start, element)


def _inside(layer: Layer, own: PrintedMeasure) -> Layer:
    """Return the groups of a layer that sound in a measure."""
    first = bisect.bisect_right(layer, own.start, key=lambda group: group.end)
    return layer[first : bisect.bisect_left(layer, own.end, key=lambda group: group.onset)]


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


def _set_value(element: note.GeneralNote, value: NoteValue, members: dict[Tuplet, list[note.GeneralNote]]) -> None:
    """Give a note or rest its value, and record the members of tuplets."""
    kind, dots = _type_of(value.written)
    element.duration = duration.Duration(type=kind, dots=dots)
    if value.tuplet is not None:
        unit, _ = _type_of(value.tuplet.unit * value.tuplet.actual / value.tuplet.normal)
        element.duration.appendTuplet(duration.Tuplet(value.tuplet.actual, value.tuplet.normal, unit))
        members.setdefault(value.tuplet, []).append(element)


def _type_of(written: Fraction) -> tuple[str, int]:
    """Return music21's name of a note value, and its number of dots."""
    dots = 1 if written.numerator % 3 == 0 else 0
    plain = written * 2 / 3 if dots else written
    return _LONG_TYPES.get(plain) or _SHORT_TYPES[plain.denominator.bit_length() - 2], dots


def _mark_tuplet(elements: Sequence[note.GeneralNote]) -> None:
    """Mark where a tuplet begins and ends; one that a beam joins needs no bracket."""
    is_beamed = all(element.duration.type in _SHORT_TYPES and not element.isRest for element in elements)
    for element in elements:
        element.duration.tuplets[0].bracket = not is_beamed
    first, last = elements[0].duration.tuplets[0], elements[-1].duration.tuplets[0]
    if first is last:
        first.type = "startStop"
    else:
        first.type, last.type = "start", "stop"


def _chord_symbol(name: ChordName) -> harmony.ChordSymbol:
    """Return music21's chord symbol, printed with our suffix."""
    bass = note_name(*name.bass, flat="-") if name.bass != name.root else None
    symbol = harmony.ChordSymbol(root=note_name(*name.root, flat="-"), kind=name.kind, bass=bass)
    symbol.chordKindStr = name.suffix
    return symbol


def _text(words: str, placement: str) -> expressions.TextExpression:
    text = expressions.TextExpression(words)
    text.placement = placement
    return text
