"""A four-part piece in the form that all measurements use: its notes, and the pitches of every frame.

Units: `_16ths` are sixteenth notes from the beginning of the piece; pitches are MIDI numbers.
Shapes: V = 4 voices from high to low, T frames, one each 16th.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT
from descant_tokenizers.rendering.rhythm import TimeSignature
from descant_tokenizers.scores import VOICES, Bar, bars_of
from descant_tokenizers.scores.key import estimate_key, tonic_and_mode
from descant_tokenizers.scores.voices import pick_voices

SILENT = -1
"""Pitch of a voice that rests."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Beats(NamedTuple):
    """The beats of a piece in order: two arrays of equal length.

    Attributes:
        onsets_16ths: Their onsets. A beat of 6/8, 9/8 and 12/8 is three eighths, else it is the unit of the meter, a
            quarter at least.
        is_strong: True for the first beat of a bar, and for the middle one of a bar of four or more (an even number).
    """

    onsets_16ths: Floats
    is_strong: Flags


class Line(NamedTuple):
    """The notes of one voice in order: three arrays of equal length."""

    onsets_16ths: Floats
    lengths_16ths: Floats
    pitches: Ints


@dataclass(frozen=True)
class Chorale:
    """A four-part piece.

    Attributes:
        name: Its name.
        lines: The notes of each of the four voices; one may be empty.
        pitches_VT: The pitch of each voice when a 16th begins, `SILENT` in rests.
        phrase_ends_T: True where a phrase (a note with a fermata) ends as this 16th begins. Rules about successive
            chords do not apply there.
        bar_lines_16ths: Onsets of all bars, and the end of the last one.
        beats: Their beats.
        tonic: Pitch class of the estimated key, 0-11.
        is_major: Mode of the estimated key.
        has_fermatas: True if the source marks the ends of phrases; MIDI cannot.
    """

    name: str
    lines: tuple[Line, ...]
    pitches_VT: Ints
    phrase_ends_T: Flags
    bar_lines_16ths: Floats
    beats: Beats
    tonic: int
    is_major: bool
    has_fermatas: bool

    @cached_property
    def num_notes(self) -> int:
        """Number of notes in all voices."""
        return sum(len(line.pitches) for line in self.lines)

    @property
    def num_frames(self) -> int:
        """Length in 16ths."""
        return int(self.pitches_VT.shape[1])

    def cut(self, num_frames: int) -> Chorale:
        """Return the first 16ths of the piece; notes that sound on end there. The key stays that of the whole."""
        if num_frames >= self.num_frames:
            return self
        lines = []
        for line in self.lines:
            kept = line.onsets_16ths < num_frames
            onsets, lengths = line.onsets_16ths[kept], line.lengths_16ths[kept]
            lines.append(Line(onsets, np.minimum(lengths, num_frames - onsets), line.pitches[kept]))
        inside = self.beats.onsets_16ths < num_frames
        return replace(
            self,
            lines=tuple(lines),
            pitches_VT=self.pitches_VT[:, :num_frames],
            phrase_ends_T=self.phrase_ends_T[:num_frames],
            bar_lines_16ths=np.append(self.bar_lines_16ths[self.bar_lines_16ths < num_frames], num_frames),
            beats=Beats(self.beats.onsets_16ths[inside], self.beats.is_strong[inside]),
        )

    def without_fermatas(self) -> Chorale:
        """Return the piece without phrase ends, as in MIDI."""
        return replace(self, phrase_ends_T=np.zeros(self.num_frames, dtype=bool), has_fermatas=False)


def chorale_of_score(score: ScoreTick, name: str, fermatas_ticks: Sequence[int] = ()) -> Chorale:
    """Read a four-part score.

    Args:
        score: Four tracks, preferably named after the voices (see `pick_voices`).
        name: Its name, also in errors.
        fermatas_ticks: Onsets of notes with a fermata.

    Raises:
        InputError: The score is not in four voices.
    """
    try:
        tracks = pick_voices(score, VOICES).tracks
    except InputError as error:
        number = sum(bool(track.notes) and not track.is_drum for track in score.tracks)
        own = f"It has {number} track{'s' * (number != 1)}. Give each of the four voices its own."
        raise InputError(f"{name} is not in four parts. {own if number < len(VOICES) else error}") from None
    return _of_tracks(score, [tracks[voice] for voice in VOICES], name, fermatas_ticks)


def chorale_of_harmony(score: ScoreTick, name: str, fermatas_ticks: Sequence[int] = ()) -> Chorale:
    """Read a generated piece, whose voices may be silent; of several notes at once the highest counts.

    Args:
        score: Tracks named after the voices; a missing one is silent.
        name: Its name.
        fermatas_ticks: Onsets of notes with a fermata.

    Raises:
        InputError: There are no notes.
    """
    by_name = {track.name: track for track in score.tracks}
    tracks = [by_name.get(voice, TrackTick(voice, 0, False)) for voice in VOICES]
    return _of_tracks(score, tracks, name, fermatas_ticks)


def _of_tracks(score: ScoreTick, tracks: Sequence[TrackTick], name: str, fermatas_ticks: Sequence[int]) -> Chorale:
    ticks_per_16th = score.ticks_per_quarter / STEPS_PER_BEAT
    if not any(track.notes for track in tracks):
        raise InputError(f"{name} has no notes. Give a piece with notes in four voices.")
    lines = [_line(track, ticks_per_16th) for track in tracks]
    fermatas = np.array(fermatas_ticks, dtype=float) / ticks_per_16th
    bars = bars_of(score)
    bar_lines = np.array([0, *(bar.end_ticks for bar in bars)]) / ticks_per_16th
    return chorale_of_lines(name, lines, fermatas, bar_lines, _beats(bars, ticks_per_16th), estimate_key(score))


