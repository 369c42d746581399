"""Marks of a notation file besides its notes: lyrics, fermatas, words, chord symbols, repeats, title and composer.

A score in ticks has no place for them, so they are kept separately and matched to notes by onset and pitch. Generated
notes have none.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from descant_tokenizers.common.errors import printable

_MAX_WORDS = 120
_MAX_TITLE = 120

Place = tuple[Fraction, int]
"""Onset and MIDI pitch of a note."""


@dataclass(frozen=True)
class Lyric:
    """A syllable, its place in its word, and the number of its verse, from 1."""

    text: str
    syllabic: Literal["single", "begin", "middle", "end", "composite"]
    verse: int


@dataclass(frozen=True)
class Words:
    """Words above or below the staff at an onset."""

    onset: Fraction
    text: str
    is_above: bool = True


SignKind = Literal[
    "start", "end", "double", "ending", "segno", "coda", "to coda", "fine", "da capo", "dal segno", "part"
]


@dataclass(frozen=True, slots=True)
class RepeatSign:
    """A sign that decides in which order music is played; see `descant_tokenizers.scores.repeats.play_order`.

    Attributes:
        time: Where it takes effect: a bar line, except for signs in the middle of a bar.
        kind: `start` and `end` of a repeated section; a `double` bar line, which may begin one; the first bar line of
            an `ending`; `segno`, `coda`, `to coda` and `fine`, which count after a `da capo` or `dal segno`; a `part`.
        passes: For an ending the passes (from 1) that play it, for an end the number of times in all.
        label: Letter of a part.
    """

    time: Fraction
    kind: SignKind
    passes: tuple[int, ...] = ()
    label: str = ""


@dataclass(frozen=True)
class Marks:
    """Marks of a score besides its notes.

    Attributes:
        lyrics: The syllables of notes, by part, onset and MIDI pitch.
        parts: Names of all parts.
        fermatas: Notes under a fermata, each with its end.
        words: Words, in order of time.
        chords: Chord symbols as written, such as `Am7` or `G/B`, in order of time.
        repeats: Repeat signs, in order of time; none in a score whose repeats are unfolded.
        title: Title of the piece.
        composer: Its composer.
    """

    lyrics: Mapping[tuple[str, Fraction, int], tuple[Lyric, ...]] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    fermatas: Mapping[Place, Fraction] = field(default_factory=dict)
    words: tuple[Words, ...] = ()
    chords: tuple[Words, ...] = ()
    repeats: tuple[RepeatSign, ...] = ()
    title: str = ""
    composer: str = ""

    @property
    def fermata_ends(self) -> frozenset[Fraction]:
        """Ends of notes under a fermata; notes of other voices that end there are held too."""
        return frozenset(self.fermatas.values())

    def lyrics_of(self, track: str, onset: Fraction, pitch: int) -> tuple[Lyric, ...]:
        """Return the syllables of a note; a track whose name is not in the file may be any of its parts."""
        parts = (track,) if track in self.parts else self.parts
        return next((self.lyrics[part, onset, pitch] for part in parts if (part, onset, pitch) in self.lyrics), ())


def marks_of(source: Any) -> Marks:
    """Return the marks of a music21 stream at sounding pitch; none if music21 cannot determine them."""
    from music21 import stream

    if not isinstance(source, stream.Score | stream.Part):
        return Marks()
    try:
        return _marks_of(source.toSoundingPitch())
    except Exception:  # music21 raises anything, and a score without marks is still usable
        return Marks()


def _marks_of(source: Any) -> Marks:
    from music21 import stream

    lyrics: dict[tuple[str, Fraction, int], tuple[Lyric, ...]] = {}
    names: list[str] = []
    fermatas: dict[Place, Fraction] = {}
    words: dict[tuple[Fraction, str], Words] = {}
    for part in source.parts if isinstance(source, stream.Score) else [source]:
        names.append(printable(part.partName or str(part.id), _MAX_TITLE))
        flat = part.flatten()
        for element in flat.notes:
            _read_note(element, names[-1], lyrics, fermatas)
        for found in _words_in(flat):
            words.setdefault((found.onset, found.text), found)
    about = source.metadata
    title = (about.title or about.movementName or "") if about else ""
    composer = (about.composer or "") if about else ""
    return Marks(
        lyrics,
        tuple(names),
        fermatas,
        tuple(sorted(words.values(), key=lambda each: each.onset)),
        title=printable(title, _MAX_TITLE),
        composer=printable(composer, _MAX_TITLE),
    )


def _read_note(
    element: Any,
    part: str,
    lyrics: dict[tuple[str, Fraction, int], tuple[Lyric, ...]],
    fermatas: dict[Place, Fraction],
) -> None:
    from music21 import chord, expressions, harmony, note

    if isinstance(element, harmony.Harmony) or not isinstance(element, note.Note | chord.Chord):
        return
    onset = Fraction(element.offset)
    syllables = tuple(
        Lyric(printable(each.text, _MAX_WORDS), each.syllabic or "single", each.number)
        for each in element.lyrics
        if each.text
    )
    has_fermata = any(isinstance(mark, expressions.Fermata) for mark in element.expressions)
    for pitch in element.pitches:
        place = (onset, round(pitch.ps))
        if syllables:
            lyrics.setdefault((part, *place), syllables)
        if has_fermata:
            fermatas.setdefault(place, onset + Fraction(element.quarterLength))


def _words_in(flat: Any) -> list[Words]:
    from music21 import dynamics, expressions, tempo

    found = []
    for element in flat:
        if isinstance(element, expressions.TextExpression):
            text, is_above = element.content or "", element.placement != "below"
        elif isinstance(element, tempo.TempoText | tempo.MetronomeMark):
            is_music21s = bool(getattr(element, "textImplicit", False))  # music21 adds "animato" to 120
            text, is_above = "" if is_music21s else getattr(element, "text", None) or "", True
        elif isinstance(element, dynamics.Dynamic):
            text, is_above = element.value or "", False
        else:
            continue
        if text := printable(text, _MAX_WORDS):
            found.append(Words(Fraction(element.offset), text, is_above))
    return found
