"""A comparison as a table for the terminal and for Markdown, and as a picture.

All of them are made from `Comparison.figures()`, so that a record can be printed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from descant_tokenizers.common.files import atomic_write

__all__ = ["COLUMNS", "markdown_table", "plot", "rich_table"]

Figures = Mapping[str, Any]

COLUMNS = (
    "scheme",
    "vocabulary",
    "tokens/note",
    "tokens/bar",
    "bits/note",
    "exact",
    "notes exact",
    "note F1",
    "notes/s",
    "refused",
)
"""Headings; docs/tokenizers.md explains each."""

_PANELS = (
    ("tokens_per_note", "tokens per note"),
    ("bits_per_note", "bits per note, fixed-length code"),
    ("exact_share", "pieces that come back exactly"),
    ("note_f1", "note F1 after the round trip"),
    ("notes_per_second", "notes encoded per second"),
)
_SHARES = ("exact_share", "note_f1")  # their axes end at 1
_DOTS_PER_INCH = 120
_PANEL_INCHES = 3.0
_ROW_INCHES = 0.32


def rich_table(figures: Figures) -> Table:
    """Return the table for a terminal."""
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for scheme in figures["schemes"]:
        table.add_row(*_cells(scheme))
    return table


def markdown_table(figures: Figures) -> str:
    """Return the table in Markdown, without a final line break."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
    lines += [f"| {' | '.join(_cells(scheme))} |" for scheme in figures["schemes"]]
    return "\n".join(lines)


def plot(figures: Figures, path: Path, title: str) -> None:
    """Draw a bar for each scheme in a panel for each figure.

    Args:
        figures: The comparison.
        path: A PNG file; an existing one is replaced.
        title: One line above the panels.

    Raises:
        InputError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    schemes = figures["schemes"]
    names = [scheme["name"] for scheme in schemes]
    size = (_PANEL_INCHES * len(_PANELS), _ROW_INCHES * len(schemes) + 1.4)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    for axes, (key, label) in zip(figure.subplots(1, len(_PANELS), sharey=True), _PANELS, strict=True):
        values = [scheme[key] or 0.0 for scheme in schemes]
        bars = axes.barh(names, values, color="#0072b2")
        text = _f1 if key == "note_f1" else _short
        axes.bar_label(bars, [text(scheme[key]) for scheme in schemes], padding=3, fontsize=8)
        axes.set_title(label, fontsize=10)
        axes.set_xlim(0, 1.3 * (1.0 if key in _SHARES else max(values, default=1) or 1))
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.axes[0].invert_yaxis()  # of all panels, since they share it
    figure.suptitle(title, fontsize=12, parse_math=False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DOTS_PER_INCH)


def _cells(scheme: Figures) -> list[str]:
    sizes = scheme["vocabulary_sizes"]
    vocabulary = f"{scheme['vocabulary']:,}" + (f" in {len(sizes)}" if len(sizes) > 1 else "")
    return [
        str(scheme["name"]),
        vocabulary,
        _number(scheme["tokens_per_note"], ".2f"),
        _number(scheme["tokens_per_bar"], ".1f"),
        _number(scheme["bits_per_note"], ".1f"),
        _share(scheme["num_exact"], scheme["num_pieces"]),
        _share(scheme["num_same_notes"], scheme["num_pieces"]),
        _f1(scheme["note_f1"]),
        _number(scheme["notes_per_second"], ",.0f"),
        f"{scheme['num_refused']:,}",
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _share(part: int, whole: int) -> str:
    """Return a percentage that says 100 only where it is all, and 0 only where it is none."""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    return f"{min(max(100 * part / whole, 0.1), 99.9):.1f} %"


def _f1(value: float | None) -> str:
    """Return an F1 of four decimals that says 1 only where it is 1."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 1 else f"{min(value, 0.9999):.4f}"


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
