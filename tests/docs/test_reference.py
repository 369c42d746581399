"""The reference pages name modules, classes and functions that exist."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "reference").glob("*.md"))


def _found(path: str) -> Any:
    try:
        return import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_name_exists(page: Path) -> None:
    blocks = re.findall(r"^::: (\S+)\n((?:    .*\n)*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert blocks
    for path, options in blocks:
        shown = _found(path)
        for members in re.findall(r"members: \[(.*?)\]", options):
            missing = [name for name in members.split(", ") if not hasattr(shown, name)]
            assert not missing, f"{path} has no {missing}"
