"""A prompt, as people read it and as the model sees it.

The score keeps every note as it was; the model sees the given voices on its grid, transposed to where it has heard
such voices sing. Bars of the two agree, one by one.

Units: ticks of the score, unless a name says grid.

A prompt of any instruments, as people read it and as the model sees it.

The score keeps everything as it was; the model sees its notes on the grid, tracks of equal program as one voice. Bars
of the two agree, one by one.

Units: ticks of the score, unless a name says grid.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from symusic.core import NoteTick, NoteTickList, ScoreTick, TimeSignatureTick, TrackTick, TrackTickList

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.scores.tracks import track_label
from descant_tokenizers.scores.voices import VoiceChoice, pick_voices
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.multitrack import bar_meters, encode_multitrack
from descant_tokenizers.tokens.piece import GridBar, Piece
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

#: Largest resolution of a MIDI file, in ticks per quarter.
MAX_TICKS_PER_QUARTER = 0x7FFF
_MAX_PITCH = 127

Ranges = Sequence[tuple[int, int]]
"""Lowest and highest MIDI pitch of each of the four voices."""


@dataclass(frozen=True)
class Prompt:
    """A prompt and how it lies on the grid.

    Attributes:
        score: The prompt, unchanged but for its resolution, which is that of the output.
        choice: Which of its tracks are which voices, each with no two notes sounding at once.
        bars: Its bars.
        meters: Their lengths on the grid.
        vocabulary: The vocabulary.
        shift: Semitones that the model sees the prompt moved up.
        pitches: Lowest and highest pitch that each voice may be written in, as the model sees it.
        remarks: What was chosen and changed, a sentence each.
    """

    score: ScoreTick
    choice: VoiceChoice
    bars: tuple[Bar, ...]
    meters: tuple[Meter, ...]
    vocabulary: Vocabulary
    shift: int
    pitches: tuple[tuple[int, int], ...]
    remarks: tuple[str, ...]

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the given voices, from high to low."""
        return tuple(self.choice.tracks)

    @property
    def ticks_per_grid_tick(self) -> Fraction:
        """Length of a tick of the grid."""
        return Fraction(self.score.ticks_per_quarter, self.vocabulary.ticks_per_quarter)

    def track(self, voice: str) -> TrackTick:
        """Return the score's track of a given voice, with all its notes."""
        return self.score.tracks[self.choice.indices[voice]]

    def end_ticks(self, *voices: str) -> int:
        """End of the last note of some voices (0 for one that is not given), by default of all."""
        given = [voice for voice in voices or self.voices if voice in self.voices]
        return max((note.end for voice in given for note in self.track(voice).notes), default=0)

    def piece(self, without: Collection[str] = (), start_ticks: int = 0, end_ticks: int = 0) -> Piece:
        """Return the given voices on the grid, `without` the notes of some that begin in a stretch of the score."""
        tracks = {
            voice: [n for n in track.notes if voice not in without or not start_ticks <= n.time < end_ticks]
            for voice, track in self.choice.tracks.items()
        }
        return _on_grid(self.vocabulary, self.score, tracks, self.bars, self.meters, self.shift)[0]


def read_prompt(
    vocabulary: Vocabulary,
    ranges: Ranges,
    score: ScoreTick,
    given: Sequence[str] | None = None,
    track: int | str | None = None,
    *,
    alone: bool = False,
) -> Prompt:
    """Choose a prompt's voices and find its place on the grid.

    Args:
        vocabulary: The vocabulary.
        ranges: Where the model has heard the voices sing.
        score: A validated score.
        given: Which voices its tracks are; by default those they are named after (see `pick_voices`).
        track: The melody's track, number from 1 or name, where one voice is given.
        alone: Whether tracks that are no voices are left out: the prompt then ends where its voices end.

    Raises:
        InputError: The voices cannot be told, or the model cannot hear them.
    """
    bar_meters(vocabulary, bars_of(score), score.ticks_per_quarter)  # refuses what could overflow when it is refined
    fine = refined(score, vocabulary.ticks_per_quarter)
    choice = pick_voices(fine, given, track)
    if alone:
        fine, choice = _without_others(fine, choice)
    bars = tuple(bars_of(fine))
    meters = bar_meters(vocabulary, bars, fine.ticks_per_quarter)
    shift = _shift(vocabulary, ranges, choice)
    notes = {voice: list(chosen.notes) for voice, chosen in choice.tracks.items()}
    _, changes = _on_grid(vocabulary, fine, notes, bars, meters, shift)
    remarks = [choice.reason, *changes]
    if shift:
        distance = f"{abs(shift)} semitone{'s' * (abs(shift) > 1)}"
        remarks.append(f"transposed {distance} {'up' if shift > 0 else 'down'} for the model, and back")
    return Prompt(
        fine, choice, bars, meters, vocabulary, shift, _pitches(vocabulary, ranges, choice, shift), tuple(remarks)
    )


