"""Hugging Face datasets on disk, written completely or not at all, and pushed to the Hub."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow
from datasets import Dataset, DatasetDict, Features, List, Value, load_dataset, load_from_disk
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from descant_tokenizers.common.errors import InputError, shown
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.common.hub import CARD_NAME, Pushed, check_push, push_folder
from descant_tokenizers.corpora.rows import COLUMN_TYPES

FileFormat = Literal["arrow", "parquet"]
REPORT_NAME = "report.json"
BATCH_ROWS = 256

_DATASET_CARD = """---
license: other
tags: [music, symbolic-music, midi]
configs:
- config_name: default
  data_files:
{files}
---

# {title}

Scores as MIDI bytes, one row per piece; built with Descant.

| split | pieces |
|---|---|
{splits}

| licence of the encodings | pieces |
|---|---|
{licences}

```python
import datasets, symusic
rows = datasets.load_dataset("{repo_id}", split="{first}")
score = symusic.Score.from_midi(rows[0]["music"])
```

Columns: {columns}.
"""


def features(more: Mapping[str, str] | None = None) -> Features:
    """Return the types of a dataset's columns; `more` adds columns in the form of `COLUMN_TYPES`."""
    return Features({name: _feature(kind) for name, kind in {**COLUMN_TYPES, **(more or {})}.items()})


def _feature(kind: str) -> Value | List:
    return List(Value(kind.removesuffix("[]"))) if kind.endswith("[]") else Value(kind)


def check_out(out: Path, *, force: bool, what: str = "a dataset built here", marker: str = REPORT_NAME) -> None:
    """Refuse an output folder before any work is done.

    Existing output of the same kind is recognized by its file `marker`, and called `what` in messages.

    Raises:
        InputError: `out` is taken, and it holds other files or `force` is off; or its name is not UTF-8.
    """
    if shown(str(out)) != str(out):
        raise InputError(f"The name of the output folder {out} is not UTF-8. Choose another one.")
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() and not force:
        raise InputError(f"{out} already exists and is not empty. Choose another folder or add --force.")
    if out.exists() and not (out / marker).is_file():
        raise InputError(f"{out} does not look like {what} (no {marker}). Remove it yourself.")


@contextlib.contextmanager
def fresh_folder(out: Path, remedy: str = "Choose another output folder.") -> Iterator[Path]:
    """Yield a folder to fill; it replaces `out` in one step if the block succeeds.

    Raises:
        InputError: The folder cannot be written; `remedy` is the advice.
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
        raise InputError(f"Cannot write {out} ({error.strerror or error}). {remedy}") from error


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the build report beside the data."""
    (folder / REPORT_NAME).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")


def write_dataset(
    dataset: DatasetDict,
    out: Path,
    file_format: FileFormat,
    report: Mapping[str, Any],
    write_more: Callable[[Path], None] | None = None,
    remedy: str = "Choose another output folder.",
) -> None:
    """Write a dataset, its report, and what `write_more` adds; an existing folder is replaced in one step.

    The format `arrow` is for `datasets.load_from_disk`, `parquet` for `load_dataset("parquet", data_dir=...)`.

    Raises:
        InputError: The folder cannot be written; `remedy` is the advice.
    """
    with fresh_folder(out, remedy) as fresh:
        _save(dataset, fresh, file_format)
        write_report(fresh, report)
        if write_more is not None:
            write_more(fresh)


def write_stream(
    rows: Iterable[Mapping[str, Any]],
    folder: Path,
    splits: Sequence[str],
    file_format: FileFormat,
    columns: Mapping[str, str] | None = None,
) -> None:
    """Write rows of all splits to an empty folder as they arrive; memory does not grow with their number.

    Equal rows give equal bytes and fingerprints. A split without rows is left out: datasets 5.2 fails on empty Parquet
    files. `columns` are further columns with their types.
    """
    schema = features(columns).arrow_schema
    rows = iter(rows)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        paths: dict[str, Path] = {}
        with contextlib.ExitStack() as stack:
            writers = {}
            while batch := list(itertools.islice(rows, BATCH_ROWS)):
                for split in splits:
                    table = pyarrow.Table.from_pylist([row for row in batch if row["split"] == split], schema=schema)
                    if table.num_rows and split not in writers:
                        paths[split] = Path(scratch, f"{split}.arrow")
                        writers[split] = stack.enter_context(pyarrow.ipc.new_stream(str(paths[split]), schema))
                    if table.num_rows:
                        writers[split].write_table(table)
        _save(DatasetDict({split: _mapped(paths[split]) for split in splits if split in paths}), folder, file_format)


