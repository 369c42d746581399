"""Build corpora, by name or from a folder, as Hugging Face datasets, and load them."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from filelock import FileLock

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.hub import is_repo_id, pull_folder
from descant_tokenizers.corpora.cache import cache_dir, make_cache_folder, reader_version
from descant_tokenizers.corpora.catalogue import TABLE, Music21Corpus
from descant_tokenizers.corpora.chorales import ChoraleCorpus
from descant_tokenizers.corpora.files import FolderCorpus, source_file
from descant_tokenizers.corpora.reading import Parts
from descant_tokenizers.corpora.rows import Corpus, make_row
from descant_tokenizers.corpora.store import (
    FileFormat,
    check_out,
    fresh_folder,
    is_dataset,
    read_dataset,
    write_report,
    write_stream,
)
from descant_tokenizers.corpora.workers import OnPieces, ReadOutcome, read_all
from descant_tokenizers.scores import NUM_VOICES

CORPORA = ("chorales", *TABLE)


@dataclass
class BuildReport:
    """Outcome of every file of a corpus.

    Attributes:
        corpus: Name of the corpus.
        num_files: Files found.
        splits: Rows in each split, including empty ones.
        four_part: Among these, the rows of exactly four voices, from files of exactly four parts.
        skipped: File id to the reason why it has no row.
        duplicates: File id to the id of the row with the same notes.
        remarks: Row id to the changes made while reading it.
        num_found: Pieces found in the files: each tune of a tune book is one.
        num_cached: Rows from the cache of an earlier build.
    """

    corpus: str
    num_files: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    four_part: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    num_found: int = 0
    num_cached: int = 0

    @property
    def num_rows(self) -> int:
        """Rows in all splits together."""
        return sum(self.splits.values())


def open_corpus(source: str, licence: str | None = None, parts: Parts = "auto", *, unfold: bool = True) -> Corpus:
    """Find a corpus by name or folder without reading it; the options are for the user's own files only.

    Raises:
        InputError: There is no such corpus or folder, or an option does not apply to the corpus.
    """
    if source not in CORPORA:
        if not Path(source).exists():
            raise InputError(
                f"Unknown corpus {source!r}. Give one of {', '.join(CORPORA)}, or a folder of score files."
            )
        return FolderCorpus.of(Path(source), licence, parts, unfold=unfold)
    if licence is not None:
        raise InputError(f"The licence of the corpus {source} is known. Give --licence for a folder of your own only.")
    if parts != "auto":
        raise InputError(f"The parts of the corpus {source} are known. Give --parts for a folder of your own only.")
    if not unfold:
        raise InputError(f"The corpus {source} is read in one way. Give --no-repeats for a folder of your own only.")
    return ChoraleCorpus() if source == "chorales" else Music21Corpus(source)


def build_dataset(
    source: str | Corpus,
    out: Path,
    *,
    num_proc: int | None = None,
    force: bool = False,
    licence: str | None = None,
    parts: Parts = "auto",
    unfold: bool = True,
    file_format: FileFormat = "arrow",
    progress: OnPieces | None = None,
) -> BuildReport:
    """Build a corpus as a Hugging Face dataset on disk.

    Files are read in parallel and cached by content; the result does not depend on `num_proc` or the cache.

    Args:
        source: A corpus, or its name, or a folder of score files.
        out: The folder to write; `report.json` is written beside the data.
        num_proc: Worker processes; default: one per core.
        force: Replace an existing dataset at `out`.
        licence: Licence of the user's own files, for the column `licence`.
        parts: Tracks to take from the user's own files; see `descant_tokenizers.corpora.reading.Parts`.
        unfold: Write out the repeats of the user's own files.
        file_format: `arrow` (for `datasets.load_from_disk`) or `parquet`.
        progress: Called with the number of files done and of all files.

    Returns:
        The outcome of every file.

    Raises:
        InputError: The corpus is unknown, it has no usable file, or `out` cannot be written.
    """
    check_out(out, force=force)
    corpus = open_corpus(source, licence, parts, unfold=unfold) if isinstance(source, str) else source
    with fresh_folder(out) as folder, contextlib.closing(read_all(corpus, num_proc, progress)) as outcomes:
        return write_rows(corpus, outcomes, folder, file_format)


def write_rows(
    corpus: Corpus,
    outcomes: Iterable[ReadOutcome],
    folder: Path,
    file_format: FileFormat = "arrow",
    columns: Mapping[str, str] | None = None,
) -> BuildReport:
    """Write the outcomes of a corpus, in order, as a dataset with its report to an empty folder.

    Memory does not grow with their number. `columns` are further columns in the outcomes, with their types.

    Raises:
        InputError: No piece can be used.
    """
    empty = dict.fromkeys(corpus.splits, 0)
    report = BuildReport(corpus.name, splits=empty.copy(), four_part=empty)
    write_stream(_rows(corpus, outcomes, report, folder), folder, corpus.splits, file_format, columns)
    if not report.num_rows:
        problem = InputError(next(iter(report.skipped.values()))).problem
        raise InputError(
            f"None of the {report.num_files} files of {corpus.name} can be used (the first: {problem}). Correct them."
        )
    # Without `num_cached`: the same files give the same bytes with or without a cache.
    write_report(folder, {name: value for name, value in vars(report).items() if name != "num_cached"})
    return report


def _rows(
    corpus: Corpus, outcomes: Iterable[ReadOutcome], report: BuildReport, scratch: Path
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a corpus without duplicates, and fill in the report."""
    last_file = ""
    with _first_names(scratch) as first_name:
        for outcome in outcomes:
            name, piece, file = corpus.id_of(outcome.key), outcome.piece, source_file(outcome.key)
            report.num_found += 1
            report.num_files += file != last_file  # the tunes of a book follow each other
            last_file = file
            if piece is None:
                report.skipped[name] = outcome.reason
                continue
            first = first_name(piece.digest, name)
            if first != name:
                report.duplicates[name] = first
                continue
            row = make_row(corpus, outcome.key, piece)
            report.num_cached += outcome.is_cached
            report.splits[row["split"]] += 1
            report.four_part[row["split"]] += piece.is_four_part
            if piece.remarks:
                report.remarks[name] = list(piece.remarks)
            yield {**row, **outcome.columns}


