"""Staves: which tracks share one, and their clefs and brackets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from music21 import clef
from music21.layout import StaffGroup
from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import Layout
from descant_tokenizers.rendering.layers import Layer
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.marks import Marks

__all__ = ["Staff", "Voice", "clef_of", "engraved_tracks", "put_brackets", "staves_of"]

AnyStream = Any  # music21's streams are generic in ways that say nothing here

_CLEFS: Mapping[str, type[clef.Clef]] = {
    "Tenor": clef.Treble8vbClef,
    "Bass": clef.BassClef,
    "Viola": clef.AltoClef,
}
_MIDDLE_C = 60


@dataclass(frozen=True)
class Voice:
    """A track's name and its layers; a silent track has none."""

    name: str
    layers: Sequence[Layer]


Staff = Sequence[Voice]


def engraved_tracks(score: ScoreTick) -> list[TrackTick]:
    """Return the pitched tracks that have notes, and silent ones of four voices."""
    pitched = [track for track in score.tracks if not track.is_drum]
    kept = VOICES if {track.name for track in pitched} >= set(VOICES) else ()
    return [track for track in pitched if track.notes or track.name in kept]


def staves_of(voices: Sequence[Voice], layout: Layout | None, marks: Marks) -> list[Staff]:
    """Distribute the voices among staves.

    By default four voices have two staves, unless a voice has overlapping notes or a lower voice of a staff has lyrics.

    Raises:
        InputError: A closed score is requested, and these are not four voices.
    """
    open_score: list[Staff] = [[voice] for voice in voices]
    if sorted(voice.name for voice in voices) != sorted(VOICES):
        if layout == "closed":
            raise InputError(f"A closed score holds {', '.join(VOICES)}. Choose an open one.")
        return open_score
    soprano, alto, tenor, bass = sorted(voices, key=lambda voice: VOICES.index(voice.name))
    is_simple = all(len(voice.layers) <= 1 for voice in voices)
    # Two lines of lyrics do not fit below a staff.
    has_low_lyrics = any(_has_lyrics(voice, marks) for voice in (alto, bass))
    is_closed = is_simple and not has_low_lyrics if layout is None else layout == "closed"
    return [[soprano, alto], [tenor, bass]] if is_closed else open_score


def _has_lyrics(voice: Voice, marks: Marks) -> bool:
    notes = ((group.time, pitch) for layer in voice.layers for group in layer for pitch, _ in group.pitches)
    return any(marks.lyrics_of(voice.name, *note) for note in notes)


def clef_of(staff: Staff) -> clef.Clef:
    """Return a staff's clef: the one of its voice, else the one that suits most of its notes."""
    if len(staff) > 1:
        return clef.BassClef() if staff[-1].name == VOICES[-1] else clef.TrebleClef()
    (voice,) = staff
    if voice.name in _CLEFS:
        return _CLEFS[voice.name]()
    pitches = [pitch for layer in voice.layers for group in layer for pitch, _ in group.pitches]
    is_low = bool(pitches) and sum(pitches) / len(pitches) < _MIDDLE_C
    return clef.BassClef() if is_low else clef.TrebleClef()


def put_brackets(score: AnyStream, parts: Sequence[AnyStream], *, is_choir: bool) -> None:
    """Join staves by a bracket and by bar lines; a choir's bar lines leave room for the lyrics between staves."""
    if len(parts) > 1:
        score.insert(0, StaffGroup(list(parts), symbol="bracket", barTogether=not is_choir))
