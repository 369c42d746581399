"""The GANs' corpora as Hugging Face datasets: built from other corpora, written and read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.corpora.store import FileFormat, check_out, write_dataset
from descant_tokenizers.corpora.workers import OnPieces
from descant_tokenizers.pianoroll.melodies import MELODY_CORPUS, MelodyReport, melody_rows
from descant_tokenizers.pianoroll.windows import ROLL_CORPORA, SPLITS, RollReport, roll_rows

#: The corpora that each one is built from.
SOURCES = {**dict.fromkeys(ROLL_CORPORA, ("chorales",)), MELODY_CORPUS: ("chorales", "folk")}


def build_corpus(
    corpus: str,
    out: Path | None = None,
    *,
    num_proc: int | None = None,
    force: bool = False,
    file_format: FileFormat = "arrow",
    progress: OnPieces | None = None,
) -> tuple[DatasetDict, RollReport | MelodyReport]:
    """Cut windows or bars, and write them as a Hugging Face dataset if a folder is given.

    Args:
        corpus: One of `SOURCES`.
        out: The folder to write; `report.json` goes beside the data.
        num_proc: Worker processes for reading the scores; by default one for each core.
        force: Replace an existing dataset at `out`.
        file_format: `arrow` (for `datasets.load_from_disk`) or `parquet`.
        progress: Called with the number of files read and of all files, one source after the other.

    Returns:
        The splits train and valid, and a report on them.

    Raises:
        InputError: The scores cannot be read, or `out` cannot be written.
    """
    if out is not None:
        check_out(out, force=force)
    sources = [load_corpus(name, num_proc=num_proc, progress=progress) for name in SOURCES[corpus]]
    report: RollReport | MelodyReport
    if corpus == MELODY_CORPUS:
        rows, features, report = melody_rows(sources)
    else:
        rows, features, report = roll_rows(corpus, *sources)
    dataset = DatasetDict({split: Dataset.from_list(lines, features=features) for split, lines in rows.items()})
    if out is not None:
        write_dataset(dataset, out, file_format, asdict(report))
    return dataset, report


def read_corpus(folder: Path, corpus: str) -> DatasetDict:
    """Load a dataset that `build_corpus` wrote, in either format.

    Raises:
        InputError: The folder holds no such dataset.
    """
    column = "pitches" if corpus == MELODY_CORPUS else "roll"
    try:
        if (folder / "dataset_dict.json").is_file():
            found = load_from_disk(str(folder))
        else:
            found = load_dataset("parquet", data_dir=str(folder))
        if all(column in found[split].column_names for split in SPLITS):
            return DatasetDict(found)
    except (OSError, ValueError, KeyError):
        pass
    raise InputError(f"{folder} is not a dataset of {corpus}. Make one with `descant dataset build {corpus}`.")
