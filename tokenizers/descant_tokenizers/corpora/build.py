"""Corpora by name or folder, built to Hugging Face datasets."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets import DatasetDict

from descant_tokenizers.corpora.cache import cache_dir, make_cache_folder, reader_version
from descant_tokenizers.corpora.chorales import ChoraleCorpus
from descant_tokenizers.corpora.folder import FolderCorpus, Parts
from descant_tokenizers.corpora.harvest import Outcome, Progress, read_all
from descant_tokenizers.corpora.rows import Corpus, Piece, Row, make_row
from descant_tokenizers.corpora.store import FileFormat, check_out, read_dataset, to_dataset, write_dataset
from descant_tokenizers.errors import InputError

CORPORA = ("chorales",)


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
    """

    corpus: str
    num_files: int
    splits: dict[str, int]
    four_part: dict[str, int]
    skipped: dict[str, str]
    duplicates: dict[str, str]
    remarks: dict[str, list[str]]

    @property
    def num_rows(self) -> int:
        """Rows in all splits together."""
        return sum(self.splits.values())


def open_corpus(source: str, licence: str | None = None, parts: Parts = "auto") -> Corpus:
    """Find a corpus.

    Args:
        source: A name in `CORPORA`, or a folder of score files.
        licence: Licence of the user's own files.
        parts: What to take from the user's own files; see `descant_tokenizers.corpora.folder.read_file`.

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
        return ChoraleCorpus()
    if not Path(source).exists():
        raise InputError(f"unknown corpus {source!r}; give {' or '.join(CORPORA)}, or a folder of score files.")
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
    progress: Progress | None = None,
) -> BuildReport:
    """Build a corpus to a Hugging Face dataset on disk.

    Files are read in parallel and cached by content; the result does not depend on `num_proc` or the cache.

    Args:
        source: A corpus, or its name, or a folder of score files.
        out: The folder to write; `report.json` goes beside the data.
        num_proc: Worker processes; by default one for each core.
        force: Replace a dataset that is already at `out`.
        licence: Licence of the user's own files, for the column `licence`.
        parts: What to take from the user's own files; see `descant_tokenizers.corpora.folder.read_file`.
        file_format: `arrow` (for `datasets.load_from_disk`) or `parquet`.
        progress: Called with the number of files done and of all files.

    Returns:
        What became of every file.

    Raises:
        InputError: Unknown corpus, no usable file in it, or `out` cannot be written.
    """
    check_out(out, force=force)
    corpus = open_corpus(source, licence, parts) if isinstance(source, str) else source
    rows, report = collect(corpus, read_all(corpus, num_proc, progress))
    if not rows:
        path, reason = next(iter(report.skipped.items()))
        raise InputError(f"none of the {report.num_files} files of {corpus.name} can be used; {path}: {reason}")
    write_dataset(to_dataset(rows, corpus.splits), out, file_format, asdict(report))
    return report


def collect(corpus: Corpus, outcomes: Mapping[Path, Outcome]) -> tuple[list[Row], BuildReport]:
    """Turn what was read into rows and a report.

    Args:
        corpus: The corpus.
        outcomes: A piece or a reason for each of its files.

    Returns:
        The rows in the order of the files, and the report.
    """
    pieces = {path: outcome for path, outcome in outcomes.items() if isinstance(outcome, Piece)}
    repeated = _repetitions(corpus, pieces)
    kept = [path for path in pieces if path not in repeated]
    rows = [make_row(corpus, path, pieces[path]) for path in kept]
    per_split = Counter(row["split"] for row in rows)
    four_part = Counter(row["split"] for row, path in zip(rows, kept, strict=True) if pieces[path].is_four_part)
    report = BuildReport(
        corpus=corpus.name,
        num_files=len(outcomes),
        splits={split: per_split[split] for split in corpus.splits},
        four_part={split: four_part[split] for split in corpus.splits},
        skipped={corpus.id_of(path): reason for path, reason in outcomes.items() if isinstance(reason, str)},
        duplicates={corpus.id_of(path): corpus.id_of(kept_path) for path, kept_path in repeated.items()},
        remarks={corpus.id_of(path): list(pieces[path].remarks) for path in kept if pieces[path].remarks},
    )
    return rows, report


def _repetitions(corpus: Corpus, pieces: Mapping[Path, Piece]) -> dict[Path, Path]:
    """Map each file whose notes another one has too to the one that stays: first by split, then by order."""
    split_of = {path: corpus.splits.index(corpus.split_of(path, piece.tune_digest)) for path, piece in pieces.items()}
    first: dict[str, Path] = {}
    for path in sorted(pieces, key=split_of.__getitem__):
        first.setdefault(pieces[path].digest, path)
    return {path: first[piece.digest] for path, piece in pieces.items() if first[piece.digest] != path}


def load_corpus(name_or_dir: str, *, num_proc: int | None = None, progress: Progress | None = None) -> DatasetDict:
    """Load a dataset from disk, or a corpus by name, which is built into the cache when it is first needed.

    Args:
        name_or_dir: A name in `CORPORA`, or a folder that `build_dataset` wrote.
        num_proc: Worker processes for building; by default one for each core.
        progress: Called while building, with the number of files done and of all files.

    Returns:
        Its splits.

    Raises:
        InputError: There is neither such a corpus nor such a dataset.
    """
    if name_or_dir not in CORPORA:
        if not Path(name_or_dir).is_dir():
            raise InputError(f"unknown corpus {name_or_dir!r}; give {' or '.join(CORPORA)}, or a dataset's folder.")
        return read_dataset(Path(name_or_dir))
    folder = cache_dir() / "datasets" / f"{name_or_dir}-{reader_version()}"
    if not folder.exists():
        make_cache_folder(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch, name_or_dir)
            build_dataset(name_or_dir, fresh, num_proc=num_proc, progress=progress)
            with contextlib.suppress(OSError):  # not empty: another process was faster
                fresh.rename(folder)
    return read_dataset(folder)
