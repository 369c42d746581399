"""Four-part pieces beside Bach's: rules of voice leading, grade of style, plain statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from descant_modeling.evaluation.bach import rates_of
from descant_modeling.evaluation.grade import TERMS, Features, Grader, features_of
from descant_modeling.evaluation.grid import Chorale
from descant_modeling.evaluation.plain import PlainStatistics, plain_statistics
from descant_modeling.evaluation.resample import Estimate, median_interval
from descant_modeling.evaluation.rules import RULES, count_rules, voice_ranges

__all__ = ["Measured", "Reference", "measure"]

_DIGITS = 4


@dataclass(frozen=True)
class Measured:
    """What was measured of a set of pieces.

    Attributes:
        names: The pieces.
        rules: For each rule, by key, its rate with an interval over pieces.
        grades: Grade of each piece.
        terms: For each of the grade's terms, its value for each piece.
        plain: Plain statistics.
    """

    names: list[str]
    rules: dict[str, Estimate]
    grades: list[float]
    terms: dict[str, list[float]]
    plain: PlainStatistics

    def facts(self) -> dict[str, Any]:
        """Return what goes into JSON."""
        low, middle, high = np.percentile(self.grades, (25, 50, 75))
        return {
            "num_pieces": len(self.names),
            "rules": {rule.key: {"unit": rule.unit, **self.rules[rule.key].rounded()} for rule in RULES},
            "grade": {
                "median": round(float(middle), _DIGITS),
                "quartiles": {"low": round(float(low), _DIGITS), "high": round(float(high), _DIGITS)},
                "median_interval": median_interval(self.grades).rounded(),
                "terms": {term: round(float(np.median(self.terms[term])), _DIGITS) for term in TERMS},
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

    def measure(self) -> Measured:
        """Measure the reference itself; each piece is graded by all the others."""
        return measure(self.chorales, self, left_out=True)


def measure(chorales: Sequence[Chorale], reference: Reference, *, left_out: bool = False) -> Measured:
    """Measure pieces beside a reference.

    Args:
        chorales: The pieces; at least one.
        reference: Whose ranges and habits they are measured by.
        left_out: The pieces are the reference's own; each is then left out of it when it is graded.
    """
    names = [chorale.name for chorale in chorales]
    counts = [count_rules(chorale, reference.ranges) for chorale in chorales]
    features: list[Features] = [features_of(chorale) for chorale in chorales]
    terms = [reference.grader.grade(piece, left_out=left_out) for piece in features]
    return Measured(
        names=names,
        rules=rates_of(names, counts),
        grades=[sum(piece.values()) for piece in terms],
        terms={term: [piece[term] for piece in terms] for term in TERMS},
        plain=plain_statistics(chorales),
    )
