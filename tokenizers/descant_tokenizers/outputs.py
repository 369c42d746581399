"""Where results go: formats, names, and writing all files of all results or none."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from descant_tokenizers.errors import InputError
from descant_tokenizers.files import atomic_write

__all__ = [
    "FORMATS",
    "check_free",
    "check_outputs",
    "file_of",
    "free_outputs",
    "numbered",
    "parse_formats",
    "write_all",
]

#: What a result can be written as, with the suffixes of file names.
FORMATS = {
    "midi": ".mid",
    "musicxml": ".musicxml",
    "svg": ".svg",
    "pdf": ".pdf",
    "png": ".png",
    "wav": ".wav",
    "flac": ".flac",
    "mp3": ".mp3",
}
_MIDI_SUFFIXES = (".mid", ".midi")

Write = Callable[[Path], None]


def parse_formats(text: str) -> tuple[str, ...]:
    """Read a list of formats: `midi,svg`.

    Raises:
        InputError: One of them is none.
    """
    wished = list(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    unknown = [name for name in wished if name not in FORMATS]
    if unknown or not wished:
        raise InputError(f"unknown format '{', '.join(unknown)}'; give one or more of {', '.join(FORMATS)}.")
    return tuple(wished)


def file_of(path: Path, form: str) -> Path:
    """Return the name of a result in one format: its own name, with the format's suffix."""
    is_midi = form == "midi" and path.suffix.lower() in _MIDI_SUFFIXES
    return path if is_midi else path.with_suffix(FORMATS[form])


def numbered(path: Path, count: int) -> list[Path]:
    """Return `count` names: `x.mid`, `x-2.mid`, `x-3.mid`, ..."""
    return list(itertools.islice(_names(path), count))


def free_outputs(path: Path, count: int) -> list[Path]:
    """Return the first `count` of those names at which nothing exists in any format."""
    free = (name for name in _names(path) if not any(os.path.lexists(file_of(name, form)) for form in FORMATS))
    return list(itertools.islice(free, count))


def check_outputs(path: Path, count: int, formats: Collection[str], *, force: bool) -> None:
    """Refuse named outputs before any work is done.

    Args:
        path: The file asked for; its suffix is that of one of the formats.
        count: Number of results, which get the names of `numbered`.
        formats: What each result is written as.
        force: Whether existing files may be replaced.

    Raises:
        InputError: A name is of no such format, is there already, or cannot be written.
    """
    suffixes = [FORMATS[form] for form in formats] + ([".midi"] if "midi" in formats else [])
    if path.suffix.lower() not in suffixes:
        raise InputError(f"the output file is {path}; give a name that ends in {suffixes[0]}.")
    check_free([file_of(name, form) for name in numbered(path, count) for form in formats], force=force)
    check_writable(path)


def check_free(paths: Collection[Path], *, force: bool) -> None:
    """Refuse to replace files, unless that was asked for.

    Raises:
        InputError: One of them exists.
    """
    for path in paths:
        if os.path.lexists(path) and not force:
            raise InputError(f"{path} exists already; add --force to replace it, or choose another --out.")


def check_writable(path: Path) -> None:
    """Try whether a file can be written at `path`; nothing is left behind, a new folder neither.

    Raises:
        InputError: It cannot.
    """
    with _no_new_folder(path.parent), contextlib.suppress(_TrialError), atomic_write(path):
        raise _TrialError


def write_all(writers: Mapping[Path, Write]) -> None:
    """Write several files: all of them, or after a failure none.

    Args:
        writers: For each file, a function that writes it to the path it is given.

    Raises:
        InputError: A file cannot be written.
    """
    folders = {path.parent for path in writers}
    with contextlib.ExitStack() as folder_stack:
        for folder in folders:
            folder_stack.enter_context(_no_new_folder(folder))
        with contextlib.ExitStack() as stack:  # on leaving it, all files take their places
            for path, write in writers.items():
                temporary = stack.enter_context(atomic_write(path))
                try:
                    write(temporary)
                except InputError as error:  # the user knows it by its other name
                    raise InputError(str(error).replace(str(temporary), str(path))) from error


class _TrialError(Exception):
    """Ends a trial."""


@contextlib.contextmanager
def _no_new_folder(folder: Path) -> Iterator[None]:
    """Remove a folder that was made inside the block, if it is empty in the end."""
    is_new = not folder.exists()
    try:
        yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # it holds the results, or was never made
                folder.rmdir()


def _names(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
