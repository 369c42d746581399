"""Where results go: names, and writing all of them or none."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from descant_tokenizers.errors import InputError
from descant_tokenizers.files import atomic_write

__all__ = ["PICTURE_SUFFIX", "check_outputs", "free_outputs", "numbered", "write_all"]

PICTURE_SUFFIX = ".png"
_MIDI_SUFFIXES = (".mid", ".midi")

Write = Callable[[Path], None]


def numbered(path: Path, count: int) -> list[Path]:
    """Return `count` names: `x.mid`, `x-2.mid`, `x-3.mid`, ..."""
    return list(itertools.islice(_names(path), count))


def free_outputs(path: Path, count: int) -> list[Path]:
    """Return the first `count` of those names at which neither a MIDI file nor a picture exists."""
    free = (name for name in _names(path) if not _taken(name))
    return list(itertools.islice(free, count))


def check_outputs(path: Path, count: int, *, force: bool, picture: bool) -> None:
    """Refuse named outputs before any work is done.

    Args:
        path: The MIDI file asked for.
        count: Number of results, which get the names of `numbered`.
        force: Whether existing files may be replaced.
        picture: Whether pictures are drawn beside them.

    Raises:
        InputError: A name is no MIDI file's, is there already, or cannot be written.
    """
    if path.suffix.lower() not in _MIDI_SUFFIXES:
        raise InputError(f"the output file is {path}; give a name that ends in {_MIDI_SUFFIXES[0]}.")
    for name in numbered(path, count):
        for file in (name, name.with_suffix(PICTURE_SUFFIX)) if picture else (name,):
            if os.path.lexists(file) and not force:
                raise InputError(f"{file} exists already; add --force to replace it, or choose another --out.")
    check_writable(path)


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


def _taken(path: Path) -> bool:
    return os.path.lexists(path) or os.path.lexists(path.with_suffix(PICTURE_SUFFIX))
