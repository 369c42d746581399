"""Rows on disk as a Hugging Face dataset, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset, DatasetDict, Features, List, Value, load_dataset, load_from_disk
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from descant_tokenizers.corpora.rows import COLUMN_TYPES, Row
from descant_tokenizers.errors import InputError

FileFormat = Literal["arrow", "parquet"]
REPORT_NAME = "report.json"


def features() -> Features:
    """Return the columns of a dataset row with their types."""
    return Features({name: _feature(kind) for name, kind in COLUMN_TYPES.items()})


def to_dataset(rows: Iterable[Row], splits: Sequence[str]) -> DatasetDict:
    """Sort rows into splits.

    Args:
        rows: The rows; they keep their order.
        splits: Names of the splits in order. One without rows is left out: datasets 5.2 fails on empty Parquet files.

    Returns:
        One dataset for each split that has rows.
    """
    by_split: dict[str, list[Row]] = {split: [] for split in splits}
    for row in rows:
        by_split[row["split"]].append(row)
    return DatasetDict(
        {split: Dataset.from_list(found, features=features()) for split, found in by_split.items() if found}
    )


def check_out(out: Path, *, force: bool) -> None:
    """Refuse an output folder before any work is done.

    Args:
        out: The folder to write.
        force: Replace a dataset that is there.

    Raises:
        InputError: Something is there, and it is no dataset of ours or `force` is off.
    """
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() and not force:
        raise InputError(f"{out} already exists and is not empty; choose another folder or add --force.")
    if out.exists() and not (out / REPORT_NAME).is_file():
        raise InputError(f"{out} does not look like a dataset built here (no {REPORT_NAME}); remove it yourself.")


def write_dataset(dataset: DatasetDict, out: Path, file_format: FileFormat, report: Mapping[str, Any]) -> None:
    """Write a dataset and its report; an existing folder is replaced in one step.

    Args:
        dataset: The splits.
        out: The folder to write.
        file_format: `arrow` for `datasets.load_from_disk`, `parquet` for `load_dataset("parquet", data_dir=...)`.
        report: Goes beside the data as `report.json`.

    Raises:
        InputError: The folder cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
            fresh = Path(scratch, "dataset")
            _write(dataset, fresh, file_format)
            (fresh / REPORT_NAME).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
            if out.exists():
                out.rename(Path(scratch, "replaced"))
            fresh.rename(out)
    except OSError as error:
        raise InputError(f"cannot write {out} ({error.strerror or error}); choose another output folder.") from error


def read_dataset(folder: Path) -> DatasetDict:
    """Load a dataset from disk in either format.

    Args:
        folder: What `write_dataset` wrote, or any folder with the same columns.

    Returns:
        Its splits.

    Raises:
        InputError: The folder holds no such dataset.
    """
    if (folder / "dataset_dict.json").is_file():
        dataset = load_from_disk(str(folder))
    elif any(folder.glob("data/*.parquet")):
        dataset = load_dataset("parquet", data_dir=str(folder))
    else:
        raise InputError(f"{folder} holds no dataset; make one with `descant dataset build`.")
    columns = next(iter(dataset.values())).column_names
    missing = sorted(COLUMN_TYPES.keys() - set(columns))
    if missing:
        raise InputError(f"the dataset in {folder} lacks the columns {', '.join(missing)}; build it again.")
    return DatasetDict(dataset)


def _write(dataset: DatasetDict, folder: Path, file_format: FileFormat) -> None:
    with _no_progress_bars():
        if file_format == "arrow":
            dataset.save_to_disk(str(folder))
            return
        (folder / "data").mkdir(parents=True)
        for split, rows in dataset.items():
            # The one name pattern under which datasets accepts splits of any name.
            rows.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Silence datasets, whose bars would tell of milliseconds, one for each split."""
    silent_already = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not silent_already:
            enable_progress_bars()


def _feature(kind: str) -> Value | List:
    return List(Value(kind.removesuffix("[]"))) if kind.endswith("[]") else Value(kind)
