"""Between scores and pieces on the token grid, through miditok.

miditok drops or bends silently what its vocabulary cannot hold (a time signature becomes 4/4, a note outside the
pitch range disappears, a long note is cut). Here each of these is either refused in one sentence or counted and
reported.

A short way from a score to a piece or its tokens, for scores that lie on the token grid as they are.

miditok's way rounds, sorts and names every note in Python. Where nothing is to be rounded there is one right answer,
and plain arithmetic finds it in a small part of the time (a test holds it against miditok's). Any doubt is left to
miditok.

Shapes: B bars, N notes in the order of the stream (by onset, of one onset from the highest voice down), T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import symusic
from numpy.typing import NDArray
from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of
from descant_tokenizers.scores.tracks import Notes, notes_of
from descant_tokenizers.tokens.grammar import NEVER
from descant_tokenizers.tokens.multitrack import decode_multitrack, encode_multitrack
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece, parse_piece, piece_ids
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

Ints = NDArray[np.int64]


class FastNotes(NamedTuple):
    """What a piece holds, in grid ticks; offsets count from the beginning of a note's bar."""

    meters: list[Meter]
    bar_N: Ints
    offset_N: Ints
    voice_N: Ints
    pitch_N: Ints
    duration_N: Ints

    @property
    def voices(self) -> tuple[int, ...]:
        """Ranks of the voices that have notes, ascending."""
        return tuple(np.flatnonzero(np.bincount(self.voice_N)).tolist())

    @property
    def end_ticks(self) -> int:
        """End of the last note, from the beginning of the first bar."""
        start_B = np.cumsum([0, *(meter.bar_ticks for meter in self.meters[:-1])])
        return int((start_B[self.bar_N] + self.offset_N + self.duration_N).max())


def fast_notes(vocabulary: Vocabulary, score: ScoreTick, notes: Notes | None = None) -> FastNotes | None:
    """Put a score on the token grid if that changes nothing.

    Args:
        vocabulary: The vocabulary, of a tokenizer of the `satb` preset.
        score: A score whose tracks are named after voices, in pitches and time signatures of the vocabulary.
        notes: Its notes, where they are at hand.

    Returns:
        The notes; None if one is off the grid or longer than the vocabulary says, if two notes of a voice sound at
        once, or if a bar is not as long as its time signature says.
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
    num_bars = int(found.bar_N[-1]) + 1  # a bar into which notes are only held has no token ...
    signed = {event.time for event in score.time_signatures}
    if any(bar.start_ticks in signed for bar in bars[num_bars:]):  # ... unless it changes the time signature
        return None
    found = found._replace(meters=meters[:num_bars])
    return found if (_duration_ids(vocabulary, found) >= 0).all() else None


def fast_piece(found: FastNotes) -> Piece:
    """Make a piece of its notes."""
    notes: list[list[GridNote]] = [[] for _ in found.meters]
    for bar, *note in zip(*(column.tolist() for column in found[1:]), strict=True):
        notes[bar].append(GridNote(*note))
    return Piece(tuple(GridBar(meter, tuple(inside)) for meter, inside in zip(found.meters, notes, strict=True)))


def fast_ids(vocabulary: Vocabulary, found: FastNotes) -> list[int]:
    """Return the REMI stream of a piece: `piece_ids` of `fast_piece`.

    Args:
        vocabulary: The vocabulary, of a tokenizer of the `satb` preset.
        found: From `fast_notes`.
    """
    num_bars = len(found.meters)
    position_N = found.offset_N // np.array([meter.position_ticks for meter in found.meters])[found.bar_N]
    is_onset_N = np.append(True, (np.diff(found.bar_N) > 0) | (np.diff(found.offset_N) != 0))
    tokens_N = vocabulary.tokens_per_note + is_onset_N
    behind_N = np.cumsum(tokens_N)
    note_N = (
        behind_N - vocabulary.tokens_per_note + 2 * (found.bar_N + 1)
    )  # `Bar TimeSig` of each bar so far come before it
    before_B = np.append(0, behind_N)[np.searchsorted(found.bar_N, np.arange(num_bars))] + 2 * np.arange(num_bars)
    ids_T = np.empty(int(behind_N[-1]) + 2 * num_bars, dtype=np.int64)
    ids_T[before_B] = vocabulary.bar_id
    ids_T[before_B + 1] = [vocabulary.meter_id[meter.numerator, meter.denominator] for meter in found.meters]
    ids_T[note_N[is_onset_N] - 1] = vocabulary.id_of_position[position_N[is_onset_N]]
    ids_T[note_N] = vocabulary.id_of_voice[found.voice_N]
    ids_T[note_N + 1] = vocabulary.id_of_pitch[found.pitch_N]
    ids_T[note_N + 2] = _duration_ids(vocabulary, found)
    return ids_T.tolist()


def _duration_ids(vocabulary: Vocabulary, found: FastNotes) -> Ints:
    """Return the ids of the notes' lengths, -1 for one that no token has."""
    denominator_N = np.array([meter.denominator for meter in found.meters])[found.bar_N]
    ids_N = np.full(found.bar_N.size, -1)
    for denominator in {meter.denominator for meter in found.meters}:
        ids_of = vocabulary.id_of_duration[denominator]
        mine = (denominator_N == denominator) & (found.duration_N < ids_of.size)
        ids_N[mine] = ids_of[found.duration_N[mine]]
    return ids_N


