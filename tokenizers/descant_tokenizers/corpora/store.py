"""Rows on disk as a Hugging Face dataset, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow
import pyarrow.parquet
from datasets import DatasetDict, DatasetInfo, Features, List, Value, load_dataset, load_from_disk
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.rows import COLUMN_TYPES

FileFormat = Literal["arrow", "parquet"]
REPORT_NAME = "report.json"
BATCH_ROWS = 256


def features(more: Mapping[str, str] | None = None) -> Features:
    """Return the columns of a dataset row with their types, and `more` in the manner of `COLUMN_TYPES`."""
    return Features({name: _feature(kind) for name, kind in {**COLUMN_TYPES, **(more or {})}.items()})


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


@contextlib.contextmanager
def fresh_folder(out: Path, remedy: str = "choose another output folder") -> Iterator[Path]:
    """Yield a folder to fill that takes the place of `out`, in one step, if the block ends well.

    Args:
        out: The folder to write; see `check_out`.
        remedy: What the user can do if it cannot be written.

    Raises:
        InputError: The folder cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
            fresh = Path(scratch, "dataset")
            fresh.mkdir()
            yield fresh
            if out.exists():
                out.rename(Path(scratch, "replaced"))
            fresh.rename(out)
    except OSError as error:
        raise InputError(f"cannot write {out} ({error.strerror or error}); {remedy}.") from error


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write what became of every file beside the data."""
    (folder / REPORT_NAME).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")


def write_dataset(
    dataset: DatasetDict,
    out: Path,
    file_format: FileFormat,
    report: Mapping[str, Any],
    write_more: Callable[[Path], None] | None = None,
    remedy: str = "choose another output folder",
) -> None:
    """Write a dataset and its report; an existing folder is replaced in one step.

    Args:
        dataset: The splits.
        out: The folder to write.
        file_format: `arrow` for `datasets.load_from_disk`, `parquet` for `load_dataset("parquet", data_dir=...)`.
        report: Goes beside the data as `report.json`.
        write_more: Writes what else belongs into the folder.
        remedy: What the user can do if it cannot be written.

    Raises:
        InputError: The folder cannot be written.
    """
    with fresh_folder(out, remedy) as fresh:
        _write(dataset, fresh, file_format)
        write_report(fresh, report)
        if write_more is not None:
            write_more(fresh)


class RowWriter:
    """Writes rows to a dataset as they come, so that memory does not grow with their number.

    Args:
        folder: An empty folder.
        splits: Names of the splits in order. One without rows is left out: datasets 5.2 fails on empty Parquet files.
        file_format: `arrow` or `parquet`; see `write_dataset`.
        columns: Further columns and their types.
    """

    def __init__(
        self, folder: Path, splits: Sequence[str], file_format: FileFormat, columns: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._format = file_format
        self._features = features(columns)
        self._open: dict[str, _SplitWriter] = {}
        self._splits = splits

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row to its split."""
        split = row["split"]
        if split not in self._open:
            self._open[split] = _SplitWriter(
                _split_path(self._folder, split, self._format), self._format, self._features
            )
        self._open[split].write(row)

    def close(self) -> None:
        """Write what is left, and what makes the folder a dataset."""
        found = [split for split in self._splits if split in self._open]
        for split in found:
            digest = self._open[split].close()
            if self._format == "arrow":
                _describe_split(self._folder / split, split, digest, self._features)
        if self._format == "arrow":
            (self._folder / "dataset_dict.json").write_text(json.dumps({"splits": found}), "utf-8")


class _SplitWriter:
    """Writes the rows of one split to one file, some at a time."""

    def __init__(self, path: Path, file_format: FileFormat, columns: Features) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = columns.arrow_schema
        self._rows: list[Mapping[str, Any]] = []
        self._digest = hashlib.sha256()
        self._file = (
            pyarrow.ipc.new_stream(str(path), self._schema)
            if file_format == "arrow"
            else pyarrow.parquet.ParquetWriter(str(path), self._schema)
        )

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == BATCH_ROWS:
            self._flush()

    def close(self) -> str:
        """Finish the file; return a digest of all rows."""
        if self._rows:
            self._flush()
        self._file.close()
        return self._digest.hexdigest()

    def _flush(self) -> None:
        table = pyarrow.Table.from_pylist(self._rows, schema=self._schema)
        self._file.write_table(table)
        for buffer in (b for column in table.columns for chunk in column.chunks for b in chunk.buffers()):
            if buffer is not None:
                self._digest.update(buffer)
        self._rows = []


def _split_path(folder: Path, split: str, file_format: FileFormat) -> Path:
    if file_format == "arrow":
        return folder / split / "data-00000-of-00001.arrow"
    # The one name pattern under which datasets accepts splits of any name.
    return folder / "data" / f"{split}-00000-of-00001.parquet"


def _describe_split(folder: Path, split: str, digest: str, columns: Features) -> None:
    """Put the two files beside the data of a split that `Dataset.save_to_disk` puts there (a test compares)."""
    state: dict[str, Any] = {
        "_data_files": [{"filename": _split_path(folder.parent, split, "arrow").name}],
        "_fingerprint": digest[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2, sort_keys=True), "utf-8")
    DatasetInfo(features=columns).write_to_directory(str(folder))


def is_dataset(folder: Path) -> bool:
    """Whether a folder holds a dataset in either format."""
    return (folder / "dataset_dict.json").is_file() or any(folder.glob("data/*.parquet"))


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
            rows.to_parquet(str(_split_path(folder, split, file_format)))


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
