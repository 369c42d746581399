"""The form of a piece: how music that is played with repeats is written with repeat signs.

A reader writes repeats out, because that is what sounds and what a model sees. A `Form` goes back: the passes of a
repeated section, if they are the same, are folded into the one that is written.

Units: ticks of the score, unless a type says quarters.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from symusic.core import (
    KeySignatureTick,
    KeySignatureTickList,
    NoteTick,
    NoteTickList,
    ScoreTick,
    TempoTick,
    TempoTickList,
    TimeSignatureTick,
    TimeSignatureTickList,
    TrackTick,
)

from descant_tokenizers.scores.jumps import sorted_signs
from descant_tokenizers.scores.marks import with_notes
from descant_tokenizers.scores.measures import end_of
from descant_tokenizers.scores.repeats import Notation, Span, play_order, printed, repeats_of
from descant_tokenizers.scores.unfolding import unfolded, with_bars
from descant_tokenizers.scores.validation import Limits

_NO_LIMITS = Limits(max_notes=2**62, max_bars=2**62)


class _Piece(NamedTuple):
    """A stretch as written, how far its chosen pass lies behind it, and the end of that pass."""

    start: int
    end: int
    shift: int
    pass_end: int


@dataclass(frozen=True)
class Form:
    """A piece as written with repeat signs.

    Attributes:
        spans: The stretches of the written text in the order in which they are played.
        written: The written text with its bars, signs and marks.
        is_notated: The signs say in sheet music in which order the stretches are played.
    """

    spans: tuple[Span, ...]
    written: Notation
    is_notated: bool = True

    def fold(self, score: ScoreTick) -> Folded:
        """Fold a score that is played in this form; each stretch is taken from its first pass."""
        pieces = sorted(self._pieces(score.ticks_per_quarter))
        lengths = self._longest(score)
        tracks: list[TrackTick] = []
        for track in score.tracks:
            notes = []
            for piece, note in _inside(track, pieces):
                time, length = note.time - piece.shift, note.duration
                if time + length >= piece.pass_end:
                    length = max(length, lengths.get((len(tracks), time, note.pitch), 0))
                notes.append(NoteTick(time, length, note.pitch, note.velocity))
            tracks.append(TrackTick(track.name, track.program, track.is_drum))
            tracks[-1].notes = NoteTickList(_without_overlaps(sorted(notes, key=lambda n: (n.time, n.pitch))))
        return Folded(self._with_events(tracks, score.ticks_per_quarter), pieces)

    def unfold(self, score: ScoreTick) -> ScoreTick:
        """Write out a folded score; time signatures are left out."""
        return unfolded(Notation(score, ()), self.spans, _NO_LIMITS).score

    def folded(self, score: ScoreTick) -> Folded | None:
        """Fold a score; return None if passes of a stretch differ, or notes lie outside the form."""
        found = self.fold(score)
        again = self.unfold(found.score)
        is_same = all(_contents(track) == _contents(own) for track, own in zip(score.tracks, again.tracks, strict=True))
        return found if is_same else None

    @property
    def num_unplayed(self) -> int:
        """Number of notes of the written text that its signs never lead to."""
        score = self.written.score
        pieces = [piece._replace(shift=0) for piece in self._pieces(score.ticks_per_quarter)]
        return sum(len(track.notes) - sum(1 for _ in _inside(track, pieces)) for track in score.tracks)

    def copies(self, ticks_per_quarter: int) -> list[tuple[int, int, int]]:
        """Return the stretches that are played again: where each begins and ends, and where it was played first."""
        pieces = sorted(self._pieces(ticks_per_quarter))
        return [
            (begin + each.shift, end + each.shift, begin + piece.shift)
            for each in self._passes(ticks_per_quarter)
            for piece in pieces
            if (begin := max(each.start, piece.start)) < (end := min(each.end, piece.end)) and each.shift > piece.shift
        ]

    def written_time(self, time: int, ticks_per_quarter: int) -> int:
        """Return where what is played at a time is written."""
        for each in self._passes(ticks_per_quarter):
            if each.start + each.shift <= time < each.end + each.shift:
                return time - each.shift
        return time

    def _passes(self, unit: int) -> Iterator[_Piece]:
        time = 0
        for span in self.spans:
            start, end = round(span.start * unit), round(span.end * unit)
            yield _Piece(start, end, time - start, end)
            time += end - start

    def _pieces(self, unit: int) -> list[_Piece]:
        """Cover the written text with stretches of its passes, each place once."""
        pieces: list[_Piece] = []
        for each in self._passes(unit):
            at = each.start
            for covered in sorted(pieces):
                if covered.end <= at or covered.start >= each.end:
                    continue
                if covered.start > at:
                    pieces.append(each._replace(start=at, end=covered.start))
                at = covered.end
            if at < each.end:
                pieces.append(each._replace(start=at))
        return pieces

    def _longest(self, score: ScoreTick) -> dict[tuple[int, int, int], int]:
        """Return the longest duration of each note over its passes: one is cut where another stretch follows."""
        found: dict[tuple[int, int, int], int] = {}
        passes = list(self._passes(score.ticks_per_quarter))
        for index, track in enumerate(score.tracks):
            for piece, note in _inside(track, passes):
                place = (index, note.time - piece.shift, note.pitch)
                found[place] = max(found.get(place, 0), note.duration)
        return found

    def _with_events(self, tracks: Sequence[TrackTick], unit: int) -> ScoreTick:
        """Return a score of tracks with the signatures and tempos of the written text."""
        source = self.written.score
        factor = Fraction(unit, source.ticks_per_quarter)
        result = ScoreTick(unit)
        for track in tracks:
            result.tracks.append(track)
        result.time_signatures = TimeSignatureTickList(
            [TimeSignatureTick(round(e.time * factor), e.numerator, e.denominator) for e in source.time_signatures]
        )
        result.key_signatures = KeySignatureTickList(
            [KeySignatureTick(round(e.time * factor), e.key, e.tonality) for e in source.key_signatures]
        )
        result.tempos = TempoTickList([TempoTick(round(e.time * factor), mspq=e.mspq) for e in source.tempos])
        return result


def form_of(written: Notation) -> Form | None:
    """Return the form of a score as written, before its bars are settled; None if it is played as it is written."""
    if not written.signs and not written.part_order:
        return None
    end = end_of(written.measures)
    spans = play_order(written.signs, end, written.part_order)
    if spans == [Span(Fraction(0), end)]:
        return None
    repeated = sorted_signs([*(sign for sign in written.signs if sign.kind == "part"), *repeats_of(spans)])
    if written.part_order and play_order(printed(repeated, end), end) == spans:
        written = replace(written, signs=repeated, part_order="")
    settled = with_bars(replace(written, score=written.score.copy()), _NO_LIMITS, unfold=False)
    is_notated = play_order(printed(written.signs, end), end) == spans
    return Form(tuple(spans), replace(settled, marks=with_notes(settled.marks, settled.score)), is_notated)


@dataclass(frozen=True)
class Folded:
    """A folded score, and the pass from which each stretch of it was taken."""

    score: ScoreTick
    pieces: Sequence[_Piece]

    def played(self, time: int) -> int:
        """Return the time at which a place of the folded score was played."""
        return next((time + piece.shift for piece in self.pieces if piece.start <= time < piece.end), time)


def _inside(track: TrackTick, pieces: Sequence[_Piece]) -> Iterator[tuple[_Piece, NoteTick]]:
    """Yield the notes that begin in each piece as it is played, each with the piece."""
    notes = sorted(track.notes, key=lambda note: note.time)
    times = [note.time for note in notes]
    for piece in pieces:
        start, end = piece.start + piece.shift, piece.end + piece.shift
        for note in notes[bisect.bisect_left(times, start) : bisect.bisect_left(times, end)]:
            yield piece, note


def _without_overlaps(notes: Sequence[NoteTick]) -> list[NoteTick]:
    """Cut notes where the same pitch is struck again."""
    latest: dict[int, NoteTick] = {}
    for note in notes:
        before = latest.get(note.pitch)
        if before is not None and before.end > note.time > before.time:
            before.duration = note.time - before.time
        latest[note.pitch] = note
    return list(notes)


def _contents(track: TrackTick) -> list[tuple[int, int, int]]:
    return sorted((note.time, note.end, note.pitch) for note in track.notes)
