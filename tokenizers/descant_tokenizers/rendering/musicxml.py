"""Scores as MusicXML, through music21: measures, voices, ties, tuplets, beams, accidentals, clefs and brackets.

Voices are laid out note by note here, because music21 knows nothing of a pickup's time signature, of given notes, or of
note values that show the beats.

Units: quarter notes, as exact fractions.

Notes, rests, tuplets and chord symbols as music21 has them.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from music21 import (
    bar,
    chord,
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
from music21.musicxml.m21ToXml import GeneralObjectExporter
from music21.musicxml.xmlObjects import MusicXMLExportException
from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.rendering.chords import ChordName
from descant_tokenizers.rendering.layers import Layer, Moved, Staved, StavedBar, layers_of, staved_bars
from descant_tokenizers.rendering.rhythm import Tuplet, Value, note_values, rest_values, tuplets_of
from descant_tokenizers.rendering.spelling import find_key, spell
from descant_tokenizers.rendering.staves import (
    SheetOptions,
    Staff,
    Voice,
    clef_of,
    engraved_tracks,
    put_brackets,
    staves_of,
)
from descant_tokenizers.scores import VOICES

__all__ = [
    "ADDED_COLOUR",
    "MAX_NOTES",
    "SheetOptions",
    "bar_rest",
    "chord_symbol",
    "mark_tuplet",
    "musicxml_and_moves",
    "set_value",
    "to_music21",
    "to_musicxml",
]

_WRITTEN_TYPES = {Fraction(8): "breve", Fraction(4): "whole", Fraction(2): "half", Fraction(1): "quarter"}
_SHORT_TYPES = ("eighth", "16th", "32nd", "64th", "128th")


def bar_rest(own: StavedBar) -> note.Rest:
    """Return the rest of a whole bar, of whatever length."""
    rest = note.Rest()
    rest.duration.quarterLength = own.length
    rest.fullMeasure = True
    return rest


def set_value(element: note.GeneralNote, value: Value, seen: dict[Tuplet, list[note.GeneralNote]]) -> None:
    """Give a note or rest its value, and remember what a tuplet holds."""
    kind, dots = _type_of(value.written)
    element.duration = duration.Duration(type=kind, dots=dots)
    if value.tuplet is not None:
        unit, _ = _type_of(value.tuplet.unit * value.tuplet.actual / value.tuplet.normal)
        element.duration.appendTuplet(duration.Tuplet(value.tuplet.actual, value.tuplet.normal, unit))
        seen.setdefault(value.tuplet, []).append(element)


def _type_of(written: Fraction) -> tuple[str, int]:
    dots = 1 if written.numerator % 3 == 0 else 0
    plain = written * 2 / 3 if dots else written
    if plain in _WRITTEN_TYPES:
        return _WRITTEN_TYPES[plain], dots
    return _SHORT_TYPES[plain.denominator.bit_length() - 2], dots


def mark_tuplet(tuplet: Tuplet, elements: Sequence[note.GeneralNote]) -> None:
    """Say where a tuplet begins and ends; one that a beam joins needs no bracket."""
    is_beamed = all(element.duration.type in _SHORT_TYPES and not element.isRest for element in elements)
    for element in elements:
        element.duration.tuplets[0].bracket = not is_beamed
    first, last = elements[0].duration.tuplets[0], elements[-1].duration.tuplets[0]
    if first is last:
        first.type = "startStop"
    else:
        first.type, last.type = "start", "stop"


def chord_symbol(name: ChordName) -> harmony.ChordSymbol:
    """Return a chord symbol that is written as the chord's own."""

    def spelled(tone: tuple[str, int]) -> str:
        step, alter = tone
        return step + "#" * alter + "-" * -alter

    bass = spelled(name.bass) if name.bass != name.root else None
    symbol = harmony.ChordSymbol(root=spelled(name.root), kind=name.kind, bass=bass)
    symbol.chordKindStr = name.suffix
    return symbol


ADDED_COLOUR = "#0072B2"
AnyStream = Any  # music21's streams are generic in ways that say nothing here

