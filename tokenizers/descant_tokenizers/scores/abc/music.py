"""The music code of a tune: symbols into the notes, bars and words of the current voice."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.abc import tokens
from descant_tokenizers.scores.abc.fields import ALTERATIONS
from descant_tokenizers.scores.abc.text import Report, plain
from descant_tokenizers.scores.abc.voices import Position, Voice
from descant_tokenizers.scores.jumps import jump_of
from descant_tokenizers.scores.marks import Grace
from descant_tokenizers.scores.validation import Limits, check_count

_INLINE_FIELDS = "IKLMNPQRUVmr"
_MAX_TEXT = 120
_UNKNOWN = "unknown signs"
_PLACE = re.compile(r"@-?\d{1,4}(?:\.\d{1,4})?,-?\d{1,4}(?:\.\d{1,4})?\s*|[\^_<>@]*")  # of an annotation
_GRACE_LENGTHS = (Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(2), Fraction(4))


@dataclass
class _Member:
    """A note of a chord that is not closed yet."""

    position: Position
    accidental: int | None
    length: Fraction
    text: str
    is_tied: bool = False


class MusicReader(ABC):
    """Reads music code line by line; a subclass takes the fields and holds the voices."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._report = Report()
        self._line = 0
        self._letters = dict(tokens.LETTERS)
        self._macros: dict[str, str] = {}
        self._has_bang_breaks = False  # `!` breaks lines and stands around no decoration
        self._chord: list[_Member] | None = None
        self._grace_length = Fraction(0)  # above 0 between braces
        self._has_slash = False
        self._joins_graces: bool | None = None  # in a chord of grace notes: the next joins the last
        self._grace_symbols: list[str] = []
        self._grace_fermata = False
        self._num_events = 0
        self._num_characters = 0
        self._num_notes = 0
        self._takers: dict[str, Callable[[re.Match[str]], None]] = {
            name: getattr(self, f"_take_{name}") for name in tokens.FIRST_GROUP if hasattr(self, f"_take_{name}")
        }

    @abstractmethod
    def _current(self) -> Voice:
        """Return the voice to which the music belongs."""

    @abstractmethod
    def _setting(self, letter: str, text: str) -> None:
        """Take a field inside the music."""

    def _music(self, line: str) -> None:
        for name, value in self._macros.items():
            line = tokens.expanded(line, name, value)
            if self._num_characters + len(line) > self._limits.max_bytes:
                raise InputError(f"{self._path} grows without end by its macros (line {self._line}). Write them out.")
        self._num_characters += len(line)
        for symbol in tokens.symbols(line):
            taker = self._takers.get(symbol.lastgroup or "")
            if taker is not None:
                taker(symbol)
        self._end_groups()

    def _length(self, symbol: re.Match[str], first: int) -> Fraction:
        try:
            return tokens.length_of(symbol[first], symbol[first + 1], symbol[first + 2])
        except OverflowError as error:
            text = printable(symbol[0], 20)
            raise InputError(
                f"{self._path} has the note length {text} in line {self._line}, which cannot be read. Correct it."
            ) from error

    def _count(self, num_notes: int) -> None:
        self._num_events += 1
        self._num_notes += num_notes
        check_count(self._path, "notes", self._num_notes, self._limits.max_notes)
        check_count(self._path, "notes and rests", self._num_events, 4 * self._limits.max_notes)
        voice = self._current()
        check_count(self._path, "bars", len(voice.measures), 2 * self._limits.max_bars)
        if voice.time * 480 > self._limits.max_ticks:
            raise InputError(
                f"{self._path} lasts over {self._limits.max_ticks // 480:,} quarter notes (line {self._line}). "
                "Cut it shorter."
            )

    def _take_note(self, symbol: re.Match[str]) -> None:
        first = tokens.FIRST_GROUP["note"]
        letter, marks = symbol[first + 2], symbol[first + 3]
        position = letter.upper(), int(letter.islower()) + marks.count("'") - marks.count(",")
        accidental, length = self._accidental(symbol[first + 1]), self._length(symbol, first + 4)
        if self._grace_length:
            self._take_grace_note(position, accidental, length)
        elif self._chord is not None:
            self._chord.append(_Member(position, accidental, length, symbol[0]))
        else:
            self._play([_Member(position, accidental, length, symbol[0])], length)

    def _take_grace_note(self, position: Position, accidental: int | None, length: Fraction) -> None:
        voice = self._current()
        pitch = voice.pitch(position, accidental, holds=False)
        if not 0 <= pitch <= 127 or length not in _GRACE_LENGTHS:
            self._report.dropped["grace note{s} of unusual length or pitch"] += 1
            return
        own = voice.spelling(position, accidental)
        graces = voice.waiting_graces
        if self._joins_graces and graces:
            members = {*zip(graces[-1].pitches, graces[-1].spellings, strict=True), (pitch, own)}
            pitches, spellings = zip(*sorted(members, key=lambda member: member[0]), strict=True)
            graces[-1] = replace(graces[-1], pitches=pitches, spellings=spellings)
            return
        symbols = tuple(dict.fromkeys(self._grace_symbols))
        length *= self._grace_length
        graces.append(Grace((pitch,), length, self._has_slash, self._grace_fermata, symbols, (own,)))
        self._grace_symbols, self._grace_fermata = [], False
        self._joins_graces = None if self._joins_graces is None else True
        self._count(0)

    def _accidental(self, text: str | None) -> int | None:
        """Return the semitones of an accidental; those of a microtone are rounded."""
        if not text or text in ALTERATIONS:
            return ALTERATIONS[text] if text else None
        self._report.dropped["microtone{s}"] += 1
        numerator, slash, denominator = text.lstrip("^_=").partition("/")
        amount = Fraction(int(numerator or "1"), (int(denominator or "2") or 1) if slash else 1)
        return {"^": 1, "_": -1, "=": 0}[text[0]] * round(min(amount, Fraction(2)))

    def _play(self, members: list[_Member], length: Fraction) -> None:
        """Play a note or chord; its own length counts for the time that it takes."""
        voice = self._current()
        self._count(len(members))
        voice.begin_event()
        for member in members:
            pitch = voice.add(member.position, member.accidental, member.length * voice.unit)
            if not 0 <= pitch <= 127:
                text = printable(member.text, 20)
                raise InputError(
                    f"{self._path} holds the pitch {text} in line {self._line}, beyond the range of MIDI. Transpose it."
                )
        voice.end_event(length * voice.unit)
        for member in members:
            if member.is_tied:
                voice.tie(member.position)

    def _take_rest(self, symbol: re.Match[str]) -> None:
        first = tokens.FIRST_GROUP["rest"]
        if self._grace_length or self._chord is not None or symbol[first + 1] == "y":
            return
        length = self._length(symbol, first + 2)
        voice = self._current()
        if symbol[first + 1] in "ZX":
            check_count(self._path, "bars", int(length), 2 * self._limits.max_bars)
            voice.rest_measures(max(1, int(length)))
            self._count(0)
            return
        self._count(0)
        voice.begin_event()
        voice.end_event(length * voice.unit, is_rest=True)

    def _take_chord(self, _symbol: re.Match[str]) -> None:
        if self._grace_length:
            self._joins_graces = False
            return
        if self._chord is not None:
            self._report.fault(_UNKNOWN, self._line, "[")
        self._chord = self._chord or []

    def _take_close(self, symbol: re.Match[str]) -> None:
        if self._grace_length:
            self._joins_graces = None
        elif self._chord is None:
            self._report.fault(_UNKNOWN, self._line, symbol[0])
        else:
            self._end_chord(self._length(symbol, tokens.FIRST_GROUP["close"] + 1))

    def _end_chord(self, factor: Fraction) -> None:
        members, self._chord = self._chord, None
        for member in members or ():
            member.length *= factor
        if members:
            self._play(members, members[0].length)

    def _end_groups(self) -> None:
        """End a chord or grace notes that a bar line finds open."""
        if self._chord is not None or self._grace_length:
            self._report.fault("chords or grace notes without an end", self._line, "[" if self._chord else "{")
        self._grace_length = Fraction(0)
        self._end_chord(Fraction(1))

    def _take_field(self, symbol: re.Match[str]) -> None:
        first = tokens.FIRST_GROUP["field"]
        letter, text = symbol[first + 1], symbol[first + 2]
        if letter in _INLINE_FIELDS:
            self._setting(letter, text)
        else:
            self._report.fault("unreadable fields", self._line, symbol[0])

    def _take_bar(self, symbol: re.Match[str]) -> None:
        self._end_groups()
        passes = symbol[tokens.FIRST_GROUP["bar"] + 1]
        text = symbol[0][: len(symbol[0]) - len(passes or "")]
        text = "|:" if text == ":" else text.lstrip(".")  # its bar line ends the line before
        self._current().bar(text, tokens.passes_of(passes) if passes else ())

    def _take_ending(self, symbol: re.Match[str]) -> None:
        self._current().ending(tokens.passes_of(symbol[tokens.FIRST_GROUP["ending"] + 1]))

    def _take_tuplet(self, symbol: re.Match[str]) -> None:
        first = tokens.FIRST_GROUP["tuplet"]
        p, q, r = (int(symbol[first + place]) if symbol[first + place] else None for place in (1, 2, 3))
        if not self._grace_length and not self._current().begin_tuplet(p or 0, q, r):
            self._report.fault("impossible tuplets", self._line, symbol[0])

    def _take_slur(self, symbol: re.Match[str]) -> None:
        if self._grace_length:
            self._current().slur_grace(begins=not symbol[0].endswith(")"))
        elif symbol[0].endswith(")"):
            self._current().end_slur()
        else:
            self._current().waiting_slurs += 1

    def _take_tie(self, _symbol: re.Match[str]) -> None:
        if self._grace_length:
            self._report.dropped["tie{s} of grace notes"] += 1
        elif self._chord:
            self._chord[-1].is_tied = True
        else:
            self._current().tie()

    def _take_broken(self, symbol: re.Match[str]) -> None:
        if not self._grace_length and not self._current().break_rhythm(symbol[0]):
            self._report.fault("broken rhythms without a note", self._line, symbol[0])

    def _take_quote(self, symbol: re.Match[str]) -> None:
        text = plain(symbol[tokens.FIRST_GROUP["quote"] + 1]).strip()
        if text:
            self._annotate(text)

    def _annotate(self, text: str) -> None:
        voice = self._current()
        if tokens.is_chord_symbol(text):
            voice.put_words(text, kind="chord")
        elif shown := printable(_PLACE.sub("", text, count=1), _MAX_TEXT):
            if jump_of(shown) in ("da capo", "dal segno"):
                self._report.fault("repeats in quotes (printed, not played)", self._line, shown)
            voice.put_words(shown, is_above=not text.startswith("_"))

    def _take_named(self, symbol: re.Match[str]) -> None:
        first = tokens.FIRST_GROUP["named"]
        in_plus = symbol[first + 2]
        if in_plus is None and self._has_bang_breaks:
            self._music(symbol[first + 1])
        elif in_plus is not None and tokens.OLD_CHORD.fullmatch(in_plus):
            self._music(f"[{in_plus}]")
        elif in_plus is not None and not tokens.PLUS_NAMES.fullmatch(in_plus) and not self._is_jump(in_plus):
            self._report.fault(_UNKNOWN, self._line, symbol[0])
            self._music(in_plus)  # the notes between stray plus signs are kept
        else:
            self._decorate(in_plus or symbol[first + 1])

    def _take_letter(self, symbol: re.Match[str]) -> None:
        name = self._letters.get(symbol[0])
        if name is None:
            self._report.fault(_UNKNOWN, self._line, symbol[0])
        elif name not in ("nil", "none"):
            self._decorate(name)

    def _is_jump(self, name: str) -> bool:
        return _jump_name(name) in tokens.JUMPS

    def _decorate(self, name: str) -> None:
        if self._grace_length:
            self._decorate_grace(name)
            return
        voice = self._current()
        if name in tokens.FERMATAS:
            voice.has_fermata = True
        elif name in tokens.DECORATIONS:
            voice.waiting_symbols.append(tokens.DECORATIONS[name])
        elif name[:-1] in tokens.HAIRPINS and name[-1] in "()":
            voice.hairpin(is_louder=tokens.HAIRPINS[name[:-1]], begins=name[-1] == "(")
        elif name in tokens.DYNAMICS:
            voice.put_words(name, is_above=False, kind="dynamic")
        elif name[0] in "^_<>@" and len(name) > 2 and not name.endswith(("(", ")")):
            self._annotate(name)
        elif (jump := tokens.JUMPS.get(_jump_name(name))) is None:
            self._report.ornaments[name] += 1
        elif jump in ("segno", "coda"):
            voice.sign(jump)
        else:
            voice.waiting_jumps.append(jump)

    def _decorate_grace(self, name: str) -> None:
        if name in tokens.FERMATAS:
            self._grace_fermata = True
        elif name in tokens.DECORATIONS:
            self._grace_symbols.append(tokens.DECORATIONS[name])
        else:
            self._report.ornaments[name] += 1

    def _take_grace(self, symbol: re.Match[str]) -> None:
        self._grace_length, self._has_slash, self._joins_graces = Fraction(1, 2), symbol[0] == "{/", None

    def _take_graced(self, _symbol: re.Match[str]) -> None:
        self._grace_length = Fraction(0)

    def _take_overlay(self, symbol: re.Match[str]) -> None:
        if not self._current().begin_overlay(len(symbol[0])):
            self._report.fault("impossible overlays", self._line, symbol[0])

    def _take_bare(self, symbol: re.Match[str]) -> None:
        """Take a digit between spaces: `| 1`, which the standard does not allow, can only mean an ending."""
        voice = self._current()
        if voice.time == voice.measure_start and not self._grace_length:
            voice.ending((int(symbol[0]),))
        else:
            self._take_unknown(symbol)

    def _take_unknown(self, symbol: re.Match[str]) -> None:
        self._report.fault(_UNKNOWN, self._line, symbol[0])


def _jump_name(name: str) -> str:
    return name.lower().replace(".", "").replace(" ", "")
