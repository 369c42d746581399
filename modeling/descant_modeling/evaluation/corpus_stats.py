"""Four-part pieces beside Bach's: rules of voice leading, grade of style, plain statistics.

Plain statistics of a set of pieces: what sounds how often, nothing judged.

Every share counts what it says: silence is no pitch, and an empty bar is one in which nothing sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from descant_modeling.evaluation.bootstrap import Estimate, quantile_interval
from descant_modeling.evaluation.grading import TERMS, Features, Grader, features_of
from descant_modeling.evaluation.rules import RULES, count_rules, rates_of, voice_ranges
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Floats, Ints

__all__ = ["PITCH_CLASSES", "CorpusStatistics", "MeasuredCorpus", "Reference", "corpus_statistics", "measure"]

PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_DEGREES = ("1", "b2", "2", "b3", "3", "4", "#4", "5", "b6", "6", "b7", "7")
_LENGTHS = {
    1: "16th",
    2: "eighth",
    3: "dotted eighth",
    4: "quarter",
    6: "dotted quarter",
    8: "half",
    12: "dotted half",
    16: "whole",
}
_INTERVALS = (
    *("unison", "minor 2nd", "major 2nd", "minor 3rd", "major 3rd", "4th", "tritone", "5th"),
    *("minor 6th", "major 6th", "minor 7th", "major 7th", "octave"),
)
_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
_MINOR_SCALES = (0, 2, 3, 5, 7, 8, 9, 10, 11)  # natural, harmonic and melodic together
_STATISTICS_DIGITS = 3

Histogram = dict[str, float]


@dataclass(frozen=True)
class CorpusStatistics:
    """Shares in per cent, pooled over pieces.

    Attributes:
        pitch_classes: Of the sounding 16ths of all voices.
        scale_degrees: The same, above the tonic of each piece's estimated key.
        intervals: Of the steps from note to note within a voice, up and down together.
        note_lengths: Of the notes; what has no name of its own is "other".
        voices_sounding: Mean number of voices that sound at a 16th.
        all_voices_sounding: 16ths at which all four do.
        empty_bars: Bars of single voices in which nothing sounds.
        in_scale: Sounding 16ths inside the scale of the estimated key (minor: all three forms together).
    """

    pitch_classes: Histogram
    scale_degrees: Histogram
    intervals: Histogram
    note_lengths: Histogram
    voices_sounding: float
    all_voices_sounding: float
    empty_bars: float
    in_scale: float


def corpus_statistics(chorales: Sequence[Chorale]) -> CorpusStatistics:
    """Measure a set of pieces, at least one."""
    degrees = [(c.pitches_VT[c.pitches_VT != SILENT] - c.tonic) % 12 for c in chorales]
    scales = [_MAJOR_SCALE if c.is_major else _MINOR_SCALES for c in chorales]
    inside = [np.isin(found, scale) for found, scale in zip(degrees, scales, strict=True)]
    sounding = np.concatenate([(c.pitches_VT != SILENT).sum(axis=0) for c in chorales])
    pitches = np.concatenate([c.pitches_VT[c.pitches_VT != SILENT] for c in chorales])
    leaps = np.concatenate([np.abs(np.diff(line.pitches)) for c in chorales for line in c.lines])
    lengths = np.concatenate([line.lengths_16ths for c in chorales for line in c.lines])
    empty = np.concatenate([_empty_bars(c) for c in chorales])
    return CorpusStatistics(
        pitch_classes=_shares(pitches % 12, PITCH_CLASSES),
        scale_degrees=_shares(np.concatenate(degrees), _DEGREES),
        intervals=_shares(np.minimum(leaps, len(_INTERVALS)), (*_INTERVALS, "wider")),
        note_lengths=_length_shares(lengths),
        voices_sounding=round(float(sounding.mean()), _STATISTICS_DIGITS),
        all_voices_sounding=_percent(sounding == 4),
        empty_bars=_percent(empty),
        in_scale=_percent(np.concatenate(inside)),
    )


def _empty_bars(chorale: Chorale) -> Floats:
    """Whether each bar of each voice is silent, flat."""
    silent = np.concatenate([np.zeros((4, 1)), np.cumsum(chorale.pitches_VT != SILENT, axis=1)], axis=1)
    lines = np.clip(np.ceil(chorale.bar_lines_16ths).astype(int), 0, chorale.num_frames)
    lines = np.unique(lines)
    return np.ravel(np.diff(silent[:, lines], axis=1) == 0).astype(float)


def _length_shares(lengths: Floats) -> Histogram:
    named = np.round(lengths, 3)
    shares = {name: _percent(named == value) for value, name in _LENGTHS.items()}
    return shares | {"other": round(100 - sum(shares.values()), _STATISTICS_DIGITS)}


def _shares(values: Ints, names: Sequence[str]) -> Histogram:
    counts = np.bincount(values, minlength=len(names))
    return {
        name: round(100 * int(n) / max(int(counts.sum()), 1), _STATISTICS_DIGITS)
        for name, n in zip(names, counts, strict=True)
    }


def _percent(flags: object) -> float:
    values = np.asarray(flags, dtype=float)
    return round(100 * float(values.mean()), _STATISTICS_DIGITS) if values.size else 0.0


_DIGITS = 4


@dataclass(frozen=True)
class MeasuredCorpus:
    """What was measured of a set of pieces.

    Attributes:
        names: The pieces; of several draws, those of one after those of the other.
        rules: For each rule, by key, its rate with an interval over pieces.
        grades: Grade of each piece.
        terms: For each of the grade's terms, its value for each piece.
        plain: Plain statistics.
        num_draws: How often each piece is there.
    """

    names: list[str]
    rules: dict[str, Estimate]
    grades: list[float]
    terms: dict[str, list[float]]
    plain: CorpusStatistics
    num_draws: int = 1

    def by_draw(self, values: Sequence[float]) -> Floats:
        """Arrange one value for each of `names` as (pieces, draws)."""
        return np.asarray(values, dtype=float).reshape(self.num_draws, -1).T

    def facts(self) -> dict[str, Any]:
        """Return what goes into JSON; of several draws, medians and quartiles are the mean of what each draw shows."""
        grades_ND = self.by_draw(self.grades)
        low, middle, high = np.quantile(grades_ND, (0.25, 0.5, 0.75), axis=0).mean(axis=1)
        terms = {term: np.median(self.by_draw(self.terms[term]), axis=0).mean() for term in TERMS}
        return {
            "num_pieces": len(grades_ND),
            "rules": {rule.key: {"unit": rule.unit, **self.rules[rule.key].rounded()} for rule in RULES},
            "grade": {
                "median": round(float(middle), _DIGITS),
                "quartiles": {"low": round(float(low), _DIGITS), "high": round(float(high), _DIGITS)},
                "median_interval": quantile_interval(grades_ND).rounded(),
                "terms": {term: round(float(value), _DIGITS) for term, value in terms.items()},
            },
            "plain": asdict(self.plain),
        }


class Reference:
    """Bach, or whoever the music is to be measured by.

    Args:
        chorales: Pieces; at least one.
        fermatas: Whether it is known where phrases end. False to compare with MIDI files, which cannot tell.
    """

    def __init__(self, chorales: Sequence[Chorale], *, fermatas: bool = True) -> None:
        self.chorales = [c if fermatas else c.without_fermatas() for c in chorales]
        self.ranges = voice_ranges(self.chorales)
        self._features = [features_of(chorale) for chorale in self.chorales]
        self.grader = Grader(self._features)

    def measure(self) -> MeasuredCorpus:
        """Measure the reference itself; each piece is graded by all the others."""
        return measure(self.chorales, self, left_out=True)


def measure(
    chorales: Sequence[Chorale], reference: Reference, *, left_out: bool = False, num_draws: int = 1
) -> MeasuredCorpus:
    """Measure pieces beside a reference.

    Args:
        chorales: The pieces; at least one. Of several draws, all pieces of one, then all of the next, in equal order.
        reference: Whose ranges and habits they are measured by.
        left_out: The pieces are the reference's own; each is then left out of it when it is graded.
        num_draws: How often each piece is there.
    """
    names = [chorale.name for chorale in chorales]
    assert names == names[: len(names) // num_draws] * num_draws, "every draw holds the same pieces"
    counts = [count_rules(chorale, reference.ranges) for chorale in chorales]
    features: list[Features] = [features_of(chorale) for chorale in chorales]
    terms = [reference.grader.grade(piece, left_out=left_out) for piece in features]
    return MeasuredCorpus(
        names=names,
        rules=rates_of(names, counts),
        grades=[sum(piece.values()) for piece in terms],
        terms={term: [piece[term] for piece in terms] for term in TERMS},
        plain=corpus_statistics(chorales),
        num_draws=num_draws,
    )
