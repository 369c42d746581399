"""Scores as MusicXML, through music21: measures, voices, ties, beams, accidentals, clefs and brackets.

Voices are laid out note by note here, because music21 knows nothing of a pickup's time signature or of given notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from music21 import chord, clef, expressions, key, layout, metadata, meter, note, pitch, stream, tie
from music21.musicxml.m21ToXml import GeneralObjectExporter
from music21.musicxml.xmlObjects import MusicXMLExportException
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_tokenizers.engraving.spelling import key_of, spell
from descant_tokenizers.errors import InputError, printable
from descant_tokenizers.scores import VOICES, Bar, bars_of

__all__ = ["ADDED_COLOUR", "Layout", "to_music21", "to_musicxml"]

ADDED_COLOUR = "#0072b2"
Layout = Literal["open", "closed"]
"""A staff for each track, or two voices to a staff."""

GivenRule = Callable[[str, NoteTick], bool]
AnyStream = Any  # music21's streams are generic in ways that say nothing here

_CLEFS: Mapping[str, type[clef.Clef]] = {"Tenor": clef.Treble8vbClef, "Bass": clef.BassClef}
_MIDDLE_C = 60


@dataclass(frozen=True)
class _Chord:
    """Notes of one track that begin and end together, in quarters."""

    onset: Fraction
    end: Fraction
    pitches: tuple[int, ...]
    given: bool


def to_musicxml(
    score: ScoreTick, *, title: str = "", arrangement: Layout = "open", is_given: GivenRule | None = None
) -> str:
    """Write a score as the text of a MusicXML file; see `to_music21`.

    Raises:
        InputError: As for `to_music21`, or a note or rest is shorter than notation can say.
    """
    written = to_music21(score, title=title, arrangement=arrangement, is_given=is_given)
    try:
        data: bytes = GeneralObjectExporter().parse(written)
    except MusicXMLExportException as error:
        reason = printable(str(error), 100)
        raise InputError(f"the score's rhythm is too fine to be written ({reason}); quantize it first.") from error
    return data.decode("utf-8")


def to_music21(
    score: ScoreTick,
    *,
    title: str = "",
    arrangement: Layout = "open",
    is_given: GivenRule | None = None,
) -> AnyStream:
    """Turn a score into measured parts, ready to be written.

    Args:
        score: Any score with pitched notes; percussion is left out.
        title: Stands above the first system.
        arrangement: `open` has a staff for each track; `closed` two voices to a staff, for four named voices only.
        is_given: Which notes were given; the others get a colour, and a line of text says so.

    Raises:
        InputError: There are no pitched notes, or `closed` is asked for other tracks.
    """
    tracks = [track for track in score.tracks if track.notes and not track.is_drum]
    if not tracks:
        raise InputError("the score has no pitched notes, so there is nothing to engrave; give one that has.")
    if arrangement == "closed" and {track.name for track in tracks} != set(VOICES):
        raise InputError(f"a closed score holds {', '.join(VOICES)}; ask for an open one.")
    bars = bars_of(score)
    ordered = sorted(tracks, key=lambda track: VOICES.index(track.name)) if arrangement == "closed" else tracks
    layers = [_layers(track, score.ticks_per_quarter, is_given) for track in ordered]
    groups = [[0, 1], [2, 3]] if arrangement == "closed" else [[index] for index in range(len(ordered))]
    writer = _Writer(score, bars, is_closed=arrangement == "closed")
    result = stream.Score()
    result.metadata = metadata.Metadata(title=printable(title, 120) or None)
    for number, group in enumerate(groups):
        names = [ordered[index].name or f"Track {index + 1}" for index in group]
        voices = [layer for index in group for layer in layers[index]]
        part = writer.part(f"P{number + 1}", ", ".join(names), voices)
        result.append(part)
    _brackets(result)
    if is_given is not None:
        _legend(result)
    return result


def _layers(track: TrackTick, ticks_per_quarter: int, is_given: GivenRule | None) -> list[list[_Chord]]:
    """Gather notes to chords, and chords to layers in which none overlaps the next."""
    gathered: dict[tuple[int, int, bool], set[int]] = {}
    for found in track.notes:
        given = is_given is None or is_given(track.name, found)
        gathered.setdefault((found.time, found.time + found.duration, given), set()).add(found.pitch)
    layers: list[list[_Chord]] = []
    for (start, end, given), pitches in sorted(gathered.items(), key=lambda item: (item[0][0], -max(item[1]))):
        new = _Chord(
            Fraction(start, ticks_per_quarter), Fraction(end, ticks_per_quarter), tuple(sorted(pitches)), given
        )
        fitting = (layer for layer in layers if layer[-1].end <= new.onset)
        layer = next(fitting, None)
        if layer is None:
            layers.append([new])
        else:
            layer.append(new)
    return layers


class _Writer:
    """Writes parts that share their bars and keys."""

    def __init__(self, score: ScoreTick, bars: Sequence[Bar], *, is_closed: bool) -> None:
        self._bars, self._is_closed = bars, is_closed
        self._unit = score.ticks_per_quarter
        sharps, self._mode = key_of(score)
        self._keys = {Fraction(event.time, self._unit): event.key for event in score.key_signatures} or {
            Fraction(0): sharps
        }

    def part(self, part_id: str, name: str, layers: Sequence[Sequence[_Chord]]) -> AnyStream:
        part = stream.Part(id=part_id)
        part.partName = printable(name, 60)
        before: tuple[int, int] | None = None
        for index, bar in enumerate(self._bars):
            measure = stream.Measure(number=bar.number)
            shown = self._shown_meter(index)
            if index == 0:
                measure.append(_clef(name, layers))
            self._put_key(measure, bar, index)
            if shown != before:
                measure.insert(0, meter.TimeSignature(f"{shown[0]}/{shown[1]}"))
                before = shown
            if bar.number == 0:
                measure.paddingLeft = float(Fraction(4 * shown[0], shown[1]) - self._length(bar))
            self._fill(measure, bar, layers)
            part.append(measure)
        part.makeAccidentals(inPlace=True, cautionaryNotImmediateRepeat=False)
        for measure in part.getElementsByClass(stream.Measure):
            stream.makeNotation.makeBeams(measure, inPlace=True)
        last = part.getElementsByClass(stream.Measure).last()
        assert last is not None, "a score with notes has bars"
        last.rightBarline = "final"
        return part

    def _length(self, bar: Bar) -> Fraction:
        return Fraction(bar.length_ticks, self._unit)

    def _shown_meter(self, index: int) -> tuple[int, int]:
        """Return the time signature to print: a pickup has that of the bar after it."""
        bar = (
            self._bars[index + 1]
            if self._bars[index].number == 0 and index + 1 < len(self._bars)
            else self._bars[index]
        )
        return bar.numerator, bar.denominator

    def _put_key(self, measure: AnyStream, bar: Bar, index: int) -> None:
        start, end = Fraction(bar.start_ticks, self._unit), Fraction(bar.end_ticks, self._unit)
        inside = [time for time in self._keys if start <= time < end]
        if index == 0 and not inside:
            measure.insert(0, key.KeySignature(0))
        for time in sorted(inside)[-1:]:
            measure.insert(0, key.KeySignature(self._keys[time]))

    def _sharps_at(self, onset: Fraction) -> int:
        times = [time for time in self._keys if time <= onset]
        return self._keys[max(times)] if times else 0

    def _fill(self, measure: AnyStream, bar: Bar, layers: Sequence[Sequence[_Chord]]) -> None:
        start, length = Fraction(bar.start_ticks, self._unit), self._length(bar)
        sounding = [
            layer for layer in layers if any(item.onset < start + length and item.end > start for item in layer)
        ]
        chosen = layers if self._is_closed else sounding or [layers[0]]
        for number, layer in enumerate(chosen, start=1):
            target = measure if len(chosen) == 1 else stream.Voice(id=str(number))
            for offset, element in self._elements(layer, start, length):
                if len(chosen) > 1 and isinstance(element, note.NotRest):
                    element.stemDirection = "up" if number % 2 else "down"
                target.insert(offset, element)
            if target is not measure:
                measure.insert(0, target)

    def _elements(
        self, layer: Sequence[_Chord], start: Fraction, length: Fraction
    ) -> Iterator[tuple[Fraction, note.GeneralNote]]:
        """Yield notes and rests that fill a bar, split into lengths that can be written."""
        at = start
        for item in layer:
            begin, end = max(item.onset, start), min(item.end, start + length)
            if begin >= end:
                continue
            if begin > at:
                yield from _placed(note.Rest(), at - start, begin - at)
            element = self._element(item)
            pieces = list(_placed(element, begin - start, end - begin))
            _tie(pieces, from_before=item.onset < begin, to_after=item.end > end)
            yield from pieces
            at = end
        if at < start + length:
            yield from _placed(note.Rest(), at - start, start + length - at)

    def _element(self, item: _Chord) -> note.NotRest:
        names = []
        for number in item.pitches:
            step, alter, octave = spell(number, self._sharps_at(item.onset), self._mode)
            spelled = pitch.Pitch(step, octave=octave)
            if alter:
                spelled.accidental = pitch.Accidental(alter)
            names.append(spelled)
        element: note.NotRest = note.Note(names[0]) if len(names) == 1 else chord.Chord(names)
        if not item.given:
            element.style.color = ADDED_COLOUR
        return element


def _placed(
    element: note.GeneralNote, offset: Fraction, length: Fraction
) -> Iterator[tuple[Fraction, note.GeneralNote]]:
    element.quarterLength = length
    for piece in element.splitAtDurations():
        yield offset, piece
        offset += Fraction(piece.quarterLength)


def _tie(pieces: Sequence[tuple[Fraction, note.GeneralNote]], *, from_before: bool, to_after: bool) -> None:
    for index, (_, piece) in enumerate(pieces):
        before = from_before or index > 0
        after = to_after or index + 1 < len(pieces)
        piece.tie = {
            (True, True): tie.Tie("continue"),
            (True, False): tie.Tie("stop"),
            (False, True): tie.Tie("start"),
        }.get((before, after))


def _clef(name: str, layers: Sequence[Sequence[_Chord]]) -> clef.Clef:
    if name in _CLEFS:
        return _CLEFS[name]()
    pitches = [number for layer in layers for item in layer for number in item.pitches]
    return clef.BassClef() if sum(pitches) / len(pitches) < _MIDDLE_C else clef.TrebleClef()


def _brackets(score: AnyStream) -> None:
    parts = list(score.parts)
    if len(parts) > 1:
        score.insert(0, layout.StaffGroup(parts, symbol="bracket", barTogether=True))


def _legend(score: AnyStream) -> None:
    text = expressions.TextExpression("black: given, blue: added")
    text.placement = "above"
    score.parts[0].getElementsByClass(stream.Measure).first().insert(0, text)