@contextlib.contextmanager
def _first_names(scratch: Path) -> Iterator[Callable[[str, str], str]]:
    """Yield a function of a digest and a name that returns the first name with that digest; they are kept on disk.

    Raises:
        OSError: The disk is full.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        file = Path(folder, "names.sqlite")
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as names:
            names.execute("PRAGMA journal_mode = OFF")
            names.execute("BEGIN")  # without an end: nothing is kept
            names.execute("CREATE TABLE names (digest BLOB PRIMARY KEY, name TEXT) WITHOUT ROWID")

            def first_name(digest: str, name: str) -> str:
                key = bytes.fromhex(digest)[:16]
                try:
                    if names.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (key, name)).rowcount:
                        return name
                    found: str = names.execute("SELECT name FROM names WHERE digest = ?", (key,)).fetchone()[0]
                except sqlite3.Error as error:
                    raise OSError(str(error)) from error
                return found

            yield first_name


def is_score_folder(source: str) -> bool:
    """Return True if a source is a folder of the user's own files: neither a corpus by name nor a dataset."""
    return source not in CORPORA and Path(source).is_dir() and not is_dataset(Path(source))


def load_corpus(
    name_or_dir: str, *, parts: Parts = "auto", num_proc: int | None = None, progress: OnPieces | None = None
) -> DatasetDict:
    """Load a dataset from disk, or a corpus by name or folder, which is built into the cache on first use.

    Args:
        name_or_dir: A name in `CORPORA`, a folder that `build_dataset` wrote, a folder of score files, or the Hub id
            of a dataset.
        parts: Tracks to take from the user's own files; see `descant_tokenizers.corpora.reading.Parts`.
        num_proc: Worker processes for building; default: one per core.
        progress: Called while building, with the number of files done and of all files.

    Returns:
        Its splits.

    Raises:
        InputError: There is no such corpus or folder, or nothing in it can be used.
    """
    path = Path(name_or_dir)
    if name_or_dir in CORPORA:
        corpus, cached = open_corpus(name_or_dir), f"{name_or_dir}-{reader_version()}"
    elif path.is_dir():
        if is_dataset(path):
            return read_dataset(path)
        own = FolderCorpus.of(path, parts=parts)
        corpus, cached = own, f"folder-{own.fingerprint()}-{reader_version()}"
    elif is_repo_id(name_or_dir):
        return read_dataset(pull_folder(name_or_dir, "dataset"))
    else:
        raise InputError(
            f"Unknown corpus {name_or_dir!r}. Give one of {', '.join(CORPORA)}, a dataset's folder, or a folder of "
            "score files."
        )
    folder = cache_dir() / "datasets" / cached
    make_cache_folder(folder.parent)
    if not folder.exists():
        with FileLock(f"{folder}.lock"), tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            if not folder.exists():  # else another process has built it meanwhile
                fresh = Path(scratch, "dataset")
                build_dataset(corpus, fresh, num_proc=num_proc, progress=progress)
                fresh.rename(folder)
    make_cache_folder(folder)
    return read_dataset(folder)


def split_rows(name: str) -> list[Mapping[str, Any]]:
    """Return the rows of the four-part pieces of a split such as `chorales:valid`, or `FOLDER:train` of a dataset.

    Raises:
        InputError: There is no such corpus or split, or no four-part piece in it.
    """
    corpus, colon, split = name.rpartition(":")
    if not colon or not corpus:
        raise InputError(f"{name!r} names no split. Give a corpus and a split, such as chorales:train.")
    dataset = load_corpus(corpus)
    if split not in dataset:
        raise InputError(f"{corpus} has no split {split!r}. Choose from {', '.join(dataset)}.")
    rows = [row for row in dataset[split] if row["num_parts"] == NUM_VOICES]
    if not rows:
        raise InputError(f"Split {split!r} of {corpus} has no four-part piece. Choose another split.")
    return rows
