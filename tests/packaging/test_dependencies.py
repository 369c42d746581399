"""Every dependency is declared once and pinned once."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

OWN_PACKAGES = {"descant_tokenizers", "descant_modeling"}
# What only an accelerator build of torch asks for; the pins are those of the CPU build.
ACCELERATOR_PREFIXES = ("nvidia-", "cuda-", "triton", "pytorch-triton")


@pytest.fixture(scope="module")
def project(repo_root: Path) -> dict[str, Any]:
    """The `[project]` table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.fixture(scope="module")
def pins(repo_root: Path) -> dict[str, Requirement]:
    """The lines of constraints.txt by canonical name."""
    lines = (repo_root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    by_name = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    assert len(by_name) == len(requirements), "a package is pinned twice"
    return by_name


def _declared(project: dict[str, Any]) -> list[Requirement]:
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


def _pinned_version(pin: Requirement) -> Version:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", f"{pin} is no exact pin"
    version = Version(specifier.version)  # raises for a wildcard
    assert version.local is None, f"{pin} names one build of many"
    return version


def test_constraints_are_exact(pins: dict[str, Requirement]) -> None:
    for pin in pins.values():
        assert _pinned_version(pin)
        assert pin.url is None
        assert pin.marker is None
        assert not pin.extras


def test_every_dependency_is_pinned(project: dict[str, Any], pins: dict[str, Requirement]) -> None:
    for requirement in _declared(project):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} has no line in constraints.txt"
        assert requirement.specifier.contains(_pinned_version(pin)), f"{pin} is outside of {requirement}"
        assert [each.operator for each in requirement.specifier] == [">="], f"{requirement} is no lower bound"


def _needs(requirement: Requirement) -> Iterator[Requirement]:
    """What an installed package asks for in this environment; nothing if it is not installed (an unused extra)."""
    try:
        lines = metadata.requires(requirement.name) or []
    except metadata.PackageNotFoundError:
        return
    for needed in map(Requirement, lines):
        extras = requirement.extras or {""}
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            yield needed


def test_everything_they_need_is_pinned_too(project: dict[str, Any], pins: dict[str, Requirement]) -> None:
    waiting, seen = _declared(project), set[str]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if str(requirement) in seen or name.startswith(ACCELERATOR_PREFIXES):
            continue
        seen.add(str(requirement))
        assert name in pins, f"{requirement} is installed but not pinned"
        waiting.extend(_needs(requirement))


def _imported_packages(source: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def test_every_import_is_declared(repo_root: Path, project: dict[str, Any]) -> None:
    declared = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    optional = {canonicalize_name(requirement.name) for requirement in _declared(project)}
    providers = metadata.packages_distributions()
    sources = [*repo_root.glob("tokenizers/**/*.py"), *repo_root.glob("modeling/**/*.py"), *repo_root.glob("*.py")]
    for source in sources:
        for package in _imported_packages(source) - OWN_PACKAGES - sys.stdlib_module_names - {"__future__"}:
            names = {canonicalize_name(name) for name in providers.get(package, [package])}
            assert names & (declared | optional), f"{source.name} imports {package}, which no dependency provides"


def test_versions_of_the_project_agree(repo_root: Path, project: dict[str, Any]) -> None:
    version = project["version"]
    assert metadata.version("descant") == version
    assert f"\nversion: {version}\n" in (repo_root / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (repo_root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    releases = [line for line in changelog if line.startswith("## [") and "[Unreleased]" not in line]
    assert releases[0].startswith(f"## [{version}]")