Place = tuple[int, int, Fraction]
"""Voice, pitch and onset of a note, in exact grid ticks."""


@dataclass(frozen=True)
class EncodedScore:
    """A score on the token grid.

    Attributes:
        piece: The music.
        changes: What the grid could not hold, one readable phrase each; empty when the conversion was exact.
    """

    piece: Piece
    changes: tuple[str, ...] = field(default=())


def encode_score(vocabulary: Vocabulary, score: symusic.core.ScoreTick) -> EncodedScore:
    """Put a score on the token grid.

    Args:
        vocabulary: The vocabulary, of a tokenizer of a preset.
        score: For `satb`, a score whose tracks are named Soprano, Alto, Tenor, Bass (some may be missing; others are an
            error); for `gm`, any (see `encode_multitrack`).

    Raises:
        InputError: A track of another name, no notes, a time signature or pitch outside the vocabulary.
    """
    if not vocabulary.is_four_part:
        return EncodedScore(*encode_multitrack(vocabulary, score))
    labelled, exact = _checked_voices(vocabulary, score)
    if exact is not None:
        return EncodedScore(fast_piece(exact))
    return _rounded(vocabulary, labelled)


@dataclass(frozen=True)
class EncodedStream:
    """A score as tokens.

    Attributes:
        ids: Its REMI stream in base tokens, no special ones.
        voices: Ranks of the voices that have notes, ascending.
        num_bars: Bars in the stream.
        end_ticks: End of the last note in grid ticks, from the beginning of the first bar.
        changes: As of `EncodedScore`.
    """

    ids: list[int]
    voices: tuple[int, ...]
    num_bars: int
    end_ticks: int
    changes: tuple[str, ...] = ()


def encode_stream(vocabulary: Vocabulary, score: symusic.core.ScoreTick) -> EncodedStream:
    """Turn a score into tokens: what `encode_score` and `piece_ids` give, sooner where nothing is rounded.

    Args:
        vocabulary: The vocabulary, of a tokenizer of a preset.
        score: As for `encode_score`.

    Raises:
        InputError: As for `encode_score`.
    """
    if vocabulary.is_four_part:
        labelled, exact = _checked_voices(vocabulary, score)
        if exact is not None:
            return EncodedStream(fast_ids(vocabulary, exact), exact.voices, len(exact.meters), exact.end_ticks)
        encoded = _rounded(vocabulary, labelled)
    else:
        encoded = encode_score(vocabulary, score)
    piece = encoded.piece
    return EncodedStream(
        piece_ids(vocabulary, piece), piece.voices, len(piece.bars), piece.end_ticks(), encoded.changes
    )


def _checked_voices(
    vocabulary: Vocabulary, score: symusic.core.ScoreTick
) -> tuple[symusic.core.ScoreTick, FastNotes | None]:
    """Label the voices of a score, see that the vocabulary has all that is in it, and try the short way."""
    labelled = _label_voices(vocabulary, score)
    notes = notes_of(labelled.tracks)
    _check_time_signatures(vocabulary, labelled)
    _check_pitches(vocabulary, labelled, notes)
    return labelled, fast_notes(vocabulary, labelled, notes)


def _rounded(vocabulary: Vocabulary, labelled: symusic.core.ScoreTick) -> EncodedScore:
    """Put a score on the grid through miditok."""
    try:
        tokens = vocabulary.tokenizer.encode(labelled, encode_ids=False)
    except (KeyError, IndexError):  # miditok 3.1.0, see ensemble.py
        raise InputError("the notes around a change of beat cannot be put on the grid; align them with it") from None
    piece, cut = _without_overlaps(vocabulary, _one_note_per_onset(parse_piece(vocabulary, tokens.ids)))
    return EncodedScore(piece, _changes(vocabulary, labelled, piece, cut))


def decode_piece(vocabulary: Vocabulary, piece: Piece, velocity: int = 80) -> symusic.core.ScoreTick:
    """Turn a piece into a score with one track a voice, through miditok's decoder.

    Args:
        vocabulary: The vocabulary.
        piece: The music.
        velocity: MIDI velocity of all notes, 1-127, where the vocabulary has none.
    """
    if not vocabulary.is_four_part:
        return decode_multitrack(vocabulary, piece)
    score: symusic.core.ScoreTick = vocabulary.tokenizer.decode(piece_ids(vocabulary, piece))
    names = {program: name for name, program in vocabulary.program_of.items()}
    for track in score.tracks:
        track.name = names[track.program]
        for note in track.notes:
            note.velocity = velocity
    score.tracks.sort(key=lambda track: VOICES.index(track.name))
    return score


