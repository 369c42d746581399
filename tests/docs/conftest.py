"""Tools of the repository, imported as modules."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tool(repo_root: Path) -> Callable[[str], ModuleType]:
    """A function that imports a script of tools/ by name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, repo_root / "tools" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