def _beats(bars: Sequence[Bar], ticks_per_16th: float) -> Beats:
    """Return the beats of bars; those of a pickup are counted back from its end."""
    onsets, is_strong = [], []
    for bar in bars:
        meter = TimeSignature(bar.numerator, bar.denominator)
        length = bar.length_ticks / ticks_per_16th
        missing = float(STEPS_PER_BEAT * meter.length) - length if bar.number == 0 else 0.0
        for index in range(math.ceil(meter.length / meter.beat)):
            place = float(STEPS_PER_BEAT * meter.beat * index) - missing
            if 0 <= place < length:
                onsets.append(bar.start_ticks / ticks_per_16th + place)
                is_strong.append(index == 0 or index * meter.beat == meter.middle)
    return Beats(np.array(onsets, dtype=float), np.array(is_strong, dtype=bool))


def _line(track: TrackTick, ticks_per_16th: float) -> Line:
    """Read one voice; keep the highest of notes that begin together, and end each note where the next begins."""
    notes = track.notes.numpy()
    order = np.lexsort((-notes["pitch"], notes["time"]))
    order = order[np.diff(notes["time"][order], prepend=-1) > 0]
    onsets, lengths = (notes[key][order] / ticks_per_16th for key in ("time", "duration"))
    room = np.diff(onsets, append=np.inf)
    return Line(onsets, np.minimum(lengths, room), notes["pitch"][order].astype(np.int64))


def chorale_of_row(row: Mapping[str, Any]) -> Chorale:
    """Read a row of a dataset, with its fermatas."""
    return chorale_of_score(row_to_score(row), row["id"], row["fermatas"])


def chorale_of_frames(
    pitches_VT: Ints,
    name: str = "frames",
    *,
    phrase_ends: Sequence[int] = (),
    key: str = "C major",
    bar_16ths: int = 4 * STEPS_PER_BEAT,
    beat_16ths: int = STEPS_PER_BEAT,
) -> Chorale:
    """Make a piece from the pitches of every 16th; a note lasts as long as its pitch does.

    Args:
        pitches_VT: MIDI pitches, `SILENT` for rests.
        name: Its name.
        phrase_ends: 16ths at which a phrase has ended, other than the end of the piece.
        key: Tonic and mode, such as `"G minor"`.
        bar_16ths: Length of a bar; the piece begins with a full one.
        beat_16ths: Length of a beat.
    """
    lines = []
    for pitches in pitches_VT:
        starts = np.flatnonzero(np.diff(pitches, prepend=SILENT - 1))
        lengths = np.diff(np.append(starts, len(pitches)))
        sounding = pitches[starts] != SILENT
        lines.append(Line(starts[sounding].astype(float), lengths[sounding].astype(float), pitches[starts][sounding]))
    num_frames = pitches_VT.shape[1]
    bar_lines = np.append(np.arange(0, num_frames, bar_16ths), num_frames).astype(float)
    onsets = np.arange(0, num_frames, beat_16ths)
    num_beats = bar_16ths // beat_16ths
    middle = bar_16ths // 2 if num_beats >= 4 and num_beats % 2 == 0 else 0
    beats = Beats(onsets.astype(float), np.isin(onsets % bar_16ths, (0, middle)))
    chorale = chorale_of_lines(name, lines, np.empty(0), bar_lines, beats, key)
    ends = np.isin(np.arange(num_frames), phrase_ends)
    return replace(chorale, pitches_VT=pitches_VT, phrase_ends_T=ends, has_fermatas=len(phrase_ends) > 0)


def chorale_of_lines(
    name: str, lines: Sequence[Line], fermatas_16ths: Floats, bar_lines: Floats, beats: Beats, key: str
) -> Chorale:
    """Assemble a piece from its four voices; `key` is tonic and mode, such as `G minor`."""
    ends = [float((line.onsets_16ths + line.lengths_16ths).max()) for line in lines if len(line.pitches)]
    num_frames = int(np.ceil(max(ends)))
    tonic, is_major = tonic_and_mode(key)
    return Chorale(
        name=name,
        lines=tuple(lines),
        pitches_VT=np.stack([_frames(line, num_frames) for line in lines]),
        phrase_ends_T=_phrase_ends(lines[0], fermatas_16ths, num_frames),
        bar_lines_16ths=bar_lines,
        beats=beats,
        tonic=tonic,
        is_major=is_major,
        has_fermatas=len(fermatas_16ths) > 0,
    )


def _frames(line: Line, num_frames: int) -> Ints:
    """Return the pitch of a voice at the beginning of every 16th."""
    frames = np.full(num_frames, SILENT, dtype=np.int64)
    if not len(line.pitches):
        return frames
    times = np.arange(num_frames)
    index = np.searchsorted(line.onsets_16ths, times, side="right") - 1
    sounding = (index >= 0) & (times < (line.onsets_16ths + line.lengths_16ths)[index])
    frames[sounding] = line.pitches[index[sounding]]
    return frames


def _phrase_ends(soprano: Line, fermatas_16ths: Floats, num_frames: int) -> Flags:
    """Mark the 16ths at which a soprano note under a fermata has ended.

    Inner voices sometimes move before their own fermata; the phrase ends with the soprano's note in all voices.
    """
    flags = np.zeros(num_frames, dtype=bool)
    if not len(soprano.pitches):
        return flags
    index = np.searchsorted(soprano.onsets_16ths, fermatas_16ths, side="right") - 1
    ends = np.ceil((soprano.onsets_16ths + soprano.lengths_16ths)[index[index >= 0]]).astype(int)
    flags[ends[ends < num_frames]] = True
    return flags
