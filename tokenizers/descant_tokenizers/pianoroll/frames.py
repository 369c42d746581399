"""A four-part piece as every measure here reads it: its notes, and what sounds at every 16th.

Units: `_16ths` are sixteenth notes from the beginning of the piece; pitches are MIDI numbers.
Shapes: V = 4 voices from high to low, T 16ths (frames).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.scores import VOICES, bars_of
from descant_tokenizers.scores.key import MAJOR_TONICS, MINOR_TONICS, estimate_key
from descant_tokenizers.scores.voices import pick_voices

__all__ = ["SILENT", "Chorale", "Line", "chorale_of_harmony", "chorale_of_row", "chorale_of_score", "from_grid"]

SILENT = -1
"""Pitch of a voice that rests."""
_16THS_PER_QUARTER = 4

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Line(NamedTuple):
    """The notes of one voice in order: three arrays of equal length."""

    onsets_16ths: Floats
    lengths_16ths: Floats
    pitches: Ints


@dataclass(frozen=True)
class Chorale:
    """A four-part piece.

    Attributes:
        name: What to call it.
        lines: The notes of each of the four voices; one may be empty.
        pitches_VT: What each voice sounds when a 16th begins, `SILENT` if nothing.
        phrase_ends_T: Whether a phrase ends (a fermata's note is left) where this 16th begins. What happens there is
            excused by the rules about what follows what.
        bar_lines_16ths: Onsets of all bars, and the end of the last one.
        tonic: Pitch class of the estimated key, 0-11.
        is_major: Mode of the estimated key.
        has_fermatas: Whether the source says where phrases end; MIDI cannot.
    """

    name: str
    lines: tuple[Line, ...]
    pitches_VT: Ints
    phrase_ends_T: Flags
    bar_lines_16ths: Floats
    tonic: int
    is_major: bool
    has_fermatas: bool

    @cached_property
    def num_notes(self) -> int:
        """Notes in all voices."""
        return sum(len(line.pitches) for line in self.lines)

    @property
    def num_frames(self) -> int:
        """Length in 16ths."""
        return int(self.pitches_VT.shape[1])

    def without_fermatas(self) -> Chorale:
        """Return the piece as MIDI would tell it: nobody knows where phrases end."""
        return replace(self, phrase_ends_T=np.zeros(self.num_frames, dtype=bool), has_fermatas=False)


def chorale_of_score(score: ScoreTick, name: str, fermatas_ticks: Sequence[int] = ()) -> Chorale:
    """Read a four-part score.

    Args:
        score: Four tracks named after the voices, or four tracks at all (see `pick_voices`).
        name: What to call it, also in error messages.
        fermatas_ticks: Onsets of notes with a fermata.

    Raises:
        InputError: The score has no four voices.
    """
    try:
        tracks = pick_voices(score, VOICES).tracks
    except InputError as error:
        raise InputError(f"{name} is not in four parts: {error}") from None
    return _of_tracks(score, [tracks[voice] for voice in VOICES], name, fermatas_ticks)


def chorale_of_harmony(score: ScoreTick, name: str, fermatas_ticks: Sequence[int] = ()) -> Chorale:
    """Read what a model wrote, whatever it is: a voice may be silent, and of several notes at once the top one counts.

    Args:
        score: Tracks named after the voices; a missing one is silent.
        name: What to call it.
        fermatas_ticks: Onsets of notes with a fermata.

    Raises:
        InputError: There are no notes at all.
    """
    by_name = {track.name: track for track in score.tracks}
    tracks = [by_name.get(voice, TrackTick(voice, 0, False)) for voice in VOICES]
    return _of_tracks(score, tracks, name, fermatas_ticks)


def _of_tracks(score: ScoreTick, tracks: Sequence[TrackTick], name: str, fermatas_ticks: Sequence[int]) -> Chorale:
    ticks_per_16th = score.ticks_per_quarter / _16THS_PER_QUARTER
    if not any(track.notes for track in tracks):
        raise InputError(f"{name} has no notes; give a piece with notes in four voices.")
    lines = [_line(track, ticks_per_16th) for track in tracks]
    bar_lines = np.array([0, *(bar.end_ticks for bar in bars_of(score))]) / ticks_per_16th
    return _chorale(name, lines, np.array(fermatas_ticks, dtype=float) / ticks_per_16th, bar_lines, estimate_key(score))


def _line(track: TrackTick, ticks_per_16th: float) -> Line:
    """Read one voice; of notes that begin at once the highest stays, and a note ends where the next begins."""
    notes = track.notes.numpy()
    order = np.lexsort((-notes["pitch"], notes["time"]))
    order = order[np.diff(notes["time"][order], prepend=-1) > 0]
    onsets, lengths = (notes[key][order] / ticks_per_16th for key in ("time", "duration"))
    room = np.diff(onsets, append=np.inf)
    return Line(onsets, np.minimum(lengths, room), notes["pitch"][order].astype(np.int64))


def chorale_of_row(row: Mapping[str, Any]) -> Chorale:
    """Read a row of a dataset, with its fermatas."""
    return chorale_of_score(row_to_score(row), row["id"], row["fermatas"])


def from_grid(
    pitches_VT: Ints, name: str = "grid", phrase_ends: Sequence[int] = (), key: str = "C major", bar_16ths: int = 16
) -> Chorale:
    """Make a piece of what sounds at every 16th; a note goes on as long as its pitch does.

    Args:
        pitches_VT: MIDI pitches, `SILENT` for rests.
        name: What to call it.
        phrase_ends: 16ths that begin behind a fermata.
        key: Tonic and mode, such as `"G minor"`.
        bar_16ths: Length of a bar.
    """
    lines = []
    for pitches in pitches_VT:
        starts = np.flatnonzero(np.diff(pitches, prepend=SILENT - 1))
        lengths = np.diff(np.append(starts, len(pitches)))
        sounding = pitches[starts] != SILENT
        lines.append(Line(starts[sounding].astype(float), lengths[sounding].astype(float), pitches[starts][sounding]))
    num_frames = pitches_VT.shape[1]
    bar_lines = np.append(np.arange(0, num_frames, bar_16ths), num_frames).astype(float)
    chorale = _chorale(name, lines, np.empty(0), bar_lines, key)
    ends = np.isin(np.arange(num_frames), phrase_ends)
    return replace(chorale, pitches_VT=pitches_VT, phrase_ends_T=ends, has_fermatas=bool(phrase_ends))


def _chorale(name: str, lines: Sequence[Line], fermatas_16ths: Floats, bar_lines: Floats, key: str) -> Chorale:
    ends = [float((line.onsets_16ths + line.lengths_16ths).max()) for line in lines if len(line.pitches)]
    num_frames = int(np.ceil(max(ends)))
    tonic, mode = key.split()
    is_major = mode == "major"
    return Chorale(
        name=name,
        lines=tuple(lines),
        pitches_VT=np.stack([_frames(line, num_frames) for line in lines]),
        phrase_ends_T=_phrase_ends(lines[0], fermatas_16ths, num_frames),
        bar_lines_16ths=bar_lines,
        tonic=(MAJOR_TONICS if is_major else MINOR_TONICS).index(tonic),
        is_major=is_major,
        has_fermatas=len(fermatas_16ths) > 0,
    )


def _frames(line: Line, num_frames: int) -> Ints:
    """What a voice sounds at the beginning of every 16th."""
    frames = np.full(num_frames, SILENT, dtype=np.int64)
    if not len(line.pitches):
        return frames
    times = np.arange(num_frames)
    index = np.searchsorted(line.onsets_16ths, times, side="right") - 1
    sounding = (index >= 0) & (times < (line.onsets_16ths + line.lengths_16ths)[index])
    frames[sounding] = line.pitches[index[sounding]]
    return frames


def _phrase_ends(soprano: Line, fermatas_16ths: Floats, num_frames: int) -> Flags:
    """The 16ths at which a soprano note that sounds under a fermata has ended.

    Inner voices sometimes move before their own fermata; the phrase ends for all with the soprano's note.
    """
    flags = np.zeros(num_frames, dtype=bool)
    if not len(soprano.pitches):
        return flags
    index = np.searchsorted(soprano.onsets_16ths, fermatas_16ths, side="right") - 1
    ends = np.ceil((soprano.onsets_16ths + soprano.lengths_16ths)[index[index >= 0]]).astype(int)
    flags[ends[ends < num_frames]] = True
    return flags
