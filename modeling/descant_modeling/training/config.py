"""Configuration of a training run: small frozen dataclasses, one per component, readable from YAML.

Every value is checked when it is set; an unknown key is an error. What can be derived is derived and logged, not
configured.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descant_modeling.common.config import (
    BELOW_ONE,
    BETAS,
    NOT_NEGATIVE,
    POSITIVE,
    CommonConfig,
    build_config,
    check,
    check_fields,
    load_values,
    within,
)
from descant_modeling.models.transformer import ModelConfig
from descant_tokenizers.tokens.tasks import LayoutConfig


@dataclass(frozen=True)
class TaskShares:
    """How often each task is drawn; shares are relative and need not add up to 1.

    Args:
        continue_: The whole score as it is.
        continue_some: A random subset of the voices as it is (a single melody among them).
        harmonize: The soprano is given, the rest is written.
        harmonize_some: A random subset of the voices is given.
        infill: Some bars of some voices are written.
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
    """How pieces become batches, whatever they are written in.

    Args:
        transpose: Whether a transposition is drawn anew each epoch, inside the voices' ranges.
        batch_tokens: Padded tokens in a micro-batch, at most.
        micro_batches: Micro-batches in an optimizer step, over all processes together.
    """

    transpose: bool = True
    batch_tokens: int = 3500
    micro_batches: int = 1

    def __post_init__(self) -> None:
        check_fields(self, "data", POSITIVE, "batch_tokens", "micro_batches")


@dataclass(frozen=True)
class DataConfig(BatchConfig):
    """What is trained and evaluated on; beside it `BatchConfig`.

    Args:
        corpora: Corpora to train on: names (`chorales`) or folders of built datasets.
        splits: Splits trained on. `valid`, `test` and `held_out` are refused.
        valid_corpus: Corpus whose `valid` split is evaluated; the first of `corpora` by default.
        tokenizer: Tokenizer preset or folder.
        unlabelled_share: How often a piece's style is not told, where `layout.styles` has it: so the model also learns
            to write without being told one.
        style_contrast: Weight of a loss that makes pieces likelier under their own style than under another one, see
            `likelihood.style_contrast`; it costs a second pass. 0 for none.
    """

    corpora: tuple[str, ...] = ("chorales",)
    splits: tuple[str, ...] = ("train", "extra")
    valid_corpus: str | None = None
    tokenizer: str = "satb"
    unlabelled_share: float = 0.1
    style_contrast: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        forbidden = {"valid", "test", "held_out"} & set(self.splits)
        check(not forbidden, "data.splits", self.splits, "valid, test and held_out are never trained on")
        check(len(self.corpora) > 0, "data.corpora", self.corpora, "name at least one corpus")
        check(len(self.splits) > 0, "data.splits", self.splits, "name at least one split")
        check_fields(self, "data", within(0, 1), "unlabelled_share")
        check_fields(self, "data", NOT_NEGATIVE, "style_contrast")


@dataclass(frozen=True)
class OptimizerConfig:
    """Optimizer with linear warm-up, then cosine decay to `final_lr_share` of the peak.

    Args:
        name: `adamw`, or `muon` (Muon on hidden matrices, AdamW on the rest).
        learning_rate: Peak.
        warmup_steps: Steps to the peak.
        final_lr_share: Last learning rate as a share of the peak.
        weight_decay: Decoupled, on matrices only.
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
        check(self.name in ("adamw", "muon"), "optimizer.name", self.name, "adamw or muon")
        check_fields(self, "optimizer", POSITIVE, "learning_rate", "clip_norm")
        check_fields(self, "optimizer", NOT_NEGATIVE, "warmup_steps", "weight_decay")
        check_fields(self, "optimizer", BELOW_ONE, "ema_decay")
        check_fields(self, "optimizer", within(0, 1), "final_lr_share")
        check_fields(self, "optimizer", BETAS, "betas")


@dataclass(frozen=True)
class CausalConfig(CommonConfig):
    """What `training.Trainer` reads of a run, whatever the model's tokens stand for.

    Args:
        model: Size and kind.
        data: What is trained on, and in which batches.
        optimizer: How.
    """

    max_steps: int = 6500
    eval_every: int = 250
    save_every: int = 250
    log_every: int = 10
    model: ModelConfig = field(default_factory=ModelConfig)
    data: BatchConfig = field(default_factory=BatchConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass(frozen=True)
class RunConfig(CausalConfig):
    """One training run of a causal model over scores; by default the first stage of the published model.

    Args:
        init_from: Checkpoint folder whose weights start the run (fine-tuning); `model` must say their size.
        layout: How tasks are written as tokens.
        tasks: How often each task is drawn.
        data: What is trained on.
    """

    objective: str = "causal"
    name: str = "chorales"
    init_from: str | None = None
    layout: LayoutConfig = field(default_factory=lambda: LayoutConfig(given_at_onsets=True))
    tasks: TaskShares = field(default_factory=TaskShares)
    data: DataConfig = field(default_factory=DataConfig)


def load_config(path: Path | None, overrides: typing.Sequence[str] = ()) -> RunConfig:
    """Read a run configuration from YAML.

    Args:
        path: The file; None for the published model's first stage, which `configs/chorales.yaml` spells out.
        overrides: `key=value` with dots for nesting (`optimizer.learning_rate=3e-4`); values are YAML.

    Raises:
        InputError: No such file, not YAML, an unknown key, a value of a wrong type or out of range.
    """
    values, where = load_values(path)
    return parse_config(values, where, overrides)


def parse_config(values: dict[str, Any], where: str, overrides: typing.Sequence[str] = ()) -> RunConfig:
    """Build a `RunConfig` from nested plain values.

    Args:
        values: As YAML gives them; overrides are written into them.
        where: Names the values in errors.
        overrides: See `load_config`.

    Raises:
        InputError: An unknown key, a value of a wrong type or out of range.
    """
    return build_config(RunConfig, values, where, overrides)
