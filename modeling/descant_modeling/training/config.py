"""Configuration of causal training runs: small frozen dataclasses, one per component, readable from YAML.

Every value is checked when it is set; an unknown key is an error. What can be derived is derived and logged, not
configured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from descant_modeling.common.config import (
    BELOW_ONE,
    BETAS,
    NOT_NEGATIVE,
    POSITIVE,
    CommonConfig,
    check,
    check_fields,
    within,
)
from descant_modeling.models.transformer import ModelConfig
from descant_tokenizers.tokens.tasks import LayoutConfig


@dataclass(frozen=True)
class TaskShares:
    """Share of each task in the training examples; shares are relative and need not add up to 1.

    Args:
        continue_: The whole score, without context.
        continue_some: A random subset of the voices (also a single melody), without context.
        harmonize: The soprano is context, the other voices are the target.
        harmonize_some: A random subset of the voices is context.
        infill: Some bars of some voices are the target.
    """

    continue_: float = 0.35
    continue_some: float = 0.05
    harmonize: float = 0.35
    harmonize_some: float = 0.1
    infill: float = 0.15

    def __post_init__(self) -> None:
        values = dataclasses.astuple(self)
        check(min(values) >= 0 and sum(values) > 0, "tasks", values, "give shares of 0 or more, one above 0")


@dataclass(frozen=True)
class BatchConfig:
    """Batches of training examples.

    Args:
        transpose: True to draw a transposition for every piece and epoch, inside the voices' ranges.
        batch_tokens: Maximum number of padded tokens in a micro-batch.
        micro_batches: Micro-batches in an optimizer step, over all processes together.
        num_workers: Worker processes that lay out examples, for each process that trains; 0 for none. It does not
            change the examples or their order.
        packing: True to pack examples of any length one after the other into one row without padding, each of which
            attends to itself alone; False for rows of about equal length.
    """

    transpose: bool = True
    batch_tokens: int = 3500
    micro_batches: int = 1
    num_workers: int = 0
    packing: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "data", POSITIVE, "batch_tokens", "micro_batches")
        check_fields(self, "data", NOT_NEGATIVE, "num_workers")


def check_corpora(corpora: Sequence[str], splits: Sequence[str]) -> None:
    """Raise a `ValueError` unless corpora and their splits may be trained on."""
    forbidden = {"valid", "test", "held_out"} & set(splits)
    check(not forbidden, "data.splits", splits, "give splits other than valid, test and held_out")
    check(len(corpora) > 0, "data.corpora", corpora, "name at least one corpus")
    check(len(splits) > 0, "data.splits", splits, "name at least one split")


@dataclass(frozen=True)
class DataConfig(BatchConfig):
    """Training and validation data, besides the keys of `BatchConfig`.

    Args:
        corpora: Corpora to train on: names (`chorales`) or folders of built datasets.
        splits: Training splits. `valid`, `test` and `held_out` are refused.
        valid_corpus: Corpus whose `valid` split is used for validation; by default the first of `corpora`.
        tokenizer: Tokenizer preset or folder.
        unlabelled_share: Share of examples without the style token of their piece, so that the model also learns to
            generate without one.
        style_contrast: Weight of a loss that makes pieces likelier under their own style than under another one (see
            `likelihood.style_contrast`), at the cost of a second pass over those. 0 for none.
        ornaments: Share of examples to harmonize whose melody is ornamented; for a layout with hints.
        other_meters: Share of examples to harmonize that are moved to another meter; for a layout with hints.
        minor_endings: Share of pieces in minor whose last chord loses its picardy third; for a layout with hints.
    """

    corpora: tuple[str, ...] = ("chorales",)
    splits: tuple[str, ...] = ("train", "extra")
    valid_corpus: str | None = None
    tokenizer: str = "satb"
    unlabelled_share: float = 0.1
    style_contrast: float = 0.0
    ornaments: float = 0.0
    other_meters: float = 0.0
    minor_endings: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_corpora(self.corpora, self.splits)
        check_fields(self, "data", within(0, 1), "unlabelled_share", "ornaments", "other_meters", "minor_endings")
        check_fields(self, "data", NOT_NEGATIVE, "style_contrast")
        check(
            not (self.packing and self.style_contrast), "data.packing", self.packing, "give false with style_contrast"
        )


@dataclass(frozen=True)
class OptimizerConfig:
    """Optimizer with linear warm-up, then cosine decay to `final_lr_share` of the peak.

    Args:
        name: `adamw`, or `muon` (Muon on hidden matrices, AdamW on the rest).
        learning_rate: Peak of the learning rate.
        warmup_steps: Steps to the peak.
        final_lr_share: Last learning rate as a share of the peak.
        weight_decay: Decoupled weight decay, on matrices only.
        betas: Adam's decay rates.
        clip_norm: Largest gradient norm.
        ema_decay: Decay of the exponential moving average of the weights that is evaluated and published; 0 for none.
    """

    name: str = "muon"
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    final_lr_share: float = 0.05
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 1.0
    ema_decay: float = 0.998

    def __post_init__(self) -> None:
        check(self.name in ("adamw", "muon"), "optimizer.name", self.name, "give adamw or muon")
        check_fields(self, "optimizer", POSITIVE, "learning_rate", "clip_norm")
        check_fields(self, "optimizer", NOT_NEGATIVE, "warmup_steps", "weight_decay")
        check_fields(self, "optimizer", BELOW_ONE, "ema_decay")
        check_fields(self, "optimizer", within(0, 1), "final_lr_share")
        check_fields(self, "optimizer", BETAS, "betas")


@dataclass(frozen=True)
class CausalConfig(CommonConfig):
    """Training run of a causal model over any tokens.

    Args:
        model: Size and kind of the model.
        data: Training data and batches.
        optimizer: The optimizer.
        compile: `true` to compile the training step (torch.compile), `false` not to, or `auto`: in bf16 on a CPU, for
            runs of 1,000 steps or more.
        gradient_checkpointing: True to compute activations again in the backward pass instead of keeping them: less
            memory for long sequences and large models, about a third more time, the same gradients.
    """

    max_steps: int = 6500
    eval_every: int = 250
    save_every: int = 250
    log_every: int = 10
    model: ModelConfig = field(default_factory=ModelConfig)
    data: BatchConfig = field(default_factory=BatchConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    compile: str = "auto"
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.compile in ("auto", "true", "false"), "compile", self.compile, "give auto, true or false")
        both = self.gradient_checkpointing and self.compile == "true"
        check(not both, "compile", self.compile, "give auto or false with gradient_checkpointing")
        both = self.data.packing and self.compile == "true"
        check(not both, "compile", self.compile, "give auto or false with data.packing")


@dataclass(frozen=True)
class EvalConfig:
    """Validation.

    Args:
        max_pieces: Pieces of the validation split to score. Of a larger split, the same ones are drawn in every run;
            null scores all.
    """

    max_pieces: int | None = 200

    def __post_init__(self) -> None:
        valid = self.max_pieces is None or self.max_pieces > 0
        check(valid, "eval.max_pieces", self.max_pieces, "give a positive number, or null for all pieces")


@dataclass(frozen=True)
class RunConfig(CausalConfig):
    """Training run of a causal model over scores; by default the first stage of the published model.

    Args:
        init_from: Checkpoint whose weights the run starts with (fine-tuning); `model` must have the same size.
        layout: Token layout of the tasks.
        tasks: Share of each task.
        data: Training and validation data.
        eval: Validation.
    """

    objective: str = "causal"
    name: str = "chorales"
    init_from: str | None = None
    layout: LayoutConfig = field(default_factory=lambda: LayoutConfig(given_at_onsets=True))
    tasks: TaskShares = field(default_factory=TaskShares)
    data: DataConfig = field(default_factory=DataConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