MAX_NOTES = 20_000
_NUMERALS_Y = -70  # tenths of a staff space from its top line; equal ones are engraved on one line
_MAX_TEMPOS = 8  # a recorded performance has hundreds, which nobody reads


def to_musicxml(score: ScoreTick, sheet: SheetOptions | None = None) -> str:
    """Write a score as the text of a MusicXML 4.0 file; see `to_music21`.

    Raises:
        InputError: As for `to_music21`, or a bar is shorter than notation can say.
    """
    return musicxml_and_moves(score, sheet)[0]


def musicxml_and_moves(score: ScoreTick, sheet: SheetOptions | None = None) -> tuple[str, Moved]:
    """Write a score as `to_musicxml` does, and say how far notes were moved."""
    written, moved = to_music21(score, sheet)
    try:
        data: bytes = GeneralObjectExporter().parse(written)
    except MusicXMLExportException as error:
        reason = printable(str(error), 100)
        raise InputError(f"the score's bars cannot be written ({reason}); correct its time signatures.") from error
    return data.decode("utf-8"), moved


def to_music21(score: ScoreTick, sheet: SheetOptions | None = None) -> tuple[AnyStream, Moved]:
    """Turn a score into measured parts, ready to be written.

    Args:
        score: Any score with pitched notes; percussion is left out. Times that no note value reaches are moved to the
            nearest one that does.
        sheet: How it is to be written.

    Returns:
        A music21 score, and how far notes were moved.

    Raises:
        InputError: There are no pitched notes, or `closed` is asked for other tracks.
    """
    sheet = sheet or SheetOptions()
    tracks = engraved_tracks(score)
    if not any(track.notes for track in tracks):
        raise InputError("the score has no pitched notes, so there is nothing to engrave; give one that has.")
    num_notes = sum(len(track.notes) for track in tracks)
    if num_notes > MAX_NOTES:
        raise InputError(f"the score has {num_notes:,} notes, and at most {MAX_NOTES:,} are engraved; cut it shorter.")
    bars = staved_bars(score)
    found = [layers_of(track, score.ticks_per_quarter, bars, sheet.is_given) for track in tracks]
    voices = [Voice(track.name or f"Track {n}", found[n - 1][0]) for n, track in enumerate(tracks, start=1)]
    staves = staves_of(voices, sheet)
    writer = _Writer(score, bars, sheet)
    result = stream.Score()
    result.metadata = metadata.Metadata(title=printable(sheet.title, 120) or None)
    result.metadata.composer = printable(sheet.composer, 120) or None
    for number, staff in enumerate(staves, start=1):
        result.append(writer.part(f"P{number}", staff))
    parts = list(result.parts)
    is_choir = len(staves) == len(voices) and {voice.name for voice in voices} <= set(VOICES)
    put_brackets(result, parts, is_choir=is_choir)
    writer.write_above(parts[0])
    writer.write_below(parts[-1])
    moved = [each for _, each in found]
    return result, Moved(sum(each.num_notes for each in moved), max(each.furthest for each in moved))


