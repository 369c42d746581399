"""All families of models side by side: what each sees, its size, and how it harmonizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from safetensors import safe_open

from descant_modeling.models.checkpoints import WEIGHTS_FILE, FoundCheckpoint

#: What the models of each objective see of the music.
SIGHT = {
    "causal": "REMI tokens of the whole piece",
    "gan": "two bars of a melody",
    "roll-gan": "noise",
    "midinet": "the bar before, a chord",
    "rnn": "the grid up to the pitch to write",
    "cnn": "known cells of the grid nearby",
    "vae": "two bars of the grid",
}
#: Tensors of a network that are not parameters.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
#: Rows about harmonizations: label, and the path of the figure in the facts of a model.
_FIGURES = (
    ("grade, median", ("grade", "median"), ".1f"),
    ("Bach outgrades, % of pairs", ("bach_outgrades", "value"), ".0f"),
    ("parallel fifths /1,000", ("rules", "parallel_fifths", "value"), ".1f"),
    ("parallel octaves /1,000", ("rules", "parallel_octaves", "value"), ".1f"),
    ("alto as in Bach, %", ("accuracy", "alto", "value"), ".0f"),
    ("tenor as in Bach, %", ("accuracy", "tenor", "value"), ".0f"),
    ("bass as in Bach, %", ("accuracy", "bass", "value"), ".0f"),
)


def family_facts(found: FoundCheckpoint, tasks: Sequence[str]) -> dict[str, Any]:
    """Return what is known of a model before it is run, for JSON.

    Args:
        found: Its checkpoint.
        tasks: What its generator can do.
    """
    minutes = found.meta.get("training", {}).get("minutes")
    return {
        "objective": found.objective,
        "sees": SIGHT.get(found.objective, found.objective),
        "num_parameters": num_parameters(found),
        "training_minutes": minutes,
        "tasks": list(tasks),
    }


def num_parameters(found: FoundCheckpoint) -> int:
    """Count the parameters in a checkpoint; statistics of batch norm are none."""
    with safe_open(found.folder / WEIGHTS_FILE, framework="numpy") as tensors:
        names = [name for name in tensors.keys() if not name.endswith(_STATISTICS)]  # noqa: SIM118 (no mapping)
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)


def family_rows(models: Mapping[str, Mapping[str, Any]], num_sopranos: int) -> list[list[str]]:
    """Return the rows of a table with a column for each model; a dash where a figure is not defined or not known.

    Args:
        models: Facts of each model: those of `family_facts`, and where they are defined its `likelihood`, with `unit`,
            and its `harmonization` with `writing_seconds`.
        num_sopranos: Sopranos that were harmonized.
    """
    columns = list(models.values())
    rows = [
        ["sees", *(model["sees"] for model in columns)],
        ["parameters", *(f"{model['num_parameters'] / 1e6:.2f} M" for model in columns)],
        ["training, min", *(_text(model["training_minutes"], ".0f") for model in columns)],
        ["nats per voice-16th", *(_text(_at(model, ("likelihood", "value")), ".3f") for model in columns)],
        ["... of", *(str(_at(model, ("likelihood", "of")) or "-") for model in columns)],
    ]
    for label, path, form in _FIGURES:
        rows.append([label, *(_text(_at(model, ("harmonization", *path)), form) for model in columns)])
    seconds = (_at(model, ("harmonization", "writing_seconds")) for model in columns)
    rows.append(["s a tune", *(_text(None if value is None else value / num_sopranos, ".1f") for value in seconds)])
    rows.append(["can", *(", ".join(model["tasks"]) for model in columns)])
    return rows


def _at(facts: Any, path: Sequence[str]) -> Any:
    """Return a nested value, None where there is none."""
    for key in path:
        facts = None if facts is None else facts.get(key)
    return facts


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
