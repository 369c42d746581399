"""How often Bach breaks each rule, from a small file in the package: nothing is counted again, no corpus is read.

`python records/bach_rates.py` writes the file; a test counts again and compares.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from descant_modeling.evaluation.grid import Chorale
from descant_modeling.evaluation.resample import Estimate, by_piece, ratio_interval
from descant_modeling.evaluation.rules import RULES, RuleCounts, count_rules, voice_ranges

__all__ = ["BACH_FILE", "BachRates", "RuleRow", "bach_rates", "count_bach", "rates_of", "rule_rows"]

BACH_FILE = Path(__file__).parent / "data" / "bach_rates.json"
SPLIT = "chorales:train"


@dataclass(frozen=True)
class BachRates:
    """What is known of Bach.

    Attributes:
        num_pieces: Chorales that were counted.
        ranges: Lowest and highest MIDI pitch of each of the four voices.
        rates: For each rule, by key, its rate with a 95 % interval over pieces, in the rule's unit.
    """

    num_pieces: int
    ranges: tuple[tuple[int, int], ...]
    rates: dict[str, Estimate]


@dataclass(frozen=True)
class RuleRow:
    """One rule in one piece, beside Bach.

    Attributes:
        label: Its name on screen.
        unit: What the rates are counted against.
        found: How often the piece breaks it.
        rate: The same in the rule's unit.
        bach: Bach's rate.
        expected: How often Bach would, in a piece of this length.
    """

    label: str
    unit: str
    found: int
    rate: float
    bach: Estimate
    expected: float


def rule_rows(chorale: Chorale) -> list[RuleRow]:
    """Count what a piece breaks, beside Bach; no end of a phrase is excused, on either side."""
    known = bach_rates()
    counts = count_rules(chorale.without_fermatas(), known.ranges)
    rows = []
    for rule in RULES:
        base, bach = counts.base(rule), known.rates[rule.key]
        found = counts.found[rule.key]
        rate = rule.scale * found / max(base, 1)
        rows.append(RuleRow(rule.label, rule.unit, found, rate, bach, bach.value * base / rule.scale))
    return rows


@cache
def bach_rates() -> BachRates:
    """Read the file."""
    facts: dict[str, Any] = json.loads(BACH_FILE.read_text(encoding="utf-8"))
    rates = {key: Estimate(rate["value"], rate["low"], rate["high"]) for key, rate in facts["rules"].items()}
    return BachRates(facts["num_pieces"], tuple((low, high) for low, high in facts["voice_ranges"]), rates)


def count_bach(chorales: Sequence[Chorale]) -> dict[str, Any]:
    """Count pieces as MIDI tells them (no fermatas), and return what goes into the file."""
    plain = [chorale.without_fermatas() for chorale in chorales]
    ranges = voice_ranges(plain)
    rates = rates_of([c.name for c in plain], [count_rules(chorale, ranges) for chorale in plain])
    return {
        "source": SPLIT,
        "fermatas": False,
        "num_pieces": len(plain),
        "voice_ranges": [list(span) for span in ranges],
        "rules": {rule.key: {"unit": rule.unit, **rates[rule.key].rounded()} for rule in RULES},
    }


def rates_of(names: Sequence[str], counts: Sequence[RuleCounts]) -> dict[str, Estimate]:
    """Return each rule's rate over some pieces, by key, with an interval over pieces.

    Args:
        names: The piece that each count belongs to; versions of one piece share a name.
        counts: What was counted.
    """
    return {
        rule.key: ratio_interval(
            by_piece(names, [c.found[rule.key] for c in counts]),
            by_piece(names, [c.base(rule) for c in counts]),
            scale=rule.scale,
        )
        for rule in RULES
    }
