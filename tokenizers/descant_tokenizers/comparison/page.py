"""A token sheet as one HTML file: it fetches nothing and runs no script.

A comparison as a table for the terminal and for Markdown, and as a picture.
All of them are made from the figures of `compare`, so that a record can be printed again.
"""

# MIGRATE docstring:

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from rich.table import Table

from descant_tokenizers.common.errors import printable
from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.comparison.schemes import Step
from descant_tokenizers.comparison.sheet import (
    FAMILIES,
    TokenBlock,
    TokenSheet,
    describe_token,
    family_of,
    heading,
    shown_parts,
)

__all__ = ["COLUMNS", "MAX_TOKENS", "markdown_table", "page", "plot", "rich_table", "write_page"]

MAX_TOKENS = 60_000
"""Tokens on a page: about ten megabytes, which browsers can still scroll through."""

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --rule: #d7dce1; --wash: #f4f6f8;
  --bar: #e4e7eb; --meter: #f7dcf2; --time: #d3eef5; --instrument: #fbeac0; --pitch: #d4f0d6; --duration: #d9e4fd;
  --loudness: #fbd9d5; --other: #ececec; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e8ebee; --soft: #a3acb6; --rule: #363d45;
  --wash: #1d2126; --bar: #3a4149; --meter: #572a4d; --time: #14485a; --instrument: #54430f; --pitch: #1c4d27;
  --duration: #223f7a; --loudness: #662a24; --other: #33383d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem 1rem 6rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: .95rem; margin: 0 0 .3rem; }
p, ul { margin: .4rem 0; } .soft { color: var(--soft); } .lost { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .4rem; position: sticky; top: 0; z-index: 1; padding: .6rem 0;
  background: var(--paper); border-bottom: 1px solid var(--rule); }
section { padding: .7rem 0; border-bottom: 1px solid var(--rule); }
.line { display: flex; flex-wrap: wrap; gap: .25rem; padding: .15rem 0; }
b, .legend span { position: relative; padding: .05rem .4rem; border-radius: .3rem;
  font: .82rem/1.5 ui-monospace, monospace; color: var(--ink); background: var(--other); white-space: nowrap; }
.step { display: inline-flex; flex-wrap: wrap; gap: .15rem; padding: .12rem; border: 1px solid var(--soft);
  border-radius: .45rem; }
b:hover { outline: 2px solid var(--ink); }
b:hover::after { content: attr(data-says); position: absolute; left: 0; top: 1.7rem; z-index: 2; padding: .25rem .6rem;
  font: .85rem/1.4 system-ui, sans-serif; color: var(--paper); background: var(--ink); border-radius: .3rem; }
"""


def page(sheet: TokenSheet) -> str:
    """Return a whole HTML page; of a very long sheet only the first `MAX_TOKENS` tokens, and the page says so."""
    return "\n".join(_page(sheet)) + "\n"


def write_page(sheet: TokenSheet, path: Path) -> None:
    """Write a page to a file; an existing one is replaced.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(page(sheet), encoding="utf-8")


def _page(sheet: TokenSheet) -> Iterator[str]:
    colours = "".join(f"b.{family}, .legend .{family} {{ background: var(--{family}); }}\n" for family in FAMILIES)
    title = escape(printable(sheet.title, 120))
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}: {escape(sheet.scheme.title)} tokens</title>"
    yield f"<style>{_STYLE}{colours}</style></head><body>"
    yield f"<h1>{title}</h1>"
    yield from _summary(sheet)
    shown = 0
    for index, block in enumerate(sheet.blocks):
        if shown >= MAX_TOKENS:
            left = len(sheet.blocks) - index
            yield f'<p class="lost">{left:,} more bars are not shown: the page would be too long.</p>'
            break
        yield from _block(block, sheet.scheme.voices)
        shown += sum(len(line) for line in block.lines)
    yield "</body></html>"


def _summary(sheet: TokenSheet) -> Iterator[str]:
    """Yield the part above the tokens: counts, losses, remarks and the legend."""
    counts, came_back = sheet.totals()
    vocabulary = " + ".join(f"{size:,}" for size in sheet.scheme.vocabulary_sizes)
    yield f"<p>{escape(sheet.scheme.title)}: {escape(counts)}; vocabulary {vocabulary}</p>"
    yield f'<p class="{"soft" if sheet.kept.is_exact else "lost"}">{escape(came_back)}</p>'
    remarks = [*sheet.remarks, *(f"limit: {limit}" for limit in sheet.scheme.limits)]
    yield '<ul class="soft">' + "".join(f"<li>{escape(line)}</li>" for line in remarks) + "</ul>"
    if any(len(step.names) > 1 for step in sheet.steps):
        yield '<p class="soft">A frame holds the parts that a model reads or writes as one token.</p>'
    used = {family_of(name) for step in sheet.steps for name in shown_parts(step)}
    legend = "".join(f'<span class="{family}">{family}</span>' for family in FAMILIES if family in used)
    yield f'<div class="legend" role="note" aria-label="colours by type of token">{legend}</div>'


def _block(block: TokenBlock, voices: Mapping[int, str]) -> Iterator[str]:
    yield f"<section><h2>{escape(heading(block.bar))}</h2>"
    for line in block.lines:
        yield '<div class="line">' + "".join(_step(step, voices) for step in line) + "</div>"
    yield "</section>"


def _step(step: Step, voices: Mapping[int, str]) -> str:
    parts = "".join(
        f'<b class="{family_of(name)}" data-says="{escape(describe_token(name, voices))}">{escape(name)}</b>'
        for name in shown_parts(step)
    )
    return f'<span class="step">{parts}</span>' if len(step.names) > 1 else parts


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
