"""Breaches of the textbook rules of voice leading on the 16th grid: where they are, and how many.

Bach breaks most of the rules now and then, so a count is meaningful only in comparison with his, counted by the same
code. Successions across the end of a phrase (a fermata) are excused. His rates are in a small file in the package, so
that no corpus has to be read; `python records/reference_rates.py` writes it, and a test counts again and compares.

Shapes: V = 4 voices from high to low, P pairs of voices, T 16ths, N voices or pairs of a rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

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
        name: Name of one breach.
        statement: The rule in a sentence.
    """

    key: str
    label: str
    unit: Literal["per 1,000 pitch changes", "% of 16ths"]
    name: str
    statement: str

    @property
    def scale(self) -> int:
        """Factor from a ratio to the unit."""
        return 1000 if self.unit == _CHANGES else 100

    @property
    def sign(self) -> str:
        """Unit in a table."""
        return "/1,000" if self.unit == _CHANGES else "%"


RULES = (
    VoiceLeadingRule(
        "parallel_fifths",
        "parallel fifths",
        _CHANGES,
        "parallel fifths",
        "Two voices must not move in the same direction from one perfect fifth to another.",
    ),
    VoiceLeadingRule(
        "parallel_octaves",
        "parallel octaves, unisons",
        _CHANGES,
        "parallel octaves",
        "Two voices must not move in the same direction from one octave or unison to another.",
    ),
    VoiceLeadingRule(
        "hidden_perfect",
        "hidden fifths, octaves (S-B)",
        _CHANGES,
        "hidden fifth or octave",
        "Soprano and bass must not move in the same direction into a fifth or octave while the soprano leaps.",
    ),
    VoiceLeadingRule(
        "overlap",
        "voice overlap",
        _CHANGES,
        "overlap",
        "A voice must not move beyond the pitch that its neighbor has just left.",
    ),
    VoiceLeadingRule(
        "augmented_leaps",
        "augmented leaps",
        _CHANGES,
        "augmented leap",
        "A voice must not leap by an augmented interval.",
    ),
    VoiceLeadingRule(
        "wide_leaps",
        "leaps over an octave",
        _CHANGES,
        "leap over an octave",
        "A voice must not leap by more than an octave.",
    ),
    VoiceLeadingRule(
        "crossing",
        "neighboring voices cross",
        _FRAMES,
        "crossing",
        "A voice must not sound below the voice under it.",
    ),
    VoiceLeadingRule(
        "spacing",
        "S-A, A-T over an octave apart",
        _FRAMES,
        "wide spacing",
        "Neighboring upper voices must not be more than an octave apart.",
    ),
    VoiceLeadingRule(
        "range",
        "outside the range of Bach",
        _FRAMES,
        "out of range",
        "A voice must stay in the range that Bach gives it.",
    ),
)
_PAIRS = tuple(combinations(range(4), 2))
_NEIGHBORS = tuple(pairwise(range(4)))
_SINGLE = tuple((voice,) for voice in range(4))


class Fault(NamedTuple):
    """A breach of a rule at its place.

    Attributes:
        rule: Key of the rule.
        begin: The 16th at which it begins: of a motion, the second of its two.
        end: The 16th after its last one.
        voices: The voices, 0-3 from high to low.
        before: Their pitches before the motion; empty for a rule about single chords.
        pitches: Their pitches as it begins.
    """

    rule: str
    begin: int
    end: int
    voices: tuple[int, ...]
    before: tuple[int, ...]
    pitches: tuple[int, ...]


class _Breaches(NamedTuple):
    """The breaches of a rule: True for each 16th and voice or pair of voices, (N, T)."""

    flags_NT: Flags
    voices: tuple[tuple[int, ...], ...]


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
    """Count the breaches of each rule in a piece: of motions, each pair of voices; of chords, the 16ths with any.

    Args:
        chorale: The piece.
        ranges: Lowest and highest pitch allowed to each voice.
    """
    pitches, breaches = chorale.pitches_VT, _breaches(chorale, ranges)
    found = {
        rule.key: int(flags.sum() if rule.unit == _CHANGES else flags.any(axis=0).sum())
        for rule in RULES
        for flags in [breaches[rule.key].flags_NT]
    }
    begun = np.diff(pitches, prepend=SILENT, axis=1) != 0
    return RuleCounts(found, int((begun & (pitches != SILENT)).sum()), chorale.num_frames)


