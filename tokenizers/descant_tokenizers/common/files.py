"""Output files: formats, names, and writes that never leave half a file, even after a crash or on a full disk."""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from descant_tokenizers.common.errors import InputError

TOKENIZER_FILE = "tokenizer.json"
FORMATS = {
    "midi": ".mid",
    "musicxml": ".musicxml",
    "svg": ".svg",
    "pdf": ".pdf",
    "png": ".png",
    "wav": ".wav",
    "flac": ".flac",
    "mp3": ".mp3",
    "practice": ".mp3",
}
"""Output formats with their file name suffixes; `practice` has a file for each voice (see `practice_file`)."""

NOTATION_FORMATS = ("musicxml", "svg", "pdf")
"""Formats that show notation."""

_NO_NAME = re.compile(r"\W+")

DEFAULT_FORMATS = ("midi", "musicxml", "svg", "png", "mp3")
"""Formats of generated music."""

OUT_FOLDER = Path("out")
"""Folder of results for which no name is given."""

_MAX_JSON_BYTES = 2**24


def read_json(path: Path) -> Any:
    """Read a JSON file of a model or tokenizer, which may be somebody else's.

    Raises:
        ValueError: It is not JSON, has more than 16 MB, or nests too deep.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_JSON_BYTES + 1)
    if len(data) > _MAX_JSON_BYTES:
        raise ValueError(f"{path.name} has more than {_MAX_JSON_BYTES:,} bytes")
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError(f"{path.name} nests too deep") from None


def write_json(path: Path | None, facts: Any) -> str:
    """Return facts as indented JSON, and write them to `path` unless it is None (see `atomic_write`)."""
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    if path is not None:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return text


def examine_each(
    names: Iterable[str], examine: Callable[[str], Mapping[str, Any]], log: Path | None, minutes: float
) -> list[dict[str, Any]]:
    """Examine things one after the other, and go on where an earlier run stopped.

    Args:
        names: Their names.
        examine: Returns what is found about one of them.
        log: Receives a line of JSON for each; those that have one are not examined again.
        minutes: Begin none after this time.

    Returns:
        What was found about each, with its `name`, in the order of the names.
    """
    end = time.monotonic() + 60 * minutes
    lines = log.read_text("utf-8").splitlines() if log is not None and log.exists() else []
    known = {each["name"]: each for each in map(json.loads, lines)}
    found = []
    for name in names:
        if name not in known and time.monotonic() < end:
            known[name] = {"name": name, **examine(name)}
            if log is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(known[name], ensure_ascii=False) + "\n")
        if name in known:
            found.append(known[name])
    return found


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` if the block succeeds, else remove it.

    The temporary name keeps the suffix of `path`, because many writers choose their format by it. A missing output
    folder is created if its parent exists: a whole missing chain is more likely a typing error.

    Args:
        path: The file to write. An existing one is replaced in one step.

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
        raise _cannot_write(target, error) from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private; the result is an ordinary file
        temporary.replace(target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _writable_folder(target: Path) -> Path:
    if target.is_dir():
        raise InputError(f"{target} is a folder. Give the name of a file to write.")
    folder = target.parent
    if not folder.exists():
        try:
            folder.mkdir()
        except OSError as error:
            raise InputError(
                f"Cannot create the output folder {folder} ({_reason(error)}). Create it or choose another one."
            ) from error
    return folder


def _cannot_write(target: Path, error: OSError) -> InputError:
    return InputError(f"Cannot write {target} ({_reason(error)}). Choose another output path.")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def parse_formats(text: str) -> tuple[str, ...]:
    """Parse a list of output formats such as `midi,svg`.

    Raises:
        InputError: The list is empty, or a format is unknown.
    """
    formats = list(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise InputError(f"Unknown format '{', '.join(unknown)}'. Give one or more of {', '.join(FORMATS)}.")
    return tuple(formats)


def file_of(path: Path, form: str) -> Path:
    """Return the name of a result in one format: `path` with the suffix of the format."""
    is_midi = form == "midi" and path.suffix.lower() in (".mid", ".midi")
    return path if is_midi else path.with_suffix(FORMATS[form])


def practice_file(path: Path, voice: str) -> Path:
    """Return the name of a voice's practice track: `x-practice-soprano.mp3`."""
    own = _NO_NAME.sub("-", voice.lower()).strip("-") or "voice"
    return path.with_name(f"{path.stem}-practice-{own}.mp3")


