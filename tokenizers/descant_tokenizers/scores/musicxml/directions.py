"""Directions, chord symbols and bar lines of a MusicXML file: words, tempos, dynamics, repeat signs.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from xml.etree.ElementTree import Element

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores.chords import CHORD_SUFFIXES, NO_CHORD_SYMBOL, chord_symbol
from descant_tokenizers.scores.jumps import AT_MEASURE_END, LABELED, jump_of
from descant_tokenizers.scores.marks import Metronome, RepeatSign, SignKind, Words
from descant_tokenizers.scores.musicxml.elements import TYPES, number_or, text_of
from descant_tokenizers.scores.written import Report, WrittenPart

_MAX_WORDS = 120
_MAX_LABEL = 40
_MAX_ALTER = 3
_MAX_TIED = 8
_MAX_PASSES = 99
_MAX_BETWEEN = 1_000  # signs between the bounds of an ending
_SOUNDS: dict[str, SignKind] = {
    "dacapo": "da capo",
    "dalsegno": "dal segno",
    "tocoda": "to coda",
    "fine": "fine",
    "coda": "coda",
    "segno": "segno",
    "forward-repeat": "start",
}
_IGNORED = frozenset({"metronome", "print"})


class Directions:
    """Reads what stands above and below the staves in one measure.

    Args:
        part: Receives what is found.
        report: Receives what is left out.
        start: Onset of the measure.
        hairpins: Onset and kind of the hairpins that have begun, by number.
    """

    def __init__(
        self, part: WrittenPart, report: Report, start: Fraction, hairpins: dict[str, tuple[Fraction, bool]]
    ) -> None:
        self._part, self._report, self._start, self._hairpins = part, report, start, hairpins
        self._wedges: list[tuple[Fraction, Element]] = []
        self._at_end: list[RepeatSign] = []  # signs that take effect at the end of the measure
        self._ends_ending = False
        self._last_words: Words | None = None  # words of the direction just before, which may be a tempo

    def take(self, element: Element, time: Fraction, cursor: Fraction) -> None:
        """Read a `direction`, `harmony`, `barline` or `sound` that stands at `time`; bar lines stand at `cursor`."""
        if element.tag == "harmony":
            self._take_harmony(element, time)
        elif element.tag == "barline":
            self._take_barline(element, cursor)
        elif element.tag == "sound":
            self._take_sound(element, time)
        else:
            self._take_direction(element, time)

    def end_measure(self, end: Fraction) -> None:
        """Place the signs that take effect at the end of the measure, and the hairpins: an end may be written first."""
        for time, wedge in sorted(self._wedges, key=lambda each: (each[0], each[1].get("type") != "stop")):
            self._take_wedge(wedge, time)
        signs = self._part.signs
        signs += [replace(sign, time=end) for sign in self._at_end]
        if self._ends_ending:
            latest = range(len(signs) - 1, max(-1, len(signs) - _MAX_BETWEEN), -1)
            place = next((i for i in latest if signs[i].kind == "ending"), None)
            if place is not None and signs[place].until is None and end > signs[place].time:
                signs[place] = replace(signs[place], until=end)

    @staticmethod
    def dynamic(element: Element, onset: Fraction) -> Words:
        """Return a dynamic mark, such as `<p/>`."""
        text = element.text or "" if element.tag == "other-dynamics" else element.tag
        return Words(onset, printable(text, _MAX_WORDS), is_above=False, kind="dynamic")

    def _take_direction(self, element: Element, time: Fraction) -> None:
        sounds = self._take_sounds(element, time)
        is_above = element.get("placement") != "below"
        last_words, self._last_words = self._last_words, None
        metronomes = element.findall("direction-type/metronome")
        for metronome in metronomes:
            self._take_metronome(metronome, time)
        texts = []
        for child in (child for kind in element.findall("direction-type") for child in kind):
            if child.tag == "words":
                texts.append(child.text or "")
            elif child.tag == "rehearsal":
                self._part.words.append(Words(time, printable(child.text or "", _MAX_WORDS), kind="rehearsal"))
            elif child.tag == "dynamics":
                self._part.words += [self.dynamic(each, time) for each in child]
            elif child.tag in ("segno", "coda"):
                if not sounds:
                    self._add_sign("segno" if child.tag == "segno" else "coda", time)
            elif child.tag == "wedge":
                self._wedges.append((time, child))
            elif child.tag not in _IGNORED:
                self._report.elements[child.tag] += child.get("type") not in ("stop", "continue", "change")
        text = printable("".join(texts), _MAX_WORDS)
        if metronomes and not text and last_words is not None and last_words.is_above and last_words.onset == time:
            words = self._part.words
            place = next(i for i in range(len(words) - 1, -1, -1) if words[i] is last_words)
            words[place] = replace(last_words, kind="tempo")
        if not text:
            return
        jump = jump_of(text)
        if jump is not None and not sounds:
            self._add_sign(jump, time)
        if jump is None:
            is_tempo = bool(metronomes) or any(sound.get("tempo") for sound in element.findall("sound"))
            self._last_words = Words(time, text, is_above, "tempo" if is_tempo else "words")
            self._part.words.append(self._last_words)

    def _take_sounds(self, element: Element, time: Fraction) -> list[SignKind]:
        return [kind for sound in element.findall("sound") for kind in self._take_sound(sound, time)]

    def _take_sound(self, sound: Element, time: Fraction) -> list[SignKind]:
        """Read the tempo and the jumps of a `sound`; return the kinds of the jumps."""
        if (rate := sound.get("tempo")) is not None and (value := float(number_or(rate, 0))) > 0:
            self._part.tempos[time] = value
        found = {kind: sound.get(name, "no") for name, kind in _SOUNDS.items()}
        kinds = [kind for kind, label in found.items() if label != "no"]
        for kind in kinds:
            self._add_sign(kind, time, printable(found[kind], _MAX_LABEL) if kind in LABELED else "")
        return kinds

    def _add_sign(self, kind: SignKind, time: Fraction, label: str = "") -> None:
        if kind in AT_MEASURE_END:
            self._at_end.append(RepeatSign(time, kind, label=label))
        else:
            self._part.signs.append(RepeatSign(self._start, kind, label=label))

    def _take_metronome(self, metronome: Element, time: Fraction) -> None:
        """Read `note value = number`; two note values (a metric modulation) are left out."""
        rate = re.search(r"\d+(\.\d+)?", text_of(metronome, "per-minute"))
        unit = TYPES.get(text_of(metronome, "beat-unit"))
        if rate is None or unit is None or float(rate[0][:9]) <= 0:
            is_modulation = len(metronome.findall("beat-unit")) > 1 or metronome.find("metronome-note") is not None
            self._report.elements["metric modulation" if is_modulation else "metronome without rate"] += 1
            return
        unit = _dotted(unit, metronome)
        for tied in metronome.findall("beat-unit-tied")[:_MAX_TIED]:
            unit += _dotted(TYPES.get(text_of(tied, "beat-unit"), Fraction(0)), tied)
        self._part.metronomes.append(Metronome(time, unit, float(rate[0][:9])))
        self._part.tempos.setdefault(time, float(unit) * float(rate[0][:9]))

    def _take_wedge(self, wedge: Element, time: Fraction) -> None:
        number, kind = wedge.get("number", "1"), wedge.get("type")
        if kind in ("crescendo", "diminuendo"):
            if number in self._hairpins:
                self._report.dropped["hairpin without an end"] += 1
            self._hairpins[number] = (time, kind == "crescendo")
        elif kind == "stop" and number in self._hairpins:
            onset, is_louder = self._hairpins.pop(number)
            if onset < time:
                self._part.hairpins.append((onset, time, is_louder))
            else:
                self._report.elements[wedge.tag] += 1

    def _take_harmony(self, harmony: Element, time: Fraction) -> None:
        root, kind = harmony.find("root"), harmony.find("kind")
        if root is None or kind is None:
            self._report.elements["chord function"] += 1
            return
        value = (kind.text or "").strip()
        if value == "none":
            self._part.chords.append(Words(time, NO_CHORD_SYMBOL, kind="chord"))
            return
        suffix = CHORD_SUFFIXES.get(value, kind.get("text") or ("" if value == "other" else value))
        for degree in harmony.findall("degree")[:_MAX_WORDS]:
            sign = _accidental(degree, "degree-alter")
            added = {"add": "" if sign else "add", "subtract": "no", "alter": ""}
            suffix += f"{added.get(text_of(degree, 'degree-type'), '')}{sign}{text_of(degree, 'degree-value')}"
        bass = harmony.find("bass")
        text = chord_symbol(_pitch_name(root, "root"), suffix, "" if bass is None else _pitch_name(bass, "bass"))
        self._part.chords.append(Words(time, printable(text, _MAX_WORDS), kind="chord"))

    def _take_barline(self, barline: Element, cursor: Fraction) -> None:
        location = barline.get("location", "right")
        time = self._start if location == "left" else cursor
        signs = self._at_end if location == "right" else self._part.signs
        repeat, ending = barline.find("repeat"), barline.find("ending")
        if barline.find("segno") is not None:
            signs.append(RepeatSign(time, "segno"))
        if barline.find("coda") is not None:
            signs.append(RepeatSign(time, "coda"))
        if repeat is not None and repeat.get("direction") == "backward":
            times = repeat.get("times", "2")
            passes = min(int(times[:4]), _MAX_PASSES) if times.isascii() and times.isdecimal() else 2
            signs.append(RepeatSign(time, "end", (passes,)))
        elif repeat is not None:
            signs.append(RepeatSign(time, "start"))
        if ending is not None and ending.get("type") == "start":
            numbers = tuple(int(number) for number in re.findall(r"\d{1,2}", ending.get("number", "")))
            signs.append(RepeatSign(time, "ending", numbers or (1,)))
        elif ending is not None:
            self._ends_ending = True
        if barline.find("fermata") is not None:
            self._report.dropped["fermata over a bar line"] += 1


def ends_of_endings(signs: Sequence[RepeatSign]) -> Iterator[RepeatSign]:
    """Yield a double bar line where a last ending ends, because a repeat behind it is one of a section of its own.

    It is not a last one if the next ending follows behind a repeat (the bracket is shorter than the ending), nor if a
    section begins together with it.
    """
    ordered = sorted((sign for sign in signs if sign.kind in ("start", "end", "ending")), key=lambda sign: sign.time)
    starts, endings = ({sign.time for sign in ordered if sign.kind == kind} for kind in ("start", "ending"))
    for sign in ordered:
        if sign.kind == "ending" and sign.until is not None and 1 not in sign.passes and sign.time not in starts:
            place = bisect.bisect_left(ordered, sign.until, key=lambda each: each.time)
            following = ordered[place] if place < len(ordered) else None
            if following is not None and following.kind == "end" and following.time not in {*endings, sign.until}:
                yield RepeatSign(sign.until, "double")


def _dotted(unit: Fraction, element: Element) -> Fraction:
    return unit * (2 - Fraction(1, 2 ** min(len(element.findall("beat-unit-dot")), 4)))


def _pitch_name(element: Element, name: str) -> str:
    return text_of(element, f"{name}-step") + _accidental(element, f"{name}-alter")


def _accidental(element: Element, name: str) -> str:
    alter = round(number_or(element.findtext(name), 0))
    return "#" * min(alter, _MAX_ALTER) + "b" * min(-alter, _MAX_ALTER)
