"""Closed scores in MIDI files: two tracks, one for each staff, with two voices in each.

A MIDI file does not number voices. Notes that sound together are told apart by pitch; a note alone is a unison.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick, TrackTickList

from descant_tokenizers.scores.closed import MAX_MISFITS, MAX_UNISONS, MIN_ONSETS, voices_of_name
from descant_tokenizers.scores.names import VOICES
from descant_tokenizers.scores.tracks import listed, notes_of

_MAX_AT_ONCE = 8  # notes on a staff


def split_staves(score: ScoreTick) -> list[str]:
    """Replace the two staves of a closed score by its four voices.

    The staves are the two tracks whose names say so ("Soprano, Alto", "T/B"), else the only two tracks with notes.

    Returns:
        A sentence if there are such tracks.
    """
    tracks = [track for track in score.tracks if track.notes]
    named = [[track for track in tracks if voices_of_name(track.name) == pair] for pair in (VOICES[:2], VOICES[2:])]
    is_named = [len(found) for found in named] == [1, 1]
    staves = [named[0][0], named[1][0]] if is_named else tracks
    if len(staves) != 2 or any(track.is_drum or notes_of([track]).are_lines for track in staves):
        return []
    if not is_named and _median_pitch(staves[0]) <= _median_pitch(staves[1]):
        return []
    pairs = [_two_voices(staff, is_certain=is_named) for staff in staves]
    if pairs[0] is None or pairs[1] is None:
        return []
    labels = [f"'{staff.name}'" if staff.name else str(tracks.index(staff) + 1) for staff in staves]
    voices = [*pairs[0], *pairs[1]]
    for voice, name in zip(voices, VOICES, strict=True):
        voice.name = name
    score.tracks = TrackTickList([*voices, *(track for track in tracks if all(track is not staff for staff in staves))])
    return [f"two voices in each of the tracks {listed(labels)}: read as {listed(VOICES)}"]


def _median_pitch(track: TrackTick) -> float:
    return statistics.median(note.pitch for note in track.notes)


def _two_voices(staff: TrackTick, *, is_certain: bool) -> tuple[TrackTick, TrackTick] | None:
    """Divide the notes of a staff between an upper and a lower voice; return None if they are not two voices."""
    notes = sorted(staff.notes, key=lambda note: (note.time, -note.pitch))
    has_above, has_below = set(), set()
    sounding: list[int] = []
    for index, note in enumerate(notes):
        sounding = [other for other in sounding if notes[other].end > note.time]
        if len(sounding) >= _MAX_AT_ONCE:
            return None
        for other in sounding:
            if _are_together(notes[other], note):
                is_above = notes[other].pitch >= note.pitch
                has_above.add(index if is_above else other)
                has_below.add(other if is_above else index)
        sounding.append(index)
    inner = has_above & has_below
    upper = [note for index, note in enumerate(notes) if index not in has_above or index in inner]
    lower = [note for index, note in enumerate(notes) if index not in has_below]
    onsets = {note.time for note in upper}
    num_unisons = len(notes) - len(has_above | has_below)
    is_fine = is_certain or (
        len(onsets | {note.time for note in lower}) >= MIN_ONSETS
        and len(inner) <= MAX_MISFITS * len(notes)
        and num_unisons <= MAX_UNISONS * len(onsets)
    )
    return (_with_notes(staff, upper), _with_notes(staff, lower)) if is_fine else None


def _are_together(first: NoteTick, second: NoteTick) -> bool:
    """Return True if two notes overlap for half of the shorter one; others are legato."""
    overlap = min(first.end, second.end) - second.time
    return 2 * overlap >= min(first.duration, second.duration)


def _with_notes(staff: TrackTick, notes: Sequence[NoteTick]) -> TrackTick:
    track = staff.copy()
    track.notes = NoteTickList([note.copy() for note in notes])
    return track
