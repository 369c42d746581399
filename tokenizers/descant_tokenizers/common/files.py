"""Writing files so that a crash, a full disk or a second run never leaves half of one behind.

Where results go: formats, names, and writing all files of all results or none.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from descant_tokenizers.common.errors import InputError

__all__ = [
    "FORMATS",
    "atomic_write",
    "check_free",
    "check_outputs",
    "file_of",
    "free_outputs",
    "free_path",
    "numbered",
    "parse_formats",
    "write_all",
]

TOKENIZER_FILE = "tokenizer.json"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], remedy: str = "choose another output path") -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` if the block ends well, else remove it.

    The temporary name keeps the suffix of `path`, because many writers choose their format by it. A missing output
    folder is created when its parent exists: a whole missing chain is more likely a typing error.

    Args:
        path: The file to write. An existing one is replaced in one step.
        remedy: What the user can do if it cannot be written.

    Yields:
        The path to write to.

    Raises:
        InputError: The folder cannot be created or written to, or `path` is a folder.
    """
    target = Path(path)
    folder = _writable_folder(target)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.stem[:40]}-", suffix=target.suffix, dir=folder)
    except OSError as error:
        raise InputError(_no_write(target, error, remedy)) from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private; the result is an ordinary file
        temporary.replace(target)
    except OSError as error:
        raise InputError(_no_write(target, error, remedy)) from error
    finally:
        temporary.unlink(missing_ok=True)


def free_path(path: str | os.PathLike[str]) -> Path:
    """Return `path` if nothing is there, else the first free of `x-2.mid`, `x-3.mid`, ...

    Args:
        path: The wished name.

    Returns:
        A path at which nothing exists now.
    """
    wished = candidate = Path(path)
    number = 2
    while os.path.lexists(candidate):
        candidate = wished.with_name(f"{wished.stem}-{number}{wished.suffix}")
        number += 1
    return candidate


def _writable_folder(target: Path) -> Path:
    if target.is_dir():
        raise InputError(f"{target} is a folder; give the name of a file to write.")
    folder = target.parent
    if not folder.exists():
        try:
            folder.mkdir()
        except OSError as error:
            raise InputError(
                f"cannot create the output folder {folder} ({_reason(error)}); create it or choose another one."
            ) from error
    return folder


def _no_write(target: Path, error: OSError, remedy: str) -> str:
    return f"cannot write {target} ({_reason(error)}); {remedy}."


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
