"""Checkpoint folders of the GANs: the same shape as the causal model's, with a config.json of our own.

`config.json` (what to build), `model.safetensors` (the generator, batch norm's statistics included), `descant.json`
(objective, corpora, ranges, facts about the run), `README.md` (model card).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from descant_modeling.checkpoints import FORMAT_VERSION, META_FILE, WEIGHTS_FILE, find_checkpoint, read_meta_values
from descant_modeling.gan.midinet_networks import MidinetGenerator
from descant_modeling.gan.networks import Generator
from descant_modeling.gan.roll_networks import RollGenerator
from descant_tokenizers.errors import InputError

CONFIG_FILE = "config.json"

AnyGenerator = Generator | MidinetGenerator | RollGenerator

#: How the generator of each objective is built from what its config.json says.
BUILDERS: dict[str, Callable[[dict[str, Any]], AnyGenerator]] = {
    "gan": lambda values: Generator(),
    "midinet": lambda values: MidinetGenerator(),
    "roll-gan": lambda values: RollGenerator(values["noise_size"], values["filters"]),
}


@dataclass(frozen=True)
class GanMeta:
    """Contents of `descant.json`.

    Attributes:
        corpora: Names and hashes of what it was trained on.
        voice_ranges: (lowest, highest) MIDI pitch of each track in training.
        training: Facts about the run: steps, seed, metrics, git revision.
        objective: `gan`, `midinet` or `roll-gan`.
        format_version: Version of this file's format.
    """

    corpora: dict[str, str] = field(default_factory=dict)
    voice_ranges: tuple[tuple[int, int], ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    objective: str = "gan"
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class GanCheckpoint:
    """A loaded checkpoint: the generator, ready to write."""

    generator: AnyGenerator
    meta: GanMeta
    folder: Path


def save_gan(
    folder: Path, generator: AnyGenerator, meta: GanMeta, card: str, dtype: torch.dtype = torch.float32
) -> None:
    """Write a complete checkpoint folder into an existing empty one.

    Args:
        folder: Where to write.
        generator: The model.
        meta: What goes beside it.
        card: The model card.
        dtype: Of the weights on disk: fp32, or fp16 for half the size.
    """
    tensors = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in generator.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    for name, content in ((CONFIG_FILE, generator.architecture), (META_FILE, dataclasses.asdict(meta))):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def load_gan(name: str, device: str = "cpu") -> GanCheckpoint:
    """Load a generator by name: an embedded model, else a checkpoint or run folder, else a Hub id.

    Raises:
        InputError: No such model, or a folder that is incomplete, of a newer format or no GAN's.
    """
    folder = find_checkpoint(name)
    values = read_meta_values(folder)
    if values.get("objective") not in BUILDERS:
        raise InputError(f"{folder} is not a GAN's checkpoint: give one that configs/gan.yaml or its like trained")
    try:
        values["voice_ranges"] = tuple((low, high) for low, high in values["voice_ranges"])
        meta = GanMeta(**values)
        generator = _build(meta.objective, folder / CONFIG_FILE)
        tensors = load_file(folder / WEIGHTS_FILE)
        generator.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise InputError(f"the model in {folder} cannot be loaded ({reason}): restore its files") from None
    generator.to(torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return GanCheckpoint(generator.train(False), meta, folder)


def _build(objective: str, path: Path) -> AnyGenerator:
    values = json.loads(path.read_text(encoding="utf-8"))
    try:
        generator = BUILDERS[objective](values)
    except (KeyError, TypeError, ValueError):
        generator = None
    if generator is None or generator.architecture != values:
        raise InputError(f"{path} is of another architecture: restore the file saved with the model")
    return generator
