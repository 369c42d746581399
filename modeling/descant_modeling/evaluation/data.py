"""Four-part music to measure: from files, from folders, from the splits of corpora."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.pianoroll.frames import Chorale, chorale_of_row, chorale_of_score
from descant_tokenizers.scores import SUFFIXES, read_score

__all__ = ["FoundChorales", "read_chorales", "split_chorales"]


class FoundChorales(NamedTuple):
    """Four-part pieces that were read, and the reason why each other file was skipped, by path."""

    chorales: list[Chorale]
    skipped: dict[str, str]


def split_chorales(source: str) -> list[Chorale]:
    """Return the four-part pieces of a split such as `chorales:valid`.

    Raises:
        InputError: The corpus or the split does not exist, or has no four-part piece.
    """
    return [chorale_of_row(row) for row in split_rows(source)]


def read_chorales(sources: Sequence[str], progress: Callable[[float], None] | None = None) -> FoundChorales:
    """Read four-part music.

    Args:
        sources: Files (MIDI, MusicXML, ABC, Humdrum), folders of such files, splits of corpora (`chorales:valid`).
        progress: Called with the share of the files that is read, 0-1.

    Raises:
        InputError: A source does not exist, or none of them holds a four-part piece.
    """
    found = FoundChorales([], {})
    files: list[Path] = []
    for source in sources:
        path = Path(source)
        if path.exists():
            files += sorted(_scores_in(path)) if path.is_dir() else [path]
        elif ":" in source:
            found.chorales.extend(split_chorales(source))
        else:
            raise InputError(f"{source} does not exist. Give files, folders, or a split such as chorales:valid.")
    for index, path in enumerate(files):
        try:
            found.chorales.append(chorale_of_score(read_score(path), str(path)))
        except InputError as error:
            found.skipped[str(path)] = str(error)
        if progress is not None:
            progress((index + 1) / len(files))
    if not found.chorales:
        reason = next(iter(found.skipped.values()), f"No file ends in {', '.join(SUFFIXES)}.")
        raise InputError(f"{', '.join(sources)} holds no four-part piece. {reason}")
    return found


def _scores_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and path.suffix.lower() in SUFFIXES:
            yield path
