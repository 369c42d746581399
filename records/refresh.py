"""Bring every recorded figure in the documentation up to date.

    python records/refresh.py            rewrite README.md, README.es.md and everything under docs/
    python records/refresh.py --check    only say whether something would change (exit status 1)

A figure stands between markers that name its source, `<!--record FILE KEY FORMAT-->0.53<!--/record-->`, where FILE is a
JSON file under records/, KEY a path of keys and places joined by dots, and FORMAT a Python format such as `.3f`.

A comparison of tokenization schemes stands as a table between `<!--schemes FILE-->` and `<!--/schemes-->`, and the
rows of any other record between `<!--rows FILE TITLE=KEY:FORMAT|...-->` and `<!--/rows-->`, a column for each title.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

RECORDS = Path(__file__).parent
ROOT = RECORDS.parent
SCHEMES = re.compile(r"(<!--schemes (\S+)-->\n)(.*?)(<!--/schemes-->)", re.DOTALL)
ROWS = re.compile(r"(<!--rows (\S+) ([^>]+)-->\n)(.*?)(<!--/rows-->)", re.DOTALL)
MARKED = re.compile(r"(<!--record (\S+) (\S+) (\S+?)-->)(.*?)(<!--/record-->)", re.DOTALL)


def refreshed(text: str) -> str:
    """Return a document with every marked figure and table read anew from its record."""
    text = SCHEMES.sub(lambda match: f"{match[1]}{scheme_table(match[2])}\n{match[4]}", text)
    text = ROWS.sub(lambda match: f"{match[1]}{rows_table(match[2], match[3])}\n{match[5]}", text)
    return MARKED.sub(lambda match: f"{match[1]}{figure(match[2], match[3], match[4])}{match[6]}", text)


def scheme_table(file: str) -> str:
    """Return the table of a comparison that benchmarks/schemes.py recorded."""
    from descant_tokenizers.comparison.table import markdown_table

    return markdown_table(json.loads((RECORDS / file).read_text(encoding="utf-8")))


def rows_table(file: str, columns: str) -> str:
    """Return the `rows` of a record as a table.

    Args:
        file: The record.
        columns: `TITLE=KEY` or `TITLE=KEY:FORMAT`, joined by `|`; what has a format is a number, on the right.

    Raises:
        KeyError: A row has no such key.
    """
    cells = [re.fullmatch(r"(.*)=(\w+)(?::(\S+))?", column) for column in columns.split("|")]
    specs = [(cell[1], cell[2], cell[3] or "") for cell in cells if cell]
    assert len(specs) == len(cells), f"columns are TITLE=KEY:FORMAT, joined by |: {columns}"
    rows = json.loads((RECORDS / file).read_text(encoding="utf-8"))["rows"]
    lines = [[title for title, _, _ in specs], ["---:" if form else "---" for _, _, form in specs]]
    lines += [[format(row[key], form) for _, key, form in specs] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(file: str, key: str, form: str) -> str:
    """Read one figure.

    Raises:
        KeyError: The record has no such key.
    """
    value = json.loads((RECORDS / file).read_text(encoding="utf-8"))
    for part in key.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return format(value, form)


def documents() -> list[Path]:
    """The documents that may hold figures."""
    weights = ROOT / "modeling" / "descant_modeling" / "weights"
    pages = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return [*pages, *sorted(weights.glob("*/README.md"))]


def main() -> int:
    """Rewrite or check all documents; return the exit status."""
    stale = [path for path in documents() if refreshed(old := path.read_text(encoding="utf-8")) != old]
    for path in stale:
        print(f"{'stale' if '--check' in sys.argv else 'refreshed'}: {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
