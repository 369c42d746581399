"""Metrics of piano rolls, and the pictures of a run.

Three metrics correspond to ones of the source article whose code does not compute what their names say: its "empty bar
rate" is the share of bars that are not empty, its "unique pitch count" a Euclidean norm, and its "in scale rate" is
near 7/12 for any music, since it reads -1 for silence. Here the definitions match the names.

Shapes: N samples, T steps, P pitches, C tracks; rolls are Boolean (N, T, P, C).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from descant_modeling.training.curves import NOT_DRAWN, draw_curves, read_log
from descant_tokenizers.pianoroll.rolls import BAR_STEPS, Rolls
from descant_tokenizers.scores.key import MAJOR_SCALE, NUM_PITCH_CLASSES

#: Every metric in words, as in the model cards.
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


#: Pitch range of the pictures; no pitch of the chorales is outside it.
LOWEST, HIGHEST = 30, 90
COLORS = ("#c0392b", "#e67e22", "#27ae60", "#2c3e90")
#: Titles of axes; other losses have their own names.
TITLES = {"wasserstein": "D(real) - D(fake)", "penalty": "gradient penalty", **METRIC_NAMES}
#: Values in the log without a curve; `critic` is a sum of other losses.
SKIPPED = (*NOT_DRAWN, "critic")


def roll_metrics(rolls: Rolls, melodies: Rolls, reference: Rolls) -> dict[str, float]:
    """Measure rolls generated for melodies; each metric is documented at the function of its name.

    Args:
        rolls: (N, T, P, C).
        melodies: (N, T, P), the melodies that the rolls were generated for.
        reference: (M, T, P, C), the rolls whose pitches are compared.
    """
    return {
        **surface_metrics(rolls, reference),
        "voices": voices(rolls),
        "melody_kept": melody_kept(rolls, melodies),
    }


def free_roll_metrics(rolls: Rolls, reference: Rolls) -> dict[str, float]:
    """Measure rolls generated from noise alone; see `roll_metrics`."""
    return {**surface_metrics(rolls, reference), "voices": voices(rolls), "likeness": likeness(rolls)}


def melody_metrics(rolls: Rolls, chords: Rolls, reference: Rolls) -> dict[str, float]:
    """Measure bars of melody.

    Args:
        rolls: (N, 16, P, 1), at most one pitch at a step.
        chords: (N, 12), the pitch classes of each bar's chord.
        reference: (M, 16, P, 1), the bars whose pitches are compared.

    Returns:
        Metrics with a function of their own, and `notes_per_bar`, where a repeated pitch is one note, and `leap`, the
        mean number of semitones from one note of a bar to the next.
    """
    lines = rolls[..., 0]
    moves = np.abs(np.diff(lines.argmax(2), axis=1))
    onsets = moves > 0
    return {
        **surface_metrics(rolls, reference),
        "in_chord": in_chord(lines, chords),
        "notes_per_bar": float(1 + onsets.sum(1).mean()),
        "leap": float(moves[onsets].mean()) if onsets.any() else 0.0,
        "likeness": likeness(rolls),
    }


def surface_metrics(rolls: Rolls, reference: Rolls) -> dict[str, float]:
    """Measure any set of rolls."""
    return {
        "non_empty_bars": non_empty_bars(rolls),
        "histogram_distance": histogram_distance(rolls, reference),
        "in_scale": in_scale(rolls),
    }


def non_empty_bars(rolls: Rolls) -> float:
    """Return the share of the bars of all tracks in which something sounds, 0-1."""
    samples, steps, pitches, tracks = rolls.shape
    bars = rolls.reshape(samples, steps // BAR_STEPS, BAR_STEPS * pitches, tracks)
    return float(bars.any(2).mean())


def histogram_distance(rolls: Rolls, reference: Rolls) -> float:
    """Return the distance of the pitches from the reference's, 0-1.

    For each track this is half the sum of the differences between the two normalized histograms of sounding cells over
    128 pitches (total variation), and 1 for a silent track; the result is the mean over tracks.
    """
    one, other = (found.sum((0, 1)).astype(np.float64) for found in (rolls, reference))
    sounding = (one.sum(0) > 0) & (other.sum(0) > 0)
    one, other = (counts / np.maximum(counts.sum(0), 1) for counts in (one, other))
    return float(np.where(sounding, np.abs(one - other).sum(0) / 2, 1.0).mean())


def in_scale(rolls: Rolls) -> float:
    """Return the share of a sample's sounding cells in the major scale that holds most of them, 7/12 to 1.

    It is the mean over the samples that sound, and 0 if none does. A natural minor scale counts as its relative major;
    evenly spread pitches give 7/12.
    """
    per_pitch = rolls.sum((1, 3))
    classes = np.stack([per_pitch[:, start::NUM_PITCH_CLASSES].sum(1) for start in range(NUM_PITCH_CLASSES)], axis=1)
    scale = np.isin(np.arange(NUM_PITCH_CLASSES), MAJOR_SCALE)
    scales = np.stack([np.roll(scale, tonic) for tonic in range(NUM_PITCH_CLASSES)], axis=1)
    totals = classes.sum(1)
    shares = (classes @ scales).max(1)[totals > 0] / totals[totals > 0]
    return float(shares.mean()) if len(shares) else 0.0


def voices(rolls: Rolls) -> float:
    """Return the mean number of cells that sound at a step; just under four in four-part music."""
    return float(rolls.sum((2, 3)).mean())


def melody_kept(rolls: Rolls, melodies: Rolls) -> float:
    """Return the share of the melodies' sounding cells that sound in the first track, 0-1; 1 if they are silent."""
    return float((rolls[..., 0] & melodies).sum() / melodies.sum()) if melodies.any() else 1.0


