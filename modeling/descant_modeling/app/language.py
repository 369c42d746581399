"""The languages of the page: English is in the code, and each file of `texts/` holds another one, by the English text.

`{}` stands for what varies; a translation may order the values with `{0}`, `{1}`. Messages of the library come with
their values filled in, so they are recognized by the words between these. What no file translates stays English.
"""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from descant_tokenizers.common.errors import InputError

__all__ = ["ENGLISH", "Language", "check_language", "languages", "preferred"]

_TEXTS = Path(__file__).parent / "texts"
_SENTENCES = re.compile(r"(?<=[.!?])( )(?=[A-Z])")
_SEPARATORS = re.compile(r"(, | and | or )")  # of a list such as "bars 1, 4 and Alto"
_VALUE = r"((?:(?!\. [A-Z]).)+?)"  # within a sentence
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+")
_NO_BREAK_SPACE = "\u00a0"


@dataclass(frozen=True, eq=False)
class Language:
    """A language.

    Attributes:
        code: Its code in addresses, in HTML and on the command line, such as `es`.
        name: Its own name.
        texts: Its texts by the English ones; empty for English.
        messages: Those of the English texts that come with their values filled in.
    """

    code: str
    name: str
    texts: Mapping[str, str] = field(repr=False)
    messages: Sequence[str] = field(default=(), repr=False)

    def __call__(self, text: str, *values: object) -> str:
        """Return a text of the page with values in the places of its `{}`; values that are texts are translated too."""
        translation = self.texts.get(text, text)
        return translation.format(*(self.filled(str(value)) for value in values)) if values else translation

    def filled(self, text: str) -> str:
        """Translate a text that holds its values already, such as an error message; what is unknown stays English."""
        if not self.texts:
            return text
        if _GROUPED.fullmatch(text):
            return text.replace(",", "" if len(text) == len("1,000") else _NO_BREAK_SPACE)
        known = self._known(text)
        return next(filter(None, (known, self._joined(text, _SENTENCES), self._joined(text, _SEPARATORS))), text)

    def _joined(self, text: str, between: re.Pattern[str]) -> str | None:
        """Translate the parts of a text; None if one is unknown."""
        parts = between.split(text)
        found = [self._known(part) if re.search("[A-Za-z]", part) else part for part in parts]
        return None if None in found else "".join(filter(None, found))

    def original(self, text: str) -> str:
        """Return the English of a text that somebody typed, if it is a translation, else the text."""
        return self._originals.get(text.strip().casefold(), text)

    def _known(self, text: str) -> str | None:
        if text in self.texts:
            return self.texts[text]
        for pattern, translation in self._patterns:
            if found := pattern.fullmatch(text):
                return translation.format(*map(self.filled, found.groups()))
        return None

    @cached_property
    def _patterns(self) -> Sequence[tuple[re.Pattern[str], str]]:
        """Patterns of the messages that vary, those with most words of their own first, and their translations."""
        varying = [(text, _VALUE.join(map(re.escape, text.split("{}")))) for text in self.messages if "{}" in text]
        varying.sort(key=lambda each: -len(each[0].replace("{}", "")))
        return [(re.compile(pattern), self.texts[text]) for text, pattern in varying]

    @cached_property
    def _originals(self) -> Mapping[str, str]:
        return {translation.casefold(): text for text, translation in self.texts.items()}


ENGLISH = Language("en", "English", {})


@cache
def languages() -> Mapping[str, Language]:
    """Return the languages by code, English first."""
    return {"en": ENGLISH} | {language.code: language for language in _translations()}


def _translations() -> Iterator[Language]:
    for path in sorted(_TEXTS.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        yield Language(path.stem, stored.pop("name"), dict(ChainMap(*stored.values())), tuple(stored["messages"]))


def check_language(code: str | None) -> None:
    """Raise an `InputError` if there is no such language; None is the browser's."""
    if code is not None and code not in languages():
        raise InputError(f"There is no language '{code}' here. Choose {' or '.join(languages())}.")


def preferred(accepted: str, codes: Iterable[str]) -> str:
    """Return the code that a browser prefers, given its `Accept-Language`; the first one if it accepts none."""
    ranked = []
    for place, each in enumerate(accepted.split(",")):
        tag, _, quality = each.partition(";")
        share = re.fullmatch(r"\s*q=([01](?:\.\d+)?)\s*", quality)
        ranked.append((-float(share[1]) if share else -1.0, place, tag.strip().lower().split("-")[0]))
    known = list(codes)
    return next((code for rank, _, code in sorted(ranked) if code in known and rank), known[0])
