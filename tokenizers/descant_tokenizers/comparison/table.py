"""A comparison as a table for the terminal and for Markdown, and as a picture.

All of them are made from the figures of `compare`, so that a record can be printed again.
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
"""Headings; docs/schemes.md explains each."""

_PANELS = (
    ("tokens_per_note", "tokens per note"),
    ("bits_per_note", "bits per note, fixed-length code"),
    ("exact_share", "pieces that come back exactly"),
    ("note_f1", "note F1 after the round trip"),
    ("notes_per_second", "notes encoded per second"),
)
_SHARES = ("exact_share", "note_f1")  # their axes end at 1


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
    """Draw a bar for each scheme, in a panel for each figure, to a PNG file; an existing one is replaced.

    Raises:
        InputError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    schemes = figures["schemes"]
    names = [scheme["name"] for scheme in schemes]
    inches = (3.0 * len(_PANELS), 0.32 * len(schemes) + 1.4)
    figure = Figure(figsize=inches, layout="constrained", facecolor="white")
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
        figure.savefig(temporary, format="png", dpi=120)


def _cells(scheme: Figures) -> list[str]:
    num_parts = len(scheme["vocabulary_sizes"])
    return [
        str(scheme["name"]),
        f"{scheme['vocabulary']:,}" + f" in {num_parts}" * (num_parts > 1),
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
    """Return a percentage that is 100 only for all, and 0 only for none."""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    return f"{min(max(100 * part / whole, 0.1), 99.9):.1f} %"


def _f1(value: float | None) -> str:
    """Return an F1 with four decimals that is 1 only for 1."""
    return _number(value if value in (None, 1) else min(value, 0.9999), ".4f")


def _short(value: float | None) -> str:
    return _number(value, ",.0f" if (value or 0) >= 1000 else ".3g")