def likeness(rolls: Rolls) -> float:
    """Return the similarity of samples, 0-1: cells that sound in both of two over cells that sound in either.

    It is the mean over neighbors, 1 for fewer than two samples and where both are silent. A value far above the data's
    means that the generator repeats itself.
    """
    flat = rolls.reshape(len(rolls), -1)
    both, either = (flat[:-1] & flat[1:]).sum(1), (flat[:-1] | flat[1:]).sum(1)
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean()) if len(flat) > 1 else 1.0


def in_chord(lines: Rolls, chords: Rolls) -> float:
    """Return the share of the sounding cells of `lines` (N, T, P) whose pitch class is in `chords` (N, 12), 0-1."""
    inside = np.tile(chords, (1, lines.shape[2] // NUM_PITCH_CLASSES + 1))[:, None, : lines.shape[2]]
    return float((lines & inside).sum() / max(int(lines.sum()), 1))


def draw_run(folder: Path, own: Mapping[str, float]) -> None:
    """Draw `losses.png`, `metrics.png` and `samples.png` into a run folder; `own` are the metrics of the valid data."""
    train, valid = read_log(folder).values()
    losses = draw_curves(train, [name for name in next(iter(train.values())) if name not in SKIPPED], TITLES)
    for axes in losses.axes:
        axes.set_yscale("symlog", linthresh=1)
    losses.savefig(folder / "losses.png", dpi=110)
    if valid:
        metrics = draw_curves(valid, own, TITLES)
        for axes, value in zip(metrics.axes, own.values(), strict=True):
            axes.lines[0].set_label("generated")
            axes.axhline(value, color="gray", linestyle="--", label="valid data")
        metrics.axes[0].legend(fontsize=8)
        metrics.savefig(folder / "metrics.png", dpi=110)
    if kept := sorted((folder / "samples").glob("step-*.npz")):
        _samples(kept).savefig(folder / "samples.png", dpi=110)


def _samples(kept: list[Path]) -> Figure:
    """Draw a row for each sample: its melody, if any, and the roll generated at each kept step."""
    loaded = {int(path.stem.removeprefix("step-")): np.load(path) for path in kept}
    first = next(iter(loaded.values()))
    melodies = [first["melodies"]] if "melodies" in first else []
    number = len(first["rolls"])
    width = len(melodies) + len(loaded)
    figure = Figure(figsize=(2.6 * width, 2.4 * number), layout="constrained")
    panels = figure.subplots(number, width, squeeze=False, sharex=True, sharey=True)
    for row in range(number):
        for melody in melodies:
            _roll(panels[row, 0], melody[row][..., None], "melody" if row == 0 else "")
        for axes, (step, arrays) in zip(panels[row, len(melodies) :], loaded.items(), strict=True):
            _roll(axes, arrays["rolls"][row], f"iteration {step}" if row == 0 else "")
    return figure


def _roll(axes: Axes, roll: Rolls, title: str) -> None:
    """Draw the sounding cells as squares, the first track on top."""
    for track in reversed(range(roll.shape[-1])):
        steps, pitches = np.nonzero(roll[..., track])
        axes.scatter(steps, pitches, s=4, marker="s", linewidths=0, color=COLORS[track])
    axes.set_xlim(-0.5, len(roll) - 0.5)
    axes.set_ylim(LOWEST, HIGHEST)
    axes.set_xticks(range(0, len(roll), 4 if len(roll) <= 2 * BAR_STEPS else BAR_STEPS), [])
    axes.grid(alpha=0.2)
    axes.set_title(title, fontsize=9)
