"""Pieces to train and validate on, read from Arrow when they are drawn, and the style of each.

A style follows from the composer and the corpus of a piece. The styles are those of `tokens.presets.STYLES`, each with
its own token in the vocabulary `satb-style`. All of them are music in the four voices of that vocabulary: a quartet's
violins, viola and cello are its Soprano, Alto, Tenor and Bass, and a folk tune is its Soprano. Double stops keep their
upper note.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from symusic.core import ScoreTick

from descant_modeling.common.devices import available_cores
from descant_modeling.training.augmentation import other_meters
from descant_modeling.training.config import RunConfig
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import load_corpus, reading_bar, row_to_score
from descant_tokenizers.corpora.rights import RIGHTS
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.dataset import StoredPieces, sample_rows, tokenize_dataset
from descant_tokenizers.tokens.kinds import kind_of, parts_of
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.presets import PITCH_RANGE
from descant_tokenizers.tokens.tasks import TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

#: Word of the composer's name, and corpus, that identify the pieces of each style.
_KNOWN_BY = {
    "bach": ("Bach", "chorales"),
    "palestrina": ("Palestrina", "palestrina"),
    "mozart": ("Mozart", "quartets"),
    "haydn": ("Haydn", "quartets"),
    "beethoven": ("Beethoven", "quartets"),
    "folk": ("traditional", "folk"),
    "hymn": ("", "hymns"),
}
#: Corpora whose parts are voices from high to low under other names.
_NAMED_OTHERWISE = ("quartets", "folk")
MAX_LICENCES = 20


def style_of(row: Mapping[str, Any]) -> str | None:
    """Return the style of a dataset's row, by its composer and corpus; None if it has none."""
    for style, (word, corpus) in _KNOWN_BY.items():
        if word in row["composer"] and row["corpus"] == corpus:
            return style
    return None


def corpus_of(style: str) -> str:
    """Return the corpus from whose pieces a style is learned."""
    return _KNOWN_BY[style][1]


def with_styles(dataset: DatasetDict, vocabulary: Vocabulary) -> DatasetDict:
    """Return a dataset with a column `style` (empty for none).

    For a vocabulary of four voices, parts are named after these. Quartets of an ensemble keep their parts, and their
    style follows from the composer alone.
    """
    if vocabulary.ensemble is None:
        return DatasetDict({name: _with_styles(split) for name, split in dataset.items()})
    return DatasetDict(
        {
            name: split.add_column("style", [_style_of_composer(composer) or "" for composer in split["composer"]])
            for name, split in dataset.items()
        }
    )


def _style_of_composer(composer: str) -> str | None:
    """Return the style of a composer of quartets."""
    found = (style for style, (word, corpus) in _KNOWN_BY.items() if corpus == "quartets" and word in composer)
    return next(found, None)


def as_voices(score: ScoreTick) -> ScoreTick:
    """Name the tracks of a tune or a quartet after the voices, and move it into the vocabulary's range if necessary."""
    voiced = score.copy()
    if len(voiced.tracks) not in (1, len(VOICES)):
        return voiced  # the tokenizer reports how it reads these
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
        # In memory: nothing is written next to the user's own data.
        fingerprint = hashlib.sha256(f"{split._fingerprint}-voices".encode()).hexdigest()[:32]
        split = split.map(_voiced_row, keep_in_memory=True, new_fingerprint=fingerprint, desc="name the voices")
    return split.add_column("style", styles)


def _voiced_row(row: dict[str, Any]) -> dict[str, Any]:
    is_named_otherwise = row["corpus"] in _NAMED_OTHERWISE
    return {"music": as_voices(row_to_score(row)).dumps_midi() if is_named_otherwise else row["music"]}


@dataclass(frozen=True)
class RunData:
    """Pieces to train and validate on.

    Attributes:
        train: Training pieces.
        valid: Validation pieces.
        corpora: Hash of each corpus.
        remarks: Pieces left out, one sentence per corpus, and those of the validation split that are not scored.
        train_styles: Style token of each training piece; None if the layout has none for it.
        valid_styles: Style token of each validation piece.
        meters: Time signatures of the training pieces as they are shown, see `seen_meters`.
        licences: Licences that the rows of each folder state, see `stated_licences`.
    """

    train: StoredPieces
    valid: StoredPieces
    corpora: dict[str, str]
    remarks: tuple[str, ...] = ()
    train_styles: tuple[str | None, ...] = ()
    valid_styles: tuple[str | None, ...] = ()
    meters: tuple[str, ...] = ()
    licences: dict[str, list[str]] = field(default_factory=dict)


