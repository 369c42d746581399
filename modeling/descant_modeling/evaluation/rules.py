"""Breaches of the textbook rules of voice leading, counted on the 16th grid.

Bach breaks most of the rules now and then, so a count is meaningful only in comparison with his, counted by the same
code. Successions across the end of a phrase (a fermata) are excused. His rates are in a small file in the package, so
that no corpus has to be read; `python records/reference_rates.py` writes it, and a test counts again and compares.

Shapes: V = 4 voices from high to low, P pairs of voices, T 16ths.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from descant_modeling.decoding.voice_leading import MAJOR_FIFTHS, MINOR_FIFTHS, STEP, TRITONE_FIFTHS
from descant_modeling.evaluation.bootstrap import Estimate, by_piece, ratio_interval
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Flags, Ints

_CHANGES: Final = "per 1,000 pitch changes"
_FRAMES: Final = "% of 16ths"
_OCTAVE, _FIFTH = 12, 7

REFERENCE_FILE = Path(__file__).parent / "data" / "reference_rates.json"
REFERENCE_SPLIT = "chorales:train"


@dataclass(frozen=True)
class VoiceLeadingRule:
    """A rule of voice leading.

    Attributes:
        key: Name in JSON.
        label: Name in tables.
        unit: Unit of its rate.
    """

    key: str
    label: str
    unit: Literal["per 1,000 pitch changes", "% of 16ths"]

    @property
    def scale(self) -> int:
        """Factor from a ratio to the unit."""
        return 1000 if self.unit == _CHANGES else 100

    @property
    def sign(self) -> str:
        """Unit in a table."""
        return "/1,000" if self.unit == _CHANGES else "%"


RULES = (
    VoiceLeadingRule("parallel_fifths", "parallel fifths", _CHANGES),
    VoiceLeadingRule("parallel_octaves", "parallel octaves, unisons", _CHANGES),
    VoiceLeadingRule("hidden_perfect", "hidden fifths, octaves (S-B)", _CHANGES),
    VoiceLeadingRule("overlap", "voice overlap", _CHANGES),
    VoiceLeadingRule("augmented_leaps", "augmented leaps", _CHANGES),
    VoiceLeadingRule("wide_leaps", "leaps over an octave", _CHANGES),
    VoiceLeadingRule("crossing", "neighboring voices cross", _FRAMES),
    VoiceLeadingRule("spacing", "S-A, A-T over an octave apart", _FRAMES),
    VoiceLeadingRule("range", "outside the range of Bach", _FRAMES),
)


@dataclass(frozen=True)
class RuleCounts:
    """Counts of one piece.

    Attributes:
        found: Breaches of each rule, by key.
        num_changes: Pitch changes: 16ths at which a voice begins to sound a pitch that it did not sound just before.
        num_frames: 16ths.
    """

    found: dict[str, int]
    num_changes: int
    num_frames: int

    def base(self, rule: VoiceLeadingRule) -> int:
        """Return the denominator of a rule's rate."""
        return self.num_changes if rule.unit == _CHANGES else self.num_frames


def voice_ranges(chorales: Sequence[Chorale]) -> list[tuple[int, int]]:
    """Return the lowest and the highest MIDI pitch of each voice in one or more pieces."""
    voices = (np.concatenate([chorale.lines[voice].pitches for chorale in chorales]) for voice in range(4))
    return [(int(pitches.min()), int(pitches.max())) for pitches in voices]


def count_rules(chorale: Chorale, ranges: Sequence[tuple[int, int]]) -> RuleCounts:
    """Count the breaches of each rule in a piece.

    Args:
        chorale: The piece.
        ranges: Lowest and highest pitch allowed to each voice.
    """
    pitches = chorale.pitches_VT
    before, now = pitches[:, :-1], pitches[:, 1:]
    held = (before != SILENT) & (now != SILENT) & ~chorale.phrase_ends_T[1:]
    found = _count_motion(before, now, held) | _count_leaps(chorale, before, now, held & (before != now))
    found |= _count_positions(pitches, ranges)
    begun = np.diff(pitches, prepend=SILENT, axis=1) != 0
    return RuleCounts(found, int((begun & (pitches != SILENT)).sum()), chorale.num_frames)


def _count_motion(before: Ints, now: Ints, held: Flags) -> dict[str, int]:
    """Count breaches by pairs of voices from one 16th to the next, where both sound and no phrase ends."""
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
    # The lower voice goes above where the upper one just was, or the upper below where the lower one was.
    beyond = (moved[low] & (now[low] > before[high])) | (moved[high] & (now[high] < before[low]))
    return {
        "parallel_fifths": int((similar_PT & fifths_PT).sum()),
        "parallel_octaves": int((similar_PT & octaves_PT).sum()),
        "hidden_perfect": int((similar_PT[outer] & perfect_T & leap_T & ~is_parallel_T).sum()),
        "overlap": int((held[high] & held[low] & beyond & (now[high] >= now[low])).sum()),
    }


