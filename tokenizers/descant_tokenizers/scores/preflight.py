"""Checks on the text of MusicXML and Humdrum files before music21 parses them.

music21 trusts its input: a time signature of 1000 beats, a key of 999 sharps or an ending numbered 1-99999999 takes
minutes or fills the memory. Sizes are therefore checked here first, in one pass over the text.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.parsers import expat

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.validation import Limits, check_count

_MAX_BEATS = 128  # bars without a meter of their own are written with up to these
_MAX_ENDING = 99
_MAX_METER_TEXT = 100
_MAX_DEPTH = 64
# Elements whose value costs music21 time, and the largest magnitude allowed.
_MAX_VALUES = {"fifths": 14, "diatonic": 42, "chromatic": 72, "octave-change": 6}

_NUMBER = re.compile(r"\d+")
_HUMDRUM_METER = re.compile(r"\*M(\d+[^\t\n]*)")
_HUMDRUM_TRANSPOSITION = re.compile(r"\*I?Trd(-?\d+)c(-?\d+)")
_HUMDRUM_ASIDE = re.compile(r"^[!*=].*$", re.MULTILINE)
_NOTE_LETTER = re.compile(r"[A-Ga-g]")


def check_humdrum(path: Path, text: str, limits: Limits) -> None:
    """Raise an `InputError` if a Humdrum text has too many notes or beats, or too large a transposition."""
    _check_beats(path, " ".join(_HUMDRUM_METER.findall(text)))
    transpositions = " ".join(" ".join(steps) for steps in _HUMDRUM_TRANSPOSITION.findall(text))
    _check_values(path, "transposition", transpositions, _MAX_VALUES["chromatic"])
    num_notes = sum(1 for token in _HUMDRUM_ASIDE.sub("", text).split() if _NOTE_LETTER.search(token))
    check_count(path, "notes", num_notes, limits.max_notes)


def check_musicxml(path: Path, text: str, limits: Limits) -> None:
    """Count the contents of a MusicXML text and compare them with the limits.

    Raises:
        InputError: The text is not well formed or not MusicXML, declares entities, or exceeds a bound.
    """
    preflight = XmlPreflight()
    try:
        preflight.read(text)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        raise InputError(f"{path} is not well-formed XML ({error}). Export it again.") from error
    if preflight.is_hostile:
        raise InputError(f"{path} declares XML entities or nests too deep for MusicXML. Export it again.")
    if preflight.root not in ("score-partwise", "score-timewise"):
        raise InputError(f"{path} is not MusicXML (its root is <{preflight.root}>). Export it again.")
    check_count(path, "notes", preflight.counts["note"], limits.max_notes)
    num_parts = preflight.counts["part"] if preflight.root == "score-partwise" else 1
    check_count(path, "bars", preflight.counts["measure"] // max(1, num_parts), limits.max_bars)
    check_count(path, "parts", max(num_parts, preflight.counts["score-part"]), limits.max_tracks)
    if any(len(text) > _MAX_METER_TEXT for text in preflight.texts["beats"]):
        raise InputError(f"{path} has a time signature of too many numbers. Correct it and export the file again.")
    _check_beats(path, " ".join(preflight.texts["beats"]))
    for name, largest in _MAX_VALUES.items():
        _check_values(path, name, " ".join(preflight.texts[name]), largest)
    if _largest(" ".join(preflight.endings)) > _MAX_ENDING:
        raise InputError(f"{path} numbers an ending above {_MAX_ENDING}. Correct it and export the file again.")


def _check_beats(path: Path, meters: str) -> None:
    worst = _largest(meters)
    if worst > _MAX_BEATS:
        raise InputError(
            f"{path} has a time signature with the number {worst:,}. Correct it and export the file again."
        )


def _check_values(path: Path, name: str, text: str, largest: int) -> None:
    worst = _largest(text)
    if worst > largest:
        raise InputError(
            f"{path} has the {name} {worst:,}, more than the limit of {largest}. Correct it and export the file again."
        )


def _largest(text: str) -> int:
    return max((int(number[:12]) for number in _NUMBER.findall(text)), default=0)


class XmlPreflight:
    """Contents of an XML text, counted without building a tree.

    Attributes:
        counts: Occurrences of each element.
        root: Name of the outermost element.
        texts: Contents of the elements with bounded numbers, by name.
        endings: `number` attributes of the `ending` elements.
        root_files: Paths that an .mxl container names.
        is_hostile: True if the text declares entities (expanding them can fill any memory) or nests elements deeper
            than any score; reading stops there.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.root = ""
        self.texts: dict[str, list[str]] = {name: [] for name in ("beats", *_MAX_VALUES)}
        self.endings: list[str] = []
        self.root_files: list[str] = []
        self.is_hostile = False
        self._depth = 0
        self._open_texts: list[str] | None = None

    def read(self, data: bytes | str) -> None:
        """Count in one pass; raise `ExpatError` if the text is not well formed."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._stop
        try:
            parser.Parse(data, True)
        except _HostileError:
            self.is_hostile = True

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        self.root = self.root or name
        self.counts[name] += 1
        if name == "rootfile" and "full-path" in attributes:
            self.root_files.append(attributes["full-path"])
        elif name == "ending":
            self.endings.append(attributes.get("number", ""))
        self._open_texts = self.texts.get(name)
        if self._open_texts is not None:
            self._open_texts.append("")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._stop()

    def _end(self, _name: str) -> None:
        self._open_texts = None
        self._depth -= 1

    def _text(self, text: str) -> None:
        if self._open_texts is not None:
            self._open_texts[-1] += text  # one number may come in several pieces

    def _stop(self, *_arguments: object) -> None:
        raise _HostileError


class _HostileError(Exception):
    """Ends a preflight."""