def _mapped(path: Path) -> Dataset:
    """Map an Arrow file into memory as a dataset whose fingerprint hashes its contents (by default, also its time)."""
    stored = Dataset.from_file(str(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Dataset(stored.data, stored.info, fingerprint=digest[:16])


def _save(dataset: DatasetDict, folder: Path, file_format: FileFormat) -> None:
    with _no_progress_bars():
        if file_format == "arrow":
            dataset.save_to_disk(str(folder))
            return
        (folder / "data").mkdir(parents=True)
        for split, rows in dataset.items():  # the only name pattern under which datasets accepts splits of any name
            rows.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Hide the bars of datasets: one per split, for a few milliseconds each."""
    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            enable_progress_bars()


def is_dataset(folder: Path) -> bool:
    """Return True if a folder holds a dataset in either format."""
    return (folder / "dataset_dict.json").is_file() or any(folder.glob("data/*.parquet"))


def read_dataset(folder: Path) -> DatasetDict:
    """Load the splits of a dataset from a folder in either format.

    Raises:
        InputError: The folder holds no dataset with the columns of `COLUMN_TYPES`.
    """
    if not is_dataset(folder):
        raise InputError(f"{folder} holds no dataset. Make one with `descant dataset build`.")
    if (folder / "dataset_dict.json").is_file():
        dataset = load_from_disk(str(folder))
    else:
        dataset = load_dataset("parquet", data_dir=str(folder))
    missing = sorted(COLUMN_TYPES.keys() - set(next(iter(dataset.values())).column_names))
    if missing:
        raise InputError(f"The dataset in {folder} lacks the columns {', '.join(missing)}. Build it again.")
    return DatasetDict(dataset)


def push_dataset(folder: Path, repo_id: str, *, private: bool = False, update: bool = False) -> Pushed:
    """Push a built dataset as Parquet with a card, its report and, if it has one, its tokenizer.

    Raises:
        InputError: The folder holds no dataset, or the push fails (see `hub.push_folder`, also for the options).
    """
    dataset = read_dataset(folder)
    check_push(repo_id, "dataset", update=update)
    report_file = folder / REPORT_NAME
    report = json.loads(report_file.read_text(encoding="utf-8")) if report_file.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch, "dataset")
        write_dataset(dataset, fresh, "parquet", report, remedy="Free some space, or set TMPDIR to another folder.")
        (fresh / CARD_NAME).write_text(dataset_card(dataset, repo_id), encoding="utf-8")
        if (folder / TOKENIZER_FILE).is_file():
            shutil.copyfile(folder / TOKENIZER_FILE, fresh / TOKENIZER_FILE)
        return push_folder(fresh, repo_id, "dataset", private=private, update=update)


def dataset_card(dataset: DatasetDict, repo_id: str) -> str:
    """Return the card of a dataset: its splits, licences and columns, and code that loads it.

    Raises:
        InputError: The dataset has no rows.
    """
    if not dataset:
        raise InputError("The dataset has no rows. Build it again from files that can be used.")
    licences = Counter(licence for rows in dataset.values() for licence in rows["licence"])
    first = next(iter(dataset))
    return _DATASET_CARD.format(
        title=", ".join(sorted({name for rows in dataset.values() for name in rows.unique("corpus")})),
        repo_id=repo_id,
        first=first,
        files="\n".join(f"  - split: {name}\n    path: data/{name}-*.parquet" for name in dataset),
        splits="\n".join(f"| {name} | {len(rows)} |" for name, rows in dataset.items()),
        licences="\n".join(f"| {licence or 'not stated'} | {count} |" for licence, count in licences.most_common()),
        columns=", ".join(f"`{name}`" for name in dataset[first].column_names),
    )
