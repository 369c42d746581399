"""Write recorded figures into the documentation.

    python records/refresh.py            write docs/_generated/ and every table that a page embeds
    python records/refresh.py --check    change nothing; exit status 1 if a table or a quoted figure is stale

`records/tables/NAME.md` is a Markdown table whose cells quote records, `{ALIAS KEY FORMAT}`, below the lines that
define its aliases, `ALIAS = FILE`. FILE is a JSON file under records/, KEY a path of keys and indices joined by dots,
FORMAT a Python format such as `.3f`; the KEY of an estimate gives its value and its interval. The table is written to
`docs/_generated/NAME.md` and into every page that embeds it, between `<!--records NAME-->` and `<!--/records-->`.

Two kinds of record become a table without a template: a comparison of tokenization schemes (`<!--schemes FILE-->`) and
any list of rows (`<!--rows FILE TITLE=KEY:FORMAT|...-->`, a column for each title).

Sentences quote figures as plain text. Such a page lists them in a comment at its end, `<!--figures`, with one
`TEXT FILE KEY FORMAT` a line. Sentences are never rewritten: a figure that its record no longer gives is reported.
TEXT may group digits with spaces, as Spanish does.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).parent
ROOT = RECORDS.parent
TABLES = RECORDS / "tables"
GENERATED = ROOT / "docs" / "_generated"
EMBEDDED = re.compile(r"(<!--records (\S+)-->\n)(.*?)(<!--/records-->)", re.DOTALL)
SCHEMES = re.compile(r"(<!--schemes (\S+)-->\n)(.*?)(<!--/schemes-->)", re.DOTALL)
ROWS = re.compile(r"(<!--rows (\S+) ([^>]+)-->\n)(.*?)(<!--/rows-->)", re.DOTALL)
QUOTED = re.compile(r"<!--figures\n(.*?)\n-->", re.DOTALL)
_CELL = re.compile(r"\{(\S+) (\S+) (\S+)\}")
_ALIAS = re.compile(r"^(\S+) = (\S+)\n+", re.MULTILINE)


def refreshed(text: str) -> str:
    """Return a document with every embedded table rebuilt from its record."""
    text = EMBEDDED.sub(lambda match: f"{match[1]}{record_table(match[2])}{match[4]}", text)
    text = SCHEMES.sub(lambda match: f"{match[1]}{scheme_table(match[2])}\n{match[4]}", text)
    return ROWS.sub(lambda match: f"{match[1]}{rows_table(match[2], match[3])}\n{match[5]}", text)


def record_table(name: str) -> str:
    """Fill in the table `records/tables/NAME.md`.

    Raises:
        KeyError: The table uses an undefined alias, or a record has no such key.
    """
    template = (TABLES / f"{name}.md").read_text(encoding="utf-8")
    files = {match[1]: match[2] for match in _ALIAS.finditer(template)}
    return _CELL.sub(lambda cell: figure(files[cell[1]], cell[2], cell[3]), _ALIAS.sub("", template))


def scheme_table(file: str) -> str:
    """Return the table of a comparison recorded by benchmarks/schemes.py."""
    from descant_tokenizers.comparison.compare import markdown_table

    return markdown_table(json.loads((RECORDS / file).read_text(encoding="utf-8")))


def rows_table(file: str, columns: str) -> str:
    """Return the `rows` of a record as a table.

    Args:
        file: The record.
        columns: `TITLE=KEY` or `TITLE=KEY:FORMAT`, joined by `|`; a column with a format is right-aligned.

    Raises:
        KeyError: A row has no such key.
    """
    cells = [re.fullmatch(r"(.*)=(\w+)(?::(\S+))?", column) for column in columns.split("|")]
    specs = [(cell[1], cell[2], cell[3] or "") for cell in cells if cell]
    assert len(specs) == len(cells), f"columns are TITLE=KEY:FORMAT, joined by |: {columns}"
    rows = json.loads((RECORDS / file).read_text(encoding="utf-8"))["rows"]
    lines = [[title for title, _, _ in specs], ["---:" if form else "---" for _, _, form in specs]]
    lines += [[_text(row[key], form) for _, key, form in specs] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(file: str, key: str, form: str) -> str:
    """Read one figure; an estimate with its ends as `value [low, high]`.

    Raises:
        KeyError: The record has no such key.
    """
    value = json.loads((RECORDS / file).read_text(encoding="utf-8"))
    for part in key.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return _text(value, form)


def _text(value: Any, form: str) -> str:
    """Return a figure as text; an estimate as `value [low, high]`."""
    if isinstance(value, dict):
        value, low, high = (format(value[key], form) for key in ("value", "low", "high"))
        return f"{value} [{low}, {high}]"
    return format(value, form)


def stale_figures(text: str) -> Iterator[str]:
    """Yield a line for each quoted figure that its record does not give, or that the page no longer quotes."""
    prose = " ".join(EMBEDDED.sub("", QUOTED.sub("", text)).split())
    for block in QUOTED.finditer(text):
        for line in block[1].split("\n"):
            quoted, file, key, form = line.rsplit(maxsplit=3)
            if (recorded := figure(file, key, form)).replace(" ", "") != quoted.replace(" ", ""):
                yield f"quotes {quoted}, but {file} has {recorded} ({key})"
            if quoted not in prose:
                yield f"lists {quoted} ({key}), which no sentence quotes"


def documents() -> list[Path]:
    """Return the pages that may embed tables or quote figures."""
    return [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def main() -> int:
    """Rewrite or check every document; return the exit status."""
    is_check = "--check" in sys.argv[1:]
    texts = {GENERATED / path.name: record_table(path.stem) for path in sorted(TABLES.glob("*.md"))}
    texts |= {path: refreshed(path.read_text(encoding="utf-8")) for path in documents() if path not in texts}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'stale' if is_check else 'refreshed'}: {path.relative_to(ROOT)}")
        if not is_check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(texts[path], encoding="utf-8")
    wrong = [f"{path.relative_to(ROOT)} {line}" for path, text in texts.items() for line in stale_figures(text)]
    print("\n".join(wrong), end="\n" if wrong else "")
    return int(bool(wrong) or (is_check and bool(stale)))


if __name__ == "__main__":
    sys.exit(main())