def refined(score: ScoreTick, grid_ticks: int) -> ScoreTick:
    """Return a copy at the least multiple of its resolution that holds the grid, or at its own if that is too fine."""
    fine = math.lcm(score.ticks_per_quarter, grid_ticks)
    if fine == score.ticks_per_quarter or fine > MAX_TICKS_PER_QUARTER:
        return score.copy()
    return score.resample(fine)


def _without_others(score: ScoreTick, choice: VoiceChoice) -> tuple[ScoreTick, VoiceChoice]:
    reduced = score.copy()
    reduced.tracks = TrackTickList([score.tracks[index] for index in choice.indices.values()])
    return reduced, replace(choice, indices={voice: index for index, voice in enumerate(choice.tracks)})


def _on_grid(
    vocabulary: Vocabulary,
    score: ScoreTick,
    notes: dict[str, list[NoteTick]],
    bars: Sequence[Bar],
    meters: Sequence[Meter],
    shift: int,
) -> tuple[Piece, tuple[str, ...]]:
    """Put voices on the grid, in the score's bars; return what the grid changed, too."""
    sung = ScoreTick(score.ticks_per_quarter)
    for bar, meter, before in zip(bars, meters, (None, *meters), strict=False):
        if meter != before:
            sung.time_signatures.append(TimeSignatureTick(bar.start_ticks, meter.numerator, meter.denominator))
    for voice, own in notes.items():
        if not own:
            continue
        track = TrackTick(voice, 0, False)
        track.notes.extend(NoteTickList(NoteTick(n.time, n.duration, n.pitch + shift, n.velocity) for n in own))
        sung.tracks.append(track)
    if not sung.tracks:
        return Piece(tuple(GridBar(meter) for meter in meters)), ()
    encoded = encode_score(vocabulary, sung)
    heard = encoded.piece.bars[: len(meters)]  # a note at the very end may have been moved behind it
    assert [bar.meter for bar in heard] == list(meters[: len(heard)]), "bars on the grid are not those of the score"
    return Piece((*heard, *(GridBar(meter) for meter in meters[len(heard) :]))), encoded.changes


def _shift(vocabulary: Vocabulary, ranges: Ranges, choice: VoiceChoice) -> int:
    """Semitones that bring the given voices inside the ranges of training, or as near as possible."""
    spans = _spans(vocabulary, choice)
    lowest, highest = min(vocabulary.pitch_id), max(vocabulary.pitch_id)
    legal = [
        shift
        for shift in range(-_MAX_PITCH, _MAX_PITCH + 1)
        if all(lowest <= low + shift and high + shift <= highest for low, high in spans.values())
    ]
    if not legal:
        low, high = min(low for low, _ in spans.values()), max(high for _, high in spans.values())
        raise InputError(
            f"the given voices reach from MIDI pitch {low} to {high}, more than the {highest - lowest} semitones "
            "that the model can hear; give something narrower."
        )

    def outside(shift: int) -> int:
        total = 0
        for rank, (low, high) in spans.items():
            bottom, top = ranges[rank]
            total += max(0, bottom - low - shift) + max(0, high + shift - top)
        return total

    return min(legal, key=lambda shift: (outside(shift), abs(shift), shift))


def _spans(vocabulary: Vocabulary, choice: VoiceChoice) -> dict[int, tuple[int, int]]:
    """Lowest and highest pitch of each given voice, by rank."""
    return {
        vocabulary.voices.index(voice): (
            min(note.pitch for note in track.notes),
            max(note.pitch for note in track.notes),
        )
        for voice, track in choice.tracks.items()
    }


def _pitches(vocabulary: Vocabulary, ranges: Ranges, choice: VoiceChoice, shift: int) -> tuple[tuple[int, int], ...]:
    """Where each voice may be written: its range in training, wider where the prompt is, and MIDI pitches once back."""
    pitches = list(ranges)
    for rank, (low, high) in _spans(vocabulary, choice).items():
        pitches[rank] = min(pitches[rank][0], low + shift), max(pitches[rank][1], high + shift)
    bottom, top = max(min(vocabulary.pitch_id), shift), min(max(vocabulary.pitch_id), _MAX_PITCH + shift)
    return tuple((max(low, bottom), min(high, top)) for low, high in pitches)


Keeps = Callable[[int, NoteTick], bool]
"""Takes the index of a track and one of its notes; tells whether the model sees it."""


