"""The scores of a corpus, a dataset, a folder or a list of files, as far as they can be read."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from symusic.core import ScoreTick

from descant_tokenizers.corpora.folder import FileReader
from descant_tokenizers.corpora.tunes import score_keys
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import SUFFIXES, read_score

__all__ = ["Source", "load_source"]

Progress = Callable[[int, int], None]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Source:
    """Scores by name.

    Attributes:
        name: Where they come from.
        scores: What could be read, in order.
        skipped: Names and reasons of what could not.
        num_found: Pieces or files that are there; more than were looked at, if their number was limited.
    """

    name: str
    scores: Mapping[str, ScoreTick]
    skipped: Mapping[str, str]
    num_found: int


def load_source(names: Sequence[str], limit: int = 0, seed: int = 0, progress: Progress | None = None) -> Source:
    """Read scores.

    Args:
        names: One corpus, one folder of a built dataset, one folder of score files in any supported format, or files.
        limit: Most pieces to take, drawn at random; 0 for all.
        seed: Which pieces are drawn.
        progress: Called with the number of files read and of all files.

    Raises:
        InputError: There is no such thing, or nothing in it can be read.
    """
    if limit < 0:
        raise InputError(f"the limit is {limit}; give 1 or more pieces, or 0 for all.")
    if len(names) == 1 and not _is_scores(Path(names[0])):
        return _dataset(names[0], limit, seed, progress)
    folder = Path(names[0]) if len(names) == 1 and Path(names[0]).is_dir() else None
    keys = list(names) if folder is None else score_keys(folder)
    scores: dict[str, ScoreTick] = {}
    skipped: dict[str, str] = {}
    chosen = _drawn(keys, limit, seed)
    for done, key in enumerate(chosen, start=1):
        try:
            scores[key] = read_score(key) if folder is None else _score_in(folder, key)
        except InputError as error:
            skipped[key] = str(error)
        if progress is not None:
            progress(done, len(chosen))
    if not scores:
        raise InputError(next(iter(skipped.values())))
    return Source(names[0] if len(names) == 1 else f"{len(names)} files", scores, skipped, len(keys))


def _is_scores(path: Path) -> bool:
    """Tell a file or a folder of files from a corpus's name and a built dataset."""
    if path.is_dir():
        from descant_tokenizers.corpora.store import is_dataset

        return not is_dataset(path)
    return path.exists() or path.suffix.lower() in SUFFIXES


def _score_in(folder: Path, key: str) -> ScoreTick:
    """Read a piece of a folder with all its tracks."""
    reader = FileReader(folder, "all")
    return reader.read(key, reader.load(key)).score


def _dataset(name: str, limit: int, seed: int, progress: Progress | None) -> Source:
    from descant_tokenizers.corpora import load_corpus, row_to_score

    dataset = load_corpus(name, progress=progress)
    places = [(split, index) for split in dataset for index in range(len(dataset[split]))]
    rows = [dataset[split][index] for split, index in _drawn(places, limit, seed)]
    return Source(name, {row["id"]: row_to_score(row) for row in rows}, {}, len(places))


def _drawn(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """Draw some of the items, in their order."""
    if not limit or limit >= len(items):
        return list(items)
    return [items[index] for index in sorted(random.Random(seed).sample(range(len(items)), limit))]
