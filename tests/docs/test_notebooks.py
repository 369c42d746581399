"""The notebooks run, and print what they printed when they were last kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

NAMES = ("tokens", "harmonize", "gan", "families")


@pytest.fixture(scope="module")
def notebooks(tool: Callable[[str], ModuleType]) -> ModuleType:
    """What runs notebooks."""
    return tool("run_notebooks")


def _printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


@pytest.mark.parametrize("name", [*NAMES[:3], pytest.param(NAMES[3], marks=pytest.mark.slow)])
def test_a_notebook_runs_as_it_was_kept(
    name: str, notebooks: ModuleType, repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = f"{repo_root / 'tokenizers'}:{repo_root / 'modeling'}"
    monkeypatch.setenv("PYTHONPATH", roots)
    monkeypatch.setenv("MINUTES", "0.02")  # of training, which takes two for each model
    path = notebooks.NOTEBOOKS / f"{name}.ipynb"
    kept = nbformat.read(path, as_version=4)
    nbformat.validate(kept)
    ran = notebooks.executed(path)
    steady = 0
    for before, now in zip(kept.cells, ran.cells, strict=True):
        if before.cell_type != "code":
            continue
        assert [output.output_type for output in before.outputs] == [output.output_type for output in now.outputs]
        if "varies" not in before.metadata.get("tags", ()):
            assert _printed(now) == _printed(before), "keep the new outputs: python tools/run_notebooks.py"
            steady += bool(_printed(now))
    assert steady >= 2


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_names_no_machine(name: str, notebooks: ModuleType) -> None:
    text = (notebooks.NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    assert '"stderr"' not in text
    assert "site-packages" not in text


def test_every_notebook_is_run(notebooks: ModuleType) -> None:
    assert sorted(path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb")) == sorted(NAMES)
