"""Statistics of a corpus as a table for a terminal and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from descant_tokenizers.errors import InputError
from descant_tokenizers.files import atomic_write
from descant_tokenizers.stats import LENGTHS, SplitStats, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGE_SUFFIXES = (".png", ".svg", ".pdf")
MAX_LISTED = 6
MAX_BARS = 14
MAX_NAME = 60
#: Lengths are drawn on a logarithmic axis where the longest is so many times the median.
MANY_TIMES = 20
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def table(stats: Mapping[str, SplitStats], title: str, preset: str) -> Table:
    """Lay statistics out: a column for each split, a row for each measure."""
    view = Table(title=title, title_justify="left", show_lines=True)
    view.add_column("")
    for name in stats:
        view.add_column(name, overflow="fold")
    labels = {"notes": "notes a piece", "bars": "bars a piece", "tokens": f"tokens a piece ({preset})"}
    view.add_row("pieces", *(f"{split.pieces:,}" for split in stats.values()))
    view.add_row("of four parts", *(f"{split.four_part:,}" for split in stats.values()))
    for length in LENGTHS:
        view.add_row(labels[length], *(_spread_text(split, length) for split in stats.values()))
    view.add_row("range", *(_ranges_text(split) for split in stats.values()))
    for label, counts in (
        ("parts", "parts"),
        ("keys", "keys"),
        ("meters", "meters"),
        ("composers", "composers"),
        ("licences", "licences"),
    ):
        view.add_row(label, *(_listed(getattr(split, counts)) for split in stats.values()))
    return view


def draw(stats: Mapping[str, SplitStats], path: Path, title: str, preset: str) -> None:
    """Draw pitches, keys, meters and lengths of each split to an image file.

    Args:
        stats: What is in each split.
        path: The file; its suffix says the format (.png, .svg, .pdf).
        title: What is shown.
        preset: Name of the tokenizer preset.

    Raises:
        InputError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = figure.subplots(2, 3).ravel()
    _draw_pitches(axes[0], stats)
    _draw_counts(axes[1], stats, "keys", "key")
    _draw_counts(axes[2], stats, "meters", "meter")
    for place, (length, label) in enumerate(
        (("notes", "notes a piece"), ("bars", "bars a piece"), ("tokens", f"tokens a piece ({preset})"))
    ):
        _draw_lengths(axes[3 + place], stats, length, label)
    axes[0].legend()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110)


def check_plot(path: Path | None, *, force: bool) -> None:
    """Refuse an image file before any work is done.

    Args:
        path: Where to draw, if anywhere.
        force: Replace a file that is there.

    Raises:
        InputError: There is a file already, or its suffix names no format.
    """
    if path is None:
        return
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(f"{path} names no image format; give a file ending in {', '.join(IMAGE_SUFFIXES)}.")
    if path.exists() and not force:
        raise InputError(f"{path} exists already; choose another name, or pass --force to replace it.")


def pitch_name(pitch: int) -> str:
    """Name a MIDI pitch: 60 is C4."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


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


def _draw_pitches(axes: Axes, stats: Mapping[str, SplitStats]) -> None:
    for name, split in stats.items():
        total = sum(split.pitches) or 1
        axes.step(range(128), [100 * count / total for count in split.pitches], where="mid", label=name)
    sounding = [pitch for pitch in range(128) if any(split.pitches[pitch] for split in stats.values())]
    axes.set(xlabel="MIDI pitch", ylabel="% of notes", xlim=(min(sounding) - 2, max(sounding) + 2))


def _draw_counts(axes: Axes, stats: Mapping[str, SplitStats], what: str, label: str) -> None:
    """Bars of the most frequent values, beside each other for each split."""
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
