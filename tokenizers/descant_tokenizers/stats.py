"""What is in a corpus: pieces, notes, ranges, keys, meters, lengths, tokens and licences of each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from datasets import Dataset

from descant_tokenizers.corpora.build import load_corpus
from descant_tokenizers.corpora.harvest import Progress
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.scores import VOICES, count_bars
from descant_tokenizers.tokens.dataset import tokenize_dataset
from descant_tokenizers.tokens.presets import open_tokenizer


@dataclass
class SplitStats:
    """What is in one split.

    Attributes:
        pieces: Rows.
        four_part: Rows of four voices, from files of just as many parts.
        notes: Notes of each row; likewise bars and tokens. Rows that the tokenizer cannot hold have no tokens.
        parts: Number of parts to rows.
        ranges: Track name (of the four voices) or `all` to the lowest and highest MIDI pitch.
        pitches: Notes of each MIDI pitch, 128 numbers.
        keys: Key to rows; likewise meters, composers and licences.
    """

    pieces: int = 0
    four_part: int = 0
    notes: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    parts: Counter[int] = field(default_factory=Counter)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    pitches: list[int] = field(default_factory=lambda: [0] * 128)
    keys: Counter[str] = field(default_factory=Counter)
    meters: Counter[str] = field(default_factory=Counter)
    composers: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; counts in falling order, lengths as smallest, median, largest and sum."""
        counted = {name: dict(getattr(self, name).most_common()) for name in COUNTED}
        lengths = {name: spread(getattr(self, name)) for name in LENGTHS}
        ranges = {name: list(pitches) for name, pitches in self.ranges.items()}
        return {"pieces": self.pieces, "four_part": self.four_part, **lengths, "ranges": ranges, **counted}


LENGTHS = ("notes", "bars", "tokens")
COUNTED = ("parts", "keys", "meters", "composers", "licences")


def spread(values: list[int]) -> dict[str, float]:
    """Return how many values there are, the smallest, median and largest, and their sum; empty for none."""
    if not values:
        return {}
    return {
        "pieces": len(values),
        "min": min(values),
        "median": median(values),
        "max": max(values),
        "sum": sum(values),
    }


@dataclass(frozen=True)
class CorpusStats:
    """What is in a corpus.

    Attributes:
        splits: What is in each split, in order.
        tokenizer: Name of the tokenizer that the tokens are counted in.
    """

    splits: dict[str, SplitStats]
    tokenizer: str


def corpus_stats(
    source: str, tokenizer: str | None = None, *, num_proc: int | None = None, progress: Progress | None = None
) -> CorpusStats:
    """Look at a corpus.

    Args:
        source: A corpus by name, the folder of a dataset, or a folder of score files.
        tokenizer: Preset, or folder of a trained tokenizer; by default `satb` if at least half of the pieces
            are four-part, else `gm`.
        num_proc: Worker processes to read files; by default one for each core.
        progress: Told how far reading is.

    Returns:
        What is in it.

    Raises:
        InputError: There is neither such a corpus nor such a folder, or nothing in it can be used.
    """
    named = None if tokenizer is None else open_tokenizer(tokenizer)
    dataset = load_corpus(source, num_proc=num_proc, progress=progress)
    splits = {name: _split_stats(split) for name, split in dataset.items()}
    if tokenizer is None:
        num_pieces, num_four_part = (sum(getattr(s, name) for s in splits.values()) for name in ("pieces", "four_part"))
        tokenizer = "satb" if 2 * num_four_part >= num_pieces else "gm"
    tokenized, _ = tokenize_dataset(dataset, named or open_tokenizer(tokenizer))
    for name, rows in tokenized.items():
        splits[name].tokens = [len(ids) for ids in rows["input_ids"]]
    return CorpusStats(splits, tokenizer)


def _split_stats(split: Dataset) -> SplitStats:
    stats = SplitStats()
    for row in split:
        _count(stats, row)
    return stats


def _count(stats: SplitStats, row: Mapping[str, Any]) -> None:
    score = row_to_score(row)
    stats.pieces += 1
    stats.notes.append(row["num_notes"])
    stats.bars.append(count_bars(score))
    stats.parts[row["num_parts"]] += 1
    stats.keys[row["key"]] += 1
    stats.meters[row["time_signature"]] += 1
    stats.composers[row["composer"]] += 1
    stats.licences[row["licence"]] += 1
    is_four_voices = tuple(track.name for track in score.tracks) == VOICES
    stats.four_part += is_four_voices and row["num_parts"] == len(VOICES)
    for track in score.tracks:
        if not track.is_drum:
            pitches = track.notes.numpy()["pitch"]
            _widen(stats.ranges, ("all", track.name) if is_four_voices else ("all",), pitches.tolist())
            for pitch, count in zip(*np.unique(pitches, return_counts=True), strict=True):
                stats.pitches[pitch] += int(count)


def _widen(ranges: dict[str, tuple[int, int]], names: Iterable[str], pitches: list[int]) -> None:
    for name in names:
        low, high = ranges.get(name, (127, 0))
        ranges[name] = (min(low, *pitches, 127), max(high, *pitches, 0))
