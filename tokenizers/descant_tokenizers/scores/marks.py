"""Marks of a file besides its notes: lyrics, slurs, grace notes, articulations, words, chord symbols, repeats, authors.

A score in ticks has no place for them, so they are kept separately and matched to notes by part, onset and pitch.
Generated notes have none.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.scores.measures import Measure

Place = tuple[Fraction, int]
"""Onset and MIDI pitch of a note."""

PartPlace = tuple[int, Fraction, int]
"""Index of a part, and onset and MIDI pitch of one of its notes."""

GracePlace = tuple[int, Fraction, int, int]
"""Place of the note that grace notes precede, and index of one of them."""

SlurEnd = PartPlace | GracePlace
"""Place of a note or grace note at which a slur begins or ends."""

SYMBOLS = frozenset(
    (
        *("accent", "strong-accent", "staccato", "staccatissimo", "tenuto", "detached-legato"),
        *("spiccato", "stress", "unstress", "breath-mark", "caesura", "up-bow"),
        *("down-bow", "open-string", "thumb-position", "stopped", "trill-mark", "mordent"),
        *("inverted-mordent", "turn", "inverted-turn", "arpeggiate", "tremolo-1", "tremolo-2"),
        *("tremolo-3", "tremolo-4"),
    )
)
"""Articulations, ornaments and playing techniques that are kept, as MusicXML names them."""


@dataclass(frozen=True)
class Lyric:
    """A syllable, or several that an elision joins.

    Attributes:
        text: The text; elided syllables are joined by `\u203f`. It is empty on the note where a line ends.
        syllabic: Its place in its word.
        verse: Number of its verse, from 1.
        is_extended: True if a line shows that the following notes belong to it.
    """

    text: str
    syllabic: Literal["single", "begin", "middle", "end"]
    verse: int
    is_extended: bool = False


@dataclass(frozen=True)
class Grace:
    """A grace note or chord.

    Attributes:
        pitches: Its MIDI pitches in ascending order.
        length: Its written length in quarters.
        has_slash: It has a slash.
        has_fermata: It has a fermata.
        symbols: Its articulations, ornaments and techniques, see `SYMBOLS`.
        spellings: Step and alteration of each pitch as written, if the file says so.
    """

    pitches: tuple[int, ...]
    length: Fraction
    has_slash: bool = True
    has_fermata: bool = False
    symbols: tuple[str, ...] = ()
    spellings: tuple[tuple[str, int] | None, ...] = ()


@dataclass(frozen=True)
class Metronome:
    """A metronome mark: its onset, its note value in quarters (3/2 is a dotted quarter), and how many a minute."""

    onset: Fraction
    unit: Fraction
    per_minute: float


@dataclass(frozen=True)
class Words:
    """Words above or below the staff at an onset: directions, tempo words, dynamics, chord symbols, names of faults.

    Those of a part stand at its staff; others above the first staff, or below the last.
    """

    onset: Fraction
    text: str
    is_above: bool = True
    kind: Literal["words", "tempo", "dynamic", "rehearsal", "chord", "fault"] = "words"
    part: int | None = None


@dataclass(frozen=True)
class Hairpin:
    """A crescendo or diminuendo of a part, from one time to another."""

    part: int
    onset: Fraction
    end: Fraction
    is_louder: bool


SignKind = Literal[
    "start",
    "end",
    "double",
    "ending",
    "segno",
    "coda",
    "to coda",
    "fine",
    "da capo",
    "dal segno",
    "part",
    "movement",
]


@dataclass(frozen=True, slots=True)
class RepeatSign:
    """A sign that decides in which order music is played; see `descant_tokenizers.scores.repeats.play_order`.

    Attributes:
        time: Where it takes effect: a bar line, except for signs in the middle of a bar.
        kind: `start` and `end` of a repeated section; a `double` bar line, which may begin one; the first bar line of
            an `ending`; `segno`, `coda`, `to coda` and `fine`, which count after a `da capo` or `dal segno`; a `part`;
            a `movement`, whose repeats and jumps stay inside it.
        passes: For an ending the passes (from 1) that play it, for an end the number of times in all.
        label: Letter of a part.
        until: Where the bracket of an ending ends, if it is known.
    """

    time: Fraction
    kind: SignKind
    passes: tuple[int, ...] = ()
    label: str = ""
    until: Fraction | None = None


@dataclass(frozen=True)
class Marks:
    """Marks of a score besides its notes.

    Attributes:
        lyrics: The syllables of notes.
        parts: Names of all parts.
        fermatas: Notes under a fermata, each with its end.
        words: Words, in order of time.
        chords: Chord symbols as written, such as `Am7` or `G/B`, in order of time.
        repeats: Repeat signs, in order of time; none in a score whose repeats are unfolded.
        measures: Measures of the file, if there are repeat signs.
        title: Title of the piece.
        composer: Its composer.
        lyricist: Author of the words.
        graces: Grace notes, by the note that follows them.
        slurs: First and last note of each slur; either may be a grace note, or of another part. A slur over tied notes
            begins and ends at the same place.
        symbols: Articulations, ornaments and techniques of notes, see `SYMBOLS`.
        hairpins: Crescendos and diminuendos, in order of time.
        metronomes: Metronome marks as written.
        mode: Mode of the first key signature, such as `dorian`, if the file states it.
        spellings: Step and alteration of notes as written, such as `("F", 1)`.
        notes: Onsets and pitches of each part's notes; they tell which track of a score is which part.
        pairs: Indices of the two parts that are the staves of one part of the file, such as a piano.
    """

    lyrics: Mapping[PartPlace, tuple[Lyric, ...]] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    fermatas: Mapping[Place, Fraction] = field(default_factory=dict)
    words: tuple[Words, ...] = ()
    chords: tuple[Words, ...] = ()
    repeats: tuple[RepeatSign, ...] = ()
    measures: tuple[Measure, ...] = ()
    title: str = ""
    composer: str = ""
    lyricist: str = ""
    graces: Mapping[PartPlace, tuple[Grace, ...]] = field(default_factory=dict)
    slurs: tuple[tuple[SlurEnd, SlurEnd], ...] = ()
    symbols: Mapping[PartPlace, tuple[str, ...]] = field(default_factory=dict)
    hairpins: tuple[Hairpin, ...] = ()
    metronomes: tuple[Metronome, ...] = ()
    mode: str = ""
    spellings: Mapping[PartPlace, tuple[str, int]] = field(default_factory=dict)
    notes: tuple[frozenset[Place], ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()

    @property
    def fermata_ends(self) -> frozenset[Fraction]:
        """Ends of notes under a fermata; notes of other voices that end there are held too."""
        return frozenset(self.fermatas.values())

    def parts_of(self, tracks: Sequence[TrackTick], ticks_per_quarter: int) -> list[int | None]:
        """Return for each track the index of its part, None for a track of new notes.

        A track is the part with which it shares the most notes; of equals, that of its name, then of its place. Names
        alone say nothing: tracks are renamed, and two singers may have the same name.
        """
        shared = []
        for index, track in enumerate(tracks):
            own = {(Fraction(note.time, ticks_per_quarter), note.pitch) for note in track.notes}
            for part, notes in enumerate(self.notes):
                if count := len(own & notes):
                    shared.append((-count, track.name != self.parts[part], abs(index - part), index, part))
        found: dict[int, int] = {}
        for *_, index, part in sorted(shared):
            if index not in found and part not in found.values():
                found[index] = part
        return [found.get(index) for index in range(len(tracks))]


def with_notes(marks: Marks, score: ScoreTick) -> Marks:
    """Return marks with the names and notes of the parts, which are those of the tracks of the score as read."""
    tracks = (track.notes for track in score.tracks)
    unit = score.ticks_per_quarter
    notes = tuple(frozenset((Fraction(note.time, unit), note.pitch) for note in own) for own in tracks)
    return replace(marks, parts=tuple(track.name for track in score.tracks), notes=notes)
