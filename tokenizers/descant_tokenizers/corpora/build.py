"""Corpora by name or folder, built to Hugging Face datasets."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.hub import is_repo_id, pull_folder
from descant_tokenizers.corpora.cache import cache_dir, make_cache_folder, reader_version
from descant_tokenizers.corpora.catalogue import TABLE, Music21Corpus
from descant_tokenizers.corpora.chorales import ChoraleCorpus
from descant_tokenizers.corpora.files import FolderCorpus, file_of
from descant_tokenizers.corpora.reading import Parts
from descant_tokenizers.corpora.rows import Corpus, Row, make_row
from descant_tokenizers.corpora.store import (
    FileFormat,
    RowWriter,
    check_out,
    fresh_folder,
    is_dataset,
    read_dataset,
    write_report,
)
from descant_tokenizers.corpora.workers import OnPieces, Outcome, read_all


def split_rows(name: str) -> list[Mapping[str, Any]]:
    """Return the rows of four-part pieces of a split.

    Args:
        name: Corpus and split, such as `chorales:valid`; the corpus may be the folder of a built dataset.

    Raises:
        InputError: There is no such corpus or split, or no four-part piece in it.
    """
    corpus, colon, split = name.rpartition(":")
    if not colon or not corpus:
        raise InputError(f"{name!r} names no split; give a corpus and a split, such as chorales:train.")
    dataset = load_corpus(corpus)
    if split not in dataset:
        raise InputError(f"{corpus} has no split {split!r}; choose from {', '.join(dataset)}.")
    rows = [row for row in dataset[split] if row["num_parts"] == NUM_VOICES]
    if not rows:
        raise InputError(f"split {split!r} of {corpus} has no four-part piece; choose another split.")
    return rows


NUM_VOICES = 4

CORPORA = ("chorales", *TABLE)
FREE_CORPORA = ("chorales", *(name for name, entry in TABLE.items() if entry.is_free))
"""Corpora that may go into weights that are shipped."""


@dataclass(frozen=True)
class BuildReport:
    """What became of every file of a corpus.

    Attributes:
        corpus: Name of the corpus.
        num_files: Files found.
        splits: Rows in each split, empty ones included.
        four_part: Of these, the rows of exactly four voices, from files of just as many parts.
        skipped: File id to the reason why it is no row.
        duplicates: File id to the id of the row with the same notes, in place of one of its own.
        remarks: Row id to what was changed while reading it.
        num_found: Pieces found in them: each tune of a tune book is one.
        num_cached: Rows that an earlier build had read already.
    """

    corpus: str
    num_files: int
    splits: dict[str, int]
    four_part: dict[str, int]
    skipped: dict[str, str]
    duplicates: dict[str, str]
    remarks: dict[str, list[str]]
    num_found: int = 0
    num_cached: int = 0

    @property
    def num_rows(self) -> int:
        """Rows in all splits together."""
        return sum(self.splits.values())


def open_corpus(source: str, licence: str | None = None, parts: Parts = "auto") -> Corpus:
    """Find a corpus.

    Args:
        source: A name in `CORPORA`, or a folder of score files.
        licence: Licence of the user's own files.
        parts: What to take from the user's own files; see `descant_tokenizers.corpora.reading.Parts`.

    Returns:
        The corpus, nothing of it read yet.

    Raises:
        InputError: There is neither such a corpus nor such a folder, or the corpus has a licence already.
    """
    if source in CORPORA:
        if licence is not None:
            raise InputError(f"the licence of the corpus {source} is known; --licence is for a folder of your own.")
        if parts != "auto":
            raise InputError(f"the parts of the corpus {source} are known; --parts is for a folder of your own.")
        return ChoraleCorpus() if source == "chorales" else Music21Corpus(source)
    if not Path(source).exists():
        raise InputError(f"unknown corpus {source!r}; give one of {', '.join(CORPORA)}, or a folder of score files.")
    return FolderCorpus.of(Path(source), licence, parts)


def build_dataset(
    source: str | Corpus,
    out: Path,
    *,
    num_proc: int | None = None,
    force: bool = False,
    licence: str | None = None,
    parts: Parts = "auto",
    file_format: FileFormat = "arrow",
    progress: OnPieces | None = None,
) -> BuildReport:
    """Build a corpus to a Hugging Face dataset on disk.

    Files are read in parallel and cached by content; the result does not depend on `num_proc` or the cache.

    Args:
        source: A corpus, or its name, or a folder of score files.
        out: The folder to write; `report.json` goes beside the data.
        num_proc: Worker processes; by default one for each core.
        force: Replace a dataset that is already at `out`.
        licence: Licence of the user's own files, for the column `licence`.
        parts: What to take from the user's own files; see `descant_tokenizers.corpora.reading.Parts`.
        file_format: `arrow` (for `datasets.load_from_disk`) or `parquet`.
        progress: Called with the number of files done and of all files.

    Returns:
        What became of every file.

    Raises:
        InputError: Unknown corpus, no usable file in it, or `out` cannot be written.
    """
    check_out(out, force=force)
    corpus = open_corpus(source, licence, parts) if isinstance(source, str) else source
    with fresh_folder(out) as folder, contextlib.closing(read_all(corpus, num_proc, progress)) as outcomes:
        return write_rows(corpus, outcomes, folder, file_format)


def write_rows(
    corpus: Corpus,
    outcomes: Iterable[Outcome],
    folder: Path,
    file_format: FileFormat = "arrow",
    columns: Mapping[str, str] | None = None,
) -> BuildReport:
    """Turn what was read into a dataset, in memory that does not grow with the number of pieces.

    Args:
        corpus: The corpus.
        outcomes: What became of each of its pieces, in their order.
        folder: An empty folder; `report.json` goes beside the data.
        file_format: `arrow` or `parquet`.
        columns: Columns that a step added to the outcomes, with their types.

    Returns:
        What became of every piece.

    Raises:
        InputError: No piece can be used.
    """
    tally = _Tally(corpus)
    writer = RowWriter(folder, corpus.splits, file_format, columns)
    for outcome in outcomes:
        row = tally.count(outcome)
        if row is not None:
            writer.write({**row, **outcome.columns})
    writer.close()
    report = tally.report()
    if not report.num_rows:
        path, reason = next(iter(report.skipped.items()))
        raise InputError(f"none of the {report.num_files} files of {corpus.name} can be used; {path}: {reason}")
    written = asdict(report)
    del written["num_cached"]  # the same files give the same bytes, whoever has read them before
    write_report(folder, written)
    return report


class _Tally:
    """Makes rows of pieces, each music once, and keeps the books."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._first: dict[bytes, str] = {}
        self._rows: Counter[str] = Counter()
        self._four_part: Counter[str] = Counter()
        self._skipped: dict[str, str] = {}
        self._duplicates: dict[str, str] = {}
        self._remarks: dict[str, list[str]] = {}
        self._num_files = self._num_pieces = self._num_cached = 0
        self._last_file = ""

    def count(self, outcome: Outcome) -> Row | None:
        """Return the row of a piece, None if it has none."""
        name = self._corpus.id_of(outcome.key)
        self._num_pieces += 1
        file, self._last_file = self._last_file, file_of(outcome.key)
        self._num_files += self._last_file != file  # the tunes of a book come one after the other
        if outcome.piece is None:
            self._skipped[name] = outcome.reason
            return None
        first = self._first.setdefault(bytes.fromhex(outcome.piece.digest)[:16], name)
        if first != name:
            self._duplicates[name] = first
            return None
        self._num_cached += outcome.is_cached
        row = make_row(self._corpus, outcome.key, outcome.piece)
        self._rows[row["split"]] += 1
        self._four_part[row["split"]] += outcome.piece.is_four_part
        if outcome.piece.remarks:
            self._remarks[name] = list(outcome.piece.remarks)
        return row

    def report(self) -> BuildReport:
        """Sum up."""
        return BuildReport(
            corpus=self._corpus.name,
            num_files=self._num_files,
            num_found=self._num_pieces,
            splits={split: self._rows[split] for split in self._corpus.splits},
            four_part={split: self._four_part[split] for split in self._corpus.splits},
            skipped=self._skipped,
            duplicates=self._duplicates,
            remarks=self._remarks,
            num_cached=self._num_cached,
        )


