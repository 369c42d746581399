"""Bring every recorded figure in the documentation up to date.

    python records/refresh.py            rewrite README.md, README.es.md and everything under docs/
    python records/refresh.py --check    only say whether something would change (exit status 1)

A figure stands between markers that name its source, `<!--record FILE KEY FORMAT-->0.53<!--/record-->`, where FILE is a
JSON file under records/, KEY a path of keys and places joined by dots, and FORMAT a Python format such as `.3f`.

A comparison of tokenization schemes stands as a table between `<!--schemes FILE-->` and `<!--/schemes-->`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

RECORDS = Path(__file__).parent
ROOT = RECORDS.parent
SCHEMES = re.compile(r"(<!--schemes (\S+)-->\n)(.*?)(<!--/schemes-->)", re.DOTALL)
MARKED = re.compile(r"(<!--record (\S+) (\S+) (\S+?)-->)(.*?)(<!--/record-->)", re.DOTALL)


def refreshed(text: str) -> str:
    """Return a document with every marked figure and table read anew from its record."""
    text = SCHEMES.sub(lambda match: f"{match[1]}{scheme_table(match[2])}\n{match[4]}", text)
    return MARKED.sub(lambda match: f"{match[1]}{figure(match[2], match[3], match[4])}{match[6]}", text)


def scheme_table(file: str) -> str:
    """Return the table of a comparison that benchmarks/schemes.py recorded."""
    from descant_tokenizers.schemes.table import markdown_table

    return markdown_table(json.loads((RECORDS / file).read_text(encoding="utf-8")))


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
