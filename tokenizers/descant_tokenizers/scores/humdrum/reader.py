"""Humdrum files as scores, with their marks, metadata and a report of what was left out."""

from __future__ import annotations

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.closed import lines_of
from descant_tokenizers.scores.encodings import decode_text
from descant_tokenizers.scores.humdrum.parser import HumdrumParser
from descant_tokenizers.scores.jumps import sorted_signs
from descant_tokenizers.scores.marks import Marks, RepeatSign
from descant_tokenizers.scores.measures import TICKS_PER_QUARTER, end_of
from descant_tokenizers.scores.preflight import check_humdrum
from descant_tokenizers.scores.repeats import Notation, play_order
from descant_tokenizers.scores.validation import Limits, Metadata
from descant_tokenizers.scores.written import make_notation

_MAX_TITLE = 200
_MAX_RIGHTS = 500
_TEMPLATE = re.compile(r"@\{([^}]*)\}")


def read_humdrum(path: Path, data: bytes, limits: Limits) -> tuple[Notation, Metadata, list[str]]:
    """Read a Humdrum file with **kern spines.

    Args:
        path: The file, for messages.
        data: Its bytes.
        limits: Bounds on what is read.

    Returns:
        The score as written, its metadata, and what was left out, one phrase for all kinds.

    Raises:
        InputError: The file is damaged or exceeds a bound.
    """
    text = decode_text(data).replace("\r\n", "\n").replace("\r", "\n")
    check_humdrum(path, text, limits)
    parser = HumdrumParser(limits.max_ticks // TICKS_PER_QUARTER)
    try:
        parser.parse(text)
    except InputError as error:
        raise InputError(str(error).replace("The file", str(path), 1)) from error
    except (ArithmeticError, LookupError, ValueError) as error:
        reason = printable(str(error), 120)
        raise InputError(f"{path} cannot be read as Humdrum ({reason}). Export it again.") from error
    metadata = _metadata(parser.records)
    about = Marks(
        title=metadata.title,
        composer=_in_order(metadata.composer),
        lyricist=_in_order(_record(parser.records, "LYR")),
    )
    parts = parser.parts[::-1]  # the lowest one is on the left
    notation = make_notation(lines_of(parts), parts, parser.measures, about, parser.report, parser.order)
    try:
        return _with_signs(notation), metadata, parser.report.sentences()
    except InputError as error:
        raise InputError(str(error).replace("The file", str(path), 1)) from error


def _with_signs(notation: Notation) -> Notation:
    """Say with repeat signs and endings what an order of sections says, if they can.

    An order in which a section comes twice includes the repeats; the signs then count only if they say the same.
    """
    order, end = notation.part_order, end_of(notation.measures)
    if len(set(order)) == len(order):
        return notation
    without_repeats = [sign for sign in notation.signs if sign.kind not in ("start", "end")]
    with_endings = sorted_signs([*notation.signs, *_endings(order, notation.signs, end)])
    if play_order(with_endings, end) == play_order(without_repeats, end, order):
        return replace(notation, signs=with_endings, part_order="")
    return replace(notation, signs=without_repeats)


def _endings(order: Sequence[str], signs: Sequence[RepeatSign], end: Fraction) -> Iterator[RepeatSign]:
    """Yield the endings among sections: `A1` and `A2` are played after `A`, each in its own passes."""
    passes: dict[str, list[int]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for label, following in zip(order, [*order[1:], ""], strict=True):
        counts[label] += 1
        if re.fullmatch(rf"{re.escape(label)}\d+", following):
            passes[following].append(counts[label])
    parts = [sign for sign in signs if sign.kind == "part"]
    for sign, until in zip(parts, [*(each.time for each in parts[1:]), end], strict=False):
        if sign.label in passes:
            yield RepeatSign(sign.time, "ending", tuple(passes[sign.label]), until=until)


def _metadata(records: Sequence[tuple[str, str]]) -> Metadata:
    parent, title = _record(records, "OPR"), _record(records, "OTL") or _title_of_template(records)
    rights = [html.unescape(value) for name, value in records if name.partition("@")[0] in ("YEC", "YEM")]
    return Metadata(
        title=printable(": ".join(each for each in (parent, title) if each), _MAX_TITLE),
        composer=printable(_record(records, "COM"), _MAX_TITLE),
        rights=printable("; ".join(line for line in rights if line), _MAX_RIGHTS),
    )


def _record(records: Sequence[tuple[str, str]], name: str) -> str:
    """Return a record; of several languages, the original one (`@@`), else the first."""
    found = [(key, value) for key, value in records if re.fullmatch(rf"{name}\d*(@@?\w+)?", key) and value]
    original = [value for key, value in found if "@@" in key]
    plain = [value for key, value in found if "@" not in key]
    return html.unescape((plain or original or [value for _, value in found] or [""])[0])


def _title_of_template(records: Sequence[tuple[str, str]]) -> str:
    """Return the title that `!!!title:` makes of other records, such as `@{OTL@@DE}`."""
    template = next((value for name, value in records if name == "title"), "")
    values = dict(records)
    return html.unescape(_TEMPLATE.sub(lambda field: values.get(field[1], ""), template)).strip()


def _in_order(name: str) -> str:
    """Return a name such as `Bach, Johann Sebastian` as it is printed: Johann Sebastian Bach."""
    last, comma, first = name.partition(", ")
    return f"{first} {last}" if comma and "," not in first and ";" not in name else name
