"""Pictures of a run's log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from descant_modeling.training.log import LOG_FILE

#: Values in the log without a curve.
NOT_DRAWN = ("kind", "step", "seconds", "learning_rate")

Lines = dict[int, dict[str, float]]
"""Logged values by step."""


def read_log(folder: Path) -> dict[str, Lines]:
    """Read the values of `train` and `valid` in the log of a run folder.

    A run that was killed and resumed has some steps twice; the last line counts.
    """
    lines = [json.loads(line) for line in (folder / LOG_FILE).read_text(encoding="utf-8").splitlines()]
    return {kind: {line["step"]: line for line in lines if line["kind"] == kind} for kind in ("train", "valid")}


def draw_curves(lines: Lines, names: Iterable[str], titles: Mapping[str, str] | None = None) -> Figure:
    """Draw a curve of each value over the steps; `titles` replace names."""
    names, steps = list(names), sorted(lines)
    figure = Figure(figsize=(8, 2 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        axes.plot(steps, [lines[step][name] for step in steps], linewidth=0.8)
        axes.set_title((titles or {}).get(name, name.replace("_", " ")), fontsize=9)
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("step")
    return figure


def draw_log(folder: Path) -> None:
    """Draw losses and validations of a run folder as `losses.png` and `metrics.png`."""
    for (_, lines), picture in zip(read_log(folder).items(), ("losses", "metrics"), strict=True):
        if lines:
            names = [name for name in next(iter(lines.values())) if name not in NOT_DRAWN]
            draw_curves(lines, names).savefig(folder / f"{picture}.png", dpi=110)
