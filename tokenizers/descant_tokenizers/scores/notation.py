"""Humdrum files through music21, after the checks of `preflight`."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from music21 import converter

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.encodings import decode_text
from descant_tokenizers.scores.marks import Marks, marks_of
from descant_tokenizers.scores.music21_reader import AnyStream, fermatas_of, from_music21
from descant_tokenizers.scores.preflight import check_humdrum
from descant_tokenizers.scores.validation import Limits, Metadata, ReadResult

_HUMDRUM_RIGHTS = re.compile(r"^!!!YE[CM][^:]*:(.*)$", re.MULTILINE)
_MAX_REMARKS = 5
_MAX_TITLE = 200
_MAX_RIGHTS = 500


def parse_humdrum(path: Path, data: bytes, limits: Limits, *, marks: bool = False) -> ReadResult:
    """Parse the bytes of a Humdrum file to a score that is not yet validated; `path` is for messages.

    The repairs in the result are events that music21 could not read.

    Raises:
        InputError: The file is damaged or exceeds a bound.
    """
    text = decode_text(data).replace("\r\n", "\n").replace("\r", "\n")
    check_humdrum(path, text, limits)
    remarks = io.StringIO()
    try:
        with _remarks_to(remarks):
            source: AnyStream = converter.parseData(text, format="humdrum")
            score = from_music21(source)
            fermatas = tuple(fermatas_of(source)) if ";" in text else ()
            metadata = _metadata(source, text)
            found = marks_of(source) if marks else Marks()
    except InputError as error:
        raise InputError(str(error).replace("The file", str(path), 1)) from error
    except Exception as error:  # music21's parsers raise anything
        reason = printable(f"{type(error).__name__}: {error}", 120)
        raise InputError(f"{path} cannot be read as Humdrum ({reason}). Export it again.") from error
    lines = [printable(line, 160) for line in remarks.getvalue().splitlines()[:_MAX_REMARKS]]
    return ReadResult(score, lines, fermatas, metadata, found)


def _metadata(source: AnyStream, text: str) -> Metadata:
    """Gather the metadata; music21 loses the order of licences."""
    about = source.metadata
    titles = [about.parentTitle, about.title or about.movementName] if about else []
    return Metadata(
        title=printable(": ".join(title for title in titles if title), _MAX_TITLE),
        composer=printable((about.composer or "") if about else "", _MAX_TITLE),
        rights=printable("; ".join(line.strip() for line in _HUMDRUM_RIGHTS.findall(text) if line), _MAX_RIGHTS),
    )


@contextlib.contextmanager
def _remarks_to(remarks: io.StringIO) -> Iterator[None]:
    """Collect music21's messages on stderr about events that it skips, and silence its deprecation warnings."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(remarks):
        warnings.simplefilter("ignore")
        yield
