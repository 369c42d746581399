"""What the configurations of all objectives share: where a run goes, how long it is, how often it is measured."""

from __future__ import annotations

import dataclasses
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
        for name in ("max_steps", "eval_every", "save_every", "log_every"):
            check(getattr(self, name) > 0, name, getattr(self, name), "give a positive number")
        check(self.seed >= 0, "seed", self.seed, "give 0 or more")
        check(self.precision in ("auto", "fp32", "bf16"), "precision", self.precision, "auto, fp32 or bf16")
        plain = bool(self.name) and Path(self.name).name == self.name
        check(plain, "name", repr(self.name), "give a plain folder name")

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved configuration as plain values."""
        return dataclasses.asdict(self)
