"""Four-part pieces beside Bach's: rules of voice leading, grade of style, plain statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from descant_modeling.evaluation.bach import rates_of
from descant_modeling.evaluation.grade import TERMS, Features, Grader, features_of
from descant_modeling.evaluation.grid import Chorale, Floats
from descant_modeling.evaluation.plain import PlainStatistics, plain_statistics
from descant_modeling.evaluation.resample import Estimate, quantile_interval
from descant_modeling.evaluation.rules import RULES, count_rules, voice_ranges

__all__ = ["Measured", "Reference", "measure"]

_DIGITS = 4


@dataclass(frozen=True)
class Measured:
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
    plain: PlainStatistics
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

    def measure(self) -> Measured:
        """Measure the reference itself; each piece is graded by all the others."""
        return measure(self.chorales, self, left_out=True)


def measure(
    chorales: Sequence[Chorale], reference: Reference, *, left_out: bool = False, num_draws: int = 1
) -> Measured:
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
    return Measured(
        names=names,
        rules=rates_of(names, counts),
        grades=[sum(piece.values()) for piece in terms],
        terms={term: [piece[term] for piece in terms] for term in TERMS},
        plain=plain_statistics(chorales),
        num_draws=num_draws,
    )
