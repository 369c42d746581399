"""Pages are short-lined, and figures in them are whole tables or listed at the end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "_generated"),
    *sorted((ROOT / "records").rglob("*.md")),
    ROOT / "modeling" / "README.md",
    ROOT / "tokenizers" / "README.md",
]
PAGES = [page for page in PAGES if page.parent.name != "tables"]
WIDTH = 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_are_short(page: Path) -> None:
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), start=1):
        is_table = line.lstrip().startswith(("|", "<!--"))
        assert is_table or len(line) <= WIDTH, f"{page.name}:{number} has {len(line)} characters"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_markers_stand_on_lines_of_their_own(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))  # CONTRIBUTING.md names some
    assert all(line.startswith("<!--") for line in text.split("\n") if "<!--" in line)
