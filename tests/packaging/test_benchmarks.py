"""Every script under benchmarks/ and records/ imports, and shows its command."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path for folder in ("benchmarks", "records") for path in (ROOT / folder).glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_imports(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.syspath_prepend(str(script.parent))  # as Python itself does
    names = runpy.run_path(str(script), run_name="imported")
    assert callable(names["main"])
    assert names["__doc__"].count(f"python {script.relative_to(ROOT)}") >= 1
