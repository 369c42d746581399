"""Pictures at the end of a run: losses, metrics, and how what is written changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from descant_modeling.gan.metrics import BAR_STEPS, METRIC_NAMES, Rolls

#: Pitches that the pictures show: nothing sounds outside them in the chorales.
LOWEST, HIGHEST = 30, 90
COLOURS = ("#c0392b", "#e67e22", "#27ae60", "#2c3e90")
#: What axes are called; a loss without a line here stands under its own name.
TITLES = {"wasserstein": "D(real) - D(fake)", "penalty": "gradient penalty", **METRIC_NAMES}
#: Losses that only add up others.
SUMS = ("critic",)
NO_FIGURES = ("kind", "step", "seconds")


def draw_run(folder: Path, own: Mapping[str, float]) -> None:
    """Draw `losses.png`, `metrics.png` and `samples.png` from a run's log and samples.

    Args:
        folder: Run folder.
        own: What the valid data itself measures, by metric.
    """
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    # A run that was killed and resumed has some steps twice; the later line is the one that counted.
    train = {line["step"]: line for line in lines if line["kind"] == "train"}
    valid = {line["step"]: line for line in lines if line["kind"] == "valid"}
    _losses(train).savefig(folder / "losses.png", dpi=110)
    if valid:
        _metrics(valid, own).savefig(folder / "metrics.png", dpi=110)
    if kept := sorted((folder / "samples").glob("step-*.npz")):
        _samples(kept).savefig(folder / "samples.png", dpi=110)


def _losses(train: dict[int, dict[str, float]]) -> Figure:
    names = [name for name in next(iter(train.values())) if name not in (*NO_FIGURES, *SUMS)]
    figure = Figure(figsize=(8, 2.3 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), 1, sharex=True), names, strict=True):
        steps = sorted(train)
        axes.plot(steps, [train[step][name] for step in steps], linewidth=0.8)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylabel(TITLES.get(name, name))
        axes.grid(alpha=0.3)
    axes.set_xlabel("iteration")
    return figure


def _metrics(valid: dict[int, dict[str, float]], own: Mapping[str, float]) -> Figure:
    figure = Figure(figsize=(8, 2 * len(own)), layout="constrained")
    steps = sorted(valid)
    for axes, (name, value) in zip(figure.subplots(len(own), 1, sharex=True), own.items(), strict=True):
        axes.plot(steps, [valid[step][name] for step in steps], label="written")
        axes.axhline(value, color="gray", linestyle="--", label="valid data")
        axes.set_title(TITLES.get(name, name), fontsize=9)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    axes.set_xlabel("iteration")
    return figure


def _samples(kept: list[Path]) -> Figure:
    """Draw a row for each sample: its melody, if it was written to one, and what was written at each of some steps."""
    loaded = {int(path.stem.removeprefix("step-")): np.load(path) for path in kept}
    first = next(iter(loaded.values()))
    melodies = [first["melodies"]] if "melodies" in first else []
    number = len(first["rolls"])
    width = len(melodies) + len(loaded)
    figure = Figure(figsize=(2.6 * width, 2.4 * number), layout="constrained")
    grid = figure.subplots(number, width, squeeze=False, sharex=True, sharey=True)
    for row in range(number):
        for given in melodies:
            _roll(grid[row, 0], given[row][..., None], "melody" if row == 0 else "")
        for axes, (step, arrays) in zip(grid[row, len(melodies) :], loaded.items(), strict=True):
            _roll(axes, arrays["rolls"][row], f"iteration {step}" if row == 0 else "")
    return figure


def _roll(axes: Axes, roll: Rolls, title: str) -> None:
    """Draw what sounds, a square a cell; the first track on top."""
    for track in reversed(range(roll.shape[-1])):
        steps, pitches = np.nonzero(roll[..., track])
        axes.scatter(steps, pitches, s=4, marker="s", linewidths=0, color=COLOURS[track])
    axes.set_xlim(-0.5, len(roll) - 0.5)
    axes.set_ylim(LOWEST, HIGHEST)
    axes.set_xticks(range(0, len(roll), 4 if len(roll) <= 2 * BAR_STEPS else BAR_STEPS), [])
    axes.grid(alpha=0.2)
    axes.set_title(title, fontsize=9)
