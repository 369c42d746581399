"""MusicXML files as scores, with their marks, metadata and a report of what was left out.

Units: quarter notes, as exact fractions; ticks where a name says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.bars import DEFAULT_SIGNATURE
from descant_tokenizers.scores.closed import lines_of
from descant_tokenizers.scores.marks import Marks, RepeatSign
from descant_tokenizers.scores.measures import Measure, free_signature
from descant_tokenizers.scores.musicxml.container import decoded
from descant_tokenizers.scores.musicxml.elements import (
    FREE_METER,
    WrittenMeasure,
    countable,
    measures_of_parts,
    number_of,
    number_or,
    text_of,
)
from descant_tokenizers.scores.musicxml.movements import restarts
from descant_tokenizers.scores.musicxml.parser import PartParser
from descant_tokenizers.scores.preflight import check_musicxml
from descant_tokenizers.scores.repeats import Notation
from descant_tokenizers.scores.validation import Limits, Metadata
from descant_tokenizers.scores.written import Report, WrittenPart, make_notation

_MAX_TITLE = 200
_MAX_RIGHTS = 500
_ROUNDING = Fraction(1, 8)
_ZERO = Fraction(0)
_PLACEHOLDERS = (
    *("music21", "music21 fragment", "untitled", "untitled score", "title", "[title]", "composer", "[composer]"),
    *("composer / arranger", "lyricist", "[lyricist]", "unknown"),
)
_PLACES = {"title": "center", "composer": "right"}
_NO_NAMES = ("\u00a9", "(c)", "Copyright", "PDF", *"0123456789")
_SUFFIXES = (".musicxml", ".mscz", ".mscx", ".mxl", ".xml", ".mid", ".midi", ".abc", ".krn", ".sib", ".mus", ".musx")


def read_musicxml(path: Path, data: bytes, limits: Limits) -> tuple[Notation, Metadata, list[str]]:
    """Read a MusicXML file.

    Args:
        path: The file, for messages.
        data: Its text, uncompressed.
        limits: Bounds on what is read.

    Returns:
        The score as written, its metadata, and what was left out, one phrase for all kinds.

    Raises:
        InputError: The file is damaged, declares XML entities, or exceeds a bound.
    """
    text = decoded(path, data)
    check_musicxml(path, text, limits)
    try:
        root = _without_namespace(ElementTree.fromstring(text))
        report = Report()
        parts, measures = _read_parts(root, report, limits)
        metadata = _metadata(root)
        lyricist = _creator(root, ("lyricist", "poet"))
        about = Marks(title=metadata.title, composer=metadata.composer, lyricist=lyricist)
        notation = make_notation(lines_of(parts), parts, measures, about, report)
        return notation, metadata, report.sentences()
    except InputError as error:
        raise InputError(str(error).replace("The file", str(path), 1)) from error
    except (ArithmeticError, LookupError, ValueError, ElementTree.ParseError) as error:
        reason = printable(str(error), 120)
        raise InputError(f"{path} cannot be read as MusicXML ({reason}). Export it again.") from error


def _without_namespace(root: Element) -> Element:
    """Return an element whose names are those of MusicXML, which has no namespace, in a file that declares one."""
    if root.tag.startswith("{"):
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
    return root


def _read_parts(root: Element, report: Report, limits: Limits) -> tuple[list[WrittenPart], list[Measure]]:
    """Read the parts measure by measure; all parts begin each measure together (see `_length_of`)."""
    listed = {part.get("id", ""): part for part in root.iter("score-part")}
    contents = measures_of_parts(root)
    parsers = [
        PartParser(_described(listed.get(name), number), report, limits.max_notes)
        for number, name in enumerate(contents, start=1)
    ]
    measures: list[Measure] = []
    start = Fraction(0)
    meter = DEFAULT_SIGNATURE
    meters: list[tuple[int, int]] = []  # in force, of all parts
    for index in range(max((len(own) for own in contents.values()), default=0)):
        found = [
            parser.parse(own[index], start)
            for parser, own in zip(parsers, contents.values(), strict=True)
            if index < len(own)
        ]
        known = list(dict.fromkeys(each.meter for each in found if each.meter is not None))
        if known != meters:
            report.dropped["time signature of one part"] += len(known[1:])
        meter, meters = (known[0] if known else meter), known
        length = _length_of(found, Fraction(4 * meter[0], meter[1]))
        measures.append(Measure(start, length, *(free_signature(length) if meter == FREE_METER else meter)))
        start = countable(start + length)
    for parser in parsers:
        parser.finish()
    parts = [parser.part for parser in parsers]
    numbers = [measure.get("number", "") for measure in next(iter(contents.values()), [])]
    _mark_movements(parts, [measures[index].onset for index in restarts(numbers)], start)
    return parts, measures


def _mark_movements(parts: Sequence[WrittenPart], onsets: Sequence[Fraction], end: Fraction) -> None:
    """Put a sign where each movement begins; a trio that goes back to the fine of its minuet belongs to it."""
    signs = [sign for part in parts for sign in part.signs]
    kinds = [
        {sign.kind for sign in signs if start < sign.time <= stop} for start, stop in pairwise([_ZERO, *onsets, end])
    ]
    for onset, (before, own) in zip(onsets, pairwise(kinds), strict=True):
        if "fine" in own or "fine" not in before or own.isdisjoint(("da capo", "dal segno")):
            parts[0].signs.append(RepeatSign(onset, "movement"))


def _length_of(measure: Sequence[WrittenMeasure], nominal: Fraction) -> Fraction:
    """Return the length of a measure, given its content in each part.

    It is that of the time signature if the notes of a part say so; else, as in a pickup, that of most parts, the
    longest of equals. Rests count only where no part has notes: a rest of a whole measure often has the wrong length. A
    content that misses the time signature by less than a 32nd comes of rounded tuplets.
    """
    filled = [each for each in measure if each.has_notes] or measure
    lengths = [nominal if abs(each.length - nominal) < _ROUNDING else each.length for each in filled if each.length]
    if not lengths or (nominal in lengths and not any(each.is_implicit for each in measure)):
        return nominal
    counts = Counter(lengths)
    return max(lengths, key=lambda length: (counts[length], length))


def _described(listed: Element | None, number: int) -> WrittenPart:
    """Return a part without notes, with the name and program that the part list states."""
    if listed is None:
        return WrittenPart(f"Part {number}")
    shown = " ".join(each.text or "" for each in listed.findall("part-name-display/display-text")).strip()
    tags = ("part-abbreviation", "score-instrument/instrument-name")
    names = (text_of(listed, "part-name"), shown, *(text_of(listed, tag) for tag in tags))
    program = text_of(listed, "midi-instrument/midi-program")
    return WrittenPart(
        next((own for own in names if own), f"Part {number}"),
        min(max(int(number_of(program)) - 1, 0), 127) if program else None,
    )


def _metadata(root: Element) -> Metadata:
    work, movement = (_stated(text_of(root, name)) for name in ("work/work-title", "movement-title"))
    title = f"{work}: {movement}" if work and movement not in work else work or movement or _credit(root, "title")
    rights = [(element.text or "").strip() for element in root.findall("identification/rights")]
    return Metadata(
        title=printable(title, _MAX_TITLE),
        composer=printable(_creator(root, ("composer",)), _MAX_TITLE),
        rights=printable("; ".join(line for line in rights if line), _MAX_RIGHTS),
    )


def _creator(root: Element, kinds: Sequence[str]) -> str:
    for kind in kinds:
        for element in root.findall("identification/creator"):
            if element.get("type", "").lower() == kind and (name := _stated((element.text or "").strip())):
                return printable(name, _MAX_TITLE)
    return next((found for kind in kinds if (found := _credit(root, kind))), "")


def _credit(root: Element, kind: str) -> str:
    """Return what stands on the page as a title or an author.

    Where a file does not say what its texts are, the largest one in the middle is the title, and the first one on the
    right is the composer.
    """
    found = root.findall("credit")
    if kind in _PLACES and not any(credit.find("credit-type") is not None for credit in found):
        first = (credit for credit in found if credit.get("page", "1") == "1")
        words = [each for credit in first if (each := credit.find("credit-words")) is not None]
        there = (each for each in words if each.get("justify", each.get("halign")) == _PLACES[kind])
        names = (each for each in there if not (each.text or "").lstrip().startswith(_NO_NAMES))
        largest = max(names, key=lambda each: number_or(each.get("font-size"), 0), default=None)
        return "" if largest is None else _stated((largest.text or "").strip())
    for credit in found:
        if text_of(credit, "credit-type") == kind:
            return _stated("".join(words.text or "" for words in credit.findall("credit-words")).strip())
    return ""


def _stated(text: str) -> str:
    """Return a title or name without the folder and suffix of a file; empty if a program filled it in."""
    plain = " ".join(text.split())
    if plain.lower() in _PLACEHOLDERS:
        return ""
    suffix = next((suffix for suffix in _SUFFIXES if plain.lower().endswith(suffix)), "")
    return re.split(r"[/\\]", plain)[-1][: -len(suffix)] if suffix else plain