class _Writer:
    """Writes parts that share their bars and keys."""

    def __init__(self, score: ScoreTick, bars: Sequence[StavedBar], sheet: SheetOptions) -> None:
        self._score, self._bars, self._sheet = score, bars, sheet
        self._key = sheet.key or find_key(score).key
        signatures = {Fraction(event.time, score.ticks_per_quarter): event.key for event in score.key_signatures}
        self._keys = {Fraction(0): self._key.sharps} if sheet.key or not signatures else signatures

    def part(self, part_id: str, staff: Staff) -> AnyStream:
        part = stream.Part(id=part_id)
        part.partName = printable(", ".join(voice.name for voice in staff), 60)
        part.partAbbreviation = "/".join(voice.name[0] for voice in staff) if len(staff) > 1 else None
        before = None
        for index, own in enumerate(self._bars):
            measure = stream.Measure(number=own.number)
            if index == 0:
                measure.append(clef_of(staff))
            self._put_key(measure, own, index)
            if own.meter != before:
                measure.insert(0, meter.TimeSignature(f"{own.meter.numerator}/{own.meter.denominator}"))
                before = own.meter
            if own.first_place:
                measure.paddingLeft = float(own.first_place)
            self._fill(measure, own, staff)
            part.append(measure)
        part.makeAccidentals(inPlace=True, cautionaryNotImmediateRepeat=False)
        for measure in part.getElementsByClass(stream.Measure):
            stream.makeNotation.makeBeams(measure, inPlace=True)
        last = part.getElementsByClass(stream.Measure).last()
        assert last is not None, "a score with notes has bars"
        last.rightBarline = bar.Barline("final")
        return part

    def _put_key(self, measure: AnyStream, own: StavedBar, index: int) -> None:
        inside = [time for time in self._keys if own.start <= time < own.end]
        if index == 0 and not inside:
            measure.insert(0, key.KeySignature(0))
        for time in sorted(inside)[-1:]:
            measure.insert(0, key.KeySignature(self._keys[time]))

    def _sharps_at(self, onset: Fraction) -> int:
        times = [time for time in self._keys if time <= onset]
        return self._keys[max(times)] if times else 0

    def _fill(self, measure: AnyStream, own: StavedBar, staff: Staff) -> None:
        chosen: list[tuple[Voice, Sequence[Staved]]] = []
        for voice in staff:
            sounding = [inside for layer in voice.layers if (inside := _inside(layer, own))]
            chosen += [(voice, inside) for inside in sounding or [()]]
        for number, (voice, items) in enumerate(chosen, start=1):
            target = measure if len(chosen) == 1 else stream.Voice(id=str(number))
            is_upper = None
            if len(chosen) > 1:
                is_upper = voice is staff[0] if len(staff) > 1 else number % 2 == 1
            for offset, element in self._elements(voice, items, own, is_upper):
                target.insert(offset, element)
            if target is not measure:
                measure.insert(0, target)

    def _elements(
        self, voice: Voice, inside: Sequence[Staved], own: StavedBar, is_upper: bool | None
    ) -> Iterator[tuple[Fraction, note.GeneralNote]]:
        """Yield the notes and rests that fill a bar, each of one note value."""
        if not inside:
            yield Fraction(0), bar_rest(own)
            return
        shift = own.first_place - own.start
        points = {place + shift for item in inside for place in (item.onset, item.end)}
        tuplets = tuplets_of(own.meter, points, own.first_place + own.length)
        seen: dict[Tuplet, list[note.GeneralNote]] = {}
        at = own.start
        for item in inside:
            begin, end = max(item.onset, own.start), min(item.end, own.end)
            if begin > at:
                yield from self._rests(own, at, begin, tuplets, seen)
            values = note_values(own.meter, begin + shift, end + shift, tuplets)
            for index, value in enumerate(values):
                is_first = index == 0 and item.onset == begin
                is_last = index + 1 == len(values) and item.end == end
                element = self._element(voice, item, is_first=is_first, is_last=is_last, is_upper=is_upper)
                set_value(element, value, seen)
                yield value.start - own.first_place, element
            at = end
        if at < own.end:
            yield from self._rests(own, at, own.end, tuplets, seen)
        for tuplet, elements in seen.items():
            mark_tuplet(tuplet, elements)

    def _rests(
        self,
        own: StavedBar,
        start: Fraction,
        end: Fraction,
        tuplets: Sequence[Tuplet],
        seen: dict[Tuplet, list[note.GeneralNote]],
    ) -> Iterator[tuple[Fraction, note.GeneralNote]]:
        shift = own.first_place - own.start
        for value in rest_values(own.meter, start + shift, end + shift, tuplets):
            element = note.Rest()
            set_value(element, value, seen)
            yield value.start - own.first_place, element

    def _element(
        self, voice: Voice, item: Staved, *, is_first: bool, is_last: bool, is_upper: bool | None
    ) -> note.NotRest:
        heads = [self._head(number, item, is_given=given) for number, given in item.pitches]
        element: note.NotRest = heads[0] if len(heads) == 1 else chord.Chord(heads)
        if len({given for _, given in item.pitches}) == 1 and not item.pitches[0][1]:
            element.style.color = ADDED_COLOUR  # stem and beam, too
        tied = {(False, False): "continue", (False, True): "stop", (True, False): "start"}.get((is_first, is_last))
        if tied is not None:
            for head in heads:
                head.tie = tie.Tie(tied)
        if is_upper is not None:
            element.stemDirection = "up" if is_upper else "down"
        if is_first:
            self._put_lyrics(element, voice, item)
        if is_last and self._has_fermata(item):
            mark = expressions.Fermata()
            mark.type = "inverted" if is_upper is False else "upright"
            element.expressions.append(mark)
        return element

    def _head(self, number: int, item: Staved, *, is_given: bool) -> note.Note:
        step, alter, octave = spell(number, self._sharps_at(item.onset), self._key.mode)
        spelled = pitch.Pitch(step, octave=octave)
        if alter:
            spelled.accidental = pitch.Accidental(alter)
        head = note.Note(spelled)
        if not is_given:
            head.style.color = ADDED_COLOUR
        return head

    def _put_lyrics(self, element: note.NotRest, voice: Voice, item: Staved) -> None:
        for number, given in item.pitches:
            lyrics = self._sheet.marks.lyrics_of(voice.name, item.time, number) if given else ()
            for each in lyrics:
                element.lyrics.append(note.Lyric(each.text, number=each.verse, syllabic=each.syllabic))
            if lyrics:
                return

    def _has_fermata(self, item: Staved) -> bool:
        """Whether a note is held: it has the fermata, or another voice's note that ends with it has."""
        marks = self._sheet.marks
        if item.end in marks.fermata_ends:
            return True
        return any(
            pitch == number and item.onset <= onset < item.end
            for (onset, pitch) in marks.fermatas
            for number, given in item.pitches
            if given
        )

    def write_above(self, part: AnyStream) -> None:
        """Write what stands above the first staff: the legend, tempos, words, chord symbols."""
        if self._sheet.is_given is not None:
            legend = expressions.TextExpression("black: given, blue: added")
            legend.placement = "above"
            self._insert(part, Fraction(0), legend)
        words = [each for each in self._sheet.marks.words if each.is_above]
        for each in words:
            above = expressions.TextExpression(each.text)
            above.placement = "above"
            self._insert(part, each.onset, above)
        for time, quarters_per_minute in self._tempos():
            self._insert(part, time, tempo.MetronomeMark(number=quarters_per_minute))
        for name in self._sheet.chords:
            self._insert(part, Fraction(name.time_ticks, self._score.ticks_per_quarter), chord_symbol(name))

    def write_below(self, part: AnyStream) -> None:
        """Write what stands below the last staff: dynamics and Roman numerals."""
        for each in self._sheet.marks.words:
            if not each.is_above:
                known = each.text in dynamics.shortNames
                mark = dynamics.Dynamic(each.text) if known else expressions.TextExpression(each.text)
                mark.placement = "below"
                self._insert(part, each.onset, mark)
        for name in self._sheet.chords:
            if name.numeral:
                numeral = expressions.TextExpression(name.numeral)
                numeral.placement = "below"
                numeral.style.absoluteY = _NUMERALS_Y
                self._insert(part, Fraction(name.time_ticks, self._score.ticks_per_quarter), numeral)

    def _tempos(self) -> list[tuple[Fraction, int]]:
        events = [
            (Fraction(event.time, self._score.ticks_per_quarter), round(event.qpm)) for event in self._score.tempos
        ]
        return events if len(events) <= _MAX_TEMPOS else events[:1]

    def _insert(self, part: AnyStream, time: Fraction, element: Any) -> None:
        index = max(bisect.bisect_right(self._bars, time, key=lambda own: own.start) - 1, 0)
        if time < self._bars[index].end:
            part.getElementsByClass(stream.Measure)[index].insert(time - self._bars[index].start, element)


def _inside(layer: Layer, own: StavedBar) -> Sequence[Staved]:
    """What of a layer sounds in a bar."""
    first = bisect.bisect_right(layer, own.start, key=lambda item: item.end)
    return layer[first : bisect.bisect_left(layer, own.end, key=lambda item: item.onset)]
