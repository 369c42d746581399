"""Clefs of staves, as music21 names them: one for a voice, and changes between measures for a pianist's hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from descant_tokenizers.rendering.layers import PrintedMeasure, Staff, Voice, groups_inside
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.ensembles import ENSEMBLES

_CLEFS = {"Tenor": "Treble8vbClef", "Bass": "BassClef", "Viola": "AltoClef"}
_TREBLE, _BASS = "TrebleClef", "BassClef"
_MIDDLE_C = 60
_FAR = 3  # semitones beyond middle C of the mean pitch of a measure that asks for the other clef


def clefs_of(staff: Staff, measures: Sequence[PrintedMeasure]) -> list[str]:
    """Return the clef of a staff in each measure."""
    if len(staff) == 1:
        for ensemble in ENSEMBLES.values():
            if staff[0].name in ensemble.staves:
                usual = _TREBLE if staff[0].name == ensemble.staves[0] else _BASS
                return _hand_clefs(staff[0], measures, usual)
    return [_clef_of(staff)] * len(measures)


def _clef_of(staff: Staff) -> str:
    """Return the clef of a staff's voice, else the one that suits most of its notes."""
    if len(staff) > 1:
        return _BASS if staff[-1].name == VOICES[-1] else _TREBLE
    (voice,) = staff
    if voice.name in _CLEFS:
        return _CLEFS[voice.name]
    pitches = [pitch for layer in voice.layers for group in layer for pitch, _ in group.pitches]
    is_low = bool(pitches) and sum(pitches) / len(pitches) < _MIDDLE_C
    return _BASS if is_low else _TREBLE


def _hand_clefs(voice: Voice, measures: Sequence[PrintedMeasure], usual: str) -> list[str]:
    """Return the usual clef of a hand, and the other one from two measures on that lie beyond middle C."""
    wanted = list(_wanted(voice, measures))
    sounding = [index for index, clef in enumerate(wanted) if clef is not None]
    changes = {
        first: wanted[first]
        for first, second in pairwise(sounding)
        if wanted[first] and wanted[first] == wanted[second]
    }
    clefs, present = [], usual
    for index in range(len(measures)):
        present = changes.get(index) or present
        clefs.append(present)
    return clefs


def _wanted(voice: Voice, measures: Sequence[PrintedMeasure]) -> Iterator[str | None]:
    """Yield the clef that the notes of each measure ask for: empty where either will do, None where there are none."""
    for own in measures:
        groups = [group for layer in voice.layers for group in groups_inside(layer, own)]
        pitches = [pitch for group in groups for pitch, _ in group.pitches]
        if not pitches:
            yield None
            continue
        mean = sum(pitches) / len(pitches)
        is_low = max(pitches) < _MIDDLE_C and mean <= _MIDDLE_C - _FAR
        is_high = min(pitches) >= _MIDDLE_C and mean >= _MIDDLE_C + _FAR
        yield _BASS if is_low else _TREBLE if is_high else ""
