"""A cache of pieces by the content of their files, so that no file is read twice."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.rows import CorpusPiece
from descant_tokenizers.scores.validation import Metadata

_SCORES = ("scores", "scores/abc", "scores/musicxml")
PIECE_SOURCES = (*_SCORES, *(f"corpora/{name}.py" for name in ("chorales", "files", "reading", "rows", "splits")))
ROW_SOURCES = (*_SCORES, "corpora", "corpora/data")
LIBRARIES = ("music21", "symusic")
KINDS = ("pieces", "datasets", "tokens", "compiled")
MAX_IDLE_DAYS = 30
CACHE_REMEDY = "Free some space, or set XDG_CACHE_HOME to another folder."


def cache_dir() -> Path:
    """Return the folder of all caches: `$XDG_CACHE_HOME/descant`, else `~/.cache/descant`.

    It may be deleted at any time.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "descant"


def make_cache_folder(folder: Path) -> None:
    """Create a folder under `cache_dir()`, or mark it as in use.

    Raises:
        InputError: The user may not write there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError as error:
        raise InputError(
            f"Cannot create the cache folder {folder} ({error.strerror}). Set XDG_CACHE_HOME to another one."
        ) from error


def prune_cache(max_idle_days: float = MAX_IDLE_DAYS) -> list[Path]:
    """Remove folders unused for `max_idle_days`, mostly those of older versions; return them."""
    oldest = time.time() - max_idle_days * 86_400
    idle = []
    for kind in KINDS:
        for folder in cache_dir().joinpath(kind).glob("*"):
            with contextlib.suppress(OSError):  # another process may prune too
                if folder.stat().st_mtime < oldest:
                    idle.append(folder)
    for folder in idle:
        shutil.rmtree(folder, ignore_errors=True)
    return idle


@cache
def piece_version() -> str:
    """Return a digest of the code that reads pieces, so that a cache of another version is never used."""
    return code_version(*PIECE_SOURCES, libraries=LIBRARIES)


@cache
def reader_version() -> str:
    """Return a digest of the code that makes rows, so that a cache of another version is never used."""
    return code_version(*ROW_SOURCES, libraries=LIBRARIES)


def code_version(*sources: str, libraries: Sequence[str]) -> str:
    """Return 16 hexadecimal digits that identify the code in files and folders of this package, and the libraries."""
    digest = hashlib.sha256(" ".join(version(library) for library in libraries).encode())
    for source in map(files("descant_tokenizers").joinpath, sources):
        found = [item for item in source.iterdir() if item.is_file()] if source.is_dir() else [source]
        for file in sorted(found, key=lambda item: item.name):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def piece_folder(reader: str) -> Path:
    """Return the folder of a reader's pieces: two readers may read the same bytes differently."""
    return cache_dir() / "pieces" / f"{reader}-{piece_version()}"


def cache_path(data: bytes, reader: str) -> Path:
    """Return the file of the piece that the named reader makes from `data`."""
    digest = hashlib.sha256(data).hexdigest()
    return piece_folder(reader) / digest[0] / f"{digest}.json"  # making 256 folders would take longer than 1,000 files


def load_piece(path: Path) -> CorpusPiece | None:
    """Return the cached piece, or None if there is none that can be read."""
    try:
        return unpack_piece(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_piece(path: Path, piece: CorpusPiece) -> None:
    """Put a piece into the cache.

    The file is written in place: a partial one is not JSON and counts as missing, and all writers write the same bytes.
    """
    data = json.dumps(pack_piece(piece)).encode("ascii")
    try:
        try:
            path.write_bytes(data)
        except FileNotFoundError:
            make_cache_folder(path.parent)
            path.write_bytes(data)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise InputError(f"Cannot write {path} ({str(error.strerror).lower()}). {CACHE_REMEDY}") from error


def pack_piece(piece: CorpusPiece) -> dict[str, Any]:
    """Convert a piece to JSON values."""
    music = base64.b64encode(piece.music).decode("ascii")
    return {**vars(piece), "music": music, "metadata": asdict(piece.metadata)}


def unpack_piece(fields: Mapping[str, Any]) -> CorpusPiece:
    """Undo `pack_piece`; raises `ValueError`, `KeyError` or `TypeError` if the values are not a piece."""
    tuples = {name: tuple(fields[name]) for name in ("fermatas", "remarks")}
    music, metadata = base64.b64decode(fields["music"]), Metadata(**fields["metadata"])
    return CorpusPiece(**{**fields, **tuples, "music": music, "metadata": metadata})