def _label_voices(vocabulary: Vocabulary, score: symusic.core.ScoreTick) -> symusic.core.ScoreTick:
    """Return a copy whose tracks carry the voices' programs, in the order of the stream."""
    labelled = score.copy()
    strangers = [track.name for track in labelled.tracks if track.name not in VOICES]
    if strangers:
        raise InputError(f"track {strangers[0]!r} is none of {', '.join(VOICES)}: rename it or name the voices")
    if len({track.name for track in labelled.tracks}) != len(labelled.tracks):
        raise InputError("two tracks have the same voice name: give each voice one track")
    if not any(len(track.notes) for track in labelled.tracks):
        raise InputError("the score has no notes: give a score with notes in Soprano, Alto, Tenor or Bass")
    for track in labelled.tracks:
        track.program, track.is_drum = vocabulary.program_of[track.name], False
    labelled.tracks.sort(key=lambda track: vocabulary.voices.index(track.name))
    return labelled


def _check_time_signatures(vocabulary: Vocabulary, score: symusic.core.ScoreTick) -> None:
    for event in score.time_signatures:
        if (event.numerator, event.denominator) not in vocabulary.meter_id:
            known = ", ".join(f"1-12/{den}" for den in sorted({m.denominator for m in vocabulary.meter_of.values()}))
            raise InputError(
                f"time signature {event.numerator}/{event.denominator} is not in the vocabulary ({known}): "
                "write the piece in one of those"
            )


def _check_pitches(vocabulary: Vocabulary, score: symusic.core.ScoreTick, notes: Notes) -> None:
    low, high = min(vocabulary.pitch_id), max(vocabulary.pitch_id)
    wrong = np.flatnonzero((notes.pitch_N < low) | (notes.pitch_N > high))
    if wrong.size:
        name, pitch = score.tracks[int(notes.track_N[wrong[0]])].name, notes.pitch_N[wrong[0]]
        raise InputError(f"{name} has pitch {pitch}, outside {low}-{high}: transpose the score")


def _changes(vocabulary: Vocabulary, score: symusic.core.ScoreTick, piece: Piece, cut: set[Place]) -> tuple[str, ...]:
    """Compare the notes of a score with those of its piece, some of them `cut`; say how many differ, and how."""
    wanted = _note_lengths(vocabulary, score)
    starts = piece.bar_starts_ticks()
    found: dict[Place, Fraction] = {
        (note.voice, note.pitch, Fraction(starts[index] + note.offset_ticks)): Fraction(note.duration_ticks)
        for index, bar in enumerate(piece.bars)
        for note in bar.notes
    }
    dropped = sum(len(track.notes) for track in score.tracks) - piece.num_notes
    moved = len(wanted.keys() - found.keys()) - dropped
    resized = sum(found[key] != length for key, length in wanted.items() if key in found and key not in cut)
    counted = ((dropped, "dropped"), (moved, "moved"), (resized, "given another length"))
    changes = [f"notes {what} to fit the grid: {number}" for number, what in counted if number > 0]
    return (*changes, *([f"notes cut where the next one of their voice begins: {len(cut)}"] if cut else []))


def _note_lengths(vocabulary: Vocabulary, score: symusic.core.ScoreTick) -> dict[Place, Fraction]:
    """Return `{(voice, pitch, onset): duration}` of a score, both in exact grid ticks."""
    scale = Fraction(vocabulary.ticks_per_quarter, score.ticks_per_quarter)
    return {
        (vocabulary.voices.index(track.name), note.pitch, note.time * scale): note.duration * scale
        for track in score.tracks
        for note in track.notes
    }


def _one_note_per_onset(piece: Piece) -> Piece:
    """Keep one note a voice and onset, the longest."""
    starts = piece.bar_starts_ticks()
    flat: dict[tuple[int, int], GridNote] = {}
    for index, bar in enumerate(piece.bars):
        for note in bar.notes:
            key = (note.voice, starts[index] + note.offset_ticks)
            if key not in flat or note.duration_ticks > flat[key].duration_ticks:
                flat[key] = note
    return Piece(
        tuple(
            GridBar(bar.meter, tuple(n for n in bar.notes if flat[n.voice, starts[i] + n.offset_ticks] is n))
            for i, bar in enumerate(piece.bars)
        )
    )


def _without_overlaps(vocabulary: Vocabulary, piece: Piece) -> tuple[Piece, set[Place]]:
    """Cut notes that still sound when the next one of their voice begins, which the grammar forbids; return which."""
    starts = piece.bar_starts_ticks()
    next_onset: dict[int, int] = {}
    cut: set[Place] = set()
    bars: list[GridBar] = []
    for index, bar in reversed(list(enumerate(piece.bars))):
        notes: list[GridNote] = []
        for note in reversed(bar.notes):
            onset = starts[index] + note.offset_ticks
            gap = next_onset.get(note.voice, NEVER) - onset
            next_onset[note.voice] = onset
            if note.duration_ticks > gap:
                lengths = vocabulary.duration_id[bar.meter.denominator]
                note = note._replace(duration_ticks=max(length for length in lengths if length <= gap))
                cut.add((note.voice, note.pitch, Fraction(onset)))
            notes.append(note)
        bars.append(GridBar(bar.meter, tuple(reversed(notes))))
    return Piece(tuple(reversed(bars))), cut
