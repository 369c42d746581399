"""Rolls and bars that a command has written to disk."""

from __future__ import annotations

from pathlib import Path

from datasets import DatasetDict, load_dataset, load_from_disk

from descant_tokenizers.errors import InputError

SPLITS = ("train", "valid")


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
