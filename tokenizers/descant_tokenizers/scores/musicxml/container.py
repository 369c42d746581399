"""From the bytes of a MusicXML file to its text: zip files (`.mxl`) and encodings."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.encodings import decode_text
from descant_tokenizers.scores.preflight import XmlPreflight
from descant_tokenizers.scores.validation import check_count

ZIP_MAGIC = b"PK\x03\x04"
_CONTAINER = "META-INF/container.xml"
_WIDE = {
    **{b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"},
    **{b"<\0": "utf-16-le", b"\0<": "utf-16-be"},
}
_ENCODING = re.compile(rb"[^>]{0,99}?<\?xml[^>]{0,200}?\bencoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
_SUFFIXES = (".xml", ".musicxml")
_ASIDE = re.compile(r"^(META-INF|__MACOSX)/|(^|/)\._")  # not music: the container, and what macOS adds to zip files
_MAX_ENTRIES = 1_000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # MusicXML has these; zipfile does not bound what others unpack


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


def decoded(path: Path, data: bytes) -> str:
    """Decode the text of a MusicXML file.

    UTF-16 shows in the first bytes, with a byte order mark or without, whatever the declaration says; else the declared
    encoding counts. Text that is in neither is decoded as `decode_text` does.

    Raises:
        InputError: Nothing knows the encoding that is declared.
    """
    data = data.lstrip(b" \t\r\n")
    wide = next((encoding for start, encoding in _WIDE.items() if data.startswith(start)), None)
    if wide is not None:
        return data.decode(wide, "replace").lstrip("\ufeff")
    declared = _ENCODING.match(data)
    name = declared[1].decode("ascii", "replace") if declared else "utf-8"
    if name.lower().startswith(("utf-16", "utf16", "utf-8", "utf8", "ucs")):
        return decode_text(data)
    try:
        return data.decode(name)
    except LookupError as error:
        raise InputError(f"{path} is XML in an unknown encoding ({error}). Export it as UTF-8.") from error
    except UnicodeError:
        return decode_text(data)


def _root_file(path: Path, archive: zipfile.ZipFile, max_bytes: int) -> str:
    """Return the first score that the container names, else the first one in the file."""
    names = archive.namelist()
    named: list[str] = []
    if _CONTAINER in names:
        preflight = XmlPreflight()
        preflight.read(_entry(path, archive, _CONTAINER, max_bytes))
        named = [name for name in preflight.root_files if name in names]
    scores = [name for name in [*named, *names] if name.lower().endswith(_SUFFIXES) and not _ASIDE.search(name)]
    found = next(iter([*scores, *named]), None)
    if found is None:
        raise InputError(f"{path} is a zip file without MusicXML in it. Export it again.")
    return found


def _entry(path: Path, archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    if archive.getinfo(name).compress_type not in _METHODS:
        raise InputError(f"{path} is packed in a way that .mxl files are not. Export it again.")
    with archive.open(name) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(f"{path} unpacks to more than {max_bytes:,} bytes. Cut it into shorter files.")
    return data
