"""A cache of pieces by the content of their files, so that a second build reads nothing twice."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from descant_tokenizers.corpora.rows import Piece
from descant_tokenizers.errors import InputError
from descant_tokenizers.files import atomic_write

SOURCES = ("scores", "corpora", "corpora/data")
LIBRARIES = ("music21", "symusic")


def cache_dir() -> Path:
    """Return the folder for everything that can be made again: `$XDG_CACHE_HOME/descant`, else `~/.cache/descant`.

    It may be removed at any time.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "descant"


def make_cache_folder(folder: Path) -> None:
    """Create a folder of the cache.

    Args:
        folder: A path under `cache_dir()`.

    Raises:
        InputError: The user may not write there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot create the cache folder {folder} ({error.strerror}); set XDG_CACHE_HOME to another one."
        ) from error


@cache
def reader_version() -> str:
    """Return a digest of the code that makes rows, so that what an older version made is never used."""
    return code_version(*SOURCES, libraries=LIBRARIES)


def code_version(*folders: str, libraries: Sequence[str]) -> str:
    """Return a digest of source folders of this package (not their subfolders) and of the versions of libraries."""
    digest = hashlib.sha256(" ".join(version(library) for library in libraries).encode())
    for folder in folders:
        for source in sorted(files("descant_tokenizers").joinpath(folder).iterdir(), key=lambda item: item.name):
            if source.is_file():
                digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def cache_path(path: Path, reader: str) -> Path:
    """Return where the piece read from a file is kept.

    Args:
        path: The file; it is read to hash it.
        reader: Name of the reader; two may read the same bytes in different ways.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return cache_dir() / "pieces" / f"{reader}-{reader_version()}" / digest[:2] / f"{digest}.json"


def load_piece(path: Path) -> Piece | None:
    """Return the cached piece, or None if there is none that can be read."""
    try:
        fields = json.loads(path.read_text("utf-8"))
        fields["music"] = base64.b64decode(fields["music"])
        return Piece(**{**fields, "fermatas": tuple(fields["fermatas"]), "remarks": tuple(fields["remarks"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_piece(path: Path, piece: Piece) -> None:
    """Put a piece into the cache."""
    fields = dataclasses.asdict(piece) | {"music": base64.b64encode(piece.music).decode("ascii")}
    make_cache_folder(path.parent)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(fields), "utf-8")
