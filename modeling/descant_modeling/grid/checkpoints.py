"""Checkpoint folders of the grid model: a stock transformers model, and its tokens described in `descant.json`.

`config.json, generation_config.json, model.safetensors` (stock transformers), `descant.json` (objective, vocabulary,
corpora, ranges, facts about the run), `README.md` (model card). No tokenizer of miditok holds these tokens: the
`vocabulary` of `descant.json` (lowest and highest pitch, cycle of beats) stands in its place.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from descant_modeling.checkpoints import (
    FORMAT_VERSION,
    META_FILE,
    find_checkpoint,
    load_model,
    read_meta_values,
    save_model,
)
from descant_modeling.grid.cards import grid_card
from descant_modeling.grid.data import Grid
from descant_modeling.grid.likelihood import grid_likelihood
from descant_modeling.grid.vocabulary import GridVocabulary
from descant_modeling.likelihood import VOICE_16TH, Likelihood, Unit
from descant_tokenizers.errors import InputError

OBJECTIVE = "grid"


@dataclass(frozen=True)
class GridMeta:
    """Contents of `descant.json`.

    Attributes:
        vocabulary: What the token ids mean; stands in a tokenizer's place.
        vocabulary_sha256: Its hash.
        corpora: Names and hashes of what the model was trained on.
        voice_ranges: (lowest, highest) MIDI pitch of each voice in training.
        training: Facts about the run: steps, seed, valid likelihood, git revision.
        objective: `grid`.
        format_version: Version of this file's format.
    """

    vocabulary: GridVocabulary
    vocabulary_sha256: str
    corpora: dict[str, str] = field(default_factory=dict)
    voice_ranges: tuple[tuple[int, int], ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    objective: str = OBJECTIVE
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class GridSubject:
    """What the grid model is trained on, as its trainer sees it; see `subjects.Subject`.

    Attributes:
        valid: Pieces to evaluate on.
        meta: What goes into `descant.json`.
    """

    valid: list[Grid]
    meta: GridMeta

    @property
    def unit(self) -> Unit:
        """Four voices share a 16th."""
        return VOICE_16TH

    @property
    def has_valid(self) -> bool:
        """Whether there are pieces to evaluate on."""
        return bool(self.valid)

    def score_valid(self, model: PreTrainedModel) -> Likelihood:
        """Score the pieces to evaluate on."""
        return grid_likelihood(model, self.meta.vocabulary, self.valid)

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write a complete checkpoint folder into an existing empty one."""
        meta = replace(self.meta, training={**self.meta.training, **training})
        save_model(folder, model)
        (folder / META_FILE).write_text(json.dumps(asdict(meta), indent=1) + "\n", encoding="utf-8")
        card = grid_card(model, meta.vocabulary, meta.corpora, meta.training)
        (folder / "README.md").write_text(card, encoding="utf-8")

    def first_command(self, folder: Path) -> str:
        """Return what to try a trained model with: it is there to be scored."""
        return f"descant evaluate likelihood --model {folder} --corpus chorales"


@dataclass(frozen=True)
class GridCheckpoint:
    """A loaded checkpoint."""

    model: PreTrainedModel
    meta: GridMeta
    folder: Path


def is_grid(name: str) -> bool:
    """Whether a model is one over the grid.

    Raises:
        InputError: No such model, or an unreadable one.
    """
    return bool(read_meta_values(find_checkpoint(name)).get("objective") == OBJECTIVE)


def load_grid(name: str, device: str = "cpu") -> GridCheckpoint:
    """Load a grid model by name: a checkpoint or run folder, else a Hub id.

    Raises:
        InputError: No such model, or a folder that is incomplete, damaged, of a newer format or of another objective.
    """
    folder = find_checkpoint(name)
    values = read_meta_values(folder)
    if values.get("objective") != OBJECTIVE:
        raise InputError(f"{folder} is no grid model: give one that configs/grid.yaml trained")
    try:
        values["vocabulary"] = GridVocabulary(**values["vocabulary"])
        values["voice_ranges"] = tuple((low, high) for low, high in values["voice_ranges"])
        meta = GridMeta(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / META_FILE} cannot be read ({error!r}): restore the file saved with the model"
        ) from None
    model = load_model(folder)
    if meta.vocabulary.sha256() != meta.vocabulary_sha256 or meta.vocabulary.size != model.config.vocab_size:
        raise InputError(f"{folder / META_FILE} describes other tokens than the model has: restore the saved file")
    model.to(torch.device(device))  # type: ignore[arg-type]
    return GridCheckpoint(model.train(False), meta, folder)
