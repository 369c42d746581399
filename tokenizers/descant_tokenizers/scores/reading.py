"""One door for score files: any supported format in, one validated score out."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.midi import MIDI_MAGIC, check_midi, parse_midi
from descant_tokenizers.scores.validation import Limits, validated

__all__ = ["SUFFIXES", "ReadResult", "parse_score", "read_bytes", "read_score", "read_score_report"]

Format = Literal["midi", "musicxml", "mxl", "abc", "humdrum"]

SUFFIXES: dict[str, Format] = {
    ".mid": "midi",
    ".midi": "midi",
    ".xml": "musicxml",
    ".musicxml": "musicxml",
    ".mxl": "mxl",
    ".abc": "abc",
    ".krn": "humdrum",
}
"""File name suffixes of the supported formats."""

_NAMES: dict[Format, str] = {
    "midi": "a MIDI file",
    "musicxml": "a MusicXML file",
    "mxl": "a compressed MusicXML file",
    "abc": "an ABC file",
    "humdrum": "a Humdrum file",
}
_SNIFFED_BYTES = 4096
_XML = re.compile(rb"(\xef\xbb\xbf)?\s*<[?!a-z]|\xff\xfe<\0|\xfe\xff\0<")
_ABC = re.compile(rb"(?m)^(\xef\xbb\xbf)?X:\s*\d")
_HUMDRUM = re.compile(rb"(?m)^\*\*(kern|recip)\b|^\*\*\w+\t.*\*\*kern\b")
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A score that was read, and what had to be repaired in it.

    Attributes:
        score: The validated score.
        repairs: One sentence for each kind of repair; empty for a clean file.
        fermatas_ticks: Onsets of notes under a fermata, rising; MIDI has none.
        title: What the file calls itself, empty where it says nothing; of MIDI nothing is taken.
        composer: The composer that it names.
        rights: Its copyright and licence statements.
        encoder: Who transcribed it, as ABC files say.
    """

    score: ScoreTick
    repairs: list[str] = field(default_factory=list)
    fermatas_ticks: tuple[int, ...] = ()
    title: str = ""
    composer: str = ""
    rights: str = ""
    encoder: str = ""


def read_score(path: str | os.PathLike[str], limits: Limits = _DEFAULT_LIMITS) -> ScoreTick:
    """Read a MIDI, MusicXML (.musicxml, .xml, .mxl), ABC or Humdrum (.krn) file.

    The format is told by the content, not by the name. Notation files get 480 ticks per quarter and a track for each
    part, repeats not expanded, a pickup as a short bar with its own time signature; MIDI files keep their resolution
    and their bars. A MIDI file without a time signature counts as 4/4.

    Args:
        path: The file.
        limits: Bounds on what is read.

    Returns:
        A score with at least one pitched track; see `validated` for what it holds.

    Raises:
        InputError: The file is missing, unreadable, of no supported format, damaged, beyond a limit, or without
            pitched notes.
    """
    return read_score_report(path, limits).score


def read_score_report(
    path: str | os.PathLike[str], limits: Limits = _DEFAULT_LIMITS, *, controls: bool = False
) -> ReadResult:
    """Read a score file like `read_score`, and say what was repaired in it.

    Args:
        path: The file.
        limits: Bounds on what is read.
        controls: Keep the controllers (pedals, volume, ...) and pitch bends of a MIDI file.

    Returns:
        The score, and one sentence for each kind of repair.

    Raises:
        InputError: As for `read_score`.
    """
    source = Path(path)
    return parse_score(source, read_bytes(source, limits.max_bytes), limits, controls=controls)


def parse_score(path: Path, data: bytes, limits: Limits = _DEFAULT_LIMITS, *, controls: bool = False) -> ReadResult:
    """Read a score like `read_score_report` from bytes at hand.

    Args:
        path: Where the bytes came from, for messages and for a format that its name alone tells.
        data: The whole file, or one tune of a collection.
        limits: Bounds on what is read.
        controls: Keep the controllers and pitch bends of a MIDI file.

    Returns:
        The score, and one sentence for each kind of repair.

    Raises:
        InputError: As for `read_score`.
    """
    form = _format_of(path, data)
    if form == "midi":
        parsed = parse_midi(path, data)
        remarks = check_midi(path, data, limits.max_events, parsed.note_num())
        score, repairs = validated(path, parsed, limits, controls=controls)
        return ReadResult(score, remarks + repairs)
    from descant_tokenizers.scores.notation import parse_notation

    found = parse_notation(path, data, form, limits)
    score, repairs = validated(path, found.score, limits)
    said = found.credits
    return ReadResult(
        score, found.remarks + repairs, found.fermatas_ticks, said.title, said.composer, said.rights, said.encoder
    )


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a whole file.

    Args:
        path: The file.
        max_bytes: Largest size to read.

    Returns:
        Its bytes.

    Raises:
        InputError: It is missing, unreadable, no ordinary file, or too large.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a folder; give a file ({', '.join(SUFFIXES)}).")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is a device or a pipe; give an ordinary file.")
        if status.st_size > max_bytes:
            raise InputError(
                f"{path} has {status.st_size:,} bytes, and at most {max_bytes:,} are read; cut it shorter."
            )
        with open(path, "rb", buffering=0) as file:
            return file.readall()[:max_bytes]
    except FileNotFoundError:
        raise InputError(f"there is no file {path}; check the name.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot read {path} ({reason.lower()}); check its name and permissions.") from error


def _format_of(path: Path, data: bytes) -> Format:
    if not data:
        raise InputError(f"{path} is empty; export it again.")
    found = _sniff(data[:_SNIFFED_BYTES])
    if found is not None:
        return found
    named = SUFFIXES.get(path.suffix.lower())
    if named == "abc" or named == "humdrum":  # both are plain text that may begin with anything
        return named
    if named is not None:
        raise InputError(f"{path} is not {_NAMES[named]}, whatever its name says; export it again.")
    raise InputError(f"{path} is of no known format; give one of {', '.join(SUFFIXES)}.")


def _sniff(head: bytes) -> Format | None:
    if head.startswith(MIDI_MAGIC):
        return "midi"
    if head.startswith(b"PK\x03\x04"):
        return "mxl"
    if _XML.match(head):
        return "musicxml"
    if _HUMDRUM.search(head):
        return "humdrum"
    return "abc" if _ABC.search(head) else None
