"""Signs and words that change the order in which music is played: their order at a bar line, and how to read them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from descant_tokenizers.scores.marks import RepeatSign, SignKind

AT_MEASURE_END: tuple[SignKind, ...] = ("da capo", "dal segno", "to coda", "fine")
"""Signs that take effect at the end of the measure in which they stand; the others do at its beginning."""

LABELED: tuple[SignKind, ...] = ("segno", "coda", "dal segno", "to coda")
"""Signs that may have a label: a jump goes to the target with its own."""

_ORDER: tuple[SignKind, ...] = (
    *("end", "double", "to coda", "fine", "da capo", "dal segno", "movement"),
    *("part", "segno", "coda", "start", "ending"),
)
_SEGNO, _CODA = "[\U0001d10b\ue047%§]", "[\U0001d10c\ue048⊕⌖]"  # signs in words
_WORDS: tuple[tuple[re.Pattern[str], SignKind], ...] = (
    (re.compile(r".*(\bD\s*\.?\s*C\b|\bda\s+capo\b)", re.IGNORECASE | re.DOTALL), "da capo"),
    (re.compile(r".*(\bD\s*\.?\s*S\b|\bdal\s+segno\b|\bdal\s*" + _SEGNO + ")", re.IGNORECASE | re.DOTALL), "dal segno"),
    (re.compile(r".*(\b(to|al)\s+coda\b|\b(to|al)\s*" + _CODA + ")", re.IGNORECASE | re.DOTALL), "to coda"),
    (re.compile(r"[\W_]*fine[\W_]*$", re.IGNORECASE), "fine"),
    (re.compile(r"[\W_]*coda[\W_]*$", re.IGNORECASE), "coda"),
    (re.compile(r"[\W_]*segno[\W_]*$", re.IGNORECASE), "segno"),
)


def jump_of(words: str) -> SignKind | None:
    """Return the sign that words stand for, None if they stand for none.

    >>> jump_of("D.C. al Fine"), jump_of("Fine"), jump_of("al fine")
    ('da capo', 'fine', None)
    """
    return next((kind for pattern, kind in _WORDS if pattern.match(words)), None)


def sorted_signs(signs: Iterable[RepeatSign]) -> list[RepeatSign]:
    """Return signs in order of time; of those at one time, the ends come first.

    Of several codas without a sign to leave, the first is that sign.
    """
    found = list(signs)
    codas = sorted(sign.time for sign in found if sign.kind == "coda")
    if len(codas) > 1 and not any(sign.kind == "to coda" for sign in found):
        found = [
            RepeatSign(sign.time, "to coda") if sign.kind == "coda" and sign.time == codas[0] else sign
            for sign in found
        ]
    return sorted(found, key=lambda sign: (sign.time, _ORDER.index(sign.kind)))
