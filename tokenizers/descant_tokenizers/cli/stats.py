"""Statistics of a corpus by split, as a table in the terminal or a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from rich.table import Table

from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.corpora.build import load_corpus
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.corpora.workers import OnPieces
from descant_tokenizers.scores import NUM_VOICES, VOICES, count_bars
from descant_tokenizers.scores.key import pitch_name
from descant_tokenizers.tokens.dataset import tokenize_dataset
from descant_tokenizers.tokens.presets import open_tokenizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LENGTHS = ("notes", "bars", "tokens")
COUNTED = ("parts", "keys", "meters", "composers", "licences")
MAX_LISTED = 6
MAX_BARS = 14
MAX_NAME = 60
MANY_TIMES = 20
"""Lengths have a logarithmic axis if the longest is more than this multiple of the median."""


@dataclass
class SplitStats:
    """Statistics of one split.

    Attributes:
        pieces: Rows.
        four_part: Rows of four voices, from files of exactly four parts.
        notes: Notes of each row; likewise bars and tokens. Rows beyond the vocabulary of the tokenizer have no tokens.
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
        """Return plain values: counts in descending order, lengths as smallest, median, largest and sum."""
        counted = {name: dict(getattr(self, name).most_common()) for name in COUNTED}
        lengths = {name: spread(getattr(self, name)) for name in LENGTHS}
        ranges = {name: list(pitches) for name, pitches in self.ranges.items()}
        return {"pieces": self.pieces, "four_part": self.four_part, **lengths, "ranges": ranges, **counted}


def spread(values: list[int]) -> dict[str, float]:
    """Return the number of values, the smallest, median and largest one, and the sum; empty for no values."""
    if not values:
        return {}
    return {
        "pieces": len(values),
        "min": min(values),
        "median": median(values),
        "max": max(values),
        "sum": sum(values),
    }


