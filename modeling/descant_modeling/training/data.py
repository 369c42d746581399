"""What is trained and measured on: pieces out of corpora.

In whose manner a piece is written: the style that a model is told, derived from what a corpus says of the piece.

Styles are those of `descant_tokenizers.tokens.presets.STYLES`, each with a token of its own in the vocabulary
`satb-style`. All of them are music in the four voices of that vocabulary: a quartet's violins, viola and cello are its
Soprano, Alto, Tenor and Bass, a folk tune its Soprano. Double stops keep their upper note.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
from datasets import Dataset, DatasetDict
from symusic.core import ScoreTick

from descant_modeling.training.config import RunConfig
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import load_corpus, reading_bar, row_to_score
from descant_tokenizers.corpora.reading import Parts
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.dataset import dataset_pieces, tokenize_dataset
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.presets import PITCH_RANGE
from descant_tokenizers.tokens.tasks import TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

__all__ = ["as_voices", "corpus_of", "style_of", "with_styles"]

#: A word of the composer's name, and the corpus, by which a piece of each style is known.
_KNOWN_BY = {
    "bach": ("Bach", "chorales"),
    "palestrina": ("Palestrina", "palestrina"),
    "mozart": ("Mozart", "quartets"),
    "haydn": ("Haydn", "quartets"),
    "beethoven": ("Beethoven", "quartets"),
    "folk": ("traditional", "folk"),
}
#: Corpora whose parts are voices from high to low under other names.
_NAMED_OTHERWISE = ("quartets", "folk")


def style_of(row: Mapping[str, Any]) -> str | None:
    """Return the style of a dataset's row, by its composer and corpus; None if it has none."""
    for style, (word, corpus) in _KNOWN_BY.items():
        if word in row["composer"] and row["corpus"] == corpus:
            return style
    return None


def corpus_of(style: str) -> str:
    """Return the corpus whose pieces a style is learned from."""
    return _KNOWN_BY[style][1]


def with_styles(dataset: DatasetDict) -> DatasetDict:
    """Return a dataset with a column `style` (empty where a piece has none), its known pieces in the four voices."""
    return DatasetDict({name: _with_styles(split) for name, split in dataset.items()})


def as_voices(score: ScoreTick) -> ScoreTick:
    """Name the tracks of a tune or a quartet after the voices, and move it into the vocabulary's range if need be."""
    voiced = score.copy()
    if len(voiced.tracks) not in (1, len(VOICES)):
        return voiced  # the tokenizer says what it makes of its tracks
    for track, voice in zip(voiced.tracks, VOICES, strict=False):
        track.name = voice
    pitches = [note.pitch for track in voiced.tracks for note in track.notes]
    low, high = PITCH_RANGE
    shift = min(0, high - max(pitches)) or max(0, low - min(pitches))
    for track in voiced.tracks:
        track.shift_pitch(shift, inplace=True)
    return voiced


def _with_styles(split: Dataset) -> Dataset:
    styles = [style_of(row) or "" for row in split.select_columns(["composer", "corpus"])]
    if set(_NAMED_OTHERWISE) & set(split.unique("corpus")):
        # in memory: nothing is written beside the user's own data
        fingerprint = hashlib.sha256(f"{split._fingerprint}-voices".encode()).hexdigest()[:32]
        split = split.map(_voiced_row, keep_in_memory=True, new_fingerprint=fingerprint, desc="name the voices")
    return split.add_column("style", styles)


def _voiced_row(row: dict[str, Any]) -> dict[str, Any]:
    is_named_otherwise = row["corpus"] in _NAMED_OTHERWISE
    return {"music": as_voices(row_to_score(row)).dumps_midi() if is_named_otherwise else row["music"]}


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
            corpus = load_corpus(name, parts=parts_of(layout.vocabulary), progress=progress)
        corpus = with_styles(corpus) if layout.config.styles else corpus
        tokenized[name], refused = tokenize_dataset(corpus, layout.vocabulary.tokenizer)
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


def parts_of(vocabulary: Vocabulary) -> Parts:
    """Return what a vocabulary takes from the user's own files: four voices where there are any, or every track."""
    return "auto" if vocabulary.is_four_part else "all"


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
    dataset = load_corpus(corpus, parts=parts_of(layout.vocabulary))
    if split not in dataset:
        raise InputError(f"{corpus} has no split {split!r}: choose from {', '.join(dataset)}")
    tokenized, _ = tokenize_dataset(datasets.DatasetDict({split: dataset[split]}), layout.vocabulary.tokenizer)
    names = [row["id"] for row in tokenized[split] if _is_measured(row, layout)]
    return list(zip(names, valid_pieces(tokenized, layout, split), strict=True))


def _is_measured(row: Mapping[str, Any], layout: TaskLayout) -> bool:
    return not layout.vocabulary.is_four_part or row["num_parts"] == NUM_VOICES


def _hash_rows(rows: Iterable[Sequence[int]]) -> str:
    digest = hashlib.sha256()
    for ids in rows:
        digest.update(json.dumps(list(ids)).encode())
    return digest.hexdigest()
