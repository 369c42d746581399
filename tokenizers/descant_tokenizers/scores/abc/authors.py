"""Authors in the `C:` lines of a tune: some lines say who wrote the words, the music or the setting.

`C: Words: Henry F. Lyte, 1847.  Music: 'Eventide' William H. Monk, 1861.` names both in one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_Kind = Literal["words", "music", "setting", "rights"]
_NAMES: dict[_Kind, tuple[str, ...]] = {
    "words": ("words?", "lyrics?", "lyricist", "texts?", "poem", "poet", "worte?", "paroles", "letra", "testo"),
    "music": (
        *("music", "tunes?", "melody", "composers?", "composed", "air", "musik", "melodie", "weise", "mel\\."),
        *("musique", "música", "musica"),
    ),
    "setting": (
        *("settings?", "arrangements?", "arranged", "arrangers?", "arr\\.?", "harmony", "harmonized", "harmonization"),
        "satz",
    ),
    "rights": ("copyright", "©", "\\(c\\)"),
}
_ANY = "|".join(f"(?P<{kind}_NUMBER>{'|'.join(names)})" for kind, names in _NAMES.items())
_FIRST, _SECOND = _ANY.replace("_NUMBER", ""), _ANY.replace("_NUMBER", "2")
_LABEL = re.compile(
    rf"(?<![^\s(])(?:{_FIRST})(?:\s*(?:and|&|und|et|e|y|/|,)\s*(?:{_SECOND}))?(?:\s*:|\s+by\b\s*:?)", re.IGNORECASE
)
_RIGHTS = re.compile(r"\s*((words|lyrics|music|tune|setting)\s+)?(copyright\b|©|\(c\)|public domain)", re.IGNORECASE)
_TUNE_NAMES = re.compile(r"(?:'[^']{1,60}'(?:\s+or\s+|\s*,\s*|\s+))+(?=\S)")
_SENTENCE_END = re.compile(r"(?<=\d)\.$|(?<=\))\.$|(?<=\w{5})\.$")  # not that of `Trad.`
_MAX_LINES = 100


@dataclass(frozen=True)
class Authors:
    """Authors of a tune, and its rights, as its lines name them; the names of tunes are left out."""

    words: tuple[str, ...] = ()
    music: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()


def authors_of(lines: Sequence[str]) -> Authors:
    """Read the `C:` lines of a tune.

    A line without a label names the composer, unless another one does: then it goes on with the line before it. Who
    made the setting counts as the composer if no one else is named.
    """
    names_music = any(label["music"] or label["music2"] for line in lines for label in _LABEL.finditer(line))
    found: dict[_Kind, list[str]] = {"words": [], "music": [], "setting": [], "rights": []}
    latest: list[_Kind] = []
    for line in lines[:_MAX_LINES]:
        for kinds, text in _segments(line):
            if not kinds and latest and (names_music or latest == ["rights"] or text[0].islower()):
                for kind in latest:
                    found[kind][-1] += f" {text}"
                continue
            latest = ["rights"] if _RIGHTS.match(text) else list(kinds)
            for kind in latest:
                found[kind].append(text)
            if not latest:
                found["music"].append(text)
    music = found["music"] or found["setting"]
    return Authors(
        tuple(_named(text) for text in found["words"]),
        tuple(_named(text) for text in music),
        tuple(found["rights"]),
    )


def _segments(line: str) -> Iterator[tuple[tuple[_Kind, ...], str]]:
    """Yield the labeled parts of a line with their kinds; a line on rights is one part."""
    if _RIGHTS.match(line):
        yield ("rights",), line.strip()
        return
    labels = list(_LABEL.finditer(line))
    starts = [label.start() for label in labels] + [len(line)]
    if before := line[: starts[0]].strip(" ,("):
        yield (), before if labels else line.strip()
    for label, end in zip(labels, starts[1:], strict=True):
        kinds = {kind: None for kind in _NAMES if label[kind] or label[f"{kind}2"]}
        if text := line[label.end() : end].strip(" ,"):
            yield tuple(kinds), text


def _named(text: str) -> str:
    """Return an author without the names of tunes in front, and without the end of the sentence."""
    plain = _TUNE_NAMES.sub("", text, count=1).strip(" ;")
    if plain.count(")") > plain.count("("):
        plain = plain.rstrip(")")
    return _SENTENCE_END.sub("", plain)
