"""Music played in by hand: its notes on 16ths and triplets for a model, and new notes in the player's timing.

The tempo has to be that of the file, as when a sequencer records with a click; `descant_tokenizers.scores.beats` looks
for beats where it is not.

Units: ticks of the score.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symusic.core import NoteTick, NoteTickList, ScoreTick

from descant_tokenizers.scores.bars import bars_of

_MIN_NOTES = 8
_MIN_SHARE = 0.25
"""Share of the onsets beside the grid from which music counts as played."""

_TOLERANCE = Fraction(1, 48)  # of a quarter: nearer onsets are on the grid
_GRIDS = (4, 3)  # parts of a quarter
_FINE = (5, 6, 7, 8)  # exact places that no player hits by chance: shorter values and tuplets
_TRIPLET_COST = Fraction(1, 24)  # of a quarter, for a beat: triplets have to fit clearly better


def is_played(score: ScoreTick) -> bool:
    """Return True if the onsets of a score lie beside 16ths and triplets as those of a player do."""
    unit = score.ticks_per_quarter
    starts = [bar.start_ticks for bar in bars_of(score)]
    onsets = sorted({note.time for track in score.tracks if not track.is_drum for note in track.notes})
    beside = 0
    for onset in onsets:
        time = onset - starts[max(bisect.bisect_right(starts, onset) - 1, 0)]
        is_near = any(_distance(time, Fraction(unit, parts)) <= _TOLERANCE * unit for parts in _GRIDS)
        is_exact = any(_distance(time, Fraction(unit, parts)) < 1 for parts in _FINE)
        beside += not is_near and not is_exact
    return len(onsets) >= _MIN_NOTES and beside >= _MIN_SHARE * len(onsets)


def _distance(time: int, step: Fraction) -> Fraction:
    return abs(time - round(time / step) * step)


@dataclass(frozen=True)
class Quantized:
    """A score on 16ths and triplets, and the way back.

    Attributes:
        score: The quantized score.
        played: Onset and duration of each note as played, by its onset and pitch in the quantized score.
        anchors: Quantized onsets and the times at which they were played, both ascending.
    """

    score: ScoreTick
    played: Mapping[tuple[int, int], Sequence[tuple[int, int]]]
    anchors: Sequence[tuple[int, int]]

    def restored(
        self, score: ScoreTick, added: Collection[tuple[str, int, int]]
    ) -> tuple[ScoreTick, set[tuple[str, int, int]]]:
        """Return a result in the player's timing, and its new notes.

        Given notes are again as they were played; new notes begin and end with them, and between them in proportion.

        Args:
            score: A result for the quantized score, at a multiple of its resolution.
            added: Its new notes as track name, onset and pitch.
        """
        factor = score.ticks_per_quarter // self.score.ticks_per_quarter
        left = {place: list(notes) for place, notes in self.played.items()}
        result, moved = score.copy(), set()
        for track in result.tracks:
            notes = []
            for note in track.notes:
                is_new = (track.name, note.time, note.pitch) in added
                own = None if is_new or note.time % factor else left.get((note.time // factor, note.pitch))
                if own:
                    onset, duration = own.pop(0)
                    notes.append(NoteTick(onset * factor, duration * factor, note.pitch, note.velocity))
                    continue
                begin, end = self._time(note.time, factor), self._time(note.end, factor)
                notes.append(NoteTick(begin, max(end - begin, 1), note.pitch, note.velocity))
                if is_new:
                    moved.add((track.name, begin, note.pitch))
            track.notes = NoteTickList(sorted(notes, key=lambda note: (note.time, note.pitch)))
        return result, moved

    def _time(self, time: int, factor: int) -> int:
        """Return when a quantized time was played."""
        index = bisect.bisect_right(self.anchors, time, key=lambda anchor: anchor[0] * factor)
        if index in (0, len(self.anchors)):
            quantized, played = self.anchors[min(index, len(self.anchors) - 1)]
            return max(time + (played - quantized) * factor, 0)
        (first, begin), (last, end) = self.anchors[index - 1], self.anchors[index]
        share = Fraction(time - first * factor, (last - first) * factor)
        return round((begin + share * (end - begin)) * factor)


def quantize(score: ScoreTick) -> Quantized:
    """Move the notes of a score onto 16ths or, in beats that they fit better, triplets.

    Notes of a track that would begin together stay where they are.
    """
    unit = score.ticks_per_quarter
    starts = [bar.start_ticks for bar in bars_of(score)]
    result = score.copy()
    played: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    onsets: dict[int, list[int]] = defaultdict(list)
    for track in result.tracks:
        places = dict(_places(sorted({note.time for note in track.notes}), starts, unit))
        ordered = sorted(places)
        notes = []
        for note in track.notes:
            time = places[note.time]
            end = max(_end(note.end, ordered, places, starts, unit), time + max(unit // 4, 1))
            following = bisect.bisect_right(ordered, note.time)
            if following < len(ordered) and note.end <= ordered[following] + unit // 8:
                end = min(end, max(places[ordered[following]], time + 1))
            notes.append(NoteTick(time, end - time, note.pitch, note.velocity))
            played[time, note.pitch].append((note.time, note.duration))
            onsets[time].append(note.time)
        track.notes = NoteTickList(sorted(notes, key=lambda note: (note.time, note.pitch)))
    anchors: list[tuple[int, int]] = []
    for time in sorted(onsets):
        mean = round(sum(onsets[time]) / len(onsets[time]))
        if not anchors or mean > anchors[-1][1]:
            anchors.append((time, mean))
    return Quantized(result, played, anchors)


def _places(times: Sequence[int], starts: Sequence[int], unit: int) -> Iterator[tuple[int, int]]:
    """Yield the onsets of a track with their places on the grid, beat by beat."""
    beats: dict[tuple[int, int], list[int]] = defaultdict(list)
    for time in times:
        start = starts[max(bisect.bisect_right(starts, time + unit // 8) - 1, 0)]
        beats[start, (time - start + unit // 8) // unit].append(time)
    for (start, beat), own in beats.items():
        origin = start + beat * unit
        choices = []
        for parts in _GRIDS:
            step = Fraction(unit, parts)
            places = [origin + round(round((time - origin) / step) * step) for time in own]
            cost = sum(abs(place - time) for place, time in zip(places, own, strict=True))
            choices.append((cost + (_TRIPLET_COST * unit * len(own) if parts == 3 else 0), places))
        places = min(choices, key=lambda choice: choice[0])[1]
        yield from zip(own, places if len(set(places)) == len(places) else own, strict=True)


def _end(time: int, onsets: Sequence[int], places: Mapping[int, int], starts: Sequence[int], unit: int) -> int:
    """Return the place of the end of a note: that of an onset near it, else the nearest 16th.

    A player holds the last note more freely: its end moves onto a beat up to a 16th away.
    """
    index = bisect.bisect_left(onsets, time)
    near = min(onsets[max(index - 1, 0) : index + 1], key=lambda onset: abs(onset - time), default=None)
    if near is not None and abs(near - time) <= unit // 8:
        return places[near]
    start = starts[max(bisect.bisect_right(starts, time + unit // 8) - 1, 0)]
    is_last = index == len(onsets) and abs(time - start - round((time - start) / unit) * unit) <= unit // 4
    step = Fraction(unit, 1 if is_last else 4)
    return start + round(round((time - start) / step) * step)
