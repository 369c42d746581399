"""Compressed MusicXML (`.mxl`): a zip file whose container names the score."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.preflight import XmlPreflight
from descant_tokenizers.scores.validation import check_count

ZIP_MAGIC = b"PK\x03\x04"
_CONTAINER = "META-INF/container.xml"
_MAX_ENTRIES = 1_000


def unpacked(path: Path, data: bytes, max_bytes: int) -> bytes:
    """Return the MusicXML text of a file, whatever its suffix; text that is not compressed is returned as it is.

    Args:
        path: The file, for messages.
        data: Its bytes.
        max_bytes: Bound on the size of any entry that is unpacked.

    Raises:
        InputError: The zip file is damaged, has no MusicXML in it, or exceeds the bound.
    """
    if not data.startswith(ZIP_MAGIC):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_count(path, "entries", len(archive.infolist()), _MAX_ENTRIES)
            return _entry(path, archive, _root_file(path, archive, max_bytes), max_bytes)
    except InputError:
        raise
    except Exception as error:  # zipfile and its decompressors raise anything
        raise InputError(f"{path} is a damaged .mxl file ({printable(str(error), 100)}). Export it again.") from error


def _root_file(path: Path, archive: zipfile.ZipFile, max_bytes: int) -> str:
    names = archive.namelist()
    if _CONTAINER in names:
        preflight = XmlPreflight()
        preflight.read(_entry(path, archive, _CONTAINER, max_bytes))
        if preflight.root_files:
            return preflight.root_files[0]
    scores = [name for name in names if name.endswith((".xml", ".musicxml")) and not name.startswith("META-INF/")]
    if not scores:
        raise InputError(f"{path} is a zip file without MusicXML in it. Export it again.")
    return scores[0]


def _entry(path: Path, archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    with archive.open(name) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(f"{path} unpacks to more than {max_bytes:,} bytes. Cut it into shorter files.")
    return data
