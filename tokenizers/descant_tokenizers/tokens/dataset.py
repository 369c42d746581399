"""Datasets of tokens: made from datasets of scores or straight from files, and read back as pieces."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from miditok import REMI

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.corpora.build import BuildReport, write_rows
from descant_tokenizers.corpora.cache import CACHE_REMEDY, cache_dir, code_version, make_cache_folder
from descant_tokenizers.corpora.rows import Corpus, row_to_score
from descant_tokenizers.corpora.store import FileFormat, check_out, fresh_folder, write_dataset
from descant_tokenizers.corpora.workers import OnPieces, ReadOutcome, read_all
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

TOKEN_COLUMN_TYPES = {
    "input_ids": "int64[]",
    "voices": "int64[]",
    "num_bars": "int64",
    "num_16ths": "float64",
    "grid_changes": "string[]",
    "phrase_ends": "int64[]",
}


def _tokenize_piece(outcome: ReadOutcome, layout: TaskLayout) -> ReadOutcome:
    """Add token columns to a piece in a worker process; skip one that the vocabulary cannot hold."""
    assert outcome.piece is not None
    columns = _tokenize_row({"music": outcome.piece.music, "fermatas": outcome.piece.fermatas}, layout)
    if not columns["num_bars"]:
        return ReadOutcome(outcome.key, reason=f"{outcome.key}: {columns['grid_changes'][0]}")
    return replace(outcome, columns=columns)


def _tokenize_row(row: Mapping[str, Any], layout: TaskLayout) -> dict[str, Any]:
    """Return the token columns of one row; no ids and the reason if the vocabulary cannot hold the piece."""
    score = row_to_score(row)
    try:
        encoded = encode_score(layout.vocabulary, score)
    except InputError as error:
        nothing = {"input_ids": [], "voices": [], "num_bars": 0, "num_16ths": 0.0, "phrase_ends": []}
        return {**nothing, "grid_changes": [str(error)]}
    grid = layout.vocabulary.ticks_per_quarter / score.ticks_per_quarter
    return {
        "input_ids": layout.continue_ids(encoded.ids, encoded.music.voices),
        "voices": list(encoded.music.voices),
        "num_bars": encoded.music.num_bars,
        "num_16ths": encoded.music.end_ticks() * 4 / layout.vocabulary.ticks_per_quarter,
        "grid_changes": list(encoded.changes),
        "phrase_ends": [round(tick * grid) for tick in row.get("fermatas") or ()],
    }


def tokenize_dataset(
    dataset: DatasetDict, tokenizer: REMI, num_proc: int | None = None
) -> tuple[DatasetDict, dict[str, str]]:
    """Add token columns to every row, in parallel.

    The columns are `input_ids` (the *continue* stream, `BOS CONTINUE Program+ ... EOS`), `voices` (ranks of the
    voices that have notes), `num_bars`, `num_16ths` (from the first bar to the end of the last note),
    `grid_changes` (what the grid could not hold) and `phrase_ends` (the fermatas in grid ticks).

    Args:
        dataset: Rows with a `music` column of MIDI bytes.
        tokenizer: A tokenizer of a preset.
        num_proc: Worker processes; None for the calling one.

    Returns:
        The dataset without the rows that the vocabulary cannot hold, and the reasons for these by their `id`.
    """
    layout = TaskLayout(Vocabulary(tokenizer))
    mapped = DatasetDict({name: _tokenize_split(name, split, layout, num_proc) for name, split in dataset.items()})
    refused = {
        row["id"]: row["grid_changes"][0]
        for split in mapped.values()
        for row in split.select_columns(["id", "num_bars", "grid_changes"])
        if row["num_bars"] == 0
    }
    kept = {
        name: split.select([row for row, num_bars in enumerate(split["num_bars"]) if num_bars])
        for name, split in mapped.items()
    }
    return DatasetDict(kept), refused


def tokenize_files(
    corpus: Corpus,
    tokenizer: REMI,
    out: Path,
    *,
    num_proc: int | None = None,
    force: bool = False,
    file_format: FileFormat = "arrow",
    progress: OnPieces | None = None,
) -> BuildReport:
    """Turn files into a tokenized dataset in one pass, in memory that does not grow with their number.

    The rows are those of building a dataset and tokenizing it, without rows that the vocabulary cannot hold.

    Args:
        corpus: The files.
        tokenizer: A tokenizer of a preset; written beside the data.
        out: The folder to write.
        num_proc: Worker processes; by default one for each core.
        force: Replace a dataset that is already at `out`.
        file_format: `arrow` or `parquet`.
        progress: Called with the number of files done and of all files.

    Returns:
        The outcome of every file.

    Raises:
        InputError: No file is usable, or `out` cannot be written.
    """
    check_out(out, force=force)
    step = functools.partial(_tokenize_piece, layout=TaskLayout(Vocabulary(tokenizer)))
    with fresh_folder(out) as folder, contextlib.closing(read_all(corpus, num_proc, progress, step)) as outcomes:
        report = write_rows(corpus, outcomes, folder, file_format, TOKEN_COLUMN_TYPES)
        tokenizer.save(folder / TOKENIZER_FILE)
    return report


def write_tokenized(
    dataset: DatasetDict,
    refused: dict[str, str],
    tokenizer: REMI,
    out: Path,
    file_format: FileFormat = "arrow",
    *,
    force: bool = False,
) -> None:
    """Write the result of `tokenize_dataset` with its tokenizer and a report of the refused rows.

    Args:
        dataset: The tokenized rows.
        refused: Reasons for the others.
        tokenizer: Written beside the data as `tokenizer.json`.
        out: The folder to write.
        file_format: `arrow` for `datasets.load_from_disk`, `parquet` for `load_dataset("parquet", data_dir=...)`.
        force: Replace a dataset that is already at `out`.

    Raises:
        InputError: Every row was refused, `out` is not free, or it cannot be written.
    """
    check_out(out, force=force)
    kept = DatasetDict({name: rows for name, rows in dataset.items() if len(rows)})
    if not kept:
        piece, reason = next(iter(refused.items()))
        raise InputError(f"No piece can be tokenized (the first is {piece}). {reason}")
    report = {"tokenizer": TOKENIZER_FILE, "splits": {n: len(r) for n, r in kept.items()}, "refused": refused}
    write_dataset(kept, out, file_format, report, lambda folder: tokenizer.save(folder / TOKENIZER_FILE))


def dataset_pieces(rows: Dataset | Iterable[dict[str, Any]], layout: TaskLayout) -> list[Piece]:
    """Read the pieces back from the `input_ids` of a tokenized dataset."""
    return [layout.decode(row["input_ids"]).piece for row in rows]


def _tokenize_split(name: str, split: Dataset, layout: TaskLayout, num_proc: int | None) -> Dataset:
    """Tokenize one split; the result is kept in Descant's cache, not in the folder of the user's dataset."""
    version = code_version("scores", "tokens", libraries=("miditok", "symusic"))
    vocabulary = layout.vocabulary.sha256()[:16]
    folder = cache_dir() / "tokens" / f"{version}-{vocabulary}"
    make_cache_folder(folder)
    before = set(folder.glob("tmp*"))
    try:
        return split.map(
            functools.partial(_tokenize_row, layout=layout),
            num_proc=num_proc,
            cache_file_name=str(folder / f"{split._fingerprint}.arrow"),
            # datasets 5.2 takes at most 64 letters, including its own suffix for each process
            new_fingerprint=hashlib.sha256(f"{split._fingerprint}-{version}-{vocabulary}".encode()).hexdigest()[:32],
            desc=f"tokenize {name}",
        )
    except OSError as error:
        for unfinished in set(folder.glob("tmp*")) - before:  # datasets does not remove them
            unfinished.unlink(missing_ok=True)
        reason = error.strerror or error
        raise InputError(f"Cannot write to the cache {folder} ({reason}). {CACHE_REMEDY}") from error
