"""What a causal model is trained on, as its trainer sees it: how it is scored, and what a checkpoint of it holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from transformers import PreTrainedModel

from descant_modeling.cards import model_card
from descant_modeling.checkpoints import CheckpointMeta, save_checkpoint
from descant_modeling.likelihood import Likelihood, Unit, corpus_likelihood, unit_of
from descant_tokenizers.tokens.layout import TaskLayout
from descant_tokenizers.tokens.piece import Piece


class Subject(Protocol):
    """Music in one way of writing it as tokens."""

    @property
    def unit(self) -> Unit:
        """What likelihood is counted in."""

    @property
    def has_valid(self) -> bool:
        """Whether there are pieces to evaluate on."""

    def score_valid(self, model: PreTrainedModel) -> Likelihood:
        """Score the pieces to evaluate on."""

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write a complete checkpoint folder into an existing empty one.

        Args:
            folder: Where to write.
            model: The model.
            training: How far the run has come, beside what the subject itself knows about it.
        """

    def first_command(self, folder: Path) -> str:
        """Return what to try a trained model with."""


@dataclass(frozen=True)
class ScoreSubject:
    """Scores in the tokens of a miditok tokenizer.

    Attributes:
        layout: Task layout, with the tokenizer's vocabulary.
        valid: Pieces to evaluate on.
        meta: What goes into `descant.json`.
        valid_styles: The style that the model is told of each piece to evaluate on; by default none.
    """

    layout: TaskLayout
    valid: list[Piece]
    meta: CheckpointMeta
    valid_styles: tuple[str | None, ...] = ()

    @property
    def unit(self) -> Unit:
        """Per voice where there are four voices."""
        return unit_of(self.layout.table)

    @property
    def has_valid(self) -> bool:
        """Whether there are pieces to evaluate on."""
        return bool(self.valid)

    def score_valid(self, model: PreTrainedModel) -> Likelihood:
        """Score the pieces to evaluate on."""
        return corpus_likelihood(model, self.layout, self.valid, styles=self.valid_styles)

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write a complete checkpoint folder into an existing empty one."""
        meta = replace(self.meta, training={**self.meta.training, **training})
        card = model_card(model, meta, self.layout.table)
        save_checkpoint(folder, model, self.layout.table.tokenizer, meta, card)

    def first_command(self, folder: Path) -> str:
        """Return what to try a trained model with; of any instruments, it is the user who says what to write."""
        return try_generating(folder) + ("" if self.layout.table.is_four_part else " --task continue")


def try_generating(folder: Path) -> str:
    """Return the command that lets a model write to a melody."""
    return f"python generate.py --prompt examples/ode-to-joy.mid --model {folder}"
