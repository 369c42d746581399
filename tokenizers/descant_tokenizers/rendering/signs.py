"""What stands above and below the staves: repeats and jumps, words, tempos, dynamics and chord symbols.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any
from xml.sax.saxutils import escape

from music21 import bar, duration, dynamics, expressions, harmony, repeat, spanner, stream, tempo

from descant_tokenizers.rendering.chords import ChordName
from descant_tokenizers.rendering.layers import PrintedMeasure, measure_at
from descant_tokenizers.rendering.spelling import note_name
from descant_tokenizers.rendering.svg_text import stacked_figures
from descant_tokenizers.scores.chords import CHORD_SUFFIXES, NO_CHORD_SYMBOL
from descant_tokenizers.scores.marks import Hairpin, Marks, Metronome, RepeatSign, Words

EXTENDED = "\ue000"
"""Ends the text of a syllable that a line extends, until `finished` replaces it: music21 has no such line."""

LINE_END = "\ue001"
"""Text on the note where such a line ends."""

FAULT_COLOR = "#C1121F"
"""Color of faulty notes, and of the words above them."""

_NUMERALS_Y = -70  # tenths of a staff space from its top line; equal ones are engraved on one line
_MOMENT = Fraction(1, 1000)  # what ends at a bar line belongs to the measure before
_EXACT = 0.005  # quarters a minute
_KINDS = {suffix: kind for kind, suffix in CHORD_SUFFIXES.items()}
_CHORD = re.compile(r"([A-G])(#{1,2}|b{1,2})?([^/]*)(?:/([A-G])(#{1,2}|b{1,2})?)?")
# Words of jumps, and what they say to programs that play the file.
_SOUNDS = {
    "D.C.": 'dacapo="yes"',
    "D.S.": 'dalsegno="segno"',
    "To Coda": 'tocoda="coda"',
    "Fine": 'fine="yes"',
}
_JUMP = re.compile(
    r"(<words[^>]*>(D\.C\.|D\.S\.|To Coda|Fine)[^<]*</words>\s*</direction-type>)(.*?)(\s*</direction>)", re.DOTALL
)
# A metronome mark and its words, which music21 writes behind it as a direction of their own.
_TEMPO = re.compile(
    r"<direction>(\s*<direction-type>\s*<metronome(?:(?!</direction>).)*</direction>)\s*"
    r'<direction>(\s*<direction-type>\s*<words [^>]*font-weight="bold">(?:(?!</direction-type>).)*</direction-type>)\s*'
    r"(?:<staff>\d</staff>\s*)?</direction>",
    re.DOTALL,
)
_EXTENDED_TEXT = re.compile(rf"([ \t]*)(<text>[^<]*){EXTENDED}(</text>)")

_LINE_END = re.compile(rf"(?:<syllabic>\w+</syllabic>\s*)?<text>{LINE_END}</text>")

AnyStream = Any  # the type parameter of music21's streams says nothing here


class IndexedSpanners(spanner.SpannerBundle):
    """Spanners by their elements: music21 looks through all of them for each note that it writes.

    Slurs and hairpins that overlap in the file have different numbers; music21 counts to six and begins again.

    Args:
        spanners: The spanners.
        parts: The staves of each part: their measures are written in turn.
    """

    def __init__(
        self, spanners: list[spanner.Spanner] | None = None, parts: Iterable[Sequence[AnyStream]] = ()
    ) -> None:
        super().__init__(spanners)
        self._spanners_of: dict[int, list[spanner.Spanner]] = {}
        self._places: dict[int, tuple[int, int]] = {}  # number of the part, and place in it
        for number, staves in enumerate(parts):
            measures = zip(*(staff.getElementsByClass(stream.Measure) for staff in staves), strict=True)
            elements = (element for together in measures for measure in together for element in measure.recurse())
            self._places |= {id(element): (number, place) for place, element in enumerate(elements)}
        for each in self:
            for element in each.getSpannedElements():
                self._spanners_of.setdefault(id(element), []).append(each)

    def getBySpannedElement(self, spannedElement: Any) -> spanner.SpannerBundle:  # noqa: N802
        """Return the spanners of an element."""
        return spanner.SpannerBundle(self._spanners_of.get(id(spannedElement), []))

    def setIdLocalByClass(self, className: str, maxId: int = 16) -> None:  # noqa: N802
        """Give the spanners of a class numbers from 1 on, of which those of earlier ones are free again."""
        stretches = sorted((self._stretch(each), index, each) for index, each in enumerate(self.getByClass(className)))
        ends: dict[int, list[int]] = {}
        for (part, first, last), _, each in stretches:
            own = ends.setdefault(part, [-1] * maxId)
            number = next((number for number, end in enumerate(own) if end < first), maxId - 1)
            each.idLocal, own[number] = number + 1, last

    def _stretch(self, each: spanner.Spanner) -> tuple[int, int, int]:
        """Return the part of a spanner, and where its first and last end are written; at one note, ends come first."""
        (part, begin), (_, end) = (self._places.get(id(own), (0, 0)) for own in (each.getFirst(), each.getLast()))
        return part, min(2 * begin + 1, 2 * end), max(2 * begin + 1, 2 * end)


def write_bar_lines(part: AnyStream, measures: Sequence[PrintedMeasure], signs: Sequence[RepeatSign]) -> None:
    """Write the bar lines of repeats into all measures of a part."""
    written = list(part.getElementsByClass(stream.Measure))
    for sign in signs:
        before, after = _beside(measures, sign.time)
        if sign.kind == "start" and after is not None:
            written[after].leftBarline = bar.Repeat(direction="start")
        elif sign.kind == "end" and before is not None:
            times = sign.passes[0] if sign.passes and sign.passes[0] > 2 else None
            written[before].rightBarline = bar.Repeat(direction="end", times=times)
        elif sign.kind in ("double", "fine") and before is not None and written[before].rightBarline is None:
            written[before].rightBarline = bar.Barline("double" if sign.kind == "double" else "final")


def write_signs(part: AnyStream, measures: Sequence[PrintedMeasure], signs: Sequence[RepeatSign]) -> None:
    """Write endings, jumps and their targets above a part."""
    written = list(part.getElementsByClass(stream.Measure))
    kinds = {sign.kind for sign in signs}
    goal = " al Fine" if "fine" in kinds else " al Coda" if "to coda" in kinds else ""
    words = {"da capo": f"D.C.{goal}", "dal segno": f"D.S.{goal}", "to coda": "To Coda", "fine": "Fine"}
    for sign in signs:
        before, after = _beside(measures, sign.time)
        if sign.kind == "ending" and after is not None:
            stop = sign.until or _end_of_ending(signs, sign, measures[after].end)
            inside = [own for own, each in zip(written, measures, strict=True) if sign.time <= each.start < stop]
            part.insert(0, spanner.RepeatBracket(inside, number=", ".join(map(str, sign.passes))))
        elif sign.kind in words and before is not None:
            text = expressions.TextExpression(words[sign.kind])
            text.placement = "above"
            written[before].insert(measures[before].length, text)
        elif sign.kind in ("segno", "coda") and after is not None:
            written[after].insert(0, repeat.Segno() if sign.kind == "segno" else repeat.Coda())
        elif sign.kind == "part" and after is not None and sign.label:
            written[after].insert(0, expressions.RehearsalMark(sign.label))


def _beside(measures: Sequence[PrintedMeasure], time: Fraction) -> tuple[int | None, int | None]:
    """Return the indices of the measures that end and begin at a time."""
    before = next((index for index, own in enumerate(measures) if own.start < time <= own.end), None)
    after = next((index for index, own in enumerate(measures) if own.start == time), None)
    is_last = before is None and measures and time > measures[-1].start
    return len(measures) - 1 if is_last else before, after


def _end_of_ending(signs: Sequence[RepeatSign], ending: RepeatSign, default: Fraction) -> Fraction:
    """Return where the bracket of an ending ends if the file does not say so; the last one has one measure."""
    later = (sign.time for sign in signs if sign.time > ending.time and sign.kind in ("end", "ending", "start"))
    return next(later, default)


class Annotator:
    """Writes words, tempos, dynamics and chords into the measures of a part.

    Args:
        part: A music21 part.
        measures: Its measures.
    """

    def __init__(self, part: AnyStream, measures: Sequence[PrintedMeasure]) -> None:
        self._part = part
        self._written, self._measures = list(part.getElementsByClass(stream.Measure)), measures

    def write_words(self, words: Iterable[Words], *, is_above: bool) -> None:
        """Write words and marks that stand above or below; tempo words are written with the tempos."""
        for each in words:
            if each.is_above == is_above and each.kind != "tempo":
                mark = _mark(each)
                mark.placement = "above" if is_above else "below"
                self.insert(each.onset, mark)

    def write_hairpins(self, hairpins: Iterable[Hairpin]) -> None:
        """Write hairpins from one time to another, below the staff."""
        for each in hairpins:
            ends = [spanner.SpannerAnchor(), spanner.SpannerAnchor()]
            self.insert(each.onset, ends[0])
            last = measure_at(self._measures, each.end - _MOMENT)
            self._written[last].insert(min(each.end, self._measures[last].end) - self._measures[last].start, ends[1])
            hairpin = dynamics.Crescendo(*ends) if each.is_louder else dynamics.Diminuendo(*ends)
            hairpin.placement = "below"
            self._part.insert(0, hairpin)

    def write_tempos(
        self, tempos: Sequence[tuple[Fraction, float]], metronomes: Sequence[Metronome], words: Iterable[Words]
    ) -> None:
        """Write tempos in quarters per minute, in the note value of the file, else in that of the meter's beat."""
        known = {mark.onset: mark for mark in metronomes}
        texts: dict[Fraction, list[str]] = {}
        for each in words:
            if each.kind == "tempo":
                texts.setdefault(each.onset, []).append(each.text)
        for time, quarters_per_minute in tempos:
            mark = known.get(time)
            meter = self._measures[measure_at(self._measures, time)].meter
            unit = mark.unit if mark is not None else meter.beat if meter.is_compound else Fraction(1)
            rate = mark.per_minute if mark is not None else quarters_per_minute / float(unit)
            number = round(rate) if abs(rate - round(rate)) < _EXACT or mark is None else rate
            referent = duration.Duration(quarterLength=unit)
            text = f"{texts[time].pop(0)} " if texts.get(time) else None
            self.insert(time, tempo.MetronomeMark(text, number, referent))
        for time, others in texts.items():
            for other in others:
                self.insert(time, tempo.TempoText(other))

    def write_chords(self, chords: Iterable[ChordName], ticks_per_quarter: int, *, numerals: bool) -> None:
        """Write the symbols or the Roman numerals of chords that were found in the notes."""
        for name in chords:
            if not numerals:
                self.insert(Fraction(name.time_ticks, ticks_per_quarter), _found_chord(name))
            elif name.numeral:
                numeral = expressions.TextExpression(stacked_figures(name.numeral))
                numeral.placement = "below"
                numeral.style.absoluteY = _NUMERALS_Y
                self.insert(Fraction(name.time_ticks, ticks_per_quarter), numeral)

    def write_chord_texts(self, chords: Iterable[Words]) -> None:
        """Write chord symbols as the file has them."""
        for each in chords:
            self.insert(each.onset, _chord_of(each.text))

    def insert(self, time: Fraction, element: Any) -> None:
        """Insert an element, if the music has not ended before; one at its end stands behind the last note."""
        index = measure_at(self._measures, time)
        if time <= self._measures[index].end:
            self._written[index].insert(time - self._measures[index].start, element)