@dataclass(frozen=True)
class MultitrackPrompt:
    """A prompt and how it lies on the grid.

    Attributes:
        score: The prompt, unchanged but for its resolution, which is that of the output.
        bars: Its bars.
        meters: Their lengths on the grid.
        vocabulary: The vocabulary.
        ranks: For each track, the voice that it is part of.
        remarks: What the model does not see as it is, a phrase each.
    """

    score: ScoreTick
    bars: tuple[Bar, ...]
    meters: tuple[Meter, ...]
    vocabulary: Vocabulary
    ranks: tuple[int, ...]
    remarks: tuple[str, ...]

    @property
    def ticks_per_grid_tick(self) -> Fraction:
        """Length of a tick of the grid."""
        return Fraction(self.score.ticks_per_quarter, self.vocabulary.ticks_per_quarter)

    @property
    def end_ticks(self) -> int:
        """End of the last note."""
        return max(note.end for track in self.score.tracks for note in track.notes)

    def bar_start(self, index: int) -> int:
        """Return where a bar begins; those behind the prompt's last one are as long as it."""
        beyond = index - len(self.bars) + 1
        if beyond <= 0:
            return self.bars[index].start_ticks
        return self.bars[-1].start_ticks + beyond * self.bars[-1].length_ticks

    def grid_time(self, time: int) -> int:
        """Return where a time lies on the grid, rounded up to a 16th."""
        starts = [self.bar_start(index) for index in range(len(self.bars) + 1)]
        index = max(bisect.bisect_right(starts, time) - 1, 0)
        grid_16th = self.vocabulary.ticks_per_quarter // 4
        before = sum(meter.bar_ticks for meter in self.meters[:index])
        return before + ceil((time - starts[index]) / (self.ticks_per_grid_tick * grid_16th)) * grid_16th

    def players(self, rank: int) -> list[int]:
        """Return the indices of the tracks that are part of a voice."""
        return [index for index, own in enumerate(self.ranks) if own == rank]

    def labels(self, indices: Collection[int]) -> tuple[str, ...]:
        """Name tracks for people."""
        return tuple(track_label(self.score, index) for index in sorted(indices))

    def piece(self, keeps: Keeps = lambda index, note: True) -> Piece:
        """Return the prompt on the grid, or those of its notes that a rule keeps."""
        return _tracks_on_grid(self.vocabulary, self.score, self.bars, self.meters, keeps)[0]


def read_multitrack_prompt(
    vocabulary: Vocabulary, score: ScoreTick, indices: Sequence[int] | None = None
) -> MultitrackPrompt:
    """Find a prompt's place on the grid.

    Args:
        vocabulary: The vocabulary.
        score: A validated score.
        indices: The tracks to keep; the others are left out, and the prompt ends where these end. All by default.

    Raises:
        InputError: The model cannot hear the prompt.
    """
    bar_meters(vocabulary, bars_of(score), score.ticks_per_quarter)  # refuses what could overflow when it is refined
    fine = refined(score, vocabulary.ticks_per_quarter)
    if indices is not None:
        fine.tracks = TrackTickList([fine.tracks[index] for index in indices])
    bars = tuple(bars_of(fine))
    meters = bar_meters(vocabulary, bars, fine.ticks_per_quarter)
    ranks = [vocabulary.rank_of(track) for track in fine.tracks]
    if None in ranks:
        raise InputError(f"the model does not know the instrument of track {track_label(fine, ranks.index(None))}.")
    _, changes = _tracks_on_grid(vocabulary, fine, bars, meters, lambda index, note: True)
    remarks = tuple(f"the model sees: {change}" for change in changes)
    return MultitrackPrompt(fine, bars, meters, vocabulary, tuple(rank for rank in ranks if rank is not None), remarks)


def _tracks_on_grid(
    vocabulary: Vocabulary, score: ScoreTick, bars: Sequence[Bar], meters: Sequence[Meter], keeps: Keeps
) -> tuple[Piece, tuple[str, ...]]:
    """Put notes on the grid, in the score's bars; return what the grid changed, too."""
    sung = ScoreTick(score.ticks_per_quarter)
    for bar, meter, before in zip(bars, meters, (None, *meters), strict=False):
        if meter != before:
            sung.time_signatures.append(TimeSignatureTick(bar.start_ticks, meter.numerator, meter.denominator))
    sung.tempos = score.tempos.copy()
    for index, own in enumerate(score.tracks):
        kept = [note for note in own.notes if keeps(index, note)]
        if kept:
            track = TrackTick(own.name, own.program, own.is_drum)
            track.notes = NoteTickList(kept)
            sung.tracks.append(track)
    if not sung.tracks:
        return Piece(tuple(GridBar(meter) for meter in meters)), ()
    piece, changes = encode_multitrack(vocabulary, sung, bars)
    heard = piece.bars[: len(meters)]  # a note at the very end may have been moved behind it
    assert [bar.meter for bar in heard] == list(meters[: len(heard)]), "bars on the grid are not those of the score"
    return Piece((*heard, *(GridBar(meter) for meter in meters[len(heard) :]))), changes