def is_score_folder(source: str) -> bool:
    """Whether a source is a folder of the user's own files: no corpus by name, and no dataset."""
    return source not in CORPORA and Path(source).is_dir() and not is_dataset(Path(source))


def load_corpus(
    name_or_dir: str, *, parts: Parts = "auto", num_proc: int | None = None, progress: OnPieces | None = None
) -> DatasetDict:
    """Load a dataset from disk, or a corpus by name or folder, which is built into the cache when it is first needed.

    Args:
        name_or_dir: A name in `CORPORA`, a folder that `build_dataset` wrote, a folder of score files, or the Hub id
            of a dataset.
        parts: What to take from the user's own files; see `descant_tokenizers.corpora.reading.Parts`.
        num_proc: Worker processes for building; by default one for each core.
        progress: Called while building, with the number of files done and of all files.

    Returns:
        Its splits.

    Raises:
        InputError: There is neither such a corpus nor such a folder, or nothing in it can be used.
    """
    if name_or_dir in CORPORA:
        corpus, cached = open_corpus(name_or_dir), f"{name_or_dir}-{reader_version()}"
    else:
        if not Path(name_or_dir).is_dir() and is_repo_id(name_or_dir):
            return read_dataset(pull_folder(name_or_dir, "dataset"))
        if not Path(name_or_dir).is_dir():
            raise InputError(
                f"unknown corpus {name_or_dir!r}; give one of {', '.join(CORPORA)}, a dataset's folder, or a folder of "
                "score files."
            )
        if is_dataset(Path(name_or_dir)):
            return read_dataset(Path(name_or_dir))
        own = FolderCorpus.of(Path(name_or_dir), parts=parts)
        corpus, cached = own, f"folder-{own.fingerprint()}-{reader_version()}"
    folder = cache_dir() / "datasets" / cached
    if folder.exists():
        make_cache_folder(folder)
    else:
        make_cache_folder(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch, "dataset")
            build_dataset(corpus, fresh, num_proc=num_proc, progress=progress)
            with contextlib.suppress(OSError):  # not empty: another process was faster
                fresh.rename(folder)
    return read_dataset(folder)
