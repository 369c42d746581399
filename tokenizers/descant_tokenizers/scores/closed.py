"""Closed scores: four voices on two staves, two to each.

Two voices share a staff as voices of their own, or as the notes of chords; a single note between chords is a unison.
"""

from __future__ import annotations

import bisect
import itertools
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores.names import CHOIR, VOICES, program_of_name, voice_of_name
from descant_tokenizers.scores.written import Line, WrittenNote, WrittenPart

_MAX_NAME = 120
_MAX_OPEN_TIES = 8  # of one pitch
_JOINING = ("and", "und", "et", "e", "y", "en", "och", "og", "i")
MIN_ONSETS = 4
MAX_UNISONS = 0.4  # of the onsets on a staff, where voices are told by chords only
MAX_MISFITS = 0.05  # of the notes: a third note at once, or one that overlaps the next of its voice
_MIN_TOGETHER = 0.6  # of the onsets of the upper voice, those at which the lower one sounds


def lines_of(parts: Sequence[WrittenPart]) -> list[Line]:
    """Make a track of each staff, four of a closed score, and two of a part that is named after two voices."""
    sounding = [part for part in parts if part.notes]
    for part in sounding:
        _join_staves(part)
    voices, others = four_voices(sounding) or ([], list(parts))
    program = next((part.program for part in sounding if part not in others and part.program is not None), CHOIR)
    lines = [Line(name, program, notes) for name, notes in zip(VOICES, voices, strict=False)]
    for part in others:
        own = program_of_name(part.name) if part.program is None else part.program
        staves: dict[int, list[WrittenNote]] = defaultdict(list)
        for note in part.notes:
            staves[note.staff].append(note)
        names = voices_of_name(part.name)
        pair = _named_pair(part, names) if len(staves) == 1 and None not in names else None
        if pair is not None:
            lines += [Line(str(name), own, notes) for name, notes in zip(names, pair, strict=True)]
            continue
        for staff in sorted(staves) or [1]:
            lines.append(Line(printable(part.name, _MAX_NAME), own, staves[staff]))
    return lines


def _join_staves(part: WrittenPart) -> None:
    """Put notes that a tie continues from another staff on that staff."""
    open_ties: dict[int, list[WrittenNote]] = defaultdict(list)
    for note in sorted(part.notes, key=lambda note: note.onset):
        ends = [before for before in open_ties[note.pitch] if before.end == note.onset] if "stop" in note.ties else []
        if ends and all(before.staff != note.staff for before in ends):
            note.staff = ends[0].staff
        still_open = [before for before in open_ties[note.pitch] if before.end >= note.onset][-_MAX_OPEN_TIES:]
        open_ties[note.pitch] = [*still_open, note] if "start" in note.ties else still_open


def four_voices(parts: Sequence[WrittenPart]) -> tuple[list[list[WrittenNote]], list[WrittenPart]] | None:
    """Find soprano, alto, tenor and bass on two staves of a score.

    They are the two parts whose names say so ("Soprano, Alto", "T/B"), else the only two staves.

    Args:
        parts: All parts with notes.

    Returns:
        The notes of the four voices from high to low, and the other parts; None if the score is not a closed score.
    """
    named = [[part for part in parts if voices_of_name(part.name) == pair] for pair in (VOICES[:2], VOICES[2:])]
    is_named = [len(found) for found in named] == [1, 1]
    chosen = [named[0][0], named[1][0]] if is_named else parts
    staves: dict[tuple[int, int], list[WrittenNote]] = defaultdict(list)
    for index, part in enumerate(chosen):
        for note in part.notes:
            staves[index, note.staff].append(note)
    if len(staves) != 2:
        return None
    upper, lower = (staves[name] for name in sorted(staves))
    if statistics.median(note.pitch for note in upper) <= statistics.median(note.pitch for note in lower):
        return None
    found = [
        _two_voices(staves[index, staff], _voices_by_measure(chosen[index], staff), is_certain=is_named)
        for index, staff in sorted(staves)
    ]
    if found[0] is None or found[1] is None:
        return None
    return [*found[0], *found[1]], [part for part in parts if all(part is not own for own in chosen)]


