"""What rolls are like: the source article's three metrics as their names say, and a few more.

The article's code computes something else under each name: its "empty bar rate" is the share of bars that are not
empty, its "unique pitch count" a Euclidean norm, and since it reads -1 for silence, its "in scale rate" lies near 7/12
whatever the music. Here all is computed from what sounds, on Boolean rolls (N samples, T steps, P pitches, C tracks).

Pictures at the end of a run: losses, metrics, and how what is written changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

BAR_STEPS = 16
PITCH_CLASSES = 12
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)

#: Every metric in words.
METRIC_NAMES = {
    "non_empty_bars": "share of bars that are not empty",
    "histogram_distance": "distance of the pitch histograms",
    "in_scale": "share in one scale",
    "in_chord": "share in the bar's chord",
    "voices": "pitches sounding at once",
    "melody_kept": "share of the melody kept",
    "notes_per_bar": "notes in a bar",
    "leap": "semitones from note to note",
    "likeness": "how alike two samples are",
}

Rolls = NDArray[np.bool_]


@dataclass(frozen=True)
class SurfaceMetrics:
    """Figures about any set of rolls.

    Attributes:
        non_empty_bars: Share of the bars of all tracks in which something sounds, 0-1.
        histogram_distance: How far the pitches are from the reference's, 0-1: for each track half the sum of the
            differences between the two normalized histograms of sounding cells over 128 pitches (total variation);
            the mean over tracks. A silent track counts 1.
        in_scale: Share of sounding cells in the one major scale that holds most of their sample's, the mean over the
            samples that sound, 7/12 to 1 (a natural minor scale is a major one; 7/12 is what evenly spread pitches
            give). 0 if no sample sounds.
    """

    non_empty_bars: float
    histogram_distance: float
    in_scale: float


@dataclass(frozen=True)
class RollMetrics(SurfaceMetrics):
    """Figures about rolls that were written to melodies.

    Attributes:
        voices: Cells that sound at a step, the mean over steps and samples; four-part music has just under four.
        melody_kept: Share of the melody's sounding cells that sound in the first track too, 0-1.
    """

    voices: float
    melody_kept: float


@dataclass(frozen=True)
class FreeRollMetrics(SurfaceMetrics):
    """Figures about rolls that were written from noise alone.

    Attributes:
        voices: Cells that sound at a step, the mean over steps and samples; four-part music has just under four.
        likeness: How alike two samples are, 0-1: cells that sound in both over cells that sound in either, the mean
            over neighbours. Far above the data's own it says that the generator repeats itself.
    """

    voices: float
    likeness: float


@dataclass(frozen=True)
class MelodyMetrics(SurfaceMetrics):
    """Figures about bars of melody.

    Attributes:
        in_chord: Share of sounding cells whose pitch class belongs to their bar's chord, 0-1.
        notes_per_bar: Notes in a bar, where a repeated pitch goes on.
        leap: Semitones from one note of a bar to the next, the mean.
        likeness: How alike two bars are; see `FreeRollMetrics`.
    """

    in_chord: float
    notes_per_bar: float
    leap: float
    likeness: float


def roll_metrics(rolls: Rolls, melodies: Rolls, reference: Rolls) -> RollMetrics:
    """Measure rolls.

    Args:
        rolls: (N, T, P, C).
        melodies: (N, T, P), what the rolls were written for.
        reference: (M, T, P, C), whose pitches are compared with.
    """
    return RollMetrics(
        non_empty_bars=non_empty_bars(rolls),
        histogram_distance=histogram_distance(rolls, reference),
        in_scale=in_scale(rolls),
        voices=voices(rolls),
        melody_kept=melody_kept(rolls, melodies),
    )


def free_roll_metrics(rolls: Rolls, reference: Rolls) -> FreeRollMetrics:
    """Measure rolls that were written from noise alone; see `roll_metrics`."""
    return FreeRollMetrics(
        non_empty_bars=non_empty_bars(rolls),
        histogram_distance=histogram_distance(rolls, reference),
        in_scale=in_scale(rolls),
        voices=voices(rolls),
        likeness=likeness(rolls),
    )


def melody_metrics(rolls: Rolls, chords: Rolls, reference: Rolls) -> MelodyMetrics:
    """Measure bars of melody.

    Args:
        rolls: (N, 16, P, 1), at most one pitch at a step.
        chords: (N, 12), the pitch classes of each bar's chord.
        reference: (M, 16, P, 1), whose pitches are compared with.
    """
    lines = rolls[..., 0]
    pitches = lines.argmax(2)
    moves = np.abs(np.diff(pitches, axis=1))
    begins = moves > 0
    return MelodyMetrics(
        non_empty_bars=non_empty_bars(rolls),
        histogram_distance=histogram_distance(rolls, reference),
        in_scale=in_scale(rolls),
        in_chord=in_chord(lines, chords),
        notes_per_bar=float(1 + begins.sum(1).mean()),
        leap=float(moves[begins].mean()) if begins.any() else 0.0,
        likeness=likeness(rolls),
    )


def non_empty_bars(rolls: Rolls) -> float:
    """See `SurfaceMetrics`."""
    samples, steps, pitches, tracks = rolls.shape
    bars = rolls.reshape(samples, steps // BAR_STEPS, BAR_STEPS * pitches, tracks)
    return float(bars.any(2).mean())


def histogram_distance(rolls: Rolls, reference: Rolls) -> float:
    """See `SurfaceMetrics`."""
    one, other = (found.sum((0, 1)).astype(np.float64) for found in (rolls, reference))
    sounding = (one.sum(0) > 0) & (other.sum(0) > 0)
    one, other = (counts / np.maximum(counts.sum(0), 1) for counts in (one, other))
    return float(np.where(sounding, np.abs(one - other).sum(0) / 2, 1.0).mean())


def in_scale(rolls: Rolls) -> float:
    """See `SurfaceMetrics`."""
    per_pitch = rolls.sum((1, 3))
    classes = np.stack([per_pitch[:, start::PITCH_CLASSES].sum(1) for start in range(PITCH_CLASSES)], axis=1)
    scales = np.zeros((PITCH_CLASSES, PITCH_CLASSES))
    for tonic in range(PITCH_CLASSES):
        scales[[(tonic + step) % PITCH_CLASSES for step in MAJOR_SCALE], tonic] = 1
    totals = classes.sum(1)
    shares = (classes @ scales).max(1)[totals > 0] / totals[totals > 0]
    return float(shares.mean()) if len(shares) else 0.0


def voices(rolls: Rolls) -> float:
    """See `RollMetrics`."""
    return float(rolls.sum((2, 3)).mean())


def melody_kept(rolls: Rolls, melodies: Rolls) -> float:
    """See `RollMetrics`; 1 if the melodies are silent."""
    return float((rolls[..., 0] & melodies).sum() / melodies.sum()) if melodies.any() else 1.0


def likeness(rolls: Rolls) -> float:
    """See `FreeRollMetrics`; 1 for fewer than two samples, and where both are silent."""
    flat = rolls.reshape(len(rolls), -1)
    both, either = (flat[:-1] & flat[1:]).sum(1), (flat[:-1] | flat[1:]).sum(1)
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean()) if len(flat) > 1 else 1.0


def in_chord(lines: Rolls, chords: Rolls) -> float:
    """See `MelodyMetrics`; `lines` is (N, T, P), `chords` (N, 12). 0 if nothing sounds."""
    inside = np.tile(chords, (1, lines.shape[2] // PITCH_CLASSES + 1))[:, None, : lines.shape[2]]
    return float((lines & inside).sum() / max(int(lines.sum()), 1))


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
