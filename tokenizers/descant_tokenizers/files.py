"""Writing files so that a crash, a full disk or a second run never leaves half of one behind."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from descant_tokenizers.errors import InputError

__all__ = ["atomic_write", "free_path"]


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
