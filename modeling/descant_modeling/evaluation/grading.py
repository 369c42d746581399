"""A grade of style after Fang, Liu, Seetharaman & Pardo 2020, "Bach or Mock?": lower is more like Bach.

The grade is the sum of nine terms, each a Wasserstein distance between a histogram of the piece and that of a reference
corpus. The categories of a histogram have no natural distance, so they are ordered by their frequency in the reference,
and the distance is over ranks. Major and minor pieces are compared only with pieces of their own mode.

Written from the published description. Where it leaves a choice: frames are 16ths; intervals are semitones with
direction; a new chord begins whenever any voice moves; a repeated sequence is a run of notes of one voice (pitch and
length) that recurs later, counted by its number of notes; everything that the reference never does is one category, the
last. Other implementations have other scales, so compare only grades computed here.

Shapes: V = 4 voices, T 16ths, K categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from descant_modeling.evaluation.rules import count_rules
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Floats, Ints, Line
from descant_tokenizers.scores import chords

TERMS = (
    "scale_degrees",
    "note_lengths",
    "parallels",
    "chord_qualities",
    "soprano_intervals",
    "alto_intervals",
    "tenor_intervals",
    "bass_intervals",
    "repeated_sequences",
)
_MAX_LENGTH_16THS = 32
_MAX_LEAP = 24
_MAX_REPEATED = 32
_ANY_RANGE = [(0, 127)] * 4

QUALITIES = {quality.name: quality.steps for quality in chords.QUALITIES} | {
    "minor-major seventh": (0, 3, 7, 11),
    "seventh without fifth": (0, 4, 10),
    "minor seventh without fifth": (0, 3, 10),
    "major seventh without fifth": (0, 4, 11),
    "suspended": (0, 5, 7),
    "fifth": (0, 7),
    "major third": (0, 4),
    "minor third": (0, 3),
    "unison": (0,),
}
NUM_QUALITIES = len(QUALITIES) + 1


def _quality_table() -> Ints:
    """Return the quality of each set of pitch classes, given as a 12-bit mask; sets without a name share the last."""
    table = np.full(1 << 12, len(QUALITIES), dtype=np.int64)
    for index, classes in reversed(list(enumerate(QUALITIES.values()))):
        for root in range(12):
            table[sum(1 << ((root + pitch_class) % 12) for pitch_class in classes)] = index
    return table


_QUALITY_OF = _quality_table()


@dataclass(frozen=True)
class Features:
    """Histograms that a piece is graded by.

    Attributes:
        is_major: Mode of the piece.
        histograms: Counts of the categories of each term, (K,), by name.
        num_changes: Pitch changes, the denominator of the rate of parallels.
    """

    is_major: bool
    histograms: dict[str, Floats]
    num_changes: int


def features_of(chorale: Chorale) -> Features:
    """Count the histograms of a piece."""
    counts = count_rules(chorale, _ANY_RANGE)
    sounding = chorale.pitches_VT[chorale.pitches_VT != SILENT]
    lengths = np.concatenate([line.lengths_16ths for line in chorale.lines])
    histograms = {
        "scale_degrees": _histogram((sounding - chorale.tonic) % 12, 12),
        "note_lengths": _histogram(np.round(2 * lengths), 2 * _MAX_LENGTH_16THS + 1),
        "parallels": np.array([counts.found["parallel_fifths"], counts.found["parallel_octaves"]], dtype=float),
        "chord_qualities": _histogram(chord_qualities(chorale), NUM_QUALITIES),
        "repeated_sequences": sum((_repeated(line) for line in chorale.lines), np.zeros(_MAX_REPEATED + 1)),
    }
    for term, line in zip(TERMS[4:8], chorale.lines, strict=True):
        leaps = np.clip(np.diff(line.pitches), -_MAX_LEAP, _MAX_LEAP) + _MAX_LEAP
        histograms[term] = _histogram(leaps, 2 * _MAX_LEAP + 1)
    return Features(chorale.is_major, {term: histograms[term] for term in TERMS}, counts.num_changes)


def chord_qualities(chorale: Chorale) -> Ints:
    """Return the quality of each chord, as its place in `QUALITIES`, or their number if it has no name."""
    pitches = chorale.pitches_VT
    bits = np.where(pitches == SILENT, 0, 1 << (np.maximum(pitches, 0) % 12))
    masks = np.bitwise_or.reduce(bits, axis=0)
    begins = np.ones(len(masks), dtype=bool)
    begins[1:] = (np.diff(pitches, axis=1) != 0).any(axis=0)
    found: Ints = _QUALITY_OF[masks[begins & (masks > 0)]]
    return found


class Grader:
    """Grades pieces against a reference.

    Args:
        reference: Features of the pieces of the reference.
    """

    def __init__(self, reference: Sequence[Features]) -> None:
        self._sums = {mode: _total([f for f in reference if f.is_major is mode]) for mode in (True, False)}
        self._all = _total(reference)

    def grade(self, piece: Features, *, left_out: bool = False) -> dict[str, float]:
        """Return the nine terms, whose sum is the grade.

        Args:
            piece: The piece to grade.
            left_out: True if the piece belongs to the reference; it is then graded by all the others.
        """
        reference = self._sums[piece.is_major]
        if left_out:
            reference = _without(reference, piece)
        if reference.num_changes == 0:  # all pieces of the reference are in the other mode
            reference = self._all
        terms = {term: _distance(piece.histograms[term], reference.histograms[term]) for term in TERMS}
        expected = reference.histograms["parallels"].sum() / max(reference.num_changes, 1)
        found = piece.histograms["parallels"].sum() / max(piece.num_changes, 1)
        terms["parallels"] *= found / expected if expected > 0 else 0.0
        return terms


def grade_pair(grader: Grader, piece: Chorale, other: Chorale) -> tuple[float, float]:
    """Grade two pieces for a fair comparison: both cut to the shorter one's length, and without the term of parallels.

    A grade depends on the length of a piece, since rare categories are missing in a short one. The term of parallels
    is 0 for any piece without them, so that a rule which forbids them lowers the grade.
    """
    num_frames = min(piece.num_frames, other.num_frames)
    terms = (grader.grade(features_of(side.cut(num_frames))) for side in (piece, other))
    first, second = (sum(value for term, value in each.items() if term != "parallels") for each in terms)
    return first, second


def _total(pieces: Sequence[Features]) -> Features:
    histograms = {term: np.sum([piece.histograms[term] for piece in pieces], axis=0) for term in TERMS if pieces}
    return Features(True, histograms, sum(piece.num_changes for piece in pieces))


def _without(total: Features, piece: Features) -> Features:
    histograms = {term: total.histograms[term] - piece.histograms[term] for term in TERMS}
    return Features(total.is_major, histograms, total.num_changes - piece.num_changes)


def _distance(piece_K: Floats, reference_K: Floats) -> float:
    """Return the Wasserstein distance over the ranks of categories; 0 if one of the two histograms is empty."""
    if not piece_K.sum() or not reference_K.sum():
        return 0.0
    order = np.argsort(-reference_K, kind="stable")[: np.count_nonzero(reference_K)]
    p, q = (counts[order] / counts.sum() for counts in (piece_K, reference_K))
    return float(np.abs(np.cumsum(p - q)).sum())  # the rest of p is at the last rank


def _histogram(values: Ints | Floats, size: int) -> Floats:
    return np.bincount(np.clip(values, 0, size - 1).astype(np.int64), minlength=size).astype(float)


def _repeated(line: Line) -> Floats:
    """Count, by number of notes (two or more), the longest runs of a voice that recur without overlap."""
    counts = np.zeros(_MAX_REPEATED + 1)
    # One number per note; a 48th of a quarter distinguishes all lengths.
    notes = line.pitches * 4096 + np.round(12 * line.lengths_16ths).astype(np.int64)
    for lag in range(2, len(notes)):
        same = np.concatenate([[0], (notes[:-lag] == notes[lag:]).astype(np.int8), [0]])
        edges = np.diff(same)
        runs = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
        runs = np.minimum(runs, min(lag, _MAX_REPEATED))
        counts += np.bincount(runs[runs > 1], minlength=len(counts))
    return counts
