"""Read score files: any supported format in, one validated score out."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from pathlib import Path
from typing import Literal

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.abc.reader import read_abc
from descant_tokenizers.scores.form import form_of
from descant_tokenizers.scores.humdrum.reader import read_humdrum
from descant_tokenizers.scores.marks import Marks, with_notes
from descant_tokenizers.scores.midi import check_midi, parse_midi, unwrapped
from descant_tokenizers.scores.midi_events import MIDI_MAGIC, count_tracks
from descant_tokenizers.scores.midi_lyrics import lyrics_of
from descant_tokenizers.scores.musicxml.container import ZIP_MAGIC, unpacked
from descant_tokenizers.scores.musicxml.reader import read_musicxml
from descant_tokenizers.scores.repeats import with_starts
from descant_tokenizers.scores.result import ReadResult
from descant_tokenizers.scores.staves import split_staves
from descant_tokenizers.scores.unfolding import with_bars
from descant_tokenizers.scores.validation import Limits, check_count, validated

ScoreFormat = Literal["midi", "musicxml", "mxl", "abc", "humdrum"]

SUFFIXES: dict[str, ScoreFormat] = {
    ".mid": "midi",
    ".midi": "midi",
    ".kar": "midi",
    ".rmi": "midi",
    ".xml": "musicxml",
    ".musicxml": "musicxml",
    ".mxl": "mxl",
    ".abc": "abc",
    ".krn": "humdrum",
}
"""File name suffixes of the supported formats."""

_NAMES: dict[ScoreFormat, str] = {
    "midi": "a MIDI file",
    "musicxml": "a MusicXML file",
    "mxl": "a compressed MusicXML file",
}
_SNIFFED_BYTES = 4096
_XML = re.compile(rb"(\xef\xbb\xbf)?\s*<[?!a-z]|(\xff\xfe)?<\0[?!a-z]\0|(\xfe\xff)?\0<\0[?!a-z]")
_ABC = re.compile(rb"(?m)^(\xef\xbb\xbf)?X:\s*\d")
_HUMDRUM = re.compile(rb"(?m)^\*\*(kern|recip)\b|^\*\*\w+\t.*\*\*kern\b")
_DEFAULT_LIMITS = Limits()


def read_score(path: str | os.PathLike[str], limits: Limits = _DEFAULT_LIMITS) -> ScoreTick:
    """Read a MIDI, MusicXML (.musicxml, .xml, .mxl), ABC or Humdrum (.krn) file.

    The content determines the format, not the file name. Scores from notation files have 480 ticks per quarter, a
    track for each part, and a pickup as a short bar with its own time signature; the repeats of notation
    files are unfolded. Scores from MIDI files keep their resolution and their bars, and 4/4 is assumed where there is
    no time signature.

    Args:
        path: The file.
        limits: Bounds on what is read.

    Returns:
        A score with at least one pitched track; see `validated` for what it holds.

    Raises:
        InputError: The file is missing, unreadable, of an unknown format, damaged, beyond a limit, or without pitched
            notes.
    """
    return read_score_report(path, limits).score


def read_score_report(
    path: str | os.PathLike[str],
    limits: Limits = _DEFAULT_LIMITS,
    *,
    controls: bool = False,
    marks: bool = False,
    unfold: bool = True,
    tune: int | None = None,
) -> ReadResult:
    """Read a score file like `read_score`, and report its repairs and metadata.

    Args:
        path: The file.
        limits: Bounds on what is read.
        controls: Keep the controllers (pedals, volume, ...) and pitch bends of a MIDI file.
        marks: Read the marks (lyrics, fermatas, words) as well; MIDI files have lyrics only.
        unfold: Write out repeats, endings and jumps in the order in which they are played; False keeps the text as
            written, and its signs in the marks.
        tune: Tune of an ABC file to read: the number in its `X:` field, else its place in the file from 1.

    Returns:
        The score, its repairs, its metadata, and its marks if asked for.

    Raises:
        InputError: As for `read_score`.
    """
    source = Path(path)
    data = read_bytes(source, limits.max_bytes)
    return parse_score(source, data, limits, controls=controls, marks=marks, unfold=unfold, tune=tune)


def parse_score(
    path: Path,
    data: bytes,
    limits: Limits = _DEFAULT_LIMITS,
    *,
    controls: bool = False,
    marks: bool = False,
    unfold: bool = True,
    tune: int | None = None,
) -> ReadResult:
    """Parse bytes as `read_score_report` reads a file; `path` is for messages and plain-text formats.

    Raises:
        InputError: As for `read_score`.
    """
    data = unwrapped(data)
    form = _format_of(path, data)
    if tune is not None and form != "abc":
        raise InputError(f"{path} is not a file of tunes in ABC. Leave --tune out.")
    if form == "midi":
        check_count(path, "tracks", count_tracks(data), limits.max_tracks)
        parsed, changes = parse_midi(path, data)
        check_count(path, "notes", parsed.note_num(), limits.max_notes)
        changes += check_midi(path, data, limits.max_events, parsed.note_num()) + split_staves(parsed)
        sung, lost = lyrics_of(data, parsed) if marks else (Marks(), [])
        found = ReadResult(parsed, changes + lost, marks=sung)
    else:
        found, controls = _parse_notation(path, data, form, limits, tune, unfold=unfold), False
    score, repairs = validated(path, found.score, limits, controls=controls)
    known = with_notes(found.marks, found.score) if marks else found.marks
    return dataclasses.replace(found, score=score, repairs=found.repairs + repairs, marks=known)


def _parse_notation(
    path: Path, data: bytes, form: ScoreFormat, limits: Limits, tune: int | None, *, unfold: bool
) -> ReadResult:
    """Read a notation file, settle its bars, and write its repeats out."""
    if form == "abc":
        written, metadata, remarks = read_abc(path, data, limits, tune)
    elif form == "humdrum":
        written, metadata, remarks = read_humdrum(path, data, limits)
    else:
        written, metadata, remarks = read_musicxml(path, unpacked(path, data, limits.max_bytes), limits)
    try:
        written = with_starts(written)
        notation = with_bars(written, limits, unfold=unfold)
        form_found = form_of(written) if unfold else None
    except InputError as error:
        raise InputError(str(error).replace("The file", str(path), 1)) from error
    if form_found is not None and (count := form_found.num_unplayed):
        remarks = [*remarks, f"dropped: {count:,} note{'s' * (count > 1)} that repeats and jumps never reach"]
    return ReadResult(notation.score, remarks, notation.fermatas_ticks, metadata, notation.marks, form_found)


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a whole file of at most `max_bytes`.

    Raises:
        InputError: The file is missing, unreadable, not an ordinary file, or too large.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a folder. Give a file ({', '.join(SUFFIXES)}).")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is a device or a pipe. Give an ordinary file.")
        if status.st_size > max_bytes:
            raise InputError(
                f"{path} has {status.st_size:,} bytes, more than the limit of {max_bytes:,}. Cut it shorter."
            )
        with open(path, "rb", buffering=0) as file:
            return file.readall()[:max_bytes]
    except FileNotFoundError:
        raise InputError(f"There is no file {path}. Check the name.") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"Cannot read {path} ({reason.lower()}). Check its name and permissions.") from error


def _format_of(path: Path, data: bytes) -> ScoreFormat:
    if not data:
        raise InputError(f"{path} is empty. Export it again.")
    found = _sniff(data[:_SNIFFED_BYTES])
    if found is not None:
        return found
    named = SUFFIXES.get(path.suffix.lower())
    if named is None:
        raise InputError(f"{path} has an unknown format. Give one of {', '.join(SUFFIXES)}.")
    if named in _NAMES:
        raise InputError(f"{path} is not {_NAMES[named]} despite its name. Export it again.")
    return named  # ABC and Humdrum are plain text that may begin with anything


def _sniff(head: bytes) -> ScoreFormat | None:
    if head.startswith(MIDI_MAGIC):
        return "midi"
    if head.startswith(ZIP_MAGIC):
        return "mxl"
    if _XML.match(head):
        return "musicxml"
    if _HUMDRUM.search(head):
        return "humdrum"
    return "abc" if _ABC.search(head) else None