def _count_leaps(chorale: Chorale, before: Ints, now: Ints, changed: Flags) -> dict[str, int]:
    fifths = np.array(MAJOR_FIFTHS if chorale.is_major else MINOR_FIFTHS)
    leap = now - before
    spelled = fifths[(now - chorale.tonic) % _OCTAVE] - fifths[(before - chorale.tonic) % _OCTAVE]
    augmented = (np.abs(leap) > STEP) & (np.sign(leap) * spelled >= TRITONE_FIFTHS)
    return {
        "augmented_leaps": int((changed & augmented).sum()),
        "wide_leaps": int((changed & (np.abs(leap) > _OCTAVE)).sum()),
    }


def _count_positions(pitches: Ints, ranges: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Count the 16ths at which voices cross, are too far apart or leave their ranges."""
    sounding = pitches != SILENT
    both = sounding[:-1] & sounding[1:]
    distance = pitches[:-1] - pitches[1:]
    low, high = np.array(ranges).T[:, :, None]
    return {
        "crossing": int((both & (distance < 0)).any(axis=0).sum()),
        "spacing": int((both & (distance > _OCTAVE))[:2].any(axis=0).sum()),
        "range": int((sounding & ((pitches < low) | (pitches > high))).any(axis=0).sum()),
    }


def rates_of(names: Sequence[str], counts: Sequence[RuleCounts]) -> dict[str, Estimate]:
    """Return the rate of each rule, by key, with an interval over pieces.

    Args:
        names: Piece of each count; several draws of one piece share its name.
        counts: Counts of the pieces.
    """
    return {
        rule.key: ratio_interval(
            by_piece(names, [c.found[rule.key] for c in counts]),
            by_piece(names, [c.base(rule) for c in counts]),
            scale=rule.scale,
        )
        for rule in RULES
    }


def rate_facts(rates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Return the rates of all rules for JSON."""
    return {rule.key: {"unit": rule.unit, **rates[rule.key].rounded()} for rule in RULES}


@dataclass(frozen=True)
class ReferenceRates:
    """Bach's rates.

    Attributes:
        ranges: Lowest and highest MIDI pitch of each of the four voices.
        rates: Rate of each rule, by key, with a 95 % interval over pieces, in the rule's unit.
    """

    ranges: tuple[tuple[int, int], ...]
    rates: dict[str, Estimate]


@cache
def reference_rates() -> ReferenceRates:
    """Read Bach's rates from the package."""
    facts: dict[str, Any] = json.loads(REFERENCE_FILE.read_text(encoding="utf-8"))
    rates = {key: Estimate(rate["value"], rate["low"], rate["high"]) for key, rate in facts["rules"].items()}
    return ReferenceRates(tuple((low, high) for low, high in facts["voice_ranges"]), rates)


def count_reference(chorales: Sequence[Chorale]) -> dict[str, Any]:
    """Count pieces without their fermatas, as if read from MIDI, and return the contents of the file."""
    pieces = [chorale.without_fermatas() for chorale in chorales]
    ranges = voice_ranges(pieces)
    rates = rates_of([piece.name for piece in pieces], [count_rules(piece, ranges) for piece in pieces])
    return {
        "source": REFERENCE_SPLIT,
        "fermatas": False,
        "num_pieces": len(pieces),
        "voice_ranges": [list(span) for span in ranges],
        "rules": rate_facts(rates),
    }


def rule_facts(chorale: Chorale) -> list[dict[str, Any]]:
    """Return the breaches of each rule in a piece and in Bach, for JSON; phrase ends are excused in neither.

    `found` is a count, `expected` the count at Bach's rate in a piece of this length; `rate` and `bach` are in `unit`.
    """
    known = reference_rates()
    counts = count_rules(chorale.without_fermatas(), known.ranges)
    return [
        {
            "label": rule.label,
            "unit": rule.unit,
            "found": counts.found[rule.key],
            "rate": round(rule.scale * counts.found[rule.key] / max(counts.base(rule), 1), 2),
            "expected": round(known.rates[rule.key].value * counts.base(rule) / rule.scale, 2),
            "bach": {key: round(value, 2) for key, value in asdict(known.rates[rule.key]).items()},
        }
        for rule in RULES
    ]