def _mark(words: Words) -> Any:
    if words.kind == "rehearsal":
        return expressions.RehearsalMark(words.text)
    if not words.is_above and words.text in dynamics.shortNames:
        return dynamics.Dynamic(words.text)
    text = expressions.TextExpression(words.text)
    if words.kind == "fault":
        text.style.color = FAULT_COLOR
    return text


def _found_chord(name: ChordName) -> harmony.ChordSymbol:
    """Return music21's chord symbol, printed with our suffix."""
    bass = note_name(*name.bass, flat="-") if name.bass != name.root else None
    symbol = harmony.ChordSymbol(root=note_name(*name.root, flat="-"), kind=name.kind, bass=bass)
    symbol.chordKindStr = name.suffix
    return symbol


def _chord_of(text: str) -> Any:
    """Return the chord symbol of a text such as `Bbm7/F`; other texts are words."""
    found = _CHORD.fullmatch(text)
    if text == NO_CHORD_SYMBOL:
        return harmony.NoChord()
    if found is None:
        mark = expressions.TextExpression(text)
        mark.placement = "above"
        return mark
    step, sign, suffix, bass, bass_sign = (group or "" for group in found.groups())
    root = step + sign.replace("b", "-")
    low = bass + bass_sign.replace("b", "-") if bass else None
    symbol = harmony.ChordSymbol(root=root, kind=_KINDS.get(suffix, "major"), bass=low)
    symbol.chordKindStr = suffix
    if suffix not in _KINDS:
        symbol.chordKind = "other"
    return symbol


