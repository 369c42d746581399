"""The measures of one part of a MusicXML file.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Literal
from xml.etree.ElementTree import Element

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.key import NATURALS
from descant_tokenizers.scores.marks import SYMBOLS, Lyric
from descant_tokenizers.scores.measures import settled
from descant_tokenizers.scores.musicxml.directions import Directions, ends_of_endings
from descant_tokenizers.scores.musicxml.elements import (
    FREE_METER,
    TYPES,
    WrittenMeasure,
    countable,
    number_of,
    number_or,
    short_rests,
    stated_length,
    text_of,
    value_of,
)
from descant_tokenizers.scores.written import AnyWritten, Report, WrittenGrace, WrittenNote, WrittenPart

_SYLLABIC: dict[tuple[bool, bool], Literal["single", "begin", "middle", "end"]] = {
    (True, True): "single",
    (True, False): "begin",
    (False, False): "middle",
    (False, True): "end",
}
_ELISION = "\u203f"
_MAX_SYLLABLE = 120
_FORTE = 90  # MIDI velocity of dynamics="100"
_MAX_SHARPS = 7
_MAX_NOTES = 200_000  # of a part, with measures that a sign repeats
# Elements that neither sound nor belong to the text: layout, and what note values and other elements already say.
_LAYOUT = frozenset({"print", "bookmark", "link", "grouping", "listening"})
_SYMBOL_GROUPS = ("articulations", "ornaments", "technical")
_SHOWN_OTHERWISE = frozenset({"tied", "tuplet", "slur", "fermata", "accidental-mark", "footnote", "level"})


class PartParser:
    """Goes through the measures of a part.

    Args:
        part: Receives what is found.
        report: Receives what is left out.
        max_notes: Bound on the notes of the part.
    """

    def __init__(self, part: WrittenPart, report: Report, max_notes: int) -> None:
        self.part, self.report, self._max_notes = part, report, max_notes
        self._divisions = Fraction(1)
        self._meter: tuple[int, int] | None = None
        self._shift = 0  # semitones from the written to the sounding pitch
        self._start = self._cursor = self._reach = Fraction(0)
        self._lacking: dict[Element, Fraction] = {}  # rests of a measure that are too short
        self._added = Fraction(0)  # what they received since the last step back
        self._rounding = Fraction(0)  # by how much its durations were rounded
        self._chord_onset = Fraction(0)
        self._chord_place = 0
        self._measure = -1
        self._begins: list[tuple[Fraction, int]] = []  # of the measures so far: onset and index of the first note
        self._repeated = 0  # measures that a repeat sign such as `%` plays again
        self._graces: dict[str, list[WrittenGrace]] = {}
        self._open_slurs: dict[str, AnyWritten] = {}
        self._early_ends: dict[str, AnyWritten] = {}  # of slurs that begin further below in the measure
        self._open_hairpins: dict[str, tuple[Fraction, bool]] = {}
        self._verses: dict[str, int] = {}

    def parse(self, measure: Element, start: Fraction) -> WrittenMeasure:
        """Read a measure that begins at `start`.

        Raises:
            ValueError: A number is missing or wrong.
            InputError: A pitch is beyond the range of MIDI.
        """
        self._start = self._cursor = self._reach = start
        self._measure += 1
        directions = Directions(self.part, self.report, start, self._open_hairpins)
        num_before = len(self.part.notes)
        self._begins.append((start, num_before))
        self._added = self._rounding = Fraction(0)
        for attributes in measure.findall("attributes")[:1]:
            self._take_units(attributes)
        if self._meter not in (None, FREE_METER):
            self._lacking = short_rests(measure, self._divisions, Fraction(4 * self._meter[0], self._meter[1]))
        for element in measure:
            if element.tag == "note":
                self._take_note(element)
            elif element.tag in ("backup", "forward"):
                step = number_of(element.findtext("duration")) / self._divisions
                moved = self._cursor + (step if element.tag == "forward" else -step - self._added)
                self._added = Fraction(0)
                if abs(moved - self._start) <= self._rounding:
                    moved = self._start
                self._cursor = settled(max(self._start, moved))
                self._reach = max(self._reach, self._cursor)
            elif element.tag == "attributes":
                self._take_attributes(element)
            elif element.tag in ("direction", "harmony", "barline", "sound"):
                offset = number_or(element.findtext("offset"), 0) / self._divisions
                directions.take(element, countable(max(start, self._cursor + offset)), self._cursor)
            elif element.tag == "figured-bass":
                self.report.dropped["figured bass sign"] += 1
            elif element.tag not in _LAYOUT:
                self.report.elements[element.tag] += 1
        if self._repeated and len(self.part.notes) == num_before:
            self._repeat_measure()
        self._settle_graces(num_before)
        directions.end_measure(self._reach)
        self._drop_early_ends()
        length = self._reach - start
        has_notes = len(self.part.notes) > num_before
        return WrittenMeasure(length, self._meter, measure.get("implicit") == "yes", has_notes)

    def finish(self) -> None:
        """Count what was never completed."""
        if left := sum(len(graces) for graces in self._graces.values()):
            self.report.dropped["grace note without a note"] += left
        if self._open_slurs:
            self.report.dropped["slur without an end"] += len(self._open_slurs)
        if self._open_hairpins:
            self.report.dropped["hairpin without an end"] += len(self._open_hairpins)
        self.part.signs += [*ends_of_endings(self.part.signs)]

    def _settle_graces(self, first: int) -> None:
        """Give grace notes at the end of the measure before to another voice's note if their own voice has a rest."""
        for voice, graces in list(self._graces.items()):
            there = (note for note in self.part.notes[first:] if note.onset == graces[-1].onset == self._start)
            note = next((note for note in there if note.place == 0 and note.staff == graces[-1].staff), None)
            if note is not None:
                note.graces = self._graces.pop(voice) + note.graces

    def _drop_early_ends(self) -> None:
        if self._early_ends:
            self.report.dropped["slur without a beginning"] += len(self._early_ends)
            self._early_ends = {}

    def _repeat_measure(self) -> None:
        """Write out a measure that a sign says again."""
        before = self._measure - self._repeated
        if before < 0:
            return
        (start, first), (_, last) = self._begins[before : before + 2]
        shift = self._start - start
        if len(self.part.notes) + last - first > _MAX_NOTES:
            raise InputError("The file repeats measures of too many notes. Cut it into shorter files.")
        for note in self.part.notes[first:last]:
            onset, end = note.onset + shift, note.end + shift
            graces = [replace(grace) for grace in note.graces]
            copy = replace(note, onset=onset, end=end, measure=self._measure, lyrics=(), graces=graces, head=None)
            self.part.notes.append(copy)
            self.part.voices.add((self._measure, note.staff, note.voice))
            self._reach = max(self._reach, end)
        if len(self.part.notes) > self._max_notes:
            raise InputError(f"The file has over {self._max_notes:,} notes with its repeated bars. Cut it shorter.")

    def _take_units(self, attributes: Element) -> None:
        if (divisions := attributes.findtext("divisions")) is not None:
            self._divisions = number_of(divisions)
            if self._divisions <= 0:
                raise ValueError("divisions is not positive")
        for time in attributes.findall("time"):
            self._take_time(time)

    def _take_attributes(self, element: Element) -> None:
        self._take_units(element)
        for transpose in element.findall("transpose"):
            octaves = number_of(transpose.findtext("octave-change") or "0")
            self._shift = round(number_of(transpose.findtext("chromatic") or "0") + 12 * octaves)
        for key in element.findall("key"):
            self._take_key(key)
        for style in element.findall("measure-style"):
            if (repeat := style.find("measure-repeat")) is not None:
                size = int(number_or(repeat.text, 1))
                self._repeated = size if repeat.get("type") == "start" and size > 0 else 0
            for kind in ("beat-repeat", "slash"):
                if (found := style.find(kind)) is not None and found.get("type") == "start":
                    self.report.dropped[f"{kind.replace('-', ' ')} sign"] += 1

    def _take_time(self, time: Element) -> None:
        beats, units = time.findall("beats"), time.findall("beat-type")
        if time.find("senza-misura") is not None:
            self._meter = FREE_METER
        if not beats or len(beats) != len(units):
            return
        finest = max(int(number_of(unit.text)) for unit in units)
        total = Fraction(0)
        for count, unit in zip(beats, units, strict=True):
            size = int(number_of(unit.text))
            if size < 1:
                raise ValueError("a time signature has no unit")
            total += sum((number_of(each) for each in (count.text or "").split("+")), Fraction(0)) * Fraction(
                finest, size
            )
        if total.denominator == 1 and total > 0:
            self._meter = int(total), finest

    def _take_key(self, key: Element) -> None:
        try:
            sharps = int(number_of(key.findtext("fifths")))
        except ValueError:
            self.report.dropped["key signature that is not one of sharps or flats"] += 1
            return
        if self._shift % 12:
            sharps = (sharps + 7 * self._shift + 5) % 12 - 5
        if abs(sharps) > _MAX_SHARPS:
            self.report.dropped[f"key signature of more than {_MAX_SHARPS} sharps or flats"] += 1
            return
        mode = text_of(key, "mode").lower()
        known = self.part.keys.get(self._cursor)
        if known is None or (mode and not known[1]):
            self.part.keys[self._cursor] = sharps, mode
        elif (sharps - known[0]) % 12:
            self.report.dropped["key signature of one staff"] += 1

    def _take_note(self, element: Element) -> None:
        is_grace = element.find("grace") is not None
        is_chord = element.find("chord") is not None
        length = Fraction(0) if is_grace else self._length_of(element)
        onset = self._chord_onset if is_chord and not is_grace else self._cursor
        countable(onset + length)
        if not is_grace and not is_chord:
            self._chord_onset = onset
            added = self._lacking.get(element, Fraction(0))
            self._added += added
            self._cursor = settled(self._cursor + length + added)
            self._reach = max(self._reach, self._cursor)
        self._chord_place = self._chord_place + 1 if is_chord else 0
        staff = int(number_of(element.findtext("staff") or "1"))
        self.part.voices.add((self._measure, staff, text_of(element, "voice") or "1"))
        pitch = element.find("pitch")
        if element.find("cue") is not None:
            if pitch is not None:
                self.report.dropped["cue note"] += 1
        elif pitch is not None:
            if is_grace:
                self._take_grace(element, pitch, staff, is_chord=is_chord)
            else:
                self._add(element, pitch, onset, length, staff)
        elif element.find("unpitched") is not None:
            self.report.dropped["note of percussion"] += 1
        elif element.find("notations/fermata") is not None:
            self.report.dropped["fermata over a rest"] += 1

    def _length_of(self, element: Element) -> Fraction:
        duration = element.findtext("duration")
        if duration is not None:
            length = max(number_of(duration), Fraction(0)) / self._divisions
            rest = element.find("rest")
            if rest is not None and rest.get("measure") == "yes" and self._meter not in (None, FREE_METER):
                return min(length, Fraction(4 * self._meter[0], self._meter[1]))  # often that of a whole note
            exact = stated_length(element, length, 1 / self._divisions)
            self._rounding += abs(exact - length)
            return exact
        return value_of(element)

    def _sounding(self, pitch: Element) -> tuple[int, tuple[str, int] | None]:
        """Return the MIDI pitch that sounds, and the spelling if it is the one that is written."""
        step, octave = text_of(pitch, "step"), int(number_of(pitch.findtext("octave")))
        if step not in NATURALS:
            raise ValueError(f"'{printable(step, 10)}' is not a step")
        alter = number_of(pitch.findtext("alter") or "0")
        if alter.denominator > 1:
            self.report.num_microtones += 1
        rounded = round(alter)
        found = 12 * (octave + 1) + NATURALS[step] + rounded + self._shift
        if not 0 <= found <= 127:
            name = step + "#" * min(max(rounded, 0), 3) + "b" * min(max(-rounded, 0), 3)
            raise InputError(f"The file holds the pitch {name}{octave}, beyond the range of MIDI. Transpose it.")
        is_as_written = self._shift % 12 == 0 and abs(rounded) <= 2
        return found, (step, rounded) if is_as_written else None

    def _take_grace(self, element: Element, pitch: Element, staff: int, *, is_chord: bool) -> None:
        sounding = self._sounding(pitch)
        voice = text_of(element, "voice") or "1"
        pending = self._graces.setdefault(voice, [])
        if is_chord and pending:
            pending[-1].pitches.append(sounding)
        else:
            grace = element.find("grace")
            has_slash = grace is not None and grace.get("slash", "no") == "yes"
            length = TYPES.get(text_of(element, "type"), Fraction(1, 2))
            pending.append(WrittenGrace(self._cursor, [sounding], length, has_slash, voice=voice, staff=staff))
        self.report.dropped["tie of a grace note"] += "start" in _ties_of(element)
        self.report.dropped["syllable under a grace note"] += len(element.findall("lyric/text"))
        self._take_notations(pending[-1], element)

    def _add(self, element: Element, pitch: Element, onset: Fraction, length: Fraction, staff: int) -> None:
        number, spelling = self._sounding(pitch)
        dynamics = element.get("dynamics")
        note = WrittenNote(
            onset,
            onset + length,
            number,
            spelling,
            text_of(element, "voice") or "1",
            staff,
            self._chord_place,
            self._measure,
            None if dynamics is None else max(1, min(127, round(number_or(dynamics, 100) * _FORTE / 100))),
            _ties_of(element),
            tuple(self._lyrics(element)),
        )
        if self._chord_place == 0 and note.voice in self._graces:
            note.graces = self._graces.pop(note.voice)
        self.part.notes.append(note)
        self._take_notations(note, element)

    def _take_notations(self, note: AnyWritten, element: Element) -> None:
        children = [child for each in element.findall("notations") for child in each]
        for notation in sorted(children, key=lambda child: child.get("type") != "stop"):
            self._take_notation(note, notation)
        notehead = text_of(element, "notehead")
        self.report.elements[f"notehead {notehead}"] += notehead not in ("", "normal")

    def _take_notation(self, note: AnyWritten, notation: Element) -> None:
        if notation.tag == "fermata":
            note.has_fermata = True
        elif notation.tag == "slur":
            self._take_slur(note, notation.get("number", "1"), notation.get("type", ""))
        elif notation.tag in _SYMBOL_GROUPS or notation.tag == "arpeggiate":
            for child in notation if notation.tag in _SYMBOL_GROUPS else (notation,):
                self._take_symbol(note, child)
        elif notation.tag == "dynamics":
            for child in notation:
                self.part.words.append(Directions.dynamic(child, note.onset))
        elif notation.tag not in _SHOWN_OTHERWISE:
            self.report.elements[notation.tag] += notation.get("type") != "stop"

    def _take_slur(self, note: AnyWritten, number: str, kind: str) -> None:
        if kind == "stop" and number in self._open_slurs:
            first, last = sorted(
                (self._open_slurs.pop(number), note), key=lambda end: end.onset
            )  # either is written first
            self.part.slurs.append((first, last))
        elif kind == "stop":
            self._early_ends[number] = note
        elif kind == "start" and number in self._early_ends and _precedes(note, self._early_ends[number]):
            self.part.slurs.append((note, self._early_ends.pop(number)))
        elif kind == "start":
            if number in self._open_slurs:
                self.report.dropped["slur without an end"] += 1
            self._open_slurs[number] = note

    def _take_symbol(self, note: AnyWritten, element: Element) -> None:
        name = element.tag
        if name == "tremolo" and element.get("type", "single") == "single":
            name = f"tremolo-{(element.text or '').strip()}"
        if name in SYMBOLS:
            note.symbols += (name,)
        elif name == "accidental-mark" or name not in _SHOWN_OTHERWISE:
            self.report.elements[element.tag] += 1

    def _lyrics(self, element: Element) -> list[Lyric]:
        found = []
        for lyric in element.findall("lyric"):
            texts, places = [], []
            for child in lyric:
                if child.tag == "text":
                    texts.append(child.text or "")
                elif child.tag == "elision":
                    texts.append((child.text or "").strip() or _ELISION)
                elif child.tag == "syllabic":
                    places.append((child.text or "").strip())
                elif child.tag in ("laughing", "humming"):
                    self.report.elements[child.tag] += 1
            text = printable("".join(texts), _MAX_SYLLABLE)
            extend = lyric.find("extend")
            verse = self._verse(lyric.get("number") or lyric.get("name") or "1")
            if not text and extend is not None and extend.get("type") == "stop":
                found.append(Lyric("", "single", verse))
            if text:
                begins = not places or places[0] in ("single", "begin")
                ends = not places or places[-1] in ("single", "end")
                is_extended = extend is not None and extend.get("type", "start") == "start"
                found.append(Lyric(text, _SYLLABIC[begins, ends], verse, is_extended))
        return found

    def _verse(self, number: str) -> int:
        """Return the number of a verse; verses may also have names."""
        if number.isascii() and number.isdecimal() and 0 < int(number[:4]) < 100:
            return int(number[:4])
        return self._verses.setdefault(number, len(self._verses) + 1)


def _precedes(note: AnyWritten, end: AnyWritten) -> bool:
    """Return True if a slur may begin at a note and end at one that is written before it."""
    return note.onset < end.onset or (note.onset == end.onset and note.voice != end.voice)


def _ties_of(element: Element) -> frozenset[str]:
    kinds = {tie.get("type", "") for tie in (*element.iter("tie"), *element.iter("tied"))}
    return frozenset({"start", "stop"} if "continue" in kinds else kinds & {"start", "stop"})
