"""What is trained and measured on: pieces out of corpora."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets

from descant_modeling.config import RunConfig
from descant_modeling.styles import with_styles
from descant_tokenizers.corpora import load_corpus, reading_bar
from descant_tokenizers.corpora.reading import Parts
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.dataset import dataset_pieces, tokenize_dataset
from descant_tokenizers.tokens.layout import TaskLayout
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.vocabulary import TokenTable

#: Likelihood of music in four voices is measured on pieces of exactly this many parts.
NUM_VOICES = 4


@dataclass(frozen=True)
class RunData:
    """Pieces to train and evaluate on.

    Attributes:
        train: Pieces to train on.
        valid: Pieces to evaluate on.
        corpora: A hash of each corpus.
        remarks: What was left out, one sentence a corpus.
        train_styles: In whose manner each piece to train on is written; None for one that the layout has no style for.
        valid_styles: The same of the pieces to evaluate on.
    """

    train: list[Piece]
    valid: list[Piece]
    corpora: dict[str, str]
    remarks: tuple[str, ...] = ()
    train_styles: tuple[str | None, ...] = ()
    valid_styles: tuple[str | None, ...] = ()


def load_data(config: RunConfig, layout: TaskLayout, *, quiet: bool = True) -> RunData:
    """Load and tokenize the corpora of a configuration.

    Args:
        config: The run.
        layout: How the streams are read back.
        quiet: No progress bar while a corpus is built for the first time.

    Raises:
        InputError: An unknown corpus, or no piece to train on.
    """
    train: list[Piece] = []
    styles: list[str | None] = []
    hashes: dict[str, str] = {}
    tokenized: dict[str, datasets.DatasetDict] = {}
    remarks: list[str] = []
    for name in dict.fromkeys([*config.data.corpora, *filter(None, [config.data.valid_corpus])]):
        with reading_bar(name, quiet=quiet) as progress:
            corpus = load_corpus(name, parts=parts_of(layout.table), progress=progress)
        corpus = with_styles(corpus) if layout.config.styles else corpus
        tokenized[name], refused = tokenize_dataset(corpus, layout.table.tokenizer)
        if refused:
            piece, reason = next(iter(refused.items()))
            remarks.append(f"{name}: {len(refused)} pieces left out, the first is {piece}: {reason}")
    for name in config.data.corpora:
        splits = [tokenized[name][split] for split in config.data.splits if split in tokenized[name]]
        for split in splits:
            train += dataset_pieces(split, layout)
            styles += _styles(split, layout)
        hashes[name] = _hash_rows(row["input_ids"] for split in splits for row in split)
    if not train:
        reason = f"; {remarks[0]}" if remarks else ""
        raise InputError(
            f"no piece in splits {', '.join(config.data.splits)} of {', '.join(config.data.corpora)}{reason}"
        )
    measured = tokenized[config.data.valid_corpus or config.data.corpora[0]]
    valid = valid_pieces(measured, layout)
    told = _styles((row for row in measured.get("valid", ()) if _is_measured(row, layout)), layout)
    return RunData(train, valid, hashes, tuple(remarks), tuple(styles), tuple(told))


def _styles(rows: Iterable[Mapping[str, Any]], layout: TaskLayout) -> list[str | None]:
    """Return the style of each row, None where the layout does not have it."""
    told = (row.get("style") for row in rows)
    return [style if style in layout.config.styles else None for style in told]


def parts_of(table: TokenTable) -> Parts:
    """Return what a vocabulary takes from the user's own files: four voices where there are any, or every track."""
    return "auto" if table.is_four_part else "all"


def valid_pieces(corpus: datasets.DatasetDict, layout: TaskLayout, split: str = "valid") -> list[Piece]:
    """Return the pieces of a split that likelihood is measured on: in four voices those of exactly four parts."""
    if split not in corpus:
        return []
    return dataset_pieces((row for row in corpus[split] if _is_measured(row, layout)), layout)


def load_named_pieces(corpus: str, split: str, layout: TaskLayout) -> list[tuple[str, Piece]]:
    """Load the pieces of one split of a corpus that likelihood is measured on, each with its id.

    Raises:
        InputError: An unknown corpus, or no such split in it.
    """
    dataset = load_corpus(corpus, parts=parts_of(layout.table))
    if split not in dataset:
        raise InputError(f"{corpus} has no split {split!r}: choose from {', '.join(dataset)}")
    tokenized, _ = tokenize_dataset(datasets.DatasetDict({split: dataset[split]}), layout.table.tokenizer)
    names = [row["id"] for row in tokenized[split] if _is_measured(row, layout)]
    return list(zip(names, valid_pieces(tokenized, layout, split), strict=True))


def _is_measured(row: Mapping[str, Any], layout: TaskLayout) -> bool:
    return not layout.table.is_four_part or row["num_parts"] == NUM_VOICES


def _hash_rows(rows: Iterable[Sequence[int]]) -> str:
    digest = hashlib.sha256()
    for ids in rows:
        digest.update(json.dumps(list(ids)).encode())
    return digest.hexdigest()
