"""A cache of pieces by the content of their files, so that a second build reads nothing twice."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.rows import CorpusPiece

PIECE_SOURCES = ("scores", *(f"corpora/{name}.py" for name in ("chorales", "digests", "files", "reading", "rows")))
ROW_SOURCES = ("scores", "corpora", "corpora/data")
KINDS = ("pieces", "datasets", "tokens")
MAX_IDLE_DAYS = 30
CACHE_REMEDY = "free some space, or set XDG_CACHE_HOME to another folder"
LIBRARIES = ("music21", "symusic")


def cache_dir() -> Path:
    """Return the folder for everything that can be made again: `$XDG_CACHE_HOME/descant`, else `~/.cache/descant`.

    It may be removed at any time.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "descant"


def make_cache_folder(folder: Path) -> None:
    """Create a folder of the cache, and note that it is in use.

    Args:
        folder: A path under `cache_dir()`.

    Raises:
        InputError: The user may not write there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError as error:
        raise InputError(
            f"cannot create the cache folder {folder} ({error.strerror}); set XDG_CACHE_HOME to another one."
        ) from error


def prune_cache(max_idle_days: float = MAX_IDLE_DAYS) -> list[Path]:
    """Remove what no run has used for long: mostly what older versions of the code left.

    Args:
        max_idle_days: Days without use after which a version's folder goes.

    Returns:
        The folders removed.
    """
    oldest = time.time() - max_idle_days * 86_400
    idle = []
    for kind in KINDS:
        for folder in cache_dir().joinpath(kind).glob("*"):
            with contextlib.suppress(OSError):  # another process may prune, too
                if folder.stat().st_mtime < oldest:
                    idle.append(folder)
    for folder in idle:
        shutil.rmtree(folder, ignore_errors=True)
    return idle


@cache
def piece_version() -> str:
    """Return a digest of the code that reads pieces, so that what an older version read is never used."""
    return code_version(*PIECE_SOURCES, libraries=LIBRARIES)


@cache
def reader_version() -> str:
    """Return a digest of the code that makes rows, so that what an older version made is never used."""
    return code_version(*ROW_SOURCES, libraries=LIBRARIES)


def code_version(*sources: str, libraries: Sequence[str]) -> str:
    """Return a digest of code.

    Args:
        sources: Files of this package, and folders of it (not their subfolders).
        libraries: Libraries whose versions count, too.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(" ".join(version(library) for library in libraries).encode())
    for source in map(files("descant_tokenizers").joinpath, sources):
        for file in sorted(source.iterdir(), key=lambda item: item.name) if source.is_dir() else [source]:
            if file.is_file():
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def piece_folder(reader: str) -> Path:
    """Return where the pieces of a reader are kept, by its name: two may read the same bytes in different ways."""
    return cache_dir() / "pieces" / f"{reader}-{piece_version()}"


def cache_path(data: bytes, reader: str) -> Path:
    """Return where a piece is kept.

    Args:
        data: The bytes that it is read from.
        reader: Name of the reader.
    """
    digest = hashlib.sha256(data).hexdigest()
    return piece_folder(reader) / digest[0] / f"{digest}.json"  # making 256 folders would take longer than 1,000 files


def load_piece(path: Path) -> CorpusPiece | None:
    """Return the cached piece, or None if there is none that can be read."""
    try:
        return unpack_piece(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_piece(path: Path, piece: CorpusPiece) -> None:
    """Put a piece into the cache."""
    text = json.dumps(pack_piece(piece))
    try:
        try:
            _write(path, text)
        except FileNotFoundError:
            make_cache_folder(path.parent)
            _write(path, text)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise InputError(f"cannot write {path} ({str(error.strerror).lower()}); {CACHE_REMEDY}.") from error


def _write(path: Path, text: str) -> None:
    """Write a file in place: half of one is no JSON, so it counts as none, and whoever writes it writes the same."""
    with open(path, "wb") as file:
        file.write(text.encode("ascii"))


def pack_piece(piece: CorpusPiece) -> dict[str, Any]:
    """Return a piece as values that JSON knows."""
    return vars(piece) | {"music": base64.b64encode(piece.music).decode("ascii")}


def unpack_piece(fields: Mapping[str, Any]) -> CorpusPiece:
    """Return the piece that `pack_piece` packed; raises `ValueError`, `KeyError` or `TypeError` if it is none."""
    tuples = {name: tuple(fields[name]) for name in ("fermatas", "remarks")}
    return CorpusPiece(**{**fields, "music": base64.b64decode(fields["music"]), **tuples})