def corpus_stats(
    source: str, tokenizer: str | None = None, *, num_proc: int | None = None, progress: OnPieces | None = None
) -> tuple[dict[str, SplitStats], str]:
    """Compute the statistics of a corpus by name, of a dataset's folder, or of a folder of score files.

    Args:
        source: Name or folder.
        tokenizer: Preset or folder; by default `satb` if at least half of the pieces are four-part, else `gm`.
        num_proc: Worker processes to read files; default: one per core.
        progress: Called while reading, with the number of files done and of all files.

    Returns:
        The statistics of each split, and the name of the tokenizer of the token counts.
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
    return splits, tokenizer


def _split_stats(split: Dataset) -> SplitStats:
    stats = SplitStats()
    for row in split:
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
        stats.four_part += is_four_voices and row["num_parts"] == NUM_VOICES
        for track in score.tracks:
            if track.notes and not track.is_drum:
                _count_pitches(stats, track.notes.numpy()["pitch"], ("all", track.name) if is_four_voices else ("all",))
    return stats


def _count_pitches(stats: SplitStats, pitches: NDArray[np.int8], names: Iterable[str]) -> None:
    for name in names:
        low, high = stats.ranges.get(name, (127, 0))
        stats.ranges[name] = (min(low, int(pitches.min())), max(high, int(pitches.max())))
    for pitch, count in zip(*np.unique(pitches, return_counts=True), strict=True):
        stats.pitches[pitch] += int(count)


def table(stats: Mapping[str, SplitStats], title: str, preset: str) -> Table:
    """Make a table of statistics with a column for each split and a row for each measure."""
    view = Table(title=title, title_justify="left", show_lines=True)
    view.add_column("")
    for name in stats:
        view.add_column(name, overflow="fold")
    view.add_row("pieces", *(f"{split.pieces:,}" for split in stats.values()))
    view.add_row("of four parts", *(f"{split.four_part:,}" for split in stats.values()))
    for length, label in _length_labels(preset).items():
        view.add_row(label, *(_spread_text(split, length) for split in stats.values()))
    view.add_row("range", *(_ranges_text(split) for split in stats.values()))
    for counts in COUNTED:
        view.add_row(counts, *(_listed(getattr(split, counts)) for split in stats.values()))
    return view


def _length_labels(preset: str) -> dict[str, str]:
    return {"notes": "notes per piece", "bars": "bars per piece", "tokens": f"tokens per piece ({preset})"}


def _spread_text(split: SplitStats, length: str) -> str:
    found = spread(getattr(split, length))
    if not found:
        return "none"
    text = f"{found['min']:,} to {found['max']:,}\nmedian {found['median']:,.0f}\nsum {found['sum']:,}"
    return text if found["pieces"] == split.pieces else f"{text}\n(of {found['pieces']:,} pieces)"


def _ranges_text(split: SplitStats) -> str:
    return "\n".join(f"{name} {pitch_name(low)} to {pitch_name(high)}" for name, (low, high) in split.ranges.items())


def _listed(counts: Counter[Any]) -> str:
    listed = counts.most_common(MAX_LISTED)
    lines = [f"{shorten(str(name), MAX_NAME, placeholder='…')}: {count:,}" for name, count in listed]
    return "\n".join(lines + ([f"and {len(counts) - MAX_LISTED} more"] if len(counts) > MAX_LISTED else []))


def draw(stats: Mapping[str, SplitStats], path: Path, title: str, preset: str) -> None:
    """Draw pitches, keys, meters and lengths of each split to an image file (.png, .svg, .pdf)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = figure.subplots(2, 3).ravel()
    _draw_pitches(axes[0], stats)
    _draw_counts(axes[1], stats, "keys", "key")
    _draw_counts(axes[2], stats, "meters", "meter")
    for place, (length, label) in enumerate(_length_labels(preset).items(), start=3):
        _draw_lengths(axes[place], stats, length, label)
    axes[0].legend()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _draw_pitches(axes: Axes, stats: Mapping[str, SplitStats]) -> None:
    for name, split in stats.items():
        total = sum(split.pitches) or 1
        axes.step(range(128), [100 * count / total for count in split.pitches], where="mid", label=name)
    sounding = [pitch for pitch in range(128) if any(split.pitches[pitch] for split in stats.values())]
    axes.set(xlabel="MIDI pitch", ylabel="% of notes", xlim=(min(sounding) - 2, max(sounding) + 2))


def _draw_counts(axes: Axes, stats: Mapping[str, SplitStats], what: str, label: str) -> None:
    """Draw bars of the most frequent values, side by side for each split."""
    whole: Counter[str] = sum((getattr(split, what) for split in stats.values()), Counter())
    names = [name for name, _ in whole.most_common(MAX_BARS)]
    width = 0.8 / len(stats)
    for place, split in enumerate(stats.values()):
        shares = [100 * getattr(split, what)[name] / split.pieces for name in names]
        axes.bar([index + place * width for index in range(len(names))], shares, width)
    axes.set_xticks([index + 0.4 - width / 2 for index in range(len(names))], names, rotation=60, ha="right")
    axes.set(ylabel="% of pieces", title=label if len(whole) <= MAX_BARS else f"{label} ({MAX_BARS} of {len(whole)})")


def _draw_lengths(axes: Axes, stats: Mapping[str, SplitStats], length: str, label: str) -> None:
    found = {name: getattr(split, length) for name, split in stats.items() if getattr(split, length)}
    axes.set(xlabel=label, ylabel="% of pieces")
    if not found:
        axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes)
        return
    weights = [[100 / len(values)] * len(values) for values in found.values()]
    together = [value for values in found.values() for value in values]
    low, high = min(together), max(together)
    bins: Any = 30
    if low > 0 and high > MANY_TIMES * median(together):
        bins = np.geomspace(low, high, 31)
        axes.set_xscale("log")
    axes.hist(list(found.values()), bins=bins, weights=weights, histtype="step")
