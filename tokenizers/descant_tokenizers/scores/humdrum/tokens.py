"""Tokens of Humdrum spines: notes of **kern, syllables of **text and **silbe, interpretations.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores.chords import CHORD_SUFFIXES, NO_CHORD_SYMBOL, chord_symbol
from descant_tokenizers.scores.key import NATURALS
from descant_tokenizers.scores.marks import Lyric, SignKind

_DURATION = re.compile(r"(\d{1,6})(?:%(\d{1,6}))?(\.{0,4})")
_PITCH = re.compile(r"(?P<letters>(?P<letter>[a-gA-G])(?P=letter)*)(?P<alter>#{1,3}|-{1,3})?")
_LONG = {"0": Fraction(8), "00": Fraction(16), "000": Fraction(32)}
_SIGNS = {
    **dict.fromkeys("Tt", "trill-mark"),
    **{"M": "mordent", "m": "mordent", "W": "inverted-mordent", "w": "inverted-mordent", "S": "turn"},
    **{"$": "inverted-turn", "O": "ornament", "'": "staccato", "^": "accent", "~": "tenuto", "`": "staccatissimo"},
    **{",": "breath-mark", '"': "pizzicato", ":": "arpeggiate", "u": "down-bow", "v": "up-bow"},
}
_CHORD = re.compile(
    r"([A-G](?:#{1,2}|-{1,2})?)(?:([a-z0-9+^]{1,16})| +([a-z][a-z0-9-]{0,24}))?(?: */ *([A-G](?:#{1,2}|-{1,2})?))?"
)
_BLANKS = re.compile(r"\t+ *| {2,}")
_ELISION = "\u203f"
_MAX_SYLLABLE = 120
_MODES = {
    **{"": "", "ion": "", "dor": "dorian", "phr": "phrygian", "lyd": "lydian", "mix": "mixolydian"},
    **{"aeo": "aeolian", "loc": "locrian"},
}
_KEY = re.compile(r"\*([A-Ga-g])([#-]*):(\w*)")
_FIFTHS = {"C": 0, "D": 2, "E": 4, "F": -1, "G": 1, "A": 3, "B": 5}
_MODE_FIFTHS = {"minor": 3, "dorian": 2, "phrygian": 4, "lydian": -1, "mixolydian": 1, "aeolian": 3, "locrian": 5}
_SYLLABIC: dict[tuple[bool, bool], Literal["single", "begin", "middle", "end"]] = {
    (False, False): "single",
    (False, True): "begin",
    (True, True): "middle",
    (True, False): "end",
}

DYNAMICS = re.compile(r"(p{1,5}|f{1,5}|mp|mf|s?fz?p?|rfz?)")
JUMPS: dict[str, SignKind] = {
    **{"*segno": "segno", "*coda": "coda", "*tocoda": "to coda", "*fine": "fine"},
    **{"*dacapo": "da capo", "*dalsegno": "dal segno"},
}

INSTRUMENTS = {
    **{"cant": "Soprano", "soprn": "Soprano", "mezzo": "Mezzo-Soprano", "calto": "Alto", "alto": "Alto"},
    **{"tenor": "Tenor", "barit": "Baritone", "bass": "Bass", "vox": "Voice"},
    **{"violn": "Violin", "viola": "Viola", "cello": "Violoncello", "cbass": "Contrabass"},
    **{"flt": "Flute", "picco": "Piccolo", "oboe": "Oboe", "clars": "Clarinet", "fagot": "Bassoon"},
    **{"cor": "Horn", "tromp": "Trumpet", "tromb": "Trombone", "tuba": "Tuba"},
    **{"piano": "Piano", "organ": "Organ", "cemba": "Harpsichord", "arpa": "Harp", "liuto": "Lute", "guitr": "Guitar"},
}
"""Names of instruments and voices by their codes (`*Itenor`)."""


@dataclass(frozen=True)
class KernNote:
    """A note, chord or rest of **kern.

    Attributes:
        length: Its length, 0 for a grace note.
        pitches: MIDI pitches, each with step and alteration; none of a rest.
        ties: For each pitch, some of `start` and `stop`.
        is_grace: It is a grace note.
        grace_length: Written length of a grace note.
        has_slash: The grace note is an acciaccatura.
        has_fermata: It has a fermata.
        slurs: Slurs that begin and end here.
        signs: Names of further signs; those of articulations and ornaments as in MusicXML.
    """

    length: Fraction
    pitches: tuple[tuple[int, tuple[str, int]], ...]
    ties: tuple[frozenset[str], ...]
    is_grace: bool
    grace_length: Fraction
    has_slash: bool
    has_fermata: bool
    slurs: tuple[int, int]
    signs: tuple[str, ...]


def cells(line: str, num_spines: int) -> list[str]:
    """Return the tokens of a line, which tabs or several spaces separate; one for each spine of a bar line."""
    found = line.split("\t")
    if len(found) == num_spines or not num_spines:
        return found
    return [found[0]] * num_spines if line.startswith("=") else _BLANKS.split(line.strip())


@lru_cache(maxsize=4096)  # a long file has few tokens that differ
def parse_kern(token: str) -> KernNote:
    """Parse a **kern token with one or several notes.

    Raises:
        ValueError: It has no length, or neither a pitch nor a rest.
    """
    parts = token.split(" ")
    duration = _DURATION.search(parts[0])
    is_grace = "q" in token.lower()
    if duration is None and not is_grace:
        raise ValueError(f"'{printable(token, 24)}' has no length")
    length = Fraction(1, 2) if duration is None else _length(duration)
    pitches, ties = [], []
    for part in parts:
        if "r" in part:
            continue
        found = _PITCH.search(part)
        if found is None:
            raise ValueError(f"'{printable(token, 24)}' has no pitch")
        pitches.append(_pitch(found))
        kinds = {kind for sign, kind in (("[", "start"), ("]", "stop")) if sign in part}
        ties.append(frozenset({"start", "stop"} if "_" in part else kinds))
    return KernNote(
        Fraction(0) if is_grace else length,
        tuple(pitches),
        tuple(ties),
        is_grace,
        length,
        "qq" not in token and "Q" not in token,
        ";" in token,
        (token.count("("), token.count(")")),
        tuple(dict.fromkeys(_SIGNS[sign] for sign in token if sign in _SIGNS)) if pitches else (),
    )


def _length(found: re.Match[str]) -> Fraction:
    digits, divisor, dots = found.groups()
    is_long = not digits.strip("0")
    length = _LONG.get(digits, Fraction(8)) if is_long else Fraction(4 * int(divisor or 1), int(digits))
    return length * (2 - Fraction(1, 2 ** len(dots)))


def _pitch(found: re.Match[str]) -> tuple[int, tuple[str, int]]:
    letters, alter = found["letters"], found["alter"] or ""
    octave = 3 + len(letters) if letters[0].islower() else 4 - len(letters)
    step, change = letters[0].upper(), alter.count("#") - alter.count("-")
    return 12 * (octave + 1) + NATURALS[step] + change, (step, change)


def parse_syllable(token: str, verse: int) -> Lyric | None:
    """Parse a token of **text or **silbe; None for one without text, such as a bar line."""
    text = html.unescape(token.strip())
    begins, ends = text.startswith("-"), text.endswith("-")
    is_extended = text.endswith("_") and text != "_"
    plain = printable(text.strip("-_|").replace("~", _ELISION), _MAX_SYLLABLE)
    return Lyric(plain, _SYLLABIC[begins, ends], verse, is_extended) if plain else None


def parse_chord(token: str) -> str:
    """Return the symbol of a chord in **mxhm: `Bbm7/D` for `B- minor-seventh/D` or `B-m7/D`; empty if it is none."""
    found = _CHORD.fullmatch(token)
    if found is None:
        return NO_CHORD_SYMBOL if token.strip().lower() in ("none", "n.c.", "nc") else ""
    root, suffix, kind, bass = (name or "" for name in found.groups())
    return chord_symbol(root.replace("-", "b"), suffix or CHORD_SUFFIXES.get(kind, kind), bass.replace("-", "b"))


def parse_key(token: str) -> tuple[int, str] | None:
    """Parse a key such as `*G:`, `*e:` or `*D:dor` to the sharps of its signature and its mode; None for others."""
    found = _KEY.fullmatch(token)
    if found is None or found[3][:3] not in _MODES:
        return None
    mode = _MODES[found[3][:3]] or ("minor" if found[1].islower() and not found[3] else "major")
    sharps = _FIFTHS[found[1].upper()] + 7 * (found[2].count("#") - found[2].count("-"))
    return sharps - _MODE_FIFTHS.get(mode, 0), mode


def parse_meter(token: str) -> tuple[int, int] | None:
    """Parse a time signature such as `*M3/4`; None for others."""
    found = re.fullmatch(r"\*M(\d{1,4})/(\d{1,4})", token)
    if found is None:
        return None
    beats, unit = int(found[1]), int(found[2])
    if unit == 0:  # breves, longs
        beats, unit = beats * 2 ** len(found[2]), 1
    return (beats, unit) if beats > 0 else None


@lru_cache(maxsize=4096)
def repeats_of(barline: str) -> tuple[Literal["end", "start"], ...]:
    """Return the repeat signs of a bar line: dots before its strokes end a section, dots behind them begin one."""
    strokes = barline.lstrip("=0123456789abcdefg")
    ends: tuple[Literal["end"], ...] = ("end",) if re.match(r":+[|!]", strokes) else ()
    starts: tuple[Literal["start"], ...] = ("start",) if re.search(r"[|!]:+$", strokes.rstrip("-;")) else ()
    return (*ends, *starts)
