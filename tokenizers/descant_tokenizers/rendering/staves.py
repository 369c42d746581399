"""Which tracks are engraved, on which staves, under which clefs and brackets.

How a score is to be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from music21 import clef, layout
from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.chords import ChordName
from descant_tokenizers.rendering.layers import GivenRule, Layer
from descant_tokenizers.rendering.marks import Marks
from descant_tokenizers.rendering.spelling import Key
from descant_tokenizers.scores import VOICES

__all__ = ["Layout", "SheetOptions", "Staff", "Voice", "clef_of", "engraved_tracks", "put_brackets", "staves_of"]

Layout = Literal["open", "closed"]
"""A staff for each track, or two voices to a staff."""


@dataclass(frozen=True)
class SheetOptions:
    """How a score is to be written.

    Attributes:
        title: Stands above the first system.
        composer: Stands at its right.
        arrangement: `open` has a staff for each track; `closed` two voices to a staff, for four named voices only. By
            default closed for those, unless a lower voice of a staff has words or a voice has overlapping notes.
        is_given: Which notes were given; the others get a colour, and a line of text says so.
        key: The key that notes are named after, and whose signature is printed; by default that of the score.
        chords: Chord symbols above the first staff, Roman numerals below the last.
        marks: Lyrics, fermatas and words of the file that the score came from.
    """

    title: str = ""
    composer: str = ""
    arrangement: Layout | None = None
    is_given: GivenRule | None = None
    key: Key | None = None
    chords: Sequence[ChordName] = ()
    marks: Marks = field(default_factory=Marks)


AnyStream = Any  # music21's streams are generic in ways that say nothing here

_CLEFS: Mapping[str, type[clef.Clef]] = {
    "Tenor": clef.Treble8vbClef,
    "Bass": clef.BassClef,
    "Viola": clef.AltoClef,
}
_MIDDLE_C = 60


def engraved_tracks(score: ScoreTick) -> list[TrackTick]:
    """The pitched tracks that have notes; of four voices, those that are silent, too."""
    pitched = [track for track in score.tracks if not track.is_drum]
    kept = VOICES if {track.name for track in pitched} >= set(VOICES) else ()
    return [track for track in pitched if track.notes or track.name in kept]


@dataclass(frozen=True)
class Voice:
    """A track on paper.

    Attributes:
        name: Its name.
        layers: Its music, one line each; none where it is silent.
    """

    name: str
    layers: Sequence[Layer]


Staff = Sequence[Voice]


def staves_of(voices: Sequence[Voice], sheet: SheetOptions) -> list[Staff]:
    """Share the voices among staves: two to one in a closed score.

    Raises:
        InputError: A closed score is asked for, and these are no four voices.
    """
    open_score: list[Staff] = [[voice] for voice in voices]
    if sorted(voice.name for voice in voices) != sorted(VOICES):
        if sheet.arrangement == "closed":
            raise InputError(f"a closed score holds {', '.join(VOICES)}; ask for an open one.")
        return open_score
    soprano, alto, tenor, bass = sorted(voices, key=lambda voice: VOICES.index(voice.name))
    is_simple = all(len(voice.layers) <= 1 for voice in voices) and not (_sings(alto, sheet) or _sings(bass, sheet))
    is_closed = sheet.arrangement == "closed" or (sheet.arrangement is None and is_simple)
    return [[soprano, alto], [tenor, bass]] if is_closed else open_score


def _sings(voice: Voice, sheet: SheetOptions) -> bool:
    """Whether a voice has words: two lines of them do not fit below a staff."""
    places = ((item.time, number) for layer in voice.layers for item in layer for number, _ in item.pitches)
    return any(sheet.marks.lyrics_of(voice.name, *place) for place in places)


def clef_of(staff: Staff) -> clef.Clef:
    """Return a staff's clef: that of its voice, else the one in which most of its notes stand."""
    if len(staff) > 1:
        return clef.BassClef() if staff[-1].name == VOICES[-1] else clef.TrebleClef()
    (voice,) = staff
    if voice.name in _CLEFS:
        return _CLEFS[voice.name]()
    pitches = [number for layer in voice.layers for item in layer for number, _ in item.pitches]
    is_low = bool(pitches) and sum(pitches) / len(pitches) < _MIDDLE_C
    return clef.BassClef() if is_low else clef.TrebleClef()


def put_brackets(score: AnyStream, parts: Sequence[AnyStream], *, is_choir: bool) -> None:
    """Join staves by a bracket; bar lines run through them, but for the words between the voices of a choir."""
    if len(parts) > 1:
        score.insert(0, layout.StaffGroup(list(parts), symbol="bracket", barTogether=not is_choir))
