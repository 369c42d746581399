"""Configuration of a training run: small frozen dataclasses, one per component, readable from YAML.

Every value is checked when it is set; an unknown key is an error. What can be derived is derived and logged, not
configured.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from descant_modeling.common_config import (
    BELOW_ONE,
    BETAS,
    NOT_NEGATIVE,
    POSITIVE,
    CommonConfig,
    check,
    check_fields,
    within,
)
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.layout import LayoutConfig

Config = typing.TypeVar("Config")


@dataclass(frozen=True)
class ModelConfig:
    """Size and kind of the causal model.

    Args:
        architecture: `rotary` (GPTNeoXForCausalLM as a GPT-2 with rotary positions) or `gpt2` (GPT2LMHeadModel,
            learned absolute positions).
        width: Model dimension.
        num_layers: Transformer blocks.
        num_heads: Attention heads; must divide half of `width`.
        dropout: Probability for embedding and residual dropout. Attention weights are never dropped, because that
            leaves the fused attention kernel.
        max_tokens: Longest sequence; for `gpt2` the size of the position table.
    """

    architecture: str = "rotary"
    width: int = 256
    num_layers: int = 4
    num_heads: int = 4
    dropout: float = 0.2
    max_tokens: int = 3072

    def __post_init__(self) -> None:
        check(self.architecture in ("rotary", "gpt2"), "model.architecture", self.architecture, "rotary or gpt2")
        check_fields(self, "model", POSITIVE, "width", "num_layers", "num_heads", "max_tokens")
        even = self.width % (2 * self.num_heads) == 0  # rotary positions turn pairs
        check(even, "model.num_heads", self.num_heads, f"must divide half of the width {self.width}")
        check_fields(self, "model", BELOW_ONE, "dropout")


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


def load_values(path: Path | None) -> tuple[dict[str, Any], str]:
    """Read the values of a YAML file, and return them with a name for them in errors.

    Args:
        path: The file; None for no values at all.

    Raises:
        InputError: No such file, or not YAML.
    """
    if path is None:
        return {}, "the command line"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give a YAML file of configs/") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML ({' '.join(str(error).split())}): mend it") from None
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InputError(f"{path} is not a mapping of keys to values: see configs/ for examples")
    return values, str(path)


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


def build_config(
    kind: type[Config], values: dict[str, Any], where: str, overrides: typing.Sequence[str] = ()
) -> Config:
    """Build the configuration of any objective; see `parse_config`.

    Args:
        kind: Its dataclass.
        values: As YAML gives them; overrides are written into them.
        where: Names the values in errors.
        overrides: See `load_config`.
    """
    for override in overrides:
        _apply_override(values, override)
    try:
        return typing.cast("Config", _build(kind, values, ""))
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise InputError(f"override {override!r} has no '=': write key=value")
    *parents, leaf = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise InputError(f"override {override!r}: {parent} is no section")
    try:
        values[leaf] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"override {override!r}: {text!r} is no YAML value") from None


def _build(kind: type, values: object, prefix: str) -> object:
    if not isinstance(values, dict):
        raise ValueError(f"{prefix.rstrip('.') or 'the file'} is {values!r}: give a mapping")
    hints = typing.get_type_hints(kind)
    names = {f.name.rstrip("_"): f.name for f in dataclasses.fields(kind)}
    unknown = [key for key in values if key not in names]
    if unknown:
        raise ValueError(f"unknown key {prefix}{unknown[0]}: choose from {', '.join(sorted(names))}")
    return kind(**{names[k]: _convert(hints[names[k]], v, f"{prefix}{k}") for k, v in values.items()})


def _convert(hint: Any, value: Any, name: str) -> object:
    """Convert a YAML value to an annotated type, strictly."""
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type", hint), value, f"{name}.")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(next(a for a in args if a is not type(None)), value, name)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{name} is {value!r}: give a list")
        return tuple(_convert(args[0], item, name) for item in value)
    if hint is float and isinstance(value, str):  # YAML reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{name} is {value!r}: give a number") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError(f"{name} is {value!r}: give {hint.__name__}")
    return value
