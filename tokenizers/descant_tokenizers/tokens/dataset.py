"""Datasets of tokens: made from datasets of scores or straight from files, and read back as pieces."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow
import pyarrow.compute
from datasets import Dataset, DatasetDict, Features, concatenate_datasets
from datasets.utils import tqdm
from miditok import REMI

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.corpora.build import BuildReport, write_rows
from descant_tokenizers.corpora.cache import CACHE_REMEDY, cache_dir, code_version, make_cache_folder
from descant_tokenizers.corpora.rows import Corpus, row_to_score
from descant_tokenizers.corpora.store import BATCH_ROWS, FileFormat, check_out, features, fresh_folder, write_dataset
from descant_tokenizers.corpora.workers import OnPieces, ReadOutcome, in_pool, read_all
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.piece import Piece, PitchTable, pitch_ranges, pitch_table
from descant_tokenizers.tokens.tasks import TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

TOKEN_COLUMN_TYPES = {
    "input_ids": "int64[]",
    "voices": "int64[]",
    "num_bars": "int64",
    "num_16ths": "float64",
    "grid_changes": "string[]",
    "phrase_ends": "int64[]",
    "pitch_ranges": "int64[]",
    "ids_sha256": "string",
}
SHARD_ROWS = 1000
"""Rows that are tokenized at a time: an interrupted run loses one shard for each process."""


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
        nothing: dict[str, Any] = {name: [] for name, kind in TOKEN_COLUMN_TYPES.items() if kind.endswith("[]")}
        return {**nothing, "num_bars": 0, "num_16ths": 0.0, "ids_sha256": "", "grid_changes": [str(error)]}
    ids, music = layout.continue_ids(encoded.ids, encoded.music.voices), encoded.music
    ranges = pitch_ranges(music) if isinstance(music, Piece) else music.pitch_ranges()
    grid = layout.vocabulary.ticks_per_quarter / score.ticks_per_quarter
    return {
        "input_ids": ids,
        "voices": list(music.voices),
        "num_bars": music.num_bars,
        "num_16ths": music.end_ticks() * 4 / layout.vocabulary.ticks_per_quarter,
        "grid_changes": list(encoded.changes),
        "phrase_ends": [round(tick * grid) for tick in row.get("fermatas") or ()],
        "pitch_ranges": [pitch for voice in music.voices for pitch in ranges[voice]],
        "ids_sha256": hashlib.sha256(np.array(ids, dtype="<i8").tobytes()).hexdigest(),
    }


def tokenize_dataset(
    dataset: DatasetDict, tokenizer: REMI, num_proc: int | None = None
) -> tuple[DatasetDict, dict[str, str]]:
    """Add token columns to every row, in parallel.

    The columns are `input_ids` (the *continue* stream, `BOS CONTINUE Program+ ... EOS`), `voices` (ranks of the
    voices that have notes), `num_bars`, `num_16ths` (from the first bar to the end of the last note),
    `grid_changes` (what the grid could not hold), `phrase_ends` (the fermatas in grid ticks), `pitch_ranges` (lowest
    and highest MIDI pitch of each of `voices`, one after the other) and `ids_sha256` (a hash of `input_ids`).

    The result is kept in Descant's cache, in shards while it is made: an interrupted call continues where it stopped.
    Memory does not grow with the number of rows.

    Args:
        dataset: Rows with a `music` column of MIDI bytes.
        tokenizer: A tokenizer of a preset.
        num_proc: Worker processes; None for the calling one.

    Returns:
        The dataset without the rows that the vocabulary cannot hold, and the reasons for these by their `id`.
    """
    layout = TaskLayout(Vocabulary(tokenizer))
    kept, refused = DatasetDict(), dict[str, str]()
    for name, split in dataset.items():
        tokenized = _tokenize_split(name, split, layout, num_proc or 1)
        is_kept_N = tokenized.with_format("arrow")["num_bars"].to_numpy() > 0
        kept[name] = tokenized if is_kept_N.all() else tokenized.select(np.flatnonzero(is_kept_N))
        reasons = tokenized.select_columns(["id", "grid_changes"]).select(np.flatnonzero(~is_kept_N))
        refused |= {row["id"]: row["grid_changes"][0] for row in reasons}
    return kept, refused


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


class StoredPieces(Sequence[Piece]):
    """Pieces of tokenized splits, which stay on disk: each access reads the ids of a row and decodes them."""

    _IN_A_PIECE = ("input_ids", "phrase_ends")

    def __init__(self, splits: Sequence[Dataset], layout: TaskLayout) -> None:
        facts = ("voices", "pitch_ranges", "ids_sha256", "num_notes")
        columns = [split.select_columns([*self._IN_A_PIECE, *facts]) for split in splits]
        self._facts = concatenate_datasets(columns).with_format("arrow") if columns else None
        self._rows = self._facts.select_columns(list(self._IN_A_PIECE)).with_format(None) if self._facts else None
        self._layout = layout

    def __len__(self) -> int:
        return 0 if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> list[Piece]: ...
    def __getitem__(self, index: int | slice) -> Piece | list[Piece]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if self._rows is None:
            raise IndexError(index)
        return self._layout.decode(self._rows[index]["input_ids"]).piece

    def phrase_ends(self, index: int) -> tuple[int, ...]:
        """Return the onsets of the last notes of a piece's phrases, in grid ticks; empty if they are not marked."""
        assert self._rows is not None, "no pieces"
        return tuple(self._rows[index]["phrase_ends"])

    def pitch_table(self) -> PitchTable:
        """Return pitches and sizes of the pieces from their columns; `num_notes` counts the notes of the scores."""
        if self._facts is None:
            return pitch_table([])
        voices = self._facts["voices"]
        num_voices_N = pyarrow.compute.list_value_length(voices).to_numpy()
        return PitchTable(
            np.repeat(np.arange(len(self)), num_voices_N),
            pyarrow.compute.list_flatten(voices).to_numpy(),
            pyarrow.compute.list_flatten(self._facts["pitch_ranges"]).to_numpy().reshape(-1, 2),
            self._facts["num_notes"].to_numpy().astype(np.int64),
        )

    def sha256(self) -> str:
        """Return a hash of all ids."""
        digest = hashlib.sha256()
        for chunk in [] if self._facts is None else self._facts["ids_sha256"].iterchunks():
            digest.update("".join(chunk.to_pylist()).encode())
        return digest.hexdigest()


