"""The linters' rules that hold the house together fire: each is shown something bad."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PACKAGES = ("tokenizers/descant_tokenizers", "modeling/descant_modeling")


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found is not None, f"{name} is part of the development install"
    return found


def _run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | environment
    )


def _ruff(repo_root: Path, filename: str, source: str) -> str:
    """Lint a snippet as if it were that file of the project; returns ruff's findings."""
    command = [_tool("ruff"), "check", "--no-cache", "--output-format=concise", "--stdin-filename", filename, "-"]
    done = subprocess.run(command, cwd=repo_root, input=source, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "snippet",
    ["import modeling\n", "from modeling import descant_modeling\n", "import tokenizers.descant_tokenizers\n"],
)
def test_importing_a_source_root_is_refused(repo_root: Path, snippet: str) -> None:
    assert "TID251" in _ruff(repo_root, "train.py", f'"""A script."""\n\n{snippet}')


@pytest.mark.parametrize("filename", ["tokenize.py", "tokenizers/types.py", "modeling/random.py"])
def test_shadowing_the_standard_library_is_refused(repo_root: Path, filename: str) -> None:
    assert "A005" in _ruff(repo_root, filename, '"""A module."""\n')


def test_imports_are_sorted_with_tokenizers_as_a_library(repo_root: Path) -> None:
    right = (
        '"""A script."""\n\nimport tokenizers\n\nimport descant_tokenizers\n\nprint(tokenizers, descant_tokenizers)\n'
    )
    wrong = '"""A script."""\n\nimport descant_tokenizers\nimport tokenizers\n\nprint(tokenizers, descant_tokenizers)\n'
    assert "I001" not in _ruff(repo_root, "train.py", right)
    assert "I001" in _ruff(repo_root, "train.py", wrong)


@pytest.fixture
def copied_house(repo_root: Path, tmp_path: Path) -> Path:
    """A copy of the configuration and of both packages' code, without data and weights."""
    shutil.copy(repo_root / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        skip = shutil.ignore_patterns("__pycache__", "data", "weights")
        shutil.copytree(repo_root / package, tmp_path / package, ignore=skip)
    return tmp_path


def _lint_imports(house: Path) -> subprocess.CompletedProcess[str]:
    roots = os.pathsep.join(str(house / Path(package).parent) for package in PACKAGES)
    return _run([_tool("lint-imports"), "--no-cache"], house, PYTHONPATH=roots)


def test_import_direction_is_kept(copied_house: Path) -> None:
    done = _lint_imports(copied_house)
    assert done.returncode == 0, done.stdout
    assert "4 kept, 0 broken" in done.stdout


def test_imports_against_the_direction_are_refused(copied_house: Path) -> None:
    forbidden = ("descant_modeling", "torch", "transformers", "accelerate")
    planted = "".join(f"import {name}\n" for name in forbidden)
    (copied_house / "tokenizers/descant_tokenizers/planted.py").write_text(planted, encoding="utf-8")
    done = _lint_imports(copied_house)
    assert done.returncode == 1, done.stderr
    for name in forbidden:
        assert f"descant_tokenizers.planted -> {name}" in done.stdout


def test_type_check_sees_both_packages(repo_root: Path, tmp_path: Path) -> None:
    """Strict mypy, run as `make types` does, finds errors in either package and follows imports between them."""
    shutil.copy(repo_root / "pyproject.toml", tmp_path)
    for name in ("train.py", "generate.py", "app.py", "benchmarks/script.py", "records/script.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()  # pyproject.toml names them; the real ones import typer and torch
    first, second = (tmp_path / package for package in PACKAGES)
    for package in (first, second):
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    (first / "bars.py").write_text("def length_ticks(number: int) -> int:\n    return str(number)\n", encoding="utf-8")
    (second / "loss.py").write_text(
        "from descant_tokenizers.bars import length_ticks\n\n"
        "def nats(tokens):\n    return tokens\n\n"
        'length_ticks("three")\n',
        encoding="utf-8",
    )
    done = _run([_tool("mypy"), "--cache-dir", str(tmp_path / "cache")], tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "tokenizers/descant_tokenizers/bars.py:2: error: Incompatible return value" in done.stdout
    assert "modeling/descant_modeling/loss.py:3: error: Function is missing a type annotation" in done.stdout
    assert 'modeling/descant_modeling/loss.py:6: error: Argument 1 to "length_ticks"' in done.stdout


def test_commit_hooks_fetch_nothing(repo_root: Path) -> None:
    config = repo_root / ".pre-commit-config.yaml"
    done = _run([_tool("pre-commit"), "validate-config", str(config)], repo_root)
    assert done.returncode == 0, done.stdout
    repositories = yaml.safe_load(config.read_text(encoding="utf-8"))["repos"]
    assert [each["repo"] for each in repositories] == ["local"]
    assert {hook["language"] for hook in repositories[0]["hooks"]} == {"system"}
