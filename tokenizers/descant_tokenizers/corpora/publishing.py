"""Push datasets to the Hugging Face Hub."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from datasets import DatasetDict

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.common.hub import CARD_NAME, Pushed, check_push, push_folder
from descant_tokenizers.corpora.store import REPORT_NAME, read_dataset, write_dataset

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


def push_dataset(folder: Path, repo_id: str, *, private: bool = False, update: bool = False) -> Pushed:
    """Push a built dataset as Parquet with a card, its report and, if it has one, its tokenizer.

    Args:
        folder: A folder written by `descant dataset build` or `descant dataset tokenize`.
        repo_id: `user/name`.
        private: Make a new repository private.
        update: Allow a new version of an existing repository.

    Raises:
        InputError: The folder holds no dataset, or the push fails (see `hub.push_folder`).
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
