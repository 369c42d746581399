"""What the builders of rolls and bars have in common: which bars count, and their datasets on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Features, Value, load_dataset, load_from_disk
from symusic.core import ScoreTick

from descant_tokenizers.corpora.store import FileFormat, write_dataset
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import Bar

SPLITS = ("train", "valid")


def is_full(score: ScoreTick, bar: Bar) -> bool:
    """Whether a bar is a whole one of 4/4, and no pickup."""
    is_four_four = (bar.numerator, bar.denominator) == (4, 4) and bar.length_ticks == 4 * score.ticks_per_quarter
    return is_four_four and bar.number > 0


def columns(text: Iterable[str], **others: Any) -> Features:
    """Return a dataset's columns.

    Args:
        text: Names of those that hold text.
        others: Types of the others.
    """
    return Features({**{name: Value("string") for name in text}, **others})


def store(
    rows: Mapping[str, list[dict[str, Any]]],
    features: Features,
    report: Mapping[str, Any],
    out: Path | None,
    file_format: FileFormat,
) -> DatasetDict:
    """Make a dataset of rows by split, and write it if a folder is given.

    Args:
        rows: Rows of each split.
        features: Their columns.
        report: What they hold; `report.json` beside the data.
        out: The folder to write, checked before (`corpora.store.check_out`).
        file_format: `arrow` (for `datasets.load_from_disk`) or `parquet`.

    Raises:
        InputError: `out` cannot be written.
    """
    dataset = DatasetDict({split: Dataset.from_list(lines, features=features) for split, lines in rows.items()})
    if out is not None:
        write_dataset(dataset, out, file_format, report)
    return dataset


def read_stored(folder: Path, corpus: str, column: str) -> DatasetDict:
    """Load what `build_rolls` or `build_melody_bars` wrote.

    Args:
        folder: A dataset's folder, in either format.
        corpus: The corpus that it should hold.
        column: A column that no other dataset has.

    Raises:
        InputError: The folder holds no such dataset.
    """
    try:
        if (folder / "dataset_dict.json").is_file():
            found = load_from_disk(str(folder))
        else:
            found = load_dataset("parquet", data_dir=str(folder))
        if all(column in found[split].column_names for split in SPLITS):
            return DatasetDict(found)
    except (OSError, ValueError, KeyError):
        pass
    raise InputError(f"{folder} is not a dataset of {corpus}; make one with `descant dataset build {corpus}`.")
