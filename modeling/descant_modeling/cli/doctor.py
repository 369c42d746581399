"""``descant doctor``: installed libraries, devices, embedded models and caches."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from descant_modeling.cli.options import AsJson
from descant_tokenizers.common.errors import EXTRAS, InputError

LIBRARIES = ("onnxruntime", "huggingface_hub", "miditok", "symusic", "music21")
OPTIONAL = {library: extra for library, extra in EXTRAS.items() if library != "pyarrow"} | {"cairosvg": "pdf"}
"""Libraries that only an extra of this package installs."""


def doctor_command(
    clear_cache: Annotated[bool, typer.Option("--clear-cache", help="Empty Descant's own caches.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print versions, devices, embedded models and the size of the caches."""
    removed_bytes = empty_caches() if clear_cache else None
    facts = examine()
    if removed_bytes is not None:
        facts["removed_bytes"] = removed_bytes
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    typer.echo("\n".join(_lines(facts)))


def examine() -> dict[str, Any]:
    """Return the facts that `descant doctor` prints, as plain values; sizes are in bytes."""
    from descant_tokenizers.corpora.cache import KINDS, cache_dir

    return {
        "versions": {"descant": version("descant"), "python": platform.python_version()}
        | {library: _version(library) for library in LIBRARIES}
        | {library: _version(library) for library in OPTIONAL},
        "platform": platform.platform(),
        "devices": _devices(),
        "models": _models(),
        "cache_folder": str(cache_dir()),
        "caches": {kind: size_bytes(cache_dir() / kind) for kind in KINDS},
        "hub_cache_folder": str(_hub_folder()),
        "hub_cache": size_bytes(_hub_folder()),
    }


def empty_caches() -> int:
    """Empty Descant's cache folder, whose contents can all be made again.

    Returns:
        Number of bytes removed.

    Raises:
        InputError: A folder cannot be removed.
    """
    from descant_tokenizers.corpora.cache import KINDS, cache_dir

    removed = 0
    for folder in (cache_dir() / kind for kind in KINDS):
        removed += size_bytes(folder)
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(f"The cache {folder} cannot be emptied ({error.strerror}). Remove it yourself.") from error
    return removed


def size_bytes(folder: Path) -> int:
    """Add up the sizes of the files under a folder; links and a missing folder count as 0."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            file = Path(root, name)
            with contextlib.suppress(OSError):  # removed meanwhile
                total += 0 if file.is_symlink() else file.stat().st_size
    return total


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _devices() -> dict[str, str]:
    from descant_modeling.common.devices import available_cores, available_devices

    names = {"cpu": f"{available_cores()} cores"}
    if find_spec("torch") is not None:
        import torch

        names["cpu"] += f", {torch.get_num_threads()} threads"
        if torch.cuda.is_available():
            names["cuda"] = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return {kind: names.get(kind, "") for kind in available_devices()}


def _models() -> dict[str, dict[str, Any]]:
    from descant_modeling.models.checkpoints import EMBEDDED, WEIGHTS_FILE, embedded_models, read_meta_values

    found = {}
    for name in embedded_models():
        folder = EMBEDDED / name
        number = read_meta_values(folder)["format_version"]
        found[name] = {"bytes": (folder / WEIGHTS_FILE).stat().st_size, "format": number}
    return found


def _hub_folder() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    if "removed_bytes" in facts:
        yield f"removed   {_megabytes(facts['removed_bytes'])} of Descant's caches"
    yield f"platform  {facts['platform']}"
    missing = {library: f"not installed (extra {extra})" for library, extra in OPTIONAL.items()}
    for index, (library, number) in enumerate(facts["versions"].items()):
        yield f"{'versions' if index == 0 else '':<9} {library} {number or missing.get(library, 'not installed')}"
    for index, (kind, name) in enumerate(facts["devices"].items()):
        first = " (used first)" if index == 0 else ""
        yield f"{'devices' if index == 0 else '':<9} {kind}{f': {name}' if name else ''}{first}"
    for index, (name, model) in enumerate(facts["models"].items()):
        yield f"{'models' if index == 0 else '':<9} {name}: {_megabytes(model['bytes'])}, format {model['format']}"
    yield f"caches    {facts['cache_folder']} (--clear-cache empties it)"
    yield from (f"{'':<9} {kind}: {_megabytes(size)}" for kind, size in facts["caches"].items())
    yield f"{'':<9} Hub models in {facts['hub_cache_folder']}: {_megabytes(facts['hub_cache'])} (not ours to empty)"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
