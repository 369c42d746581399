"""MIDI files in and out, through symusic."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from symusic.core import ScoreTick

from descant_tokenizers.errors import InputError, printable
from descant_tokenizers.files import atomic_write

__all__ = ["MIDI_MAGIC", "parse_midi", "write_midi"]

MIDI_MAGIC = b"MThd"
_HEADER = struct.Struct(">4sIHHH")  # magic, header length, format, number of tracks, division
_SMPTE_BIT = 0x8000
_INDEPENDENT_TRACKS = 2


def parse_midi(path: Path, data: bytes) -> ScoreTick:
    """Parse the bytes of a MIDI file; the score is not yet validated.

    Args:
        path: Where the bytes came from, for messages.
        data: The whole file.

    Returns:
        The score as symusic reads it.

    Raises:
        InputError: The bytes are no MIDI file, are damaged or cut off, or use SMPTE time or format 2.
    """
    if len(data) < _HEADER.size or not data.startswith(MIDI_MAGIC):
        raise InputError(f"{path} is not a MIDI file, or is cut off; export it again.")
    _, _, form, _, division = _HEADER.unpack_from(data)
    if division & _SMPTE_BIT:
        raise InputError(f"{path} counts time in film frames (SMPTE); export it with ticks per quarter note.")
    if form == _INDEPENDENT_TRACKS:
        raise InputError(f"{path} holds independent patterns (MIDI format 2); export it in format 0 or 1.")
    try:
        return ScoreTick.from_midi(data)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is damaged or cut off ({printable(str(error), 100)}); export it again.") from error


def write_midi(score: ScoreTick, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a score as a MIDI file of format 1, in one step: the file is complete or not there.

    Names, programs, notes, tempos, time and key signatures survive unchanged; a track without notes does not.

    Args:
        score: The score to write.
        path: The file; its folder is created if only the last part of it is missing.
        force: Replace an existing file.

    Raises:
        InputError: `path` exists and `force` is off, or it cannot be written.
    """
    target = Path(path)
    if os.path.lexists(target) and not force and not target.is_dir():
        raise InputError(f"{target} exists already; choose another name, or pass --force to replace it.")
    data = score.dumps_midi()
    with atomic_write(target) as temporary:
        temporary.write_bytes(data)
