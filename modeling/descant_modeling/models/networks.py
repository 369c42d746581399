"""Checkpoint folders of models that are not token Transformers: the GANs, and the families on the sixteenths grid.

A folder has `config.json` (the network's sizes), `model.safetensors` (its state), `descant.json` (objective, corpora,
ranges, facts about the run) and `README.md` (the model card).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from descant_modeling.models.checkpoints import FORMAT_VERSION, META_FILE, WEIGHTS_FILE, FoundCheckpoint, read_ranges
from descant_modeling.models.stock_config import CONFIG_FILE
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import read_json

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True)
class NetworkMeta:
    """Contents of `descant.json`.

    Attributes:
        corpora: Names and hashes of the training corpora.
        voice_ranges: (lowest, highest) MIDI pitch of each track in training.
        training: Facts about the run: steps, seed, metrics, git revision.
        objective: Name of the objective.
        format_version: Version of this file's format.
    """

    corpora: dict[str, str] = field(default_factory=dict)
    voice_ranges: tuple[tuple[int, int], ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    objective: str = "gan"
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class LoadedNetwork(Generic[NetworkT]):
    """A loaded checkpoint, its network in eval mode."""

    network: NetworkT
    meta: NetworkMeta
    folder: Path


def seeded_rng(*seeds: int) -> torch.Generator:
    """Return random numbers that depend on some whole numbers of 0 or more."""
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> 1))


def save_network(
    folder: Path, network: nn.Module, meta: NetworkMeta, card: str, dtype: torch.dtype = torch.float32
) -> None:
    """Write a complete checkpoint of a network with sizes in `architecture` into an existing empty folder.

    Weights are in fp32, or in fp16 for half the size.
    """
    tensors = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in network.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    for name, content in ((CONFIG_FILE, network.architecture), (META_FILE, dataclasses.asdict(meta))):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def load_network(
    found: FoundCheckpoint, build: Callable[[dict[str, Any]], NetworkT], device: str = "cpu"
) -> LoadedNetwork[NetworkT]:
    """Load a network in eval mode.

    Args:
        found: Its checkpoint.
        build: Builds the network from the contents of config.json.
        device: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: The folder is incomplete, damaged or of another architecture.
    """
    folder = found.folder
    try:
        meta = NetworkMeta(**{**found.meta, "voice_ranges": read_ranges(found.meta)})
        network = _build(build, folder / CONFIG_FILE)
        tensors = load_file(folder / WEIGHTS_FILE)
        network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise InputError(f"The model in {folder} cannot be loaded ({reason}). Restore its files.") from None
    network.to(device)
    network.train(False)
    return LoadedNetwork(network, meta, folder)


def _build(build: Callable[[dict[str, Any]], NetworkT], path: Path) -> NetworkT:
    values = read_json(path)
    try:
        network = build(values)
    except (KeyError, TypeError, ValueError):
        network = None
    if network is None or network.architecture != values:
        raise InputError(f"{path} is of another architecture. Restore the file saved with the model.")
    return network
