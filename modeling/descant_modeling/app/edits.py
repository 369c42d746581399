"""What stays of a take when it is changed: single notes by hand, locked bars and voices, what a repair leaves.

Units: ticks of the take's score.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from symusic.core import NoteTick, NoteTickList

from descant_modeling.app.requests import Locks, NoteChange
from descant_modeling.app.sessions import Take, runs_of
from descant_modeling.evaluation.repair import Repair
from descant_modeling.generation.base import FixedPlace
from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores import bars_of

__all__ = ["edited", "mended", "names_of_locked", "places_to_keep"]

_PITCHES = range(21, 109)
_VELOCITY = 80


def edited(take: Take, changes: Sequence[NoteChange]) -> Take:
    """Return a take with changes made by hand; the changed notes count as written, so that they can be again.

    Raises:
        InputError: A note is gone, the user's own or out of reach, or two notes of a voice overlap.
    """
    if not changes:
        return take
    score, added = take.score.copy(), set(take.added)
    tracks = {track.name: track for track in score.tracks}
    end = bars_of(score)[-1].end_ticks
    for change in changes:
        if change.voice not in tracks or change.voice in take.own_voices:
            raise InputError(f"{printable(change.voice, 40)} is yours, or not there. Choose the take again.")
    gone = {(change.voice, *change.before) for change in changes if change.before is not None}
    if not gone <= take.added:
        raise InputError("A changed note is yours, or no longer there. Choose the take again.")
    velocities: dict[tuple[str, int, int], int] = {}
    for name in {change.voice for change in changes}:
        notes = tracks[name].notes
        velocities |= {(name, note.time, note.pitch): note.velocity for note in notes}
        tracks[name].notes = NoteTickList([note for note in notes if (name, note.time, note.pitch) not in gone])
    for change in changes:
        if change.after is None:
            continue
        onset, length, pitch = change.after
        if not (0 <= onset < onset + length <= end and pitch in _PITCHES):
            raise InputError("A note is outside the piece or its voices. Move it back.")
        velocity = velocities.get((change.voice, *(change.before or (0, 0))), _VELOCITY)
        tracks[change.voice].notes.append(NoteTick(onset, length, pitch, velocity))
        added.add((change.voice, onset, pitch))
    present = {(track.name, note.time, note.pitch) for track in score.tracks for note in track.notes}
    for name in {change.voice for change in changes}:
        tracks[name].notes.sort(key=lambda note: note.time)
        was_line = not _overlap(next(track.notes for track in take.score.tracks if track.name == name))
        pitches = [None] if was_line else {note.pitch for note in tracks[name].notes}  # chords may overlap
        if any(_overlap([n for n in tracks[name].notes if pitch in (None, n.pitch)]) for pitch in pitches):
            raise InputError(f"Two notes of {name} overlap. Move or shorten one.")
    return replace(take, score=score, added=frozenset(added & present), remarks=(), stems={})


def _overlap(notes: Iterable[NoteTick]) -> bool:
    """Return True if a note begins before the one before it has ended."""
    return any(first.end > second.time for first, second in pairwise(notes))


def places_to_keep(take: Take, notes: frozenset[tuple[str, int, int]]) -> tuple[FixedPlace, ...]:
    """Return written notes of a take as notes to keep.

    Raises:
        InputError: A note is the user's own, or gone.
    """
    if not notes <= take.added:
        raise InputError("A kept note is yours, or no longer there. Choose the take again.")
    return tuple(
        FixedPlace(track.name, note.time, note.duration, (note.pitch,), True, note.velocity)
        for track in take.score.tracks
        for note in track.notes
        if (track.name, note.time, note.pitch) in notes
    )


def mended(old: Take, repair: Repair, locks: Locks) -> Take:
    """Return a take after its repair.

    Raises:
        InputError: A note of the user's, or of a locked bar, was changed.
    """
    score, scale = repair.checked.score, repair.checked.score.ticks_per_quarter // old.score.ticks_per_quarter
    locked = [bar for index, bar in enumerate(bars_of(old.score)) if index in locks.bars]
    there = {(track.name, note.time, note.pitch) for track in score.tracks for note in track.notes}
    for track in old.score.tracks:
        for note in track.notes:
            is_kept = old.is_given(track.name, note) or any(b.start_ticks <= note.time < b.end_ticks for b in locked)
            if is_kept and (track.name, note.time * scale, note.pitch) not in there:
                raise InputError("Mending this would change notes that are yours or locked. Unlock bars, or mend less.")
    added = {(voice, time * scale, pitch) for voice, time, pitch in old.added}
    return replace(old, score=score, added=frozenset((added & there) | repair.rewritten), remarks=(), stems={})


def names_of_locked(take: Take, locks: Locks) -> str:
    """Name what is locked."""
    bars = bars_of(take.score)
    locked = sorted(index for index in locks.bars if index < len(bars))
    runs = [(bars[first].number, bars[last].number) for first, last in runs_of(locked, take.own_bars)]
    parts = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs]
    voices = [track.name for track in take.score.tracks if track.name in locks.voices]
    named = [f"bar{'s' * (len(parts) > 1 or '-' in parts[0])} {', '.join(parts)}"] if parts else []
    notes = [f"{len(locks.notes)} note{'s' * (len(locks.notes) > 1)}"] if locks.notes else []
    return " and ".join([*named, *([", ".join(voices)] if voices else []), *notes]) or "nothing"