def find_faults(chorale: Chorale, ranges: Sequence[tuple[int, int]], rules: Sequence[str] = ()) -> list[Fault]:
    """Find the breaches that `count_rules` counts, in order of time; one of a chord lasts for all its 16ths.

    Args:
        chorale: The piece.
        ranges: Lowest and highest pitch allowed to each voice.
        rules: Keys of the rules to look at; all by default.
    """
    pitches, breaches = chorale.pitches_VT, _breaches(chorale, ranges)
    faults = []
    for order, rule in enumerate(RULES):
        if rules and rule.key not in rules:
            continue
        flags_NT, voices = breaches[rule.key]
        for own, flags_T in zip(voices, flags_NT, strict=True):
            edges = np.diff(flags_T.astype(np.int8), prepend=0, append=0)
            begins, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
            if is_motion := rule.unit == _CHANGES:
                begins = np.flatnonzero(flags_T)
                ends = begins + 1
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
                before, now = (tuple(pitches[list(own), at].tolist()) for at in (begin - 1, begin))
                faults.append((begin, order, Fault(rule.key, begin, end, own, before if is_motion else (), now)))
    return [fault for _, _, fault in sorted(faults)]


def _breaches(chorale: Chorale, ranges: Sequence[tuple[int, int]]) -> dict[str, _Breaches]:
    """Find the breaches of each rule, by key."""
    pitches = chorale.pitches_VT
    before, now = pitches[:, :-1], pitches[:, 1:]
    held = (before != SILENT) & (now != SILENT) & ~chorale.phrase_ends_T[1:]
    motions = _motions(before, now, held) | _leaps(chorale, before, now, held & (before != now))
    for key, (flags, voices) in motions.items():
        motions[key] = _Breaches(np.pad(flags, ((0, 0), (1, 0))), voices)
    return motions | _positions(pitches, ranges)


def _motions(before: Ints, now: Ints, held: Flags) -> dict[str, _Breaches]:
    """Find breaches by pairs of voices from one 16th to the next, where both sound and no phrase ends."""
    upper, lower = np.array(_PAIRS).T
    moved = held & (before != now)
    similar_PT = moved[upper] & moved[lower] & (((now - before)[upper] > 0) == ((now - before)[lower] > 0))
    last_PT, new_PT = (np.abs(pitches[upper] - pitches[lower]) for pitches in (before, now))
    fifths_PT = (last_PT % _OCTAVE == _FIFTH) & (new_PT % _OCTAVE == _FIFTH)
    octaves_PT = (last_PT % _OCTAVE == 0) & (new_PT % _OCTAVE == 0)
    outer = [_PAIRS.index((0, 3))]
    perfect_1T = np.isin(new_PT[outer] % _OCTAVE, (0, _FIFTH))
    leap_T = np.abs(now - before)[0] > STEP
    is_parallel_1T = (fifths_PT | octaves_PT)[outer]
    high, low = slice(0, 3), slice(1, 4)
    # The lower voice goes above where the upper one just was, or the upper below where the lower one was.
    beyond = (moved[low] & (now[low] > before[high])) | (moved[high] & (now[high] < before[low]))
    return {
        "parallel_fifths": _Breaches(similar_PT & fifths_PT, _PAIRS),
        "parallel_octaves": _Breaches(similar_PT & octaves_PT, _PAIRS),
        "hidden_perfect": _Breaches(similar_PT[outer] & perfect_1T & leap_T & ~is_parallel_1T, ((0, 3),)),
        "overlap": _Breaches(held[high] & held[low] & beyond & (now[high] >= now[low]), _NEIGHBORS),
    }


def _leaps(chorale: Chorale, before: Ints, now: Ints, changed: Flags) -> dict[str, _Breaches]:
    fifths = np.array(MAJOR_FIFTHS if chorale.is_major else MINOR_FIFTHS)
    leap = now - before
    spelled = fifths[(now - chorale.tonic) % _OCTAVE] - fifths[(before - chorale.tonic) % _OCTAVE]
    augmented = (np.abs(leap) > STEP) & (np.sign(leap) * spelled >= TRITONE_FIFTHS)
    return {
        "augmented_leaps": _Breaches(changed & augmented, _SINGLE),
        "wide_leaps": _Breaches(changed & (np.abs(leap) > _OCTAVE), _SINGLE),
    }


def _positions(pitches: Ints, ranges: Sequence[tuple[int, int]]) -> dict[str, _Breaches]:
    """Find the 16ths at which voices cross, are too far apart or leave their ranges."""
    sounding = pitches != SILENT
    both = sounding[:-1] & sounding[1:]
    distance = pitches[:-1] - pitches[1:]
    low, high = np.array(ranges).T[:, :, None]
    return {
        "crossing": _Breaches(both & (distance < 0), _NEIGHBORS),
        "spacing": _Breaches((both & (distance > _OCTAVE))[:2], _NEIGHBORS[:2]),
        "range": _Breaches(sounding & ((pitches < low) | (pitches > high)), _SINGLE),
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