def _existing(path: Path, form: str) -> list[Path]:
    """Return the files of a result in one format that exist."""
    if form == "practice":
        return sorted(path.parent.glob(f"{glob.escape(path.stem)}-practice-*.mp3"))
    return [file_of(path, form)] if os.path.lexists(file_of(path, form)) else []


def rendering_name(stem: Path, formats: Sequence[str], source: Path | None = None) -> Path:
    """Return the name of a rendering in the first of its formats; `stem` may have the suffix of any format.

    Args:
        stem: The name.
        formats: Some of `FORMATS`.
        source: The file that is rendered, which must not be replaced.

    Raises:
        InputError: A rendering would replace the file itself, or `stem` is a folder such as `.` or `/`.
    """
    if not stem.name:
        raise InputError(f"{stem} is a folder. Give the name of a file.")
    if stem.suffix.lower() in FORMATS.values():
        stem = stem.with_suffix("")
    name = stem.with_name(f"{stem.name}{FORMATS[formats[0]]}")
    if source is not None and any(file_of(name, form).resolve() == source.resolve() for form in formats):
        raise InputError(f"{source} would be replaced by its own rendering. Choose another --out.")
    return name


def title_of(stem: str) -> str:
    """Return the title that the name of a file suggests: `Ode to joy` for `ode-to-joy`."""
    words = stem.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def numbered(path: Path, count: int) -> list[Path]:
    """Return `count` names: `x.mid`, `x-2.mid`, `x-3.mid`, ..."""
    return list(itertools.islice(_names(path), count))


def free_outputs(path: Path, count: int) -> list[Path]:
    """Return the first `count` names of `numbered` at which no file exists in any format."""
    free = (name for name in _names(path) if not any(_existing(name, form) for form in FORMATS))
    return list(itertools.islice(free, count))


def _names(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def check_outputs(path: Path, count: int, formats: Collection[str], *, force: bool) -> None:
    """Refuse the files of `count` results (see `numbered`) in all formats, before any work is done.

    Raises:
        InputError: The suffix fits no format, a file exists and `force` is off, or it cannot be written.
    """
    suffixes = [FORMATS[form] for form in formats] + ([".midi"] if "midi" in formats else [])
    if path.suffix.lower() not in suffixes:
        raise InputError(f"The output file is {path}. Give a name that ends in {suffixes[0]}.")
    check_free(
        [own for name in numbered(path, count) for form in formats for own in _existing(name, form)], force=force
    )
    check_writable(path)


def check_output(path: Path | None, option: str, suffixes: Collection[str], *, force: bool) -> None:
    """Refuse the file that an option names, before any work is done.

    Raises:
        InputError: It has none of the suffixes, or it exists and `force` is off.
    """
    if path is not None and path.suffix.lower() not in suffixes:
        raise InputError(f"{option} is {path}. Give a name that ends in {' or '.join(suffixes)}.")
    check_free([] if path is None else [path], force=force, option=option)


def check_free(paths: Collection[Path], *, force: bool, option: str = "--out") -> None:
    """Raise an `InputError` if one of the files exists and `force` is off."""
    for path in paths:
        if os.path.lexists(path) and not force:
            raise InputError(f"{path} already exists. Add --force to replace it, or choose another {option}.")


def check_writable(path: Path) -> None:
    """Raise an `InputError` if `path` cannot be written; leave no trace, not even a new folder."""
    with _no_new_folder(path.parent), contextlib.suppress(_TrialError), atomic_write(path):
        raise _TrialError


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write several files: all of them, or none after a failure (an `InputError`)."""
    with contextlib.ExitStack() as folder_stack:
        for folder in {path.parent for path in contents}:
            folder_stack.enter_context(_no_new_folder(folder))
        with contextlib.ExitStack() as stack:  # leaving it renames all files
            for path, data in contents.items():
                stack.enter_context(atomic_write(path)).write_bytes(data)


class _TrialError(Exception):
    """Ends a trial."""


@contextlib.contextmanager
def _no_new_folder(folder: Path) -> Iterator[None]:
    """Remove a folder that was created inside the block if it is empty in the end."""
    is_new = not folder.exists()
    try:
        yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # it holds the results, or was never made
                folder.rmdir()
