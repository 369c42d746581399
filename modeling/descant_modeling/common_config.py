"""What the configurations of all objectives share: where a run goes, how long it is, how often it is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def check(condition: bool, name: str, value: object, remedy: str) -> None:
    """Refuse a value.

    Raises:
        ValueError: The condition does not hold.
    """
    if not condition:
        raise ValueError(f"{name} is {value}: {remedy}")


@dataclass(frozen=True)
class Rule:
    """What values are allowed.

    Attributes:
        holds: Whether a value is.
        remedy: What to give instead of one that is not.
    """

    holds: Callable[[Any], bool]
    remedy: str


def within(low: float, high: float) -> Rule:
    """Numbers from `low` to `high`, both included."""
    return Rule(lambda value: low <= value <= high, f"give {low:g} to {high:g}")


def all_of(number: int, rule: Rule, remedy: str) -> Rule:
    """So many values that a rule allows, each."""
    return Rule(lambda values: len(values) == number and all(rule.holds(value) for value in values), remedy)


POSITIVE = Rule(lambda value: value > 0, "give a positive number")
NOT_NEGATIVE = Rule(lambda value: value >= 0, "give 0 or more")
BELOW_ONE = Rule(lambda value: 0 <= value < 1, "give 0 or more, below 1")
#: Adam's decay rates.
BETAS = all_of(2, BELOW_ONE, "give two numbers of 0 or more, below 1")


def check_fields(owner: object, section: str, rule: Rule, *names: str) -> None:
    """Refuse values of a configuration.

    Args:
        owner: The configuration.
        section: Where it stands in the YAML file; empty for the top.
        rule: What is allowed.
        names: The fields that it is about.

    Raises:
        ValueError: One has another value.
    """
    for name in names:
        value = getattr(owner, name)
        check(rule.holds(value), f"{section}.{name}" if section else name, value, rule.remedy)


@dataclass(frozen=True)
class CommonConfig:
    """One training run; each objective has a class of its own with its default values.

    Args:
        objective: What is trained; the class's own name for it.
        name: Folder under `out_dir`.
        out_dir: Where runs are kept.
        seed: All randomness of the run follows from it.
        max_steps: Steps of the run.
        eval_every: Steps between measurements on valid.
        save_every: Steps between checkpoints.
        log_every: Steps between log lines.
        precision: `fp32`, `bf16`, or `auto`: bf16 on CUDA, and on a CPU whose bf16 matmul is measured to be
            faster.
    """

    objective: str = ""
    name: str = ""
    out_dir: str = "runs"
    seed: int = 1
    max_steps: int = 1
    eval_every: int = 1
    save_every: int = 1
    log_every: int = 1
    precision: str = "auto"

    def __post_init__(self) -> None:
        own = type(self).objective
        check(self.objective == own, "objective", self.objective, f"write objective: {own}")
        check_fields(self, "", POSITIVE, "max_steps", "eval_every", "save_every", "log_every")
        check_fields(self, "", NOT_NEGATIVE, "seed")
        check(self.precision in ("auto", "fp32", "bf16"), "precision", self.precision, "auto, fp32 or bf16")
        plain = bool(self.name) and Path(self.name).name == self.name
        check(plain, "name", repr(self.name), "give a plain folder name")

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved configuration as plain values."""
        return dataclasses.asdict(self)