def _credits(title: str, marks: Marks, legend: str) -> str:
    """Return what stands on the page: engravers print more than the title only if it is stated."""
    if not (marks.composer or marks.lyricist or legend):
        return ""
    places = (
        ("title", title, 'font-size="18" justify="center" valign="top"'),
        ("composer", marks.composer, 'justify="right" valign="bottom"'),
        ("subtitle", legend, 'font-size="9" font-style="italic" justify="center" valign="bottom"'),
        ("lyricist", marks.lyricist, 'justify="left" valign="bottom"'),
    )
    return "".join(
        f"""  <credit page="1">
    <credit-type>{kind}</credit-type>
    <credit-words {style}>{escape(text)}</credit-words>
  </credit>
"""
        for kind, text, style in places
        if text
    )


def finished(text: str, title: str, marks: Marks, legend: str) -> str:
    """Return MusicXML of music21 with what it does not write: plain part ids, lines of melismas, sounds of jumps.

    It names parts at random: numbered, the same score gives the same file. Where a score has no title or composer, it
    names itself.
    """
    for number, name in enumerate(re.findall(r'<score-part id="(P[0-9a-f]{32})">', text), start=1):
        text = text.replace(name, f"P{number}")
    for number, name in enumerate(re.findall(r'<score-instrument id="(I[0-9a-f]{32})">', text), start=1):
        text = text.replace(name, f"P{number}-I1")
    if not marks.composer:
        text = re.sub(r'\s*<creator type="composer">Music21</creator>', "", text)
    text = re.sub(r"\s*<movement-title>Music21 Fragment</movement-title>", "", text)
    text = text.replace("  <part-list>", f"{_credits(title, marks, legend)}  <part-list>", 1)
    text = _TEMPO.sub(r'<direction placement="above">\2\1', text)
    text = _EXTENDED_TEXT.sub(r"\1\2\3\n\1<extend />", text)
    text = _LINE_END.sub('<extend type="stop" />', text)
    return _JUMP.sub(lambda jump: f"{jump[1]}{jump[3]}\n        <sound {_SOUNDS[jump[2]]} />{jump[4]}", text)
