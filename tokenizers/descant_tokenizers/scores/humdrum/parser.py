"""The lines and spines of a Humdrum file.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.bars import DEFAULT_SIGNATURE
from descant_tokenizers.scores.humdrum.tokens import (
    DYNAMICS,
    INSTRUMENTS,
    JUMPS,
    KernNote,
    cells,
    parse_chord,
    parse_kern,
    parse_key,
    parse_meter,
    parse_syllable,
    repeats_of,
)
from descant_tokenizers.scores.jumps import AT_MEASURE_END, jump_of
from descant_tokenizers.scores.marks import SYMBOLS, RepeatSign, SignKind, Words
from descant_tokenizers.scores.measures import Measure, settled
from descant_tokenizers.scores.written import AnyWritten, Report, WrittenGrace, WrittenNote, WrittenPart

_TEXTS = ("**text", "**silbe", "**lyrics", "**sylb")
_CHORDS = "**mxhm"
_LAYOUT_TEXT = re.compile(r"!!?LO:TX(?P<options>(?::(?!t=)[^:]*)*):t=(?P<text>[^:]*)")
_MAX_LABEL = 120
_MAX_PITCH = 127
_MAX_SPINES = 256


@dataclass(eq=False)
class _Spine:
    """A spine, or what is left of it after splits: its kind, its part or verse, and where its last note ends."""

    kind: str = ""
    part: int = -1
    verse: int = 0
    staff: str = ""
    end: Fraction = Fraction(0)
    voice: str = "1"
    graces: list[WrittenGrace] = field(default_factory=list)


class HumdrumParser:
    """Goes through the lines of a file, up to `max_quarters` quarter notes.

    Attributes:
        parts: A part for each **kern spine, from left to right.
        measures: The measures.
        records: Reference records in the order of the file, such as `("COM", "Bach, Johann Sebastian")`.
        order: Labels of the sections in the order in which they are played, if the file states it.
        report: What is left out.
    """

    def __init__(self, max_quarters: int) -> None:
        self._max_quarters = max_quarters
        self.parts: list[WrittenPart] = []
        self.measures: list[Measure] = []
        self.records: list[tuple[str, str]] = []
        self.order: list[str] = []
        self.report = Report()
        self._spines: list[_Spine] = []
        self._time = self._start = Fraction(0)
        self._meter = DEFAULT_SIGNATURE
        self._meter_of_measure = DEFAULT_SIGNATURE  # one that stands before a bar line is that of the next measure
        self._labels: dict[int, dict[str, str]] = defaultdict(dict)
        self._sharps: dict[int, int] = {}
        self._open_slurs: dict[int, list[AnyWritten]] = defaultdict(list)
        self._open_hairpins: dict[int, tuple[Fraction, bool]] = {}
        self._latest: dict[int, WrittenNote] = {}  # the first note of the present line, by part
        self._singers: dict[_Spine, tuple[int, int]] = {}  # of the spines as they are
        self._line = 0
        self._unreadable: dict[str, KernNote | None] = {}  # tokens, and the rest that each leaves
        self._at_end: list[SignKind] = []  # signs that take effect at the end of the measure

    def parse(self, text: str) -> None:
        """Read a file.

        Raises:
            ValueError: It is not Humdrum, or its spines are broken.
            InputError: A pitch is beyond the range of MIDI.
        """
        for self._line, line in enumerate(text.split("\n"), start=1):
            if "LO:TX" in line and line.startswith("!"):
                self._take_layout(line)
            elif line.startswith("!!!"):
                name, _, value = line[3:].partition(":")
                self.records.append((name.strip(), value.strip()))
            elif line.strip() and not line.startswith("!"):
                self._take(cells(line, len(self._spines)))
        self._end_measure(self._reach())
        if not self.parts:
            raise ValueError("no line **kern begins music")
        for index, part in enumerate(self.parts):
            self._name(part, index)
        self.report.dropped["grace note without a note"] += sum(len(spine.graces) for spine in self._spines)
        self.report.dropped["slur without an end"] += sum(map(len, self._open_slurs.values()))

    def _take(self, tokens: list[str]) -> None:
        first = tokens[0]
        if len(tokens) > _MAX_SPINES:
            raise ValueError(f"there are {len(tokens):,} spines")
        if first.startswith("**") and not self._spines:
            self._spines = [_Spine() for _ in tokens]
        if len(tokens) != len(self._spines):
            raise ValueError(f"line {self._line} has {len(tokens)} tokens for {len(self._spines)} spines")
        if first.startswith("*") or any(token.startswith("**") for token in tokens):
            self._take_interpretations(tokens)
        elif first.startswith("="):
            self._take_barline(tokens)
        else:
            self._take_data(tokens)

    def _reach(self) -> Fraction:
        return max((spine.end for spine in self._spines if spine.part >= 0), default=self._time)

    def _take_interpretations(self, tokens: Sequence[str]) -> None:
        time = self._reach()
        self._singers = {}
        for spine, token in zip(self._spines, tokens, strict=True):
            if token.startswith("**"):
                self._begin(spine, token, time)
            elif spine.kind == "**kern":
                self._take_tandem(spine, token, time)
            elif token.startswith("*staff"):
                spine.staff = token
        manipulations = {"*^", "*v", "*x", "*+", "*-"}
        if manipulations & set(tokens):
            self._manipulate(tokens)

    def _begin(self, spine: _Spine, token: str, time: Fraction) -> None:
        spine.kind = token
        if token == "**kern":
            spine.part, spine.end = len(self.parts), time
            self.parts.append(WrittenPart(""))
        elif token not in (*_TEXTS, "**dynam", "**recip", _CHORDS):
            self.report.elements[f"spine {token}"] += 1

    def _manipulate(self, tokens: Sequence[str]) -> None:
        """Split, join, exchange, add and end spines."""
        spines: list[_Spine] = []
        before = ""
        for spine, token in zip(self._spines, tokens, strict=True):
            if token == "*^":
                spines += [spine, replace(spine, voice=f"{spine.voice}.2", graces=[])]
                spines[-2].voice = f"{spine.voice}.1"
            elif token == "*v" and before == "*v" and spines[-1].part == spine.part:
                spines[-1].end = max(spines[-1].end, spine.end)
                spines[-1].voice = spines[-1].voice.rpartition(".")[0] or "1"
            elif token == "*x" and before == "*x":
                spines.insert(-1, spine)
                token = ""
            elif token == "*+":
                spines += [spine, _Spine()]
            elif token == "*-":
                if spine.graces:
                    self.report.dropped["grace note without a note"] += len(spine.graces)
                self._time = max(self._time, spine.end)
            else:
                spines.append(spine)
            before = token
        if not any(spine.part >= 0 for spine in spines):  # the last spine of music ends
            self._end_measure(self._reach())
        self._spines = spines
        if len(spines) > _MAX_SPINES:
            raise ValueError(f"there are {len(spines)} spines")

    def _take_tandem(self, spine: _Spine, token: str, time: Fraction) -> None:
        part = self.parts[spine.part]
        if token.startswith('*I"'):
            self._labels[spine.part]["label"] = token[3:]
        elif token.startswith("*I:"):
            self._labels[spine.part]["label"] = token[3:].strip("[]")
        elif token.startswith("*I'"):
            self._labels[spine.part]["short"] = token[3:]
        elif token[2:] in INSTRUMENTS and token.startswith("*I"):
            self._labels[spine.part]["code"] = INSTRUMENTS[token[2:]]
        elif token == "*ICvox":
            self._labels[spine.part]["class"] = "Voice"
        elif token.startswith("*staff"):
            spine.staff = token
        elif token.startswith("*part"):
            self._labels[spine.part]["part"] = token
        elif token.startswith("*k["):
            self._sharps[spine.part] = token.count("#") - token.count("-")
            self._take_key(part, time, self._sharps[spine.part], "")
        elif (key := parse_key(token)) is not None:
            self._take_key(part, time, self._sharps.get(spine.part, key[0]), key[1])
        elif (meter := parse_meter(token)) is not None:
            self._meter = meter
        elif token.startswith("*MM"):
            self._take_tempo(part, time, token[3:])
        elif (jump := JUMPS.get(token)) is not None:
            self._take_jump(part, jump)
        elif token.startswith("*>") and spine.part == 0:
            self._take_section(part, time, token[2:])

    def _take_layout(self, line: str) -> None:
        """Read the words of layout comments, such as `!LO:TX:b:t=dolce`."""
        for place, token in enumerate(line.split("\t")):
            found = _LAYOUT_TEXT.match(token)
            if found is None or place >= len(self._spines):
                continue
            spine = self._spines[place]
            part = self.parts[max(spine.part, 0)] if self.parts else None
            text = printable(html.unescape(found["text"].replace("&colon;", ":")), _MAX_LABEL)
            if part is None or not text:
                continue
            jump = jump_of(text)
            if jump is None:
                is_above = ":b" not in found["options"]
                part.words.append(Words(self._reach(), text, is_above))
            else:
                self._take_jump(part, jump)

    def _take_jump(self, part: WrittenPart, kind: SignKind) -> None:
        if kind in AT_MEASURE_END:
            self._at_end.append(kind)
        else:
            part.signs.append(RepeatSign(self._start, kind))

    def _take_key(self, part: WrittenPart, time: Fraction, sharps: int, mode: str) -> None:
        if abs(sharps) > 7:
            self.report.dropped["key signature of more than 7 sharps or flats"] += 1
            return
        part.keys[time] = sharps, mode or part.keys.get(time, (0, ""))[1]

    def _take_tempo(self, part: WrittenPart, time: Fraction, text: str) -> None:
        if re.fullmatch(r"\d{1,4}(\.\d{1,4})?", text) and float(text) > 0:
            part.tempos[time] = float(text)
        elif words := printable(text.strip("[]"), _MAX_LABEL):
            part.words.append(Words(time, words, kind="tempo"))

    def _take_section(self, part: WrittenPart, time: Fraction, text: str) -> None:
        if text.startswith("["):
            self.order = [label.strip() for label in text.strip("[]").split(",")]
        elif "[" not in text and text:
            part.signs.append(RepeatSign(time, "part", label=printable(text, _MAX_LABEL)))

    def _take_barline(self, tokens: Sequence[str]) -> None:
        time = self._reach()
        self._end_measure(time)
        part = next((self.parts[spine.part] for spine in self._spines if spine.part >= 0), None)
        if part is not None:
            part.signs += [RepeatSign(time, kind, (2,) if kind == "end" else ()) for kind in repeats_of(tokens[0])]

    def _end_measure(self, time: Fraction) -> None:
        if time > self._start:
            if self.parts:
                self.parts[0].signs += [RepeatSign(time, kind) for kind in self._at_end]
            self._at_end = []
            self.measures.append(Measure(self._start, time - self._start, *self._meter_of_measure))
            self._start = time

    def _take_data(self, tokens: Sequence[str]) -> None:
        music = [
            (spine, self._parsed(token))
            for spine, token in zip(self._spines, tokens, strict=True)
            if spine.part >= 0 and token not in (".", "")
        ]
        self._meter_of_measure = self._meter
        starts = [spine.end for spine, note in music if note is not None]
        self._time = max(starts, default=self._time)
        self._latest = {}
        for spine, note in music:
            if note is not None:
                self._add(spine, note)
        for spine, token in zip(self._spines, tokens, strict=True):
            if token not in (".", "") and spine.kind in _TEXTS:
                self._take_syllable(spine, token)
            elif token not in (".", "") and spine.kind == "**dynam":
                self._take_dynamic(spine, token)
            elif token not in (".", "") and spine.kind == _CHORDS and self.parts:
                symbol = parse_chord(token)
                self.report.elements["chord symbol"] += not symbol
                self.parts[0].chords.append(Words(self._time, symbol, kind="chord"))

    def _parsed(self, token: str) -> KernNote | None:
        if token in self._unreadable:
            self.report.unreadable.append((self._line, token))
            return self._unreadable[token]
        try:
            note = parse_kern(token)
        except ValueError:
            found = re.search(r"\d{1,6}", token)
            self._unreadable[token] = parse_kern(f"{found[0]}r") if found else None
            return self._parsed(token)
        if not all(0 <= pitch <= _MAX_PITCH for pitch, _ in note.pitches):
            raise InputError(
                f"The file holds the pitch {printable(token, 24)} in line {self._line}, beyond the range of MIDI. "
                "Transpose it."
            )
        return note

    def _add(self, spine: _Spine, note: KernNote) -> None:
        part = self.parts[spine.part]
        measure = len(self.measures)
        part.voices.add((measure, 1, spine.voice))
        if note.is_grace:
            if note.pitches:
                spine.graces.append(
                    WrittenGrace(
                        self._time,
                        list(note.pitches),
                        note.grace_length,
                        note.has_slash,
                        note.has_fermata,
                        tuple(sign for sign in note.signs if sign in SYMBOLS),
                    )
                )
                self._take_slurs(part, spine.part, spine.graces[-1], note.slurs)
            self.report.elements.update(sign for sign in note.signs if sign not in SYMBOLS)
            return
        spine.end = settled(self._time + note.length)
        if spine.end > self._max_quarters:
            raise InputError(f"The file lasts over {self._max_quarters:,} quarter notes. Cut it shorter.")
        for place, ((pitch, spelling), ties) in enumerate(zip(note.pitches, note.ties, strict=True)):
            written = WrittenNote(
                self._time,
                spine.end,
                pitch,
                spelling,
                spine.voice,
                1,
                place,
                measure,
                ties=ties,
                has_fermata=note.has_fermata,
                symbols=tuple(sign for sign in note.signs if sign in SYMBOLS) if place == 0 else (),
            )
            part.notes.append(written)
            if place == 0:
                written.graces, spine.graces = spine.graces, []
                self._latest.setdefault(spine.part, written)
                self._take_slurs(part, spine.part, written, note.slurs)
        self.report.elements.update(sign for sign in note.signs if sign not in SYMBOLS)
        if note.has_fermata and not note.pitches:
            self.report.dropped["fermata over a rest"] += 1

    def _take_slurs(self, part: WrittenPart, index: int, note: AnyWritten, slurs: tuple[int, int]) -> None:
        begins, ends = slurs
        for _ in range(min(ends, len(self._open_slurs[index]))):
            part.slurs.append((self._open_slurs[index].pop(), note))
            ends -= 1
        self.report.dropped["slur without a beginning"] += ends
        self._open_slurs[index] += [note] * begins

    def _take_syllable(self, spine: _Spine, token: str) -> None:
        index, verse = self._singers.get(spine) or self._singers.setdefault(spine, self._singer(spine))
        lyric = parse_syllable(token, verse)
        if lyric is None:
            return
        note = self._latest.get(index)
        if note is None:
            self.report.dropped["syllable without a note"] += 1
        else:
            note.lyrics = (*note.lyrics, lyric)

    def _singer(self, spine: _Spine) -> tuple[int, int]:
        """Return the part that a spine of words belongs to, and the number of the verse.

        It is that of the same `*staff`, else the nearest **kern spine on the left, else on the right.
        """
        place = self._spines.index(spine)
        same = [own for own in self._spines if own.part >= 0 and spine.staff and own.staff == spine.staff]
        left = [own for own in self._spines[:place] if own.part >= 0]
        right = [own for own in self._spines[place:] if own.part >= 0]
        part = (same or left[::-1] or right or [_Spine()])[0].part
        texts = [own for own in self._spines[:place] if own.kind in _TEXTS]
        if same:
            verse = 1 + sum(own.staff == spine.staff for own in texts)
        else:
            first = next((i for i in range(place, -1, -1) if self._spines[i].part >= 0), -1)
            verse = 1 + sum(own.kind in _TEXTS for own in self._spines[first + 1 : place])
        return part, verse

    def _take_dynamic(self, spine: _Spine, token: str) -> None:
        """Take a dynamic mark, or one sign of a hairpin: `<` or `>` begins it, `[` or `]` ends it."""
        index, _ = self._singers.get(spine) or self._singers.setdefault(spine, self._singer(spine))
        for word in token.split():
            if DYNAMICS.fullmatch(word):
                self.parts[index].words.append(Words(self._time, word, is_above=False, kind="dynamic"))
            elif word in ("<", ">"):
                self._open_hairpins[index] = (self._time, word == "<")
            elif word in ("[", "]") and index in self._open_hairpins:
                onset, is_louder = self._open_hairpins.pop(index)
                self.parts[index].hairpins.append((onset, self._time, is_louder))
            elif word not in ("(", ")"):
                self.report.elements["dynamic word"] += 1

    def _name(self, part: WrittenPart, index: int) -> None:
        """Name a part by its label, instrument or class, or those of its other staff, or by its place from the top."""
        own = self._labels[index]
        staves = [known for known in self._labels.values() if own.get("part", "") and known.get("part") == own["part"]]
        names = (known.get(kind, "") for known in (own, *staves) for kind in ("label", "code", "short", "class"))
        name = next((each for each in names if each.strip()), "")
        part.name = printable(name, _MAX_LABEL) or f"Part {len(self.parts) - index}"