def _named_pair(part: WrittenPart, names: Sequence[str | None]) -> tuple[list[WrittenNote], list[WrittenNote]] | None:
    """Return the notes of the two voices after which a part is named, from high to low; None if there are not two."""
    if len(names) != 2 or [name for name in VOICES if name in names] != list(names):
        return None
    staff = part.notes[0].staff
    pair = _two_voices(part.notes, _voices_by_measure(part, staff), is_certain=True)
    return pair if pair is not None and pair[1] else None


def voices_of_name(name: str) -> tuple[str | None, ...]:
    """Return the voices that a name lists; those of `SA` are its letters."""
    words = [word for word in re.findall(r"[^\W\d_]+", name) if word.lower() not in _JOINING]
    if len(words) == 1 and len(words[0]) == 2:
        words = list(words[0])
    return tuple(voice_of_name(word) for word in words)


def _voices_by_measure(part: WrittenPart, staff: int) -> dict[int, list[str]]:
    """Return the voices that have notes or rests in each measure, as engravers number them: the upper one first."""
    found: dict[int, list[str]] = defaultdict(list)
    for measure, own, voice in sorted(part.voices, key=lambda each: (len(each[2]), each[2])):
        if own == staff:
            found[measure].append(voice)
    return found


def _two_voices(
    notes: Sequence[WrittenNote], voices: Mapping[int, Sequence[str]], *, is_certain: bool
) -> tuple[list[WrittenNote], list[WrittenNote]] | None:
    """Divide the notes of a staff between an upper and a lower voice; return None if they are not two voices."""
    high: list[WrittenNote] = []
    low: list[WrittenNote] = []
    num_misfits = num_unisons = 0
    by_measure: dict[int, list[WrittenNote]] = defaultdict(list)
    for note in notes:
        by_measure[note.measure].append(note)
    for measure, own in by_measure.items():
        if len(voices[measure]) > 2:
            return None
        if len(voices[measure]) == 2:
            high += [note for note in own if note.voice == voices[measure][0]]
            low += [note for note in own if note.voice != voices[measure][0]]
            num_misfits += sum(note.place > 0 for note in own)
        else:
            misfits, unisons = _by_pitch(own, high, low)
            num_misfits, num_unisons = num_misfits + misfits, num_unisons + unisons
    onsets = {note.onset for note in high}
    num_misfits += sum(_num_overlaps(voice) for voice in (high, low))
    together = sum(_sounds(low, onset) for onset in onsets)
    is_fine = is_certain or (
        len(onsets | {note.onset for note in low}) >= MIN_ONSETS
        and num_misfits <= MAX_MISFITS * len(notes)
        and num_unisons <= MAX_UNISONS * len(onsets)
        and together >= _MIN_TOGETHER * len(onsets)
    )
    if is_fine:
        _sing_above(high, low)
    return (high, low) if is_fine else None


def _sing_above(high: Sequence[WrittenNote], low: Sequence[WrittenNote]) -> None:
    """Move the words of chords, which stand at the note that is written first, to the upper voice."""
    upper = {(note.onset, note.voice): note for note in high}
    for note in low:
        above = upper.get((note.onset, note.voice))
        if note.lyrics and above is not None and not above.lyrics:
            above.lyrics, note.lyrics = note.lyrics, ()


def _by_pitch(notes: Iterable[WrittenNote], high: list[WrittenNote], low: list[WrittenNote]) -> tuple[int, int]:
    """Divide chords by pitch; return the number of inner notes of larger chords, and of single notes, in both."""
    num_inner = num_unisons = 0
    for _, group in itertools.groupby(sorted(notes, key=lambda note: note.onset), key=lambda note: note.onset):
        chord = sorted(group, key=lambda note: -note.pitch)
        if len(chord) == 1:
            num_unisons += 1
            chord.append(replace(chord[0], lyrics=(), graces=[], head=None))
        num_inner += len(chord) - 2
        high += chord[:-1]
        low.append(chord[-1])
    return num_inner, num_unisons


def _num_overlaps(voice: list[WrittenNote]) -> int:
    voice.sort(key=lambda note: (note.onset, -note.pitch))
    return sum(before.end > note.onset for before, note in itertools.pairwise(voice))


def _sounds(voice: Sequence[WrittenNote], onset: Fraction) -> bool:
    """Return True if a voice, sorted by onset, has a note at a time."""
    index = bisect.bisect_right(voice, onset, key=lambda note: note.onset)
    return index > 0 and voice[index - 1].end > onset
