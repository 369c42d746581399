"""Values of ABC fields: meters, note lengths, tempos, keys with their modifiers, voices and part orders.

Every function here raises a `ValueError` on a value that it cannot read. Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from descant_tokenizers.scores.abc.text import plain
from descant_tokenizers.scores.key import NATURALS

MAX_BEATS = 64
_MAX_PARTS = 2_000
_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODES = {
    **{"": 0, "ma": 0, "maj": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2},
    **{"m": -3, "mi": -3, "min": -3, "aeo": -3, "phr": -4, "loc": -5},
}
_MINOR = ("m", "mi", "min", "aeo")
_MODE_NAMES = {"dor": "dorian", "phr": "phrygian", "lyd": "lydian", "mix": "mixolydian", "loc": "locrian"}
_SHARPS = "FCGDAEB"
_TONIC = re.compile(r"([A-G])([#b♯♭]?)")
_ACCIDENTALS = re.compile(r"(\^\^?|__?|=)([a-gA-G])")
_ACCIDENTAL_LIST = re.compile(r"(?:(?:\^\^?|__?|=)[a-gA-G])+")
_TONIC_AND_ACCIDENTAL = re.compile(r"^(\s*[A-G][#b]?[A-Za-z]*)(?=[\^=_])")
_WORD = re.compile(r'([A-Za-z][\w-]+|[mt])=\s*("(?:[^"\\]|\\.)*+"?|\S+)|(\S+)')
_CLEF = re.compile(
    r'"?(treble|bass|alto|tenor|soprano|mezzo\w*|baritone|perc|none|auto|[GFCP])(\d?)([-+^_](?:8|15))?"?'
)
_FRACTION = re.compile(r"\s*(\d{1,4})\s*/\s*(\d{1,4})\s*")
_TEMPO_TEXT = re.compile(r'"([^"]*)"?')
ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}


@dataclass(frozen=True)
class Meter:
    """A time signature; its numerator is the sum of its groups."""

    numerator: int
    denominator: int

    @property
    def quarters(self) -> Fraction:
        """Length of a bar."""
        return Fraction(4 * self.numerator, self.denominator)

    @property
    def is_compound(self) -> bool:
        """True for 6/8, 9/8, 12/8 and the like."""
        return self.numerator % 3 == 0 and self.numerator > 3


@dataclass(frozen=True)
class VoiceSettings:
    """What `V:` and `K:` say of a voice; None where they say nothing."""

    name: str | None = None
    clef_octave: int | None = None
    octave: int | None = None
    transpose: int | None = None
    is_percussion: bool | None = None


@dataclass(frozen=True)
class Key:
    """A key signature.

    Attributes:
        alterations: Semitones by which each letter is altered, for letters that are.
        sharps: Sharps in the signature (negative: flats); None if it is not a signature of the circle of fifths.
        is_minor: True for minor and Aeolian keys.
        mode: `dorian`, `phrygian`, `lydian`, `mixolydian` or `locrian`; empty for major and minor.
        settings: The voice settings behind the key.
        has_tonic: False if the field has settings only, which leave the key as it is.
    """

    alterations: dict[str, int] = field(default_factory=dict)
    sharps: int | None = None
    is_minor: bool = False
    mode: str = ""
    settings: VoiceSettings = field(default_factory=VoiceSettings)
    has_tonic: bool = True


@lru_cache(maxsize=512)
def parse_meter(text: str) -> Meter | None:
    """Read `4/4`, `C`, `C|`, `(2+3)/8`, `3/4+2/4`; None for a free meter (`none` or nothing)."""
    value = "".join(text.split())
    if value.lower() in ("", "none"):
        return None
    if value in ("C", "c", "C|", "c|"):
        return Meter(2, 2) if "|" in value else Meter(4, 4)
    if not re.fullmatch(r"[\d+()]{1,40}(/\d{1,9})?([+]\d{1,9}/\d{1,9}){0,8}", value):
        raise ValueError(text)
    total, bottom, pending = Fraction(0), 1, 0
    for group in value.replace("(", "").replace(")", "").split("+"):
        top, _, denominator = group.partition("/")
        pending += int(top or "0")
        if denominator:
            if not int(denominator):
                raise ValueError(text)
            bottom = max(bottom, int(denominator))
            total += Fraction(pending, int(denominator))
            pending = 0
    numerator = total * bottom
    if numerator > MAX_BEATS:
        raise OverflowError(int(numerator))
    if pending or numerator.denominator != 1 or not numerator or bottom not in (1, 2, 4, 8, 16, 32, 64):
        raise ValueError(text)
    return Meter(int(numerator), bottom)


def parse_length(text: str) -> Fraction:
    """Read a unit note length such as `1/8`."""
    match = _FRACTION.fullmatch(text)
    if match is None and text.strip() == "1":
        return Fraction(4)
    if match is None or not 0 < int(match[1]) <= 16 or not 0 < int(match[2]) <= 512:
        raise ValueError(text)
    return Fraction(4 * int(match[1]), int(match[2]))


def default_length(meter: Meter | None) -> Fraction:
    """Return the unit note length of a tune without `L:`: 1/16 in meters below 3/4, else 1/8."""
    return Fraction(1, 4) if meter is not None and meter.quarters < 3 else Fraction(1, 2)


def parse_tempo(text: str, unit: Fraction) -> tuple[Fraction, float, str]:
    """Read a tempo: the note value that is counted, how many a minute (0 if there are only words), and its words.

    `1/4=120`, `1/4 3/8=40` (the sum of both), `120` and `C3=40` (unit notes), `"Allegro" 3/8=80`, `"Andante"`.
    """
    words = " ".join(found.strip() for found in _TEMPO_TEXT.findall(text)).strip()
    value = _TEMPO_TEXT.sub(" ", text).strip()
    if not value:
        if not words:
            raise ValueError(text)
        return unit, 0, words
    beat, equals, rate = value.rpartition("=")
    match = re.fullmatch(r"\s*(\d{1,5}(?:\.\d{1,4})?)\s*", rate)
    if match is None:
        raise ValueError(text)
    return _beat(beat, unit) if equals else unit, float(match[1]), words


def _beat(text: str, unit: Fraction) -> Fraction:
    units = re.fullmatch(r"\s*[Cc](\d{0,2})\s*", text)
    if units is not None:
        return unit * int(units[1] or "1")
    parts = text.split()
    fractions = [_FRACTION.fullmatch(part) for part in parts]
    if not parts or len(parts) > 8 or not all(f and int(f[1]) and int(f[2]) for f in fractions):
        raise ValueError(text)
    return sum((Fraction(4 * int(f[1]), int(f[2])) for f in fractions if f), Fraction(0))


@lru_cache(maxsize=512)
def parse_key(text: str) -> Key:
    """Read a key: tonic, mode, `exp`, accidentals, `HP`, `Hp`, `none`, and the settings of the voice behind it."""
    words = list(_WORD.finditer(_TONIC_AND_ACCIDENTAL.sub(r"\1 ", text)))
    bare = [word[3] for word in words if word[3]]
    settings = _settings([word for word in words if word[1] or _is_clef(word[3])])
    extra = {
        letter.upper(): ALTERATIONS[sign]
        for word in bare
        if _ACCIDENTAL_LIST.fullmatch(word)
        for sign, letter in _ACCIDENTALS.findall(word)
    }
    others = [word for word in bare if not _is_clef(word) and not _ACCIDENTAL_LIST.fullmatch(word)]
    if "exp" in others:
        return Key(extra, _signature(extra), settings=settings)
    if not others:
        is_key = bool(extra) or not words or "none" in bare
        return Key(extra, _signature(extra) if extra else None, settings=settings, has_tonic=is_key)
    if others[0] in ("HP", "Hp"):
        return Key({"F": 1, "C": 1} | extra, 2, settings=settings)
    tonic = _TONIC.match(others[0])
    mode = _mode(others[0][tonic.end() :], others[1:]) if tonic else None
    if tonic is None or mode is None:
        raise ValueError(text)
    sharps = _FIFTHS[tonic[1]] + _MODES[mode] + {"": 0, "#": 7, "♯": 7, "b": -7, "♭": -7}[tonic[2]]
    alterations = _alterations(sharps) | extra
    sounding = _signature(alterations) if extra else None
    is_minor, name = mode in _MINOR and not extra, "" if extra else _MODE_NAMES.get(mode, "")
    return Key(alterations, sharps if sounding is None else sounding, is_minor, name, settings)


def _mode(attached: str, others: list[str]) -> str | None:
    """Return the mode of a key by its first three letters; None if what is attached to the tonic is not a mode."""
    if attached:
        return attached[:3].lower() if attached[:3].lower() in _MODES else None
    return next((word[:3].lower() for word in others if word[:3].lower() in _MODES), "")


def _is_clef(word: str | None) -> bool:
    return bool(word) and len(word or "") > 1 and _CLEF.fullmatch(word or "") is not None


def _alterations(sharps: int) -> dict[str, int]:
    """Return the alterations of a signature; beyond seven, letters are altered twice."""
    found: dict[str, int] = {}
    step = 1 if sharps > 0 else -1
    for index in range(abs(sharps)):
        letter = _SHARPS[index % 7] if sharps > 0 else _SHARPS[::-1][index % 7]
        found[letter] = found.get(letter, 0) + step
    return found


def _signature(alterations: dict[str, int]) -> int | None:
    """Return the sharps of the signature with these alterations, None if there is none."""
    altered = {letter: amount for letter, amount in alterations.items() if amount}
    return next((sharps for sharps in range(-7, 8) if _alterations(sharps) == altered), None)


def parse_voice(text: str) -> VoiceSettings:
    """Read what follows the id of a voice: `name="Alto" clef=bass octave=-1`."""
    return _settings(list(_WORD.finditer(text)))


def _settings(words: list[re.Match[str]]) -> VoiceSettings:
    values = {word[1].lower(): word[2].strip('"') for word in words if word[1]}
    clef = values.get("clef") or next((word[3] for word in words if word[3] and _is_clef(word[3])), None)
    kind = _CLEF.fullmatch(clef) if clef else None
    mark = (kind[3] if kind else None) or ""
    octaves = {"": 0, "8": 1, "15": 2}[mark[1:]] * (-1 if mark[:1] in ("-", "_") else 1)
    name = values.get("name", values.get("nm"))
    return VoiceSettings(
        None if name is None else plain(name),
        octaves if kind else None,
        _whole(values.get("octave", values.get("oct")), 9),
        _whole(values.get("transpose", values.get("t")), 60) if "shift" not in values else _interval(values["shift"]),
        kind[1] in ("perc", "P") if kind else None,
    )


def _interval(text: str) -> int:
    """Return the semitones from the first of two notes to the second: 2 for `CD`."""
    match = re.fullmatch(r"(_|\^)?([A-Ga-g])([,']{0,4})" * 2, text)
    if match is None:
        raise ValueError(text)
    heights = [
        NATURALS[letter.upper()]
        + 12 * (letter.islower() + marks.count("'") - marks.count(","))
        + ALTERATIONS.get(sign, 0)
        for sign, letter, marks in (match.groups()[:3], match.groups()[3:])
    ]
    return heights[1] - heights[0]


def _whole(text: str | None, largest: int) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[-+]?\d{1,3}", text) or abs(int(text)) > largest:
        raise ValueError(text)
    return int(text)


def parse_parts(text: str) -> str:
    """Read the order of parts: `A(AB)2.C` is `AABABC`."""
    stack: list[list[str]] = [[]]
    for word in re.findall(r"[A-Za-z()]|\d{1,4}", text):
        if word == "(":
            stack.append([])
        elif word == ")":
            if len(stack) == 1:
                raise ValueError(text)
            group = "".join(stack.pop())
            stack[-1].append(group)
        elif word.isdigit():
            if not stack[-1]:
                raise ValueError(text)
            if len(stack[-1][-1]) * int(word) > _MAX_PARTS:
                raise OverflowError(text)
            stack[-1][-1] *= int(word)
        else:
            stack[-1].append(word)
    order = "".join("".join(group) for group in stack)
    if len(order) > _MAX_PARTS:
        raise OverflowError(text)
    return order
