"""Notation files (MusicXML, ABC, Humdrum) through music21, each looked over before music21 builds anything."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Literal
from xml.parsers import expat

from music21 import converter
from symusic.core import ScoreTick

from descant_tokenizers.errors import InputError, printable
from descant_tokenizers.scores.limits import Limits, check_count
from descant_tokenizers.scores.music21_reader import from_music21

__all__ = ["parse_notation"]

NotationFormat = Literal["musicxml", "mxl", "abc", "humdrum"]

_NAMES = {"musicxml": "MusicXML", "abc": "ABC", "humdrum": "Humdrum"}
_MAX_DEPTH = 64
_MAX_ZIP_ENTRIES = 1_000
_ABC_HEADER = re.compile(r"^(?:[A-Za-z+]:|%).*$", re.MULTILINE)
_ABC_ASIDE = re.compile(r'"[^"\n]*"|![^!\n]*!|\[[A-Za-z]:[^\]\n]*\]|%.*')
_NOTE_LETTER = re.compile(r"[A-Ga-g]")
_HUMDRUM_ASIDE = re.compile(r"^[!*=].*$", re.MULTILINE)


def parse_notation(path: Path, data: bytes, form: NotationFormat, limits: Limits) -> ScoreTick:
    """Parse the bytes of a notation file; the score is not yet validated.

    Args:
        path: Where the bytes came from, for messages.
        data: The whole file.
        form: Its format.
        limits: Bounds on notes, bars and unpacked bytes.

    Returns:
        The score as `from_music21` makes it.

    Raises:
        InputError: The file is damaged, holds several pieces, declares XML entities, or exceeds a bound.
    """
    if form == "mxl":
        data, form = _unzipped(path, data, limits.max_bytes), "musicxml"
    text = _xml_text(path, data, limits) if form == "musicxml" else _plain_text(path, data, form, limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return from_music21(converter.parseData(text, format=form))
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error
    except Exception as error:  # music21 raises whatever its parsers stumble over
        reason = printable(f"{type(error).__name__}: {error}", 120)
        raise InputError(f"{path} cannot be read as {_NAMES[form]} ({reason}); export it again.") from error


def _plain_text(path: Path, data: bytes, form: str, limits: Limits) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    count = _num_abc_notes(text) if form == "abc" else _num_humdrum_notes(text)
    check_count(path, "notes", count, limits.max_notes)
    return text


def _num_abc_notes(text: str) -> int:
    return len(_NOTE_LETTER.findall(_ABC_ASIDE.sub("", _ABC_HEADER.sub("", text))))


def _num_humdrum_notes(text: str) -> int:
    return sum(1 for token in _HUMDRUM_ASIDE.sub("", text).split() if _NOTE_LETTER.search(token))


def _xml_text(path: Path, data: bytes, limits: Limits) -> str:
    """Decode MusicXML after one streaming pass: well formed, no entities, not deep, few enough notes and measures."""
    census = _XmlCensus()
    try:
        census.read(data)
    except expat.ExpatError as error:
        raise InputError(f"{path} is not well-formed XML ({error}); export it again.") from error
    if census.has_entities or census.max_depth > _MAX_DEPTH:
        raise InputError(f"{path} declares XML entities or nests too deep, as no MusicXML does; export it again.")
    if census.root != "score-partwise":
        raise InputError(f"{path} is not partwise MusicXML (its root is <{census.root}>); export it as partwise.")
    check_count(path, "notes", census.counts.get("note", 0), limits.max_notes)
    num_parts = max(1, census.counts.get("part", 0))
    check_count(path, "bars", census.counts.get("measure", 0) // num_parts, limits.max_bars)
    return data.decode(census.encoding or ("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"))


class _XmlCensus:
    """Counts of the elements of an XML text, taken without building a tree."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.root = ""
        self.encoding: str | None = None
        self.root_files: list[str] = []
        self.has_entities = False
        self.max_depth = 0
        self._depth = 0

    def read(self, data: bytes) -> None:
        """Raise an `ExpatError` if the data is not well formed; stop at an entity declaration."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._entity
        parser.XmlDeclHandler = self._declaration
        try:
            parser.Parse(data, True)
        except _EntityFoundError:
            self.has_entities = True

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.root = self.root or name
        self.counts[name] = self.counts.get(name, 0) + 1
        if name == "rootfile" and "full-path" in attributes:
            self.root_files.append(attributes["full-path"])
        self._depth += 1
        self.max_depth = max(self.max_depth, self._depth)

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _entity(self, *_arguments: object) -> None:
        raise _EntityFoundError

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = encoding


class _EntityFoundError(Exception):
    """Stops a census: MusicXML declares no entities, and expanding them can fill any memory."""


def _unzipped(path: Path, data: bytes, max_bytes: int) -> bytes:
    """The MusicXML text inside an .mxl file; no more than `max_bytes` of any entry are ever unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_count(path, "entries", len(archive.infolist()), _MAX_ZIP_ENTRIES)
            name = _root_file(path, archive, max_bytes)
            return _entry(path, archive, name, max_bytes)
    except (zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError, EOFError, expat.ExpatError) as error:
        raise InputError(f"{path} is a damaged .mxl file ({printable(str(error), 100)}); export it again.") from error


def _root_file(path: Path, archive: zipfile.ZipFile, max_bytes: int) -> str:
    names = archive.namelist()
    if "META-INF/container.xml" in names:
        census = _XmlCensus()
        census.read(_entry(path, archive, "META-INF/container.xml", max_bytes))
        if census.root_files:
            return census.root_files[0]
    scores = [name for name in names if name.endswith((".xml", ".musicxml")) and not name.startswith("META-INF/")]
    if not scores:
        raise InputError(f"{path} is a zip file without MusicXML in it; export it again.")
    return scores[0]


def _entry(path: Path, archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    with archive.open(name) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(f"{path} unpacks to more than {max_bytes:,} bytes; cut it into shorter files.")
    return data
