"""From scores in four voices to pieces on the token grid.

miditok silently drops or changes what its vocabulary cannot hold (a time signature becomes 4/4, a note outside the
pitch range disappears, a long note is cut). Here each of these is refused with an error, or counted and reported.

miditok rounds, sorts and names every note in Python. A score that already lies on the grid has only one encoding, which
the fast encoder computes by plain arithmetic in a fraction of the time (a test compares the two). All other scores are
left to miditok.

Shapes: B bars, N notes in the order of the stream (by onset, at one onset from the highest voice down), T tokens.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick, TrackTickList

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of
from descant_tokenizers.scores.tracks import Notes, notes_of
from descant_tokenizers.scores.voices import pick_voices
from descant_tokenizers.tokens.grammar import NEVER
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece, PitchRange, parse_piece
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

Ints = NDArray[np.int64]
Place = tuple[int, int, Fraction]
"""Voice, pitch and onset of a note, in exact grid ticks."""


def encode_satb(vocabulary: Vocabulary, score: ScoreTick) -> tuple[Piece | FastNotes, tuple[str, ...]]:
    """Put a score of named voices on the token grid; also return a phrase for everything that it could not hold.

    Raises:
        InputError: A track is not named after a voice, there are no notes, or the vocabulary lacks a time signature or
            pitch.
    """
    labelled = _label_voices(vocabulary, score)
    notes = notes_of(labelled.tracks)
    _check_values(vocabulary, labelled, notes)
    if (fast := fast_notes(vocabulary, labelled, notes)) is not None:
        return fast, ()
    try:
        tokens = vocabulary.tokenizer.encode(labelled, encode_ids=False)
    except (KeyError, IndexError):  # miditok 3.1.0, see multitrack.py
        raise InputError(
            "The notes around a change of beat cannot be put on the grid. Align them with the beats."
        ) from None
    bars = parse_piece(vocabulary, tokens.ids).bars
    piece, cut = _without_overlaps(vocabulary, Piece(tuple(map(_one_note_per_onset, bars))))
    return piece, _changes(vocabulary, labelled, piece, cut)


def four_voices(score: ScoreTick, track: int | str | None = None) -> tuple[ScoreTick, str]:
    """Return a score of the four voices, or of one melody, and a sentence that names their tracks.

    Args:
        score: A validated score.
        track: The track to take as the soprano, alone: its number from 1, or its name.

    Raises:
        InputError: No voices and no melody can be identified.
    """
    try:
        choice = pick_voices(score, None if track is None else VOICES[:1], track)
    except InputError as error:
        if track is not None:
            raise
        raise InputError(f"{str(error).removesuffix('.')}, or use every track with --preset gm.") from error
    chosen = score.copy()
    chosen.tracks = TrackTickList(choice.tracks.values())
    for voice, line in zip(choice.tracks, chosen.tracks, strict=True):
        line.name = voice
    return chosen, choice.reason


class FastNotes(NamedTuple):
    """The notes of a piece as arrays, in grid ticks; offsets count from the beginning of a note's bar."""

    meters: list[Meter]
    bar_N: Ints
    offset_N: Ints
    voice_N: Ints
    pitch_N: Ints
    duration_N: Ints

    @property
    def num_bars(self) -> int:
        """Number of bars."""
        return len(self.meters)

    @property
    def voices(self) -> tuple[int, ...]:
        """Ranks of the voices that have notes, ascending."""
        return tuple(np.flatnonzero(np.bincount(self.voice_N)).tolist())

    def pitch_ranges(self) -> dict[int, PitchRange]:
        """Return the (lowest, highest) MIDI pitch of each voice that has notes, by rank."""
        own = {voice: self.pitch_N[self.voice_N == voice] for voice in self.voices}
        return {voice: (int(pitch_N.min()), int(pitch_N.max())) for voice, pitch_N in own.items()}

    def end_ticks(self) -> int:
        """Return the end of the last note, from the beginning of the first bar."""
        start_B = np.cumsum([0, *(meter.bar_ticks for meter in self.meters[:-1])])
        return int((start_B[self.bar_N] + self.offset_N + self.duration_N).max())

    def piece(self) -> Piece:
        """Return the music as a piece."""
        notes: list[list[GridNote]] = [[] for _ in self.meters]
        for bar, *note in zip(*(column.tolist() for column in self[1:]), strict=True):
            notes[bar].append(GridNote(*note))
        return Piece(tuple(GridBar(meter, tuple(inside)) for meter, inside in zip(self.meters, notes, strict=True)))

    def ids(self, vocabulary: Vocabulary) -> list[int]:
        """Return the REMI stream: `piece_ids` of `piece()`."""
        bar_N = self.bar_N
        position_N = self.offset_N // np.array([meter.position_ticks for meter in self.meters])[bar_N]
        is_onset_N = np.append(True, (np.diff(bar_N) > 0) | (np.diff(self.offset_N) != 0))
        after_N = np.cumsum(vocabulary.tokens_per_note + is_onset_N)
        # a note follows the `Bar TimeSig` of all bars so far
        note_N = after_N - vocabulary.tokens_per_note + 2 * (bar_N + 1)
        bars = np.arange(self.num_bars)
        before_B = np.append(0, after_N)[np.searchsorted(bar_N, bars)] + 2 * bars
        ids_T = np.empty(int(after_N[-1]) + 2 * self.num_bars, dtype=np.int64)
        ids_T[before_B] = vocabulary.bar_id
        ids_T[before_B + 1] = [vocabulary.meter_id[meter.numerator, meter.denominator] for meter in self.meters]
        ids_T[note_N[is_onset_N] - 1] = vocabulary.id_arrays.position[position_N[is_onset_N]]
        ids_T[note_N] = vocabulary.id_arrays.voice[self.voice_N]
        ids_T[note_N + 1] = vocabulary.id_arrays.pitch[self.pitch_N]
        ids_T[note_N + 2] = self.duration_ids(vocabulary)
        return ids_T.tolist()

    def duration_ids(self, vocabulary: Vocabulary) -> Ints:
        """Return the ids of the durations, -1 for a duration without a token."""
        denominator_N = np.array([meter.denominator for meter in self.meters])[self.bar_N]
        ids_N = np.full(self.bar_N.size, -1)
        for denominator in {meter.denominator for meter in self.meters}:
            ids_of = vocabulary.id_arrays.duration[denominator]
            known = (denominator_N == denominator) & (self.duration_N < ids_of.size)
            ids_N[known] = ids_of[self.duration_N[known]]
        return ids_N


