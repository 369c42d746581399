"""The text of an ABC file: its encoding, its tunes, and the special characters in its strings."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores.encodings import decode_text

_CHARSET = re.compile(rb"^(?:%%|I:)\s*abc-charset[ \t]+([\w-]+)", re.MULTILINE)
_TUNE = re.compile(r"X:")
_SHARED = re.compile(r"[A-WYZ]:|[ImrUL]:|%%")
_FIELD = re.compile(r"[A-Za-z]:")
_TYPESET = re.compile(r"%%begin(\w+)")
_TYPESET_BLOCK = re.compile(r"^%%begin(\w+)\n(?:(?!%%end).*\n)*+", re.MULTILINE)
_COMMENT = re.compile(r"(?<!\\)%.*")
_MARKS = {
    **{"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307"},
    **{'"': "\u0308", "H": "\u030b", "v": "\u030c", "c": "\u0327", ",": "\u0327", ";": "\u0328"},
}
_LETTERS = {
    **{"ss": "ß", "AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "/O": "Ø", "/o": "ø", "AA": "Å", "aa": "å"},
    **{"DH": "Ð", "dh": "ð", "TH": "Þ", "th": "þ", "%": "%", "&": "&", "\\": "\\"},
}
_ESCAPE = re.compile(
    r"\\(u[0-9A-Fa-f]{4}|U000[0-9A-Fa-f]{5}|ss|AE|ae|OE|oe|/[Oo]|AA|aa|DH|dh|TH|th|[%&\\]|"
    r"[`'^~=u.\"Hvc,;][A-Za-z])"
)
_ASIDE = re.compile(r'"[^"]*"|![^!]*!|\[[A-Za-z]:[^\[\]]*\]')
_MUSIC = re.compile(r"[A-Ga-gzxZXyuvHLMOPRST\d\s|:()\[\]{}/<>,'^_=.~&\\`-]+")
_MAX_TITLE = 200


@dataclass(frozen=True)
class Tune:
    """One tune of a file.

    Attributes:
        number: What follows its `X:`, such as `12`; empty in a file of one tune without that field.
        lines: Its lines with their numbers in the file, after the fields of the file header.
    """

    number: str
    lines: tuple[tuple[int, str], ...]

    @property
    def title(self) -> str:
        """Its first title."""
        found = next((line[2:] for _, line in self.lines if line.startswith("T:")), "")
        return printable(plain(without_comment(found)), _MAX_TITLE)


@dataclass
class Report:
    """What is left out of a score, or read only in part: every kind is counted, and named once.

    Attributes:
        dropped: Counts of what a score has no place for, by a noun with `{s}` for its plural.
        ornaments: Counts of decorations by name.
        faults: Counts of what is wrong in the file, by kind, a plural.
        places: Line and text of the first fault of each kind.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    ornaments: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)

    def fault(self, kind: str, line: int, example: str) -> None:
        """Count something that is wrong in the file."""
        self.faults[kind] += 1
        if kind not in self.places:
            self.places[kind] = f"line {line} ({printable(example[:80], 24)})"

    def sentences(self) -> list[str]:
        """Return one phrase for everything that was dropped, and one for each kind of fault."""
        dropped = [f"{count:,} {noun.format(s='s' * (count != 1))}" for noun, count in self.dropped.items() if count]
        if self.ornaments:
            names = [printable(name, 24) for name, _ in self.ornaments.most_common(4)]
            more = ", ..." if len(self.ornaments) > len(names) else ""
            count = self.ornaments.total()
            dropped.append(f"{count:,} decoration{'s' * (count != 1)} ({', '.join(names)}{more})")
        found = [f"dropped: {', '.join(dropped)}"] if dropped else []
        found += [f"{kind}: {count:,}, the first in {self.places[kind]}" for kind, count in self.faults.items()]
        return found


def decode(data: bytes) -> str:
    """Decode a file, in UTF-8 if it is valid, else in the encoding that it declares or the likeliest one."""
    declared = _CHARSET.search(data)
    text = decode_text(data, declared[1].decode() if declared else None)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def tunes_of(text: str) -> list[Tune]:
    """Split a file before each `X:` line. Fields before the first one hold for all tunes.

    A file without such a line is one tune if it has a `K:` line; otherwise it holds none.
    """
    lines = list(enumerate(text.split("\n"), start=1))
    typeset = _TYPESET_BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
    starts = [index for index, line in enumerate(typeset.split("\n")) if _TUNE.match(line)]
    if not starts:
        has_key = any(line.startswith("K:") for _, line in lines)
        return [Tune("", tuple(lines))] if has_key else []
    shared = [(number, line) for number, line in lines[: starts[0]] if _SHARED.match(line)]
    return [
        Tune(without_comment(lines[start][1][2:]).strip(), (lines[start], *shared, *lines[start + 1 : end]))
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def without_comment(line: str) -> str:
    r"""Return a line up to its comment (`%`, unless written `\%`)."""
    return _COMMENT.sub("", line, count=1) if "%" in line else line


def plain(text: str) -> str:
    r"""Return a string with its special characters: `\'e`, `\ss`, `&eacute;` and `\u00e9` become letters."""
    if "&" in text:
        text = html.unescape(text)
    return _ESCAPE.sub(_letter, text) if "\\" in text else text


def _letter(match: re.Match[str]) -> str:
    code = match[1]
    if code in _LETTERS:
        return _LETTERS[code]
    if code[0] in "uU" and len(code) > 2:
        value = int(code[1:], 16)
        return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else ""
    return unicodedata.normalize("NFC", code[1] + _MARKS[code[0]])


def music_lines(tune: Tune) -> Iterator[tuple[int, str]]:
    """Yield the lines of a tune without typeset text (`%%begintext` to `%%endtext`, and the like).

    A field and its continuations (`+:`, or `w:` after a `w:` that ends with a backslash) are one line.
    """
    skipped = ""
    number = 0
    waiting: list[str] = []  # a field and its continuations
    for place, line in tune.lines:
        if skipped:
            skipped = "" if line.startswith(skipped) else skipped
        elif match := _TYPESET.match(line):
            skipped = "%%end" + match[1]
        elif waiting and (line.startswith("+:") or (line.startswith("w:") and waiting[-1].endswith("\\"))):
            waiting[-1] = waiting[-1].removesuffix("\\")
            waiting.append(without_comment(line[2:]).rstrip())
        else:
            if waiting:
                yield number, " ".join(waiting)
            waiting = []
            if _FIELD.match(line):
                number, waiting = place, [without_comment(line).rstrip()]
            else:
                yield place, line
    if waiting:
        yield number, " ".join(waiting)


def is_music(line: str) -> bool:
    """Return True if a line can only be music code with bar lines, or begins a voice."""
    if line.startswith(("[V:", "V:")):
        return True
    return "|" in line and _MUSIC.fullmatch(_ASIDE.sub("", line)) is not None
