"""Where measured music comes from: files, folders, splits of corpora."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.pianoroll.frames import Chorale, chorale_of_row, chorale_of_score
from descant_tokenizers.scores import SUFFIXES, read_score

__all__ = ["RELEASE_SPLIT", "Found", "read_chorales", "release_remark"]
RELEASE_SPLIT = "test"


class Found(NamedTuple):
    """Pieces that were read.

    Attributes:
        chorales: The four-part ones.
        skipped: Why each other file is not among them.
    """

    chorales: list[Chorale]
    skipped: dict[str, str]


def release_remark(split: str) -> str | None:
    """Return what has to be said about a split before it is measured."""
    if split != RELEASE_SPLIT:
        return None
    return "the test split is measured once, for a release: choose nothing by these figures"


def read_chorales(sources: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Found:
    """Read four-part music.

    Args:
        sources: Files (MIDI, MusicXML, ABC, Humdrum), folders of such files, splits of corpora (`chorales:valid`).
        progress: Called with the number of files read and of all files.

    Raises:
        InputError: A source is not there, or nothing in them is in four parts.
    """
    found = Found([], {})
    files: list[Path] = []
    for source in sources:
        if Path(source).exists():
            files += _files(Path(source))
        elif ":" in source:
            found.chorales.extend(chorale_of_row(row) for row in split_rows(source))
        else:
            raise InputError(f"{source} is not there; give files, folders, or a split such as chorales:valid.")
    for index, path in enumerate(files):
        try:
            found.chorales.append(chorale_of_score(read_score(path), str(path)))
        except InputError as error:
            found.skipped[str(path)] = str(error)
        if progress is not None:
            progress(index + 1, len(files))
    if not found.chorales:
        why = next(iter(found.skipped.values()), f"no file ends in {', '.join(SUFFIXES)}")
        raise InputError(f"no four-part piece in {', '.join(sources)}: {why}")
    return found


def _files(path: Path) -> list[Path]:
    return sorted(_scores_in(path)) if path.is_dir() else [path]


def _scores_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and path.suffix.lower() in SUFFIXES:
            yield path
