"""ABC and Humdrum files through music21, after the checks of `preflight`."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from music21 import abcFormat, converter
from music21.abcFormat import translate

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.encodings import decode_text
from descant_tokenizers.scores.marks import Marks, marks_of
from descant_tokenizers.scores.music21_reader import AnyStream, fermatas_of, from_music21
from descant_tokenizers.scores.preflight import check_abc, check_humdrum
from descant_tokenizers.scores.validation import Limits, Metadata, ReadResult

NotationFormat = Literal["abc", "humdrum"]

_NAMES = {"abc": "ABC", "humdrum": "Humdrum"}
_FERMATA_SIGNS = {"abc": "fermata", "humdrum": ";"}
_HUMDRUM_RIGHTS = re.compile(r"^!!!YE[CM][^:]*:(.*)$", re.MULTILINE)
_ABC_ENCODER = re.compile(r"^Z:(.*)$", re.MULTILINE)
_MAX_REMARKS = 5
_MAX_ABC_BAR_QUARTERS = 128
_MAX_TITLE = 200
_MAX_RIGHTS = 500


def parse_notation(path: Path, data: bytes, form: NotationFormat, limits: Limits, *, marks: bool = False) -> ReadResult:
    """Parse the bytes of a notation file to a score that is not yet validated; `path` is for messages.

    The repairs in the result are events that music21 could not read.

    Raises:
        InputError: The file is damaged, holds several pieces, declares XML entities, or exceeds a bound.
    """
    text = _checked_text(path, data, form, limits)
    remarks = io.StringIO()
    try:
        with _remarks_to(remarks):
            source = _stream_of(text, form)
            score = from_music21(source)
            fermatas = tuple(fermatas_of(source)) if _FERMATA_SIGNS[form] in text else ()
            metadata = _metadata(source, text, form)
            found = marks_of(source) if marks else Marks()
    except InputError as error:
        raise InputError(str(error).replace("The file", str(path), 1)) from error
    except Exception as error:  # music21's parsers raise anything
        reason = printable(f"{type(error).__name__}: {error}", 120)
        raise InputError(f"{path} cannot be read as {_NAMES[form]} ({reason}). Export it again.") from error
    lines = [printable(line, 160) for line in remarks.getvalue().splitlines()[:_MAX_REMARKS]]
    return ReadResult(score, lines, fermatas, metadata, found)


def _metadata(source: AnyStream, text: str, form: str) -> Metadata:
    """Gather the metadata; music21 loses the order of Humdrum licences and the transcriber of ABC files."""
    about = source.metadata
    rights = _HUMDRUM_RIGHTS.findall(text) if form == "humdrum" else [about.copyright] if about else []
    titles = [about.parentTitle, about.title or about.movementName] if about else []
    return Metadata(
        title=printable(": ".join(title for title in titles if title), _MAX_TITLE),
        composer=printable((about.composer or "") if about else "", _MAX_TITLE),
        rights=printable("; ".join(line.strip() for line in rights if line and line != "None"), _MAX_RIGHTS),
        encoder=printable(" ".join(_ABC_ENCODER.findall(text)), _MAX_RIGHTS) if form == "abc" else "",
    )


def _stream_of(text: str, form: str) -> AnyStream:
    if form != "abc":
        return converter.parseData(text, format=form)
    handler = abcFormat.ABCFile().readstr(text)
    _check_abc_bars(handler)
    if handler.definesReferenceNumbers():  # type: ignore[no-untyped-call]
        raise InputError("The file holds several pieces. Split it into files of one piece each.")
    score: AnyStream = translate.abcToStreamScore(handler)  # type: ignore[no-untyped-call]
    return score


def _check_abc_bars(handler: abcFormat.ABCHandler) -> None:
    """Refuse long bars: music21 gives their remainder a signature, in time that grows faster than its square."""
    quarters = 0.0
    for token in handler.tokens:
        if isinstance(token, abcFormat.ABCBar):
            quarters = 0.0
        elif isinstance(token, abcFormat.ABCNote):  # includes chords and rests
            quarters += token.quarterLength
        if quarters > _MAX_ABC_BAR_QUARTERS:
            raise InputError(f"The file has a bar of over {_MAX_ABC_BAR_QUARTERS} quarter notes. Add the bar lines.")


@contextlib.contextmanager
def _remarks_to(remarks: io.StringIO) -> Iterator[None]:
    """Collect music21's messages on stderr about events that it skips, and silence its deprecation warnings."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(remarks):
        warnings.simplefilter("ignore")
        yield


def _checked_text(path: Path, data: bytes, form: NotationFormat, limits: Limits) -> str:
    text = decode_text(data).replace("\r\n", "\n").replace("\r", "\n")
    check = check_abc if form == "abc" else check_humdrum
    check(path, text, limits)
    return text