def load_data(config: RunConfig, layout: TaskLayout, *, quiet: bool = True) -> RunData:
    """Load and tokenize the corpora of a run; unless `quiet`, show a progress bar while a corpus is first built.

    Raises:
        InputError: An unknown corpus, or no piece to train on.
    """
    data = config.data
    tokenized: dict[str, DatasetDict] = {}
    remarks: list[str] = []
    for name in dict.fromkeys([*data.corpora, *filter(None, [data.valid_corpus])]):
        with reading_bar(name, quiet=quiet) as progress:
            corpus = load_corpus(name, parts=parts_of(layout.vocabulary), progress=progress)
        corpus = with_styles(corpus, layout.vocabulary) if layout.config.styles else corpus
        tokenized[name], refused = tokenize_dataset(corpus, layout.vocabulary.tokenizer, available_cores())
        if refused:
            piece, reason = next(iter(refused.items()))
            remarks.append(f"{name}: {len(refused)} pieces left out, the first is {piece}: {reason}")
    chosen = {
        name: [tokenized[name][split] for split in data.splits if split in tokenized[name]] for name in data.corpora
    }
    splits = [split for found in chosen.values() for split in found]
    train = StoredPieces(splits, layout)
    if not train:
        reason = f" {remarks[0]}" if remarks else ""
        raise InputError(
            f"There is no piece in splits {', '.join(data.splits)} of {', '.join(data.corpora)}.{reason} "
            "Choose other splits or corpora."
        )
    measured = tokenized[data.valid_corpus or data.corpora[0]]
    valid = []
    if "valid" in measured:
        rows = measured_rows(measured["valid"], layout)
        valid = [rows.select(sample_rows(len(rows), config.eval.max_pieces))]
        if len(valid[0]) < len(rows):
            remarks.append(
                f"valid: {len(valid[0]):,} of {len(rows):,} pieces are scored, the same ones in every run "
                "(eval.max_pieces=null scores all)"
            )
    return RunData(
        train,
        StoredPieces(valid, layout),
        {name: StoredPieces(found, layout).sha256() for name, found in chosen.items()},
        tuple(remarks),
        tuple(style for split in splits for style in _styles(split, layout)),
        tuple(style for split in valid for style in _styles(split, layout)),
        seen_meters(splits, layout.vocabulary, moved=layout.config.hints and data.other_meters > 0),
        stated_licences(chosen),
    )


def stated_licences(corpora: Mapping[str, Sequence[Dataset]]) -> dict[str, list[str]]:
    """Return the licences that rows state, sorted, for each corpus whose rights are not known by its name.

    Of more than `MAX_LICENCES`, the others are only counted, by an entry at the end.
    """
    stated = {}
    for name, splits in corpora.items():
        known = [split for split in splits if "licence" in split.column_names]
        if name in RIGHTS or not known:
            continue
        found = sorted({licence or "not stated" for split in known for licence in split.unique("licence")})
        more = [f"{len(found) - MAX_LICENCES} others"] if len(found) > MAX_LICENCES else []
        stated[name] = found[:MAX_LICENCES] + more
    return stated


def seen_meters(splits: Iterable[Dataset], vocabulary: Vocabulary, *, moved: bool) -> tuple[str, ...]:
    """Return the main time signatures of training pieces, such as `3/4`, sorted.

    Args:
        splits: The splits that are trained on.
        vocabulary: The vocabulary.
        moved: True if some pieces are moved to other meters (`DataConfig.other_meters`), which then count.
    """
    known = [split for split in splits if "time_signature" in split.column_names]
    own = {meter for split in known for meter in split.unique("time_signature")}
    moves = {other for meter in own for other in other_meters(vocabulary, meter)} if moved else set()
    return tuple(sorted(own | moves))


def _styles(split: Dataset, layout: TaskLayout) -> Iterator[str | None]:
    """Yield the style of each row, None if the layout does not have it; nothing for a layout without styles."""
    if "style" in split.column_names and layout.config.styles:
        yield from (style if style in layout.config.styles else None for style in split["style"])


def measured_rows(split: Dataset, layout: TaskLayout) -> Dataset:
    """Return the rows of a split that likelihood is measured on: for four voices, those of exactly four parts."""
    num_voices = kind_of(layout.vocabulary).num_voices
    if num_voices is None:
        return split
    return split.select(np.flatnonzero(split.with_format("arrow")["num_parts"].to_numpy() == num_voices))


def load_named_pieces(corpus: str, split: str, layout: TaskLayout) -> list[tuple[str, Piece]]:
    """Load the pieces of one split of a corpus that likelihood is measured on, each with its id.

    Raises:
        InputError: An unknown corpus, or no such split in it.
    """
    dataset = load_corpus(corpus, parts=parts_of(layout.vocabulary))
    if split not in dataset:
        raise InputError(f"{corpus} has no split {split!r}. Choose from {', '.join(dataset)}.")
    tokenized, _ = tokenize_dataset(DatasetDict({split: dataset[split]}), layout.vocabulary.tokenizer)
    rows = measured_rows(tokenized[split], layout)
    return list(zip(rows["id"], StoredPieces([rows], layout), strict=True))
