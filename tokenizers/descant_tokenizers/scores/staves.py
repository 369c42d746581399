"""Closed scores whose voices have no numbers: MIDI and ABC with two parts, one for each staff, and two voices in each.

Notes that sound together are told apart by pitch; a note alone is a unison.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from fractions import Fraction

from symusic.core import NoteTickList, ScoreTick, TrackTick, TrackTickList

from descant_tokenizers.scores.closed import MAX_MISFITS, MAX_UNISONS, MIN_ONSETS, voices_of_name
from descant_tokenizers.scores.names import VOICES
from descant_tokenizers.scores.tracks import listed, notes_of

_MAX_AT_ONCE = 8  # notes on a staff

NotePlaces = Sequence[tuple[int | Fraction, int | Fraction, int]]
"""Onset, end and pitch of each note."""


def split_staves(score: ScoreTick) -> list[str]:
    """Replace the two staves of a closed score by its four voices; return a sentence if there are such tracks."""
    tracks = [track for track in score.tracks if track.notes]
    if len(tracks) < 2 or all(notes_of([track]).are_lines for track in tracks):
        return []
    places = [[(note.time, note.end, note.pitch) for note in track.notes] for track in tracks]
    staves = find_staves([track.name for track in tracks], places, [track.is_drum for track in tracks])
    if staves is None:
        return []
    labels = [f"'{tracks[index].name}'" if tracks[index].name else str(index + 1) for index, *_ in staves]
    voices = [_with_notes(tracks[index], chosen) for index, *pair in staves for chosen in pair]
    for voice, name in zip(voices, VOICES, strict=True):
        voice.name = name
    others = [track for index, track in enumerate(tracks) if all(index != staff for staff, *_ in staves)]
    score.tracks = TrackTickList([*voices, *others])
    return [f"two voices in each of the tracks {listed(labels)}: read as {listed(VOICES)}"]


def find_staves(
    names: Sequence[str], parts: Sequence[NotePlaces], are_drums: Sequence[bool]
) -> list[tuple[int, list[int], list[int]]] | None:
    """Find the two staves of a closed score among parts with notes.

    They are the two parts whose names say so ("Soprano, Alto", "T/B"), else the only two.

    Returns:
        Of each staff, the index of its part and those of the notes of its upper and its lower voice; None if there are
        no such parts.
    """
    pairs = [voices_of_name(name) for name in names]
    is_named = pairs.count(VOICES[:2]) == pairs.count(VOICES[2:]) == 1
    chosen = [pairs.index(VOICES[:2]), pairs.index(VOICES[2:])] if is_named else list(range(len(parts)))
    if len(chosen) != 2 or any(are_drums[index] for index in chosen):
        return None
    upper, lower = (statistics.median(pitch for *_, pitch in parts[index]) for index in chosen)
    if not is_named and upper <= lower:
        return None
    found = []
    for index in chosen:
        voices = _two_voices(parts[index], is_certain=is_named)
        if voices is None:
            return None
        found.append((index, *voices))
    return found


def _two_voices(notes: NotePlaces, *, is_certain: bool) -> tuple[list[int], list[int]] | None:
    """Divide the notes of a staff between an upper and a lower voice; return None if they are not two voices."""
    order = sorted(range(len(notes)), key=lambda index: (notes[index][0], -notes[index][2]))
    has_above, has_below = set(), set()
    sounding: list[int] = []
    for index in order:
        onset, _, pitch = notes[index]
        sounding = [other for other in sounding if notes[other][1] > onset]
        if len(sounding) >= _MAX_AT_ONCE:
            return None
        for other in sounding:
            if _are_together(notes[other], notes[index]):
                is_above = notes[other][2] >= pitch
                has_above.add(index if is_above else other)
                has_below.add(other if is_above else index)
        sounding.append(index)
    inner = has_above & has_below
    upper = [index for index in order if index not in has_above or index in inner]
    lower = [index for index in order if index not in has_below]
    onsets = {notes[index][0] for index in upper}
    num_unisons = len(notes) - len(has_above | has_below)
    is_fine = is_certain or (
        len(onsets | {notes[index][0] for index in lower}) >= MIN_ONSETS
        and len(inner) <= MAX_MISFITS * len(notes)
        and num_unisons <= MAX_UNISONS * len(onsets)
    )
    return (upper, lower) if is_fine and lower else None


def _are_together(
    first: tuple[int | Fraction, int | Fraction, int], second: tuple[int | Fraction, int | Fraction, int]
) -> bool:
    """Return True if two notes overlap for half of the shorter one; others are legato."""
    overlap = min(first[1], second[1]) - second[0]
    return 2 * overlap >= min(first[1] - first[0], second[1] - second[0])


def _with_notes(staff: TrackTick, chosen: Sequence[int]) -> TrackTick:
    track = staff.copy()
    track.notes = NoteTickList([staff.notes[index].copy() for index in chosen])
    return track