def fast_notes(vocabulary: Vocabulary, score: ScoreTick, notes: Notes | None = None) -> FastNotes | None:
    """Put a score on the token grid if that changes nothing.

    The score has tracks named after voices, in pitches and time signatures of the vocabulary. The result is None if a
    note is off the grid or longer than any token, notes of a voice overlap, or a bar is not as long as its signature.
    """
    notes = notes_of(score.tracks) if notes is None else notes
    if not notes.are_lines:
        return None
    bars = bars_of(score)
    meters = [vocabulary.meter_of[vocabulary.meter_id[bar.numerator, bar.denominator]] for bar in bars]
    grid, fine = vocabulary.ticks_per_quarter, score.ticks_per_quarter
    if any(bar.length_ticks * grid != meter.bar_ticks * fine for bar, meter in zip(bars, meters, strict=True)):
        return None
    start_B = np.array([bar.start_ticks for bar in bars])
    position_ticks_B = np.array([meter.position_ticks for meter in meters])
    bar_N = np.searchsorted(start_B, notes.time_N, side="right") - 1
    offset_N, duration_N = (notes.time_N - start_B[bar_N]) * grid, notes.duration_N * grid
    if (offset_N % (position_ticks_B[bar_N] * fine)).any() or (duration_N % fine).any():
        return None
    voice_N = np.array([vocabulary.voices.index(track.name) for track in score.tracks])[notes.track_N]
    order = np.lexsort((voice_N, offset_N, bar_N))
    columns = (column[order] for column in (bar_N, offset_N // fine, voice_N, notes.pitch_N, duration_N // fine))
    found = FastNotes(meters, *columns)
    num_bars = int(found.bar_N[-1]) + 1  # a bar in which no note begins has no token ...
    signed = {event.time for event in score.time_signatures}
    if any(bar.start_ticks in signed for bar in bars[num_bars:]):  # ... unless the time signature changes there
        return None
    found = found._replace(meters=meters[:num_bars])
    return found if (found.duration_ids(vocabulary) >= 0).all() else None


def _label_voices(vocabulary: Vocabulary, score: ScoreTick) -> ScoreTick:
    """Return a copy whose tracks have the voices' programs, in the order of the stream."""
    labelled = score.copy()
    unknown = [track.name for track in labelled.tracks if track.name not in VOICES]
    if unknown:
        raise InputError(f"Track {unknown[0]!r} is not one of {', '.join(VOICES)}. Rename it after its voice.")
    if len({track.name for track in labelled.tracks}) != len(labelled.tracks):
        raise InputError("Two tracks are named after the same voice. Give each voice one track.")
    if not any(len(track.notes) for track in labelled.tracks):
        raise InputError("The score has no notes. Give a score with notes in Soprano, Alto, Tenor or Bass.")
    for track in labelled.tracks:
        track.program, track.is_drum = vocabulary.program_of[track.name], False
    labelled.tracks.sort(key=lambda track: vocabulary.voices.index(track.name))
    return labelled


def _check_values(vocabulary: Vocabulary, score: ScoreTick, notes: Notes) -> None:
    """Refuse a time signature or pitch that the vocabulary lacks."""
    for event in score.time_signatures:
        if (event.numerator, event.denominator) not in vocabulary.meter_id:
            raise InputError(
                f"The time signature {event.numerator}/{event.denominator} is not in the vocabulary. "
                f"Write the piece in one of {vocabulary.meter_ranges}."
            )
    low, high = min(vocabulary.pitch_id), max(vocabulary.pitch_id)
    wrong = np.flatnonzero((notes.pitch_N < low) | (notes.pitch_N > high))
    if wrong.size:
        name, pitch = score.tracks[int(notes.track_N[wrong[0]])].name, notes.pitch_N[wrong[0]]
        raise InputError(f"{name} has pitch {pitch}, outside {low}-{high}. Transpose the score.")


def _changes(vocabulary: Vocabulary, score: ScoreTick, piece: Piece, cut: set[Place]) -> tuple[str, ...]:
    """Count the notes of a score that differ from those of its piece, by kind of change; `cut` are notes cut short."""
    scale = Fraction(vocabulary.ticks_per_quarter, score.ticks_per_quarter)
    before = {
        (vocabulary.voices.index(track.name), note.pitch, note.time * scale): note.duration * scale
        for track in score.tracks
        for note in track.notes
    }
    after: dict[Place, Fraction] = {
        (note.voice, note.pitch, Fraction(start + note.offset_ticks)): Fraction(note.duration_ticks)
        for start, bar in zip(piece.bar_starts_ticks(), piece.bars, strict=False)
        for note in bar.notes
    }
    dropped = sum(len(track.notes) for track in score.tracks) - piece.num_notes
    moved = len(before.keys() - after.keys()) - dropped
    resized = sum(after[key] != length for key, length in before.items() if key in after and key not in cut)
    counted = ((dropped, "dropped"), (moved, "moved"), (resized, "given another length"))
    changes = [f"notes {what} to fit the grid: {number}" for number, what in counted if number > 0]
    return (*changes, *([f"notes cut where the next one of their voice begins: {len(cut)}"] if cut else []))


def _one_note_per_onset(bar: GridBar) -> GridBar:
    """Keep only the longest note of each voice and onset."""
    longest: dict[tuple[int, int], GridNote] = {}
    for note in bar.notes:
        best = longest.setdefault((note.voice, note.offset_ticks), note)
        if note.duration_ticks > best.duration_ticks:
            longest[note.voice, note.offset_ticks] = note
    return bar.with_notes(longest.values())


def _without_overlaps(vocabulary: Vocabulary, piece: Piece) -> tuple[Piece, set[Place]]:
    """Cut notes that overlap the next note of their voice, which the grammar forbids; also return their places."""
    starts = piece.bar_starts_ticks()
    next_onset: dict[int, int] = {}
    cut: set[Place] = set()
    bars: list[GridBar] = []
    for index, bar in reversed(list(enumerate(piece.bars))):
        notes: list[GridNote] = []
        for note in reversed(bar.notes):
            onset = starts[index] + note.offset_ticks
            room = next_onset.get(note.voice, NEVER) - onset
            next_onset[note.voice] = onset
            if note.duration_ticks > room:
                lengths = vocabulary.duration_id[bar.meter.denominator]
                note = note._replace(duration_ticks=max(length for length in lengths if length <= room))
                cut.add((note.voice, note.pitch, Fraction(onset)))
            notes.append(note)
        bars.append(GridBar(bar.meter, tuple(reversed(notes))))
    return Piece(tuple(reversed(bars))), cut
