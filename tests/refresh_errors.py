"""Write the tables of docs/errors.md from tests/data/bad_input.yaml.

python tests/refresh_errors.py             write them
python tests/refresh_errors.py --check     change nothing; exit status 1 if they are stale
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "data" / "bad_input.yaml"
PAGE = ROOT / "docs" / "errors.md"
_MARKED = re.compile(r"(<!--table (\w+)-->\n).*?(<!--/table-->)", re.DOTALL)


def load_table() -> dict[str, list[dict[str, Any]]]:
    """Return the entries by section."""
    sections: dict[str, list[dict[str, Any]]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return sections


def refreshed(page: str, sections: dict[str, list[dict[str, Any]]]) -> str:
    """Return the page with its tables as the sections say."""
    return _MARKED.sub(lambda marked: marked[1] + _table(sections[marked[2]]) + marked[3], page)


def _table(entries: list[dict[str, Any]]) -> str:
    has_remedy = "do" in entries[0]
    head = (
        "| what you give | what it says | what to do |\n|---|---|---|\n"
        if has_remedy
        else ("| what you give | what the summary says |\n|---|---|\n")
    )
    rows = (
        [entry["given"], f"`{entry['says'].replace('...', '…')}`"]
        + ([entry["do"].replace("...", "…")] if has_remedy else [])
        for entry in entries
    )
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> int:
    """Write the page, or check it."""
    before = PAGE.read_text(encoding="utf-8")
    after = refreshed(before, load_table())
    if "--check" in sys.argv[1:]:
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
