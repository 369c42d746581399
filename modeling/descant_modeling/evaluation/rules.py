"""Rules of voice leading, counted on the 16th grid: how often a piece does what the textbooks forbid.

Bach does most of it now and then, so a count means something only beside his own, made by this very code. What follows
what across the end of a phrase (a fermata) is excused.

Shapes: V = 4 voices from high to low, P pairs of voices, T 16ths.

How often Bach breaks each rule, from a small file in the package: nothing is counted again, no corpus is read.

`python records/reference_rates.py` writes the file; a test counts again and compares.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from descant_modeling.decoding.voice_leading import MAJOR_FIFTHS, MINOR_FIFTHS, STEP, TRITONE_FIFTHS
from descant_modeling.evaluation.bootstrap import Estimate, by_piece, ratio_interval
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Flags, Ints

__all__ = [
    "BACH_FILE",
    "CHANGES",
    "FRAMES",
    "RULES",
    "ReferenceRates",
    "RuleCounts",
    "RuleRow",
    "VoiceLeadingRule",
    "count_bach",
    "count_rules",
    "rates_of",
    "reference_rates",
    "rule_rows",
    "voice_ranges",
]

CHANGES: Final = "per 1,000 pitch changes"
FRAMES: Final = "% of 16ths"
_OCTAVE, _FIFTH = 12, 7


@dataclass(frozen=True)
class VoiceLeadingRule:
    """A thing that is counted.

    Attributes:
        key: Its name in JSON.
        label: Its name on screen.
        unit: What it is counted against.
    """

    key: str
    label: str
    unit: Literal["per 1,000 pitch changes", "% of 16ths"]

    @property
    def scale(self) -> int:
        """What a ratio is multiplied with."""
        return 1000 if self.unit == CHANGES else 100


RULES = (
    VoiceLeadingRule("parallel_fifths", "parallel fifths", CHANGES),
    VoiceLeadingRule("parallel_octaves", "parallel octaves, unisons", CHANGES),
    VoiceLeadingRule("hidden_perfect", "hidden fifths, octaves (S-B)", CHANGES),
    VoiceLeadingRule("overlap", "voice overlap", CHANGES),
    VoiceLeadingRule("augmented_leaps", "augmented leaps", CHANGES),
    VoiceLeadingRule("wide_leaps", "leaps over an octave", CHANGES),
    VoiceLeadingRule("crossing", "neighbouring voices cross", FRAMES),
    VoiceLeadingRule("spacing", "S-A, A-T over an octave apart", FRAMES),
    VoiceLeadingRule("range", "outside the range of Bach", FRAMES),
)


@dataclass(frozen=True)
class RuleCounts:
    """Counts of one piece.

    Attributes:
        found: For each rule, by key, how often it is broken.
        num_changes: Pitch changes: 16ths at which a voice begins to sound a pitch that it did not sound just before.
        num_frames: 16ths.
    """

    found: dict[str, int]
    num_changes: int
    num_frames: int

    def base(self, rule: VoiceLeadingRule) -> int:
        """What a rule is counted against."""
        return self.num_changes if rule.unit == CHANGES else self.num_frames


def voice_ranges(chorales: Sequence[Chorale]) -> list[tuple[int, int]]:
    """Return the lowest and the highest pitch of each voice in some pieces."""
    spans = []
    for voice in range(4):
        pitches = np.concatenate([chorale.lines[voice].pitches for chorale in chorales])
        spans.append((int(pitches.min()), int(pitches.max())))
    return spans


def count_rules(chorale: Chorale, ranges: Sequence[tuple[int, int]]) -> RuleCounts:
    """Count what a piece breaks.

    Args:
        chorale: The piece.
        ranges: Lowest and highest pitch allowed to each voice.
    """
    pitches = chorale.pitches_VT
    before, now = pitches[:, :-1], pitches[:, 1:]
    both = (before != SILENT) & (now != SILENT)
    changed = both & (before != now)
    bound = ~chorale.phrase_ends_T[1:]
    found = _successions(before, now, both & bound) | _melody(chorale, before, now, changed & bound)
    found |= _positions(pitches, ranges)
    begun = np.diff(pitches, prepend=SILENT, axis=1) != 0
    return RuleCounts(found, int((begun & (pitches != SILENT)).sum()), chorale.num_frames)


def _successions(before: Ints, now: Ints, held: Flags) -> dict[str, int]:
    """Count what two voices do together from one 16th to the next, where both sound and no phrase ends."""
    upper, lower = np.triu_indices(4, k=1)
    moved = held & (before != now)
    similar_PT = moved[upper] & moved[lower] & (((now - before)[upper] > 0) == ((now - before)[lower] > 0))
    last_PT, new_PT = (np.abs(pitches[upper] - pitches[lower]) for pitches in (before, now))
    fifths_PT = (last_PT % _OCTAVE == _FIFTH) & (new_PT % _OCTAVE == _FIFTH)
    octaves_PT = (last_PT % _OCTAVE == 0) & (new_PT % _OCTAVE == 0)
    outer = int(np.flatnonzero((upper == 0) & (lower == 3))[0])
    perfect_T = np.isin(new_PT[outer] % _OCTAVE, (0, _FIFTH))
    leap_T = np.abs(now - before)[0] > STEP
    is_parallel_T = (fifths_PT | octaves_PT)[outer]
    high, low = slice(0, 3), slice(1, 4)
    both = held[high] & held[low]
    # The lower voice goes above where the upper one just was, or the upper below where the lower one was.
    overlap = both & ((moved[low] & (now[low] > before[high])) | (moved[high] & (now[high] < before[low])))
    return {
        "parallel_fifths": int((similar_PT & fifths_PT).sum()),
        "parallel_octaves": int((similar_PT & octaves_PT).sum()),
        "hidden_perfect": int((similar_PT[outer] & perfect_T & leap_T & ~is_parallel_T).sum()),
        "overlap": int((overlap & (now[high] >= now[low])).sum()),
    }


def _melody(chorale: Chorale, before: Ints, now: Ints, changed: Flags) -> dict[str, int]:
    """Count leaps within a voice."""
    fifths = np.array(MAJOR_FIFTHS if chorale.is_major else MINOR_FIFTHS)
    leap = now - before
    spelled = fifths[(now - chorale.tonic) % _OCTAVE] - fifths[(before - chorale.tonic) % _OCTAVE]
    augmented = (np.abs(leap) > STEP) & (np.sign(leap) * spelled >= TRITONE_FIFTHS)
    return {
        "augmented_leaps": int((changed & augmented).sum()),
        "wide_leaps": int((changed & (np.abs(leap) > _OCTAVE)).sum()),
    }


def _positions(pitches: Ints, ranges: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Count the 16ths at which voices stand where they should not."""
    sounding = pitches != SILENT
    both = sounding[:-1] & sounding[1:]
    distance = pitches[:-1] - pitches[1:]
    low, high = np.array(ranges).T[:, :, None]
    return {
        "crossing": int((both & (distance < 0)).any(axis=0).sum()),
        "spacing": int((both & (distance > _OCTAVE))[:2].any(axis=0).sum()),
        "range": int((sounding & ((pitches < low) | (pitches > high))).any(axis=0).sum()),
    }


BACH_FILE = Path(__file__).parent / "data" / "reference_rates.json"
SPLIT = "chorales:train"


@dataclass(frozen=True)
class ReferenceRates:
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
    known = reference_rates()
    counts = count_rules(chorale.without_fermatas(), known.ranges)
    rows = []
    for rule in RULES:
        base, bach = counts.base(rule), known.rates[rule.key]
        found = counts.found[rule.key]
        rate = rule.scale * found / max(base, 1)
        rows.append(RuleRow(rule.label, rule.unit, found, rate, bach, bach.value * base / rule.scale))
    return rows


@cache
def reference_rates() -> ReferenceRates:
    """Read the file."""
    facts: dict[str, Any] = json.loads(BACH_FILE.read_text(encoding="utf-8"))
    rates = {key: Estimate(rate["value"], rate["low"], rate["high"]) for key, rate in facts["rules"].items()}
    return ReferenceRates(facts["num_pieces"], tuple((low, high) for low, high in facts["voice_ranges"]), rates)


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
