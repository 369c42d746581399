"""Music code as symbols: one regular expression cuts a line, and names say what a symbol is.

All quantifiers are bounded or possessive, so that a line is cut in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from descant_tokenizers.scores.marks import SignKind

_LENGTH = r"(\d*+)(/*+)(\d*+)"
_JUMP = r"(?i:(?:D\.? ?[CS]\.?|da capo|dal segno)(?: ?al ?(?:fine|coda))?|to coda)"  # with spaces
_SYMBOL = re.compile(
    "|".join(
        (
            r"(?P<space>[\s`]++)",
            rf"(?P<note>((?:\^\^?|__?)(?:\d{{1,3}}(?:/\d{{0,3}})?|/\d{{0,3}})?|=)?([A-Ga-g])([,']*+){_LENGTH})",
            rf"(?P<rest>([zxyZX]){_LENGTH})",
            r"(?P<field>\[([A-Za-z]):([^\]]{0,400})\])",
            r"(?P<ending>\[\s?(\d[\d,.\-]{0,40}))",
            r"(?P<bare>(?<!\S)[1-9](?=\s))",
            r"(?P<bar>^:(?![:|])|\.?(?:\||\[(?=\|)|:(?=[:|]|\[\|))(?:[|:\]]|\[(?=[|\]]))*+(\d[\d,.\-]{0,40})?)",
            r"(?P<chord>\[(?=[^\]|]{0,400}\]))",
            rf"(?P<close>\]{_LENGTH})",
            r"(?P<tuplet>\((\d{1,3})(?::(\d{0,3})(?::(\d{0,3}))?)?)",
            r"(?P<slur>\.?[()])",
            r"(?P<tie>\.?-)",
            r"(?P<broken>>++|<++)",
            r"(?P<quote>\"((?:[^\"\\]|\\.){0,200}+)\")",
            rf"(?P<named>!([^!\s|\]\"]{{1,40}}|{_JUMP})!|\+([^+\s|\]\"]{{1,40}})\+)",
            r"(?P<grace>\{/?)",
            r"(?P<graced>\})",
            r"(?P<overlay>&++)",
            r"(?P<letter>[H-Wh-w~.])",
            r"(?P<nothing>[\\$!*;?@#])",
            r"(?P<unknown>.)",
        )
    )
)
# Offsets of the groups inside each alternative, counted from the named group.
NOTE_ACCIDENTAL, NOTE_LETTER, NOTE_OCTAVE, NOTE_LENGTH = 1, 2, 3, 4
FIRST_GROUP = {name: index for name, index in _SYMBOL.groupindex.items()}

FERMATAS = ("fermata", "invertedfermata")
JUMPS: dict[str, SignKind] = {
    **{"segno": "segno", "coda": "coda", "tocoda": "to coda", "dacoda": "to coda", "fine": "fine"},
    **{f"{name}{goal}": "da capo" for name in ("dc", "dacapo") for goal in ("", "alfine", "alcoda")},
    **{f"{name}{goal}": "dal segno" for name in ("ds", "dalsegno") for goal in ("", "alfine", "alcoda")},
}
"""Decorations that change the order in which music is played, in lower case, without periods and spaces."""

DYNAMICS = ("p", "pp", "ppp", "pppp", "f", "ff", "fff", "ffff", "mp", "mf", "sf", "sfz", "fp")
DECORATIONS = {
    **{"staccato": "staccato", "accent": "accent", "emphasis": "accent", ">": "accent", "tenuto": "tenuto"},
    **{"wedge": "staccatissimo", "marcato": "strong-accent", "^": "strong-accent", "trill": "trill-mark"},
    **{"mordent": "mordent", "lowermordent": "mordent", "uppermordent": "inverted-mordent"},
    **{"pralltriller": "inverted-mordent", "turn": "turn", "invertedturn": "inverted-turn"},
    **{"arpeggio": "arpeggiate", "breath": "breath-mark", "upbow": "up-bow", "downbow": "down-bow"},
    **{"open": "open-string", "thumb": "thumb-position"},
}
"""Decorations that are kept, and their names in MusicXML."""

HAIRPINS = {"crescendo": True, "<": True, "diminuendo": False, ">": False}
"""Decorations that begin a hairpin with `(` and end it with `)`; True if the music gets louder."""

LETTERS = {
    **{"~": "roll", ".": "staccato", "H": "fermata", "L": "accent", "M": "lowermordent", "O": "coda"},
    **{"P": "uppermordent", "S": "segno", "T": "trill", "u": "upbow", "v": "downbow"},
}
"""Letters that stand for decorations unless `U:` redefines them."""

PLUS_NAMES = re.compile(
    r"(?:lower|upper)?mordent|pralltriller|trill|roll|(?:inverted)?turnx?|arpeggio|accent|emphasis|(?:inverted)?fermata|"
    r"tenuto|wedge|plus|snap|open|thumb|breath|(?:crescendo|diminuendo|[<>])[()]|>|upbow|downbow|slide|staccato|[0-5]|"
    r"(?:short|medium|long)phrase|p{1,4}|f{1,4}|m[pf]|sfz?|fp"
)
"""Decorations between plus signs; anything else between them is no decoration."""

OLD_CHORD = re.compile(r"(?:[\^_=]{0,2}[A-Ga-g][',]{0,4}[\d/]{0,4}){2,}")
"""A chord of ABC 1.6 between plus signs."""

_STEPS = "CDEFGAB"
_ANY_NOTE = re.compile(r"((?:![^!]{0,40}!|[^n!])*+)n([^n!]*)")  # the name of a macro for any note
_RELATIVE = re.compile(r"![^!]{0,40}!|\"[^\"]{0,200}\"|([h-z])")
_DECORATION = re.compile(r"[!+]([^!+]{1,40})[!+]")
_CHORD = re.compile(
    r"\(?[A-G][#b♯♭]?(?:maj|min|mi|ma|dim|aug|sus|add|alt|[mM+°oøh\-]|[#b♯♭]?\d{1,2}|[()#b,^ ])*+"
    r"(?:/[A-Ga-g][#b♯♭]?)?\)?|[Nn]\.?[Cc]\.?"
)
_MAX_CHORD = 20
_MAX_DIGITS = 6


def symbols(line: str) -> Iterator[re.Match[str]]:
    """Yield the symbols of a line of music code; `lastgroup` names the kind of each."""
    return _SYMBOL.finditer(line)


def expanded(line: str, name: str, value: str) -> str:
    """Replace a macro in a line of music code.

    A macro whose name has an `n` (`~n2 = {o}n{m}n`) is one for any note: in its value, `n` is that note, and the other
    letters from `h` to `z` are the notes as many steps above or below it.
    """
    found = _ANY_NOTE.fullmatch(name)
    if found is None:
        return line.replace(name, value)

    def notes(match: re.Match[str]) -> str:
        letter, marks = match[1], match[2]
        step = _STEPS.index(letter.upper()) + 7 * (letter.islower() + marks.count("'") - marks.count(","))
        return _RELATIVE.sub(lambda found: _note(step + ord(found[1]) - ord("n")) if found[1] else found[0], value)

    return re.sub(rf"{re.escape(found[1])}([A-Ga-g])([,']{{0,4}}){re.escape(found[2])}", notes, line)


def _note(step: int) -> str:
    """Return the note that lies a number of steps above `C`."""
    octave, place = divmod(step, 7)
    return _STEPS[place].lower() + "'" * (octave - 1) if octave > 0 else _STEPS[place] + "," * -octave


def length_of(numerator: str, slashes: str, denominator: str) -> Fraction:
    """Return a note length in unit notes: `3/2`, `/` (a half), `//` (a quarter), `/4`.

    Raises:
        OverflowError: A number has more than six digits, or the length is shorter than 1/512.
    """
    if len(numerator) > _MAX_DIGITS or len(denominator) > _MAX_DIGITS or len(slashes) > 9:
        raise OverflowError(numerator[:20] + slashes[:20] + denominator[:20])
    below = (int(denominator) or 1) if denominator else 2 ** len(slashes)
    if not slashes:
        return Fraction(int(numerator or "1"))
    if below > 512:
        raise OverflowError(numerator + slashes + denominator)
    return Fraction(int(numerator or "1"), below)


def passes_of(text: str) -> tuple[int, ...]:
    """Return the passes of a variant ending: `1,3` or `1-3`; at most 99."""
    found: list[int] = []
    for part in re.findall(r"\d{1,4}(?:-\d{1,4})?", text):
        first, _, last = part.partition("-")
        found += range(int(first), min(int(last or first), int(first) + 99) + 1)
    return tuple(sorted({number for number in found if 1 <= number <= 99})) or (1,)


def redefinition(text: str) -> tuple[str, str] | None:
    """Read a `U:` field: the letter, and the name of its decoration (`^text` for an annotation), or None."""
    letter, equals, value = (part.strip() for part in text.partition("="))
    if not equals or len(letter) != 1 or not ("H" <= letter <= "Z" or "h" <= letter <= "z" or letter in "~."):
        return None
    if value.startswith('"'):
        return letter, value.strip('"') if value[1:2] in "^_<>@" else "^" + value.strip('"')
    match = _DECORATION.match(value)
    name = match[1] if match else value.strip("!+")
    return (letter, name) if name else None


def is_chord_symbol(text: str) -> bool:
    """Return True for `Am7`, `F#/C#`, `N.C.`; other quoted text (fingerings, `D.C.`) is an annotation."""
    return len(text) <= _MAX_CHORD and _CHORD.fullmatch(text) is not None
