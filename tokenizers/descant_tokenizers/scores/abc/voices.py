"""One voice of a tune: its notes, measures, repeat signs and words, as its symbols are read one by one.

Units: quarter notes, as exact fractions, from the beginning of the tune.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from descant_tokenizers.scores.abc.fields import Key, Meter, VoiceSettings
from descant_tokenizers.scores.key import NATURALS
from descant_tokenizers.scores.marks import Grace, Lyric, RepeatSign, SignKind, Words
from descant_tokenizers.scores.measures import Measure, free_signature, settled

_MAX_TUPLETS = 4
_MAX_LAYERS = 8

WordsKind = Literal["words", "tempo", "dynamic", "rehearsal", "chord"]
Position = tuple[str, int]
"""A letter and its octave, as written."""


@dataclass(slots=True)
class Note:
    """A note as it sounds: tied notes are one."""

    onset: Fraction
    length: Fraction
    pitch: int
    spelling: tuple[str, int] | None = None
    has_fermata: bool = False
    symbols: tuple[str, ...] = ()
    graces: tuple[Grace, ...] = ()
    is_tied: bool = False

    @property
    def end(self) -> Fraction:
        """Its end."""
        return self.onset + self.length


@dataclass(slots=True, eq=False)
class GraceEnd:
    """A grace note at which a slur begins or ends: its index, and the note that it precedes, once that is known."""

    index: int
    note: Note | None = None


SlurNote = Note | GraceEnd


@dataclass(slots=True)
class Slot:
    """A note or chord to which a syllable may be sung; a tied note has a slot for each written note."""

    notes: list[Note]
    bar: int


@dataclass(slots=True)
class _Tuplet:
    factor: Fraction
    left: int


@dataclass
class Voice:
    """A voice; see the module."""

    id: str
    meter: Meter | None
    unit: Fraction
    key: Key
    settings: VoiceSettings = field(default_factory=VoiceSettings)
    propagation: str = "pitch"

    layers: list[list[Note]] = field(default_factory=lambda: [[]])
    measures: list[Measure] = field(default_factory=list)
    signs: list[RepeatSign] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    lyrics: dict[int, dict[int, Lyric]] = field(default_factory=dict)
    slurs: list[tuple[SlurNote, SlurNote]] = field(default_factory=list)
    num_ends: int = 0  # of slurs that have no beginning
    lyric_range: tuple[int, int] = (0, 0)
    verse: int = 0
    open_words: set[int] = field(default_factory=set)

    time: Fraction = Fraction(0)
    measure_start: Fraction = Fraction(0)
    bar_number: int = 0
    has_fermata: bool = False
    waiting_jumps: list[SignKind] = field(default_factory=list)
    waiting_graces: list[Grace] = field(default_factory=list)
    waiting_symbols: list[str] = field(default_factory=list)
    hairpins: list[tuple[Fraction, Fraction, bool]] = field(default_factory=list)
    waiting_slurs: int = 0

    _layer: int = 0
    _resume: Fraction = Fraction(0)
    _overlay_bars: int = 0
    _accidentals: dict[object, int] = field(default_factory=dict)
    _ties: dict[Position, Note] = field(default_factory=dict)
    _incoming: dict[Position, Note] = field(default_factory=dict)
    _open_slurs: list[SlurNote] = field(default_factory=list)
    _grace_ends: list[GraceEnd] = field(default_factory=list)  # before the next note
    _open_hairpins: list[tuple[Fraction, bool]] = field(default_factory=list)
    _ending_hairpins: list[tuple[Fraction, bool]] = field(default_factory=list)
    _latest: Note | None = None
    _last: list[tuple[Position, Note]] = field(default_factory=list)
    _last_length: Fraction = Fraction(0)
    _can_break: bool = False
    _next_factor: Fraction = Fraction(1)
    _factor: Fraction = Fraction(1)  # by which tuplets and broken rhythm change the length of the present event
    _tuplets: list[_Tuplet] = field(default_factory=list)
    _times: int = 2
    _late_jumps: list[SignKind] = field(default_factory=list)

    # Notes

    def begin_event(self) -> None:
        """Begin a note, chord or rest."""
        self._incoming, self._ties = self._ties, {}
        self._last = []
        self._factor = self._next_factor
        for tuplet in self._tuplets:
            self._factor *= tuplet.factor

    def add(self, position: Position, accidental: int | None, length: Fraction) -> int:
        """Add a note to the event; return its MIDI pitch.

        Args:
            position: Where it is written.
            accidental: Semitones of its own accidental, if it has one.
            length: Its length before tuplets and broken rhythm.
        """
        length *= self._factor
        held = self._incoming.get(position)
        if held is not None and held.end != self.time:
            held = None
        pitch = held.pitch if held is not None and accidental is None else self.pitch(position, accidental)
        if held is not None and held.pitch == pitch:
            held.length, held.is_tied = held.length + length, True
            note = held
        else:
            note = Note(self.time, length, pitch, self.spelling(position, accidental))
            self.layers[self._layer].append(note)
        note.has_fermata |= self.has_fermata
        self._last.append((position, note))
        return pitch

    def end_event(self, length: Fraction, *, is_rest: bool = False) -> None:
        """End a note, chord or rest of a length before tuplets and broken rhythm, and move on."""
        self._last_length = length * self._factor
        self.time = settled(self.time + self._last_length)
        self._next_factor, self._can_break = Fraction(1), True
        for tuplet in self._tuplets:
            tuplet.left -= 1
        self._tuplets = [tuplet for tuplet in self._tuplets if tuplet.left > 0]
        if not is_rest:
            self._latest = self._last[0][1]
            self._open_slurs += [self._latest] * self.waiting_slurs
            for end in self._grace_ends:
                end.index, end.note = end.index + len(self._latest.graces), self._latest
            self._latest.graces += tuple(self.waiting_graces)
            self._latest.symbols += tuple(self.waiting_symbols)
            self.waiting_slurs, self.waiting_graces, self.waiting_symbols, self._grace_ends = 0, [], [], []
            if self._layer == 0:
                self.slots.append(Slot([note for _, note in self._last], self.bar_number))
        self.has_fermata = False
        self.hairpins += [(onset, self.time, is_louder) for onset, is_louder in self._ending_hairpins]
        self._ending_hairpins = []
        if self.waiting_jumps:
            self._late_jumps += self.waiting_jumps
            self.waiting_jumps = []

    def _lengthen(self, change: Fraction) -> None:
        for _, note in self._last:
            note.length += change
        self._last_length += change
        self.time = settled(self.time + change)

    def pitch(self, position: Position, accidental: int | None, *, holds: bool = True) -> int:
        """Return the MIDI pitch of a note; its accidental holds for the rest of the bar unless `holds` is off."""
        letter, octave = position
        if holds and accidental is not None and self.propagation != "not":
            self._accidentals[self._reach(position)] = accidental
        own = self.settings
        octave += (own.clef_octave or 0) + (own.octave or 0)
        return 60 + 12 * octave + NATURALS[letter] + self._altered(position, accidental) + (own.transpose or 0)

    def _reach(self, position: Position) -> object:
        return position[0] if self.propagation == "pitch" else position

    def _altered(self, position: Position, accidental: int | None) -> int:
        if accidental is not None:
            return accidental
        return self._accidentals.get(self._reach(position), self.key.alterations.get(position[0], 0))

    def spelling(self, position: Position, accidental: int | None) -> tuple[str, int] | None:
        """Return step and alteration of a note; None in a voice that sounds at another pitch."""
        is_at_pitch = (self.settings.transpose or 0) % 12 == 0
        return (position[0], self._altered(position, accidental)) if is_at_pitch else None

    def end_slur(self) -> None:
        """End the innermost slur at the latest note."""
        if self._latest is not None:
            self._end_slur(self._latest)

    def _end_slur(self, at: SlurNote) -> None:
        if self._open_slurs:
            self.slurs.append((self._open_slurs.pop(), at))
        else:
            self.num_ends += 1

    def slur_grace(self, *, begins: bool) -> None:
        """Begin a slur at the next grace note, or end the innermost one at the latest grace note."""
        end = GraceEnd(len(self.waiting_graces) - (0 if begins else 1))
        if begins:
            self._open_slurs.append(end)
        elif end.index >= 0:
            self._end_slur(end)
        self._grace_ends.append(end)

    @property
    def num_open_slurs(self) -> int:
        """Slurs that have begun and not ended."""
        return len(self._open_slurs) + self.waiting_slurs

    def hairpin(self, *, is_louder: bool, begins: bool) -> None:
        """Begin a hairpin at the next note, or end the latest of its kind with that note."""
        if begins:
            self._open_hairpins.append((self.time, is_louder))
            return
        found = next((each for each in reversed(self._open_hairpins) if each[1] == is_louder), None)
        if found is not None:
            self._open_hairpins.remove(found)
            self._ending_hairpins.append(found)

    def tie(self, position: Position | None = None) -> None:
        """Tie the last note or chord, or one note of it, to the next one."""
        for place, note in self._last:
            if position is None or place == position:
                self._ties[place] = note

    def break_rhythm(self, sign: str) -> bool:
        """Take `>` or `<` (or several); return False if there is no note before it."""
        if not self._can_break or len(sign) > 6:
            return False
        small = Fraction(1, 2 ** len(sign))
        first, second = (2 - small, small) if sign[0] == ">" else (small, 2 - small)
        self._lengthen(self._last_length * (first - 1))
        self._next_factor, self._can_break = second, False
        return True

    def begin_tuplet(self, p: int, q: int | None, r: int | None) -> bool:
        """Begin a tuplet, p notes in the time of q for the next r notes; return False if it is impossible."""
        if q is None:
            by_meter = 3 if self.meter is not None and self.meter.is_compound else 2
            q = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, by_meter)
        r = p if r is None else r
        if not (0 < p <= 64 and 0 < q <= 64 and 0 < r <= 128) or len(self._tuplets) >= _MAX_TUPLETS:
            return False
        self._tuplets.append(_Tuplet(Fraction(q, p), r))
        return True

    # Measures

    def bar(self, text: str, passes: tuple[int, ...] = ()) -> None:
        """Take a bar line with its dots and the numbers of an ending behind it."""
        if self._overlay_bars > 1:
            self._overlay_bars -= 1
            self._accidentals = {}
            return
        self.end_overlay()
        self.close_measure()
        self._accidentals = {}
        after = len(text) - len(text.rstrip(":"))
        before = text.count(":") - after
        if after == len(text):  # `::`
            before = after = len(text) // 2
        if before:
            self.sign("end", (max(before + 1, self._times),))
        elif text != "[|]" and any(double in text for double in ("||", "|]", "[|")):
            self.sign("double")
        if before or after:
            self._times = after + 1 if after else 2
        if after:
            self.sign("start")
        if passes:
            self.ending(passes)

    def ending(self, passes: tuple[int, ...]) -> None:
        """Begin a variant ending."""
        self.close_measure()
        self.sign("ending", passes)

    def sign(self, kind: SignKind, passes: tuple[int, ...] = (), label: str = "") -> None:
        """Put a sign at the current time, unless it stands there already."""
        found = RepeatSign(self.time, kind, passes, label)
        if not any(sign == found for sign in self.signs[-8:]):
            self.signs.append(found)

    def close_measure(self) -> None:
        """End the measure here, if it has begun."""
        for kind in (*self._late_jumps, *self.waiting_jumps):
            self.sign(kind)
        self._late_jumps, self.waiting_jumps = [], []
        if self.time > self.measure_start:
            length = self.time - self.measure_start
            known = None if self.meter is None else (self.meter.numerator, self.meter.denominator)
            self.measures.append(Measure(self.measure_start, length, *(known or free_signature(length))))
            self.measure_start = self.time
            self.bar_number += 1

    def rest_measures(self, count: int) -> None:
        """Rest for whole measures, each of which is one of its own if the voice stands at a bar line."""
        length = self.meter.quarters if self.meter is not None else Fraction(4)
        for _ in range(count):
            self.begin_event()
            self.end_event(length, is_rest=True)
            if self._layer == 0 and (self.time - self.measure_start) == length:
                self.close_measure()

    def begin_overlay(self, num_bars: int) -> bool:
        """Go back `num_bars` bar lines, and write the next notes beside what is there; return False if impossible."""
        is_open = self.time > self.measure_start or self._layer > 0
        back = num_bars - (1 if is_open else 0)
        if back > len(self.measures) or self._layer + 1 >= _MAX_LAYERS:
            return False
        self._resume = max(self.time, self._resume if self._layer else self.time)
        self.time = self.measures[-back].onset if back else self.measure_start
        self._layer += 1
        self._overlay_bars = num_bars
        if len(self.layers) <= self._layer:
            self.layers.append([])
        self._accidentals, self._ties, self._tuplets, self._can_break = {}, {}, [], False
        return True

    def end_overlay(self) -> None:
        """Go on after the longest of the overlaid voices."""
        if self._layer:
            self.time = max(self.time, self._resume)
            self._layer, self._overlay_bars, self._ties = 0, 0, {}

    def finish(self) -> None:
        """End the voice."""
        self.end_overlay()
        self.close_measure()

    # Words

    def put_words(self, text: str, *, is_above: bool = True, kind: WordsKind = "words") -> None:
        """Put words at the current time."""
        self.words.append(Words(self.time, text, is_above, kind))


def most_detailed(voices: Sequence[Voice]) -> Voice:
    """Return the voice whose bar lines and repeat signs hold for all: the first of those with the most."""
    return max(voices, key=lambda voice: (len(voice.measures), len(voice.signs)))