def sample_rows(number: int, most: int | None) -> list[int]:
    """Return the indices, ascending, of at most `most` (None for all) of a number of rows, always the same ones."""
    if most is None or number <= most:
        return list(range(number))
    return sorted(np.random.default_rng(0).choice(number, most, replace=False).tolist())


def _tokenize_split(name: str, split: Dataset, layout: TaskLayout, num_proc: int) -> Dataset:
    """Tokenize one split; the result is kept in Descant's cache, not in the folder of the user's dataset."""
    version = code_version("scores", "tokens", libraries=("miditok", "symusic"))
    vocabulary = layout.vocabulary.sha256()[:16]
    folder = cache_dir() / "tokens" / f"{version}-{vocabulary}"
    make_cache_folder(folder)
    path = folder / f"{split._fingerprint}.arrow"
    if not path.exists():
        shards = Shards(split, layout, path.with_suffix(".shards"), SHARD_ROWS)
        try:
            shards.make(num_proc, f"tokenize {name}")
            shards.join(path)
        except OSError as error:
            if not path.exists():  # another process was not faster
                reason = error.strerror or error
                raise InputError(f"Cannot write to the cache {folder} ({reason}). {CACHE_REMEDY}") from error
        finally:
            shards.clean(is_done=path.exists())
    stored = Dataset.from_file(str(path))
    fingerprint = hashlib.sha256(f"{split._fingerprint}-{version}-{vocabulary}".encode()).hexdigest()[:32]
    return Dataset(stored.data, stored.info, fingerprint=fingerprint)


@dataclass(frozen=True)
class Shards:
    """A split tokenized in shards, which an interrupted run leaves for the next one.

    Attributes:
        split: The rows.
        layout: A layout with the vocabulary.
        folder: The folder of the shards.
        size: Rows in a shard.
    """

    split: Dataset
    layout: TaskLayout
    folder: Path
    size: int

    def make(self, num_proc: int, label: str) -> None:
        """Write the shards that are not there yet, in worker processes if there are several."""
        self.folder.mkdir(exist_ok=True)
        missing = [start for start in self._starts() if not self._path(start).exists()]
        num_rows = sum(self._stop(start) - start for start in missing)
        with tqdm(total=len(self.split), initial=len(self.split) - num_rows, desc=label) as bar:
            if num_proc > 1 and len(missing) > 1:
                chunks = [[start] for start in missing]
                with contextlib.closing(in_pool(self._make_one, chunks, min(num_proc, len(chunks)))) as done:
                    for (number,) in done:
                        bar.update(number)
            for start in missing:  # all of them, or those that are left when a worker process ended
                if not self._path(start).exists():
                    bar.update(self._make_one(start))

    def _make_one(self, start: int) -> int:
        """Write one shard; return the number of its rows."""
        with self._writing(self._path(start)) as write:
            for first in range(start, self._stop(start), BATCH_ROWS):
                rows = self.split.select(range(first, min(first + BATCH_ROWS, self._stop(start)))).to_list()
                rows = [{**row, **_tokenize_row(row, self.layout)} for row in rows]
                write(pyarrow.Table.from_pylist(rows, schema=self._schema))
        return self._stop(start) - start

    def join(self, path: Path) -> None:
        """Write all shards to one file."""
        with self._writing(path) as write:
            for start in self._starts():
                with pyarrow.memory_map(str(self._path(start))) as file, pyarrow.ipc.open_stream(file) as batches:
                    for batch in batches:
                        write(batch)

    @property
    def _schema(self) -> pyarrow.Schema:
        return Features({**self.split.features, **features(TOKEN_COLUMN_TYPES)}).arrow_schema

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[Callable[[Any], None]]:
        """Yield a function that writes rows to a file, which is there when it is complete."""
        temporary = self.folder / f"{path.stem}.{os.getpid()}.part"
        with temporary.open("wb") as file, pyarrow.ipc.new_stream(file, self._schema) as writer:
            yield writer.write
        temporary.replace(path)

    def _starts(self) -> range:
        return range(0, len(self.split), self.size)

    def _stop(self, start: int) -> int:
        return min(start + self.size, len(self.split))

    def clean(self, *, is_done: bool) -> None:
        """Remove the shards if they are joined, else what was left of an unfinished one."""
        if is_done:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        for unfinished in self.folder.glob("*.part"):
            unfinished.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds shards
            self.folder.rmdir()

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:09}.arrow"
