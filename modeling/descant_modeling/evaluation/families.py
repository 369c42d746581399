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
#: Columns about what a model writes: head, path of the figure in its facts, format.
_FIGURES = (
    ("nats", ("likelihood", "value"), ".3f"),
    ("of", ("likelihood", "of"), ""),
    ("grade", ("harmonization", "grade", "median"), ".1f"),
    ("pairs, %", ("harmonization", "bach_outgrades", "value"), ".0f"),
    ("fifths", ("harmonization", "rules", "parallel_fifths", "value"), ".1f"),
    ("octaves", ("harmonization", "rules", "parallel_octaves", "value"), ".1f"),
    ("A, %", ("harmonization", "accuracy", "alto", "value"), ".0f"),
    ("T, %", ("harmonization", "accuracy", "tenor", "value"), ".0f"),
    ("B, %", ("harmonization", "accuracy", "bass", "value"), ".0f"),
    ("s", ("seconds_a_tune",), ".1f"),
)
WHAT_HEADS = ("", "sees", "can", "parameters", "min")
FIGURE_HEADS = ("", *(head for head, _, _ in _FIGURES))


def family_facts(found: FoundCheckpoint, tasks: Sequence[str]) -> dict[str, Any]:
    """Return what is known of a model before it is run, for JSON; `tasks` are those of its generator."""
    return {
        "objective": found.objective,
        "sees": SIGHT.get(found.objective, found.objective),
        "num_parameters": num_parameters(found),
        "training_minutes": found.meta.get("training", {}).get("minutes"),
        "tasks": list(tasks),
    }


def num_parameters(found: FoundCheckpoint) -> int:
    """Count the parameters in a checkpoint; statistics of batch norm are none."""
    with safe_open(found.folder / WEIGHTS_FILE, framework="numpy") as tensors:
        names = [name for name in tensors.keys() if not name.endswith(_STATISTICS)]  # noqa: SIM118 (no mapping)
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)


def what_rows(models: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return a row for each model with the facts of `family_facts`, below `WHAT_HEADS`."""
    return [
        [
            name,
            facts["sees"],
            ", ".join(facts["tasks"]),
            f"{facts['num_parameters'] / 1e6:.2f} M",
            _text(facts["training_minutes"], ".0f"),
        ]
        for name, facts in models.items()
    ]


def figure_rows(models: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return a row of figures for each model, below `FIGURE_HEADS`; a dash where one is not defined.

    Args:
        models: Facts of each model, where they are defined with its `likelihood`, its `harmonization` and its
            `seconds_a_tune`.
    """
    return [[name, *(_text(_at(facts, path), form) for _, path, form in _FIGURES)] for name, facts in models.items()]


def _at(facts: Any, path: Sequence[str]) -> Any:
    """Return a nested value, None where there is none."""
    for key in path:
        facts = None if facts is None else facts.get(key)
    return facts


def _text(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)
