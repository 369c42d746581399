"""What the evaluation commands put on the screen: tables, remarks, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from descant_tokenizers.common.files import atomic_write

__all__ = ["remark", "show", "table", "write_json"]

_MAX_NAMED = 5


def remark(text: str | None, *, quiet: bool = False) -> None:
    """Print a sentence to stderr, if there is one."""
    if text and not quiet:
        typer.echo(text, err=True)


def name_skipped(skipped: Mapping[str, str], *, quiet: bool) -> None:
    """Say which files were left out and why, the first few by name."""
    for path, reason in list(skipped.items())[:_MAX_NAMED]:
        remark(f"left out: {reason if path in reason else f'{path}: {reason}'}", quiet=quiet)
    if len(skipped) > _MAX_NAMED:
        remark(f"left out {len(skipped) - _MAX_NAMED} more files", quiet=quiet)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Table:
    """Make a table whose first column is text and whose others are figures."""
    made = Table(title=title, title_justify="left", caption=note, caption_justify="left", show_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def show(*tables: Table) -> None:
    """Print tables to stdout."""
    console = Console(markup=False, emoji=False, highlight=False)
    for made in tables:
        console.print(made)
        console.print()


def write_json(facts: Mapping[str, Any], path: Path | None = None) -> None:
    """Print facts as one line of JSON, or write them to a file, one key a line."""
    if path is None:
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
