"""The READMEs of both source roots, the contracts in pyproject.toml and docs/architecture.md name the same folders."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

PACKAGES = {"descant_tokenizers": "tokenizers", "descant_modeling": "modeling"}
#: Folders of data, not of code.
DATA = ("__pycache__", "data", "weights")


def _rooms(package: Path) -> set[str]:
    """The subfolders and top-level modules of a package, as its README writes them."""
    folders = {f"{path.name}/" for path in package.iterdir() if path.name not in DATA and any(path.glob("*.py"))}
    return folders | {path.name for path in package.glob("*.py") if path.name != "__init__.py"}


def _listed(readme: Path) -> list[str]:
    """The names in the tree that a README shows."""
    (tree,) = re.findall(r"^```text\n(.*?)^```", readme.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line.split()[0] for line in tree.splitlines() if line.strip()]


def _layers(repo_root: Path, package: str) -> list[str]:
    """The layers of a package, from top to bottom, as the contract names them."""
    settings: dict[str, Any] = tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = [each for each in contracts if each["type"] == "layers" and each["containers"] == [package]]
    assert contract["exhaustive"] is True
    return list(contract["layers"])


def _names(layers: list[str]) -> list[str]:
    return [name for layer in layers for name in layer.split(" | ")]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_shows_the_tree(repo_root: Path, package: str) -> None:
    root = repo_root / PACKAGES[package]
    listed = _listed(root / "README.md")
    assert len(listed) == len(set(listed))
    assert set(listed) == _rooms(root / package)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_is_in_a_layer(repo_root: Path, package: str) -> None:
    rooms = {room.removesuffix("/").removesuffix(".py") for room in _rooms(repo_root / PACKAGES[package] / package)}
    assert set(_names(_layers(repo_root, package))) == rooms


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_lists_rooms_from_top_to_bottom(repo_root: Path, package: str) -> None:
    listed = [
        name.removesuffix("/").removesuffix(".py") for name in _listed(repo_root / PACKAGES[package] / "README.md")
    ]
    assert listed == _names(_layers(repo_root, package))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_diagram_shows_the_layers(repo_root: Path, package: str) -> None:
    page = (repo_root / "docs" / "architecture.md").read_text(encoding="utf-8")
    (diagram,) = re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)
    shown = re.findall(rf'^ *{package}_\d+\["([^"]+)"\]', diagram, re.MULTILINE)
    assert shown == _layers(repo_root, package)


def test_the_walks_name_files_that_exist(repo_root: Path) -> None:
    page = (repo_root / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`(descant_\w+)/([\w/]+\.py)`", page)
    assert len(named) > 30
    for package, file in named:
        assert (repo_root / PACKAGES[package] / package / file).is_file(), f"{package}/{file}"


def test_the_walks_name_classes_that_exist(repo_root: Path) -> None:
    page = (repo_root / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`([A-Z]\w+[a-z]\w*)`", page))
    assert len(names) > 12
    sources = [
        path.read_text(encoding="utf-8") for root in PACKAGES.values() for path in (repo_root / root).rglob("*.py")
    ]
    defined = {name for source in sources for name in re.findall(r"^class (\w+)", source, re.MULTILINE)}
    assert names <= defined, names - defined
