"""What can be trained: each objective has its own configuration and its own preparation of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from descant_modeling.common.config import CommonConfig, build_config, load_values
from descant_modeling.gan.config import GanConfig, MidinetConfig, RollGanConfig
from descant_modeling.jsb_grid.config import GridConfig
from descant_modeling.training.config import RunConfig
from descant_modeling.training.run import Run, RunOptions, resumed_values
from descant_tokenizers.common.errors import InputError


@dataclass(frozen=True)
class Objective:
    """One kind of training.

    Attributes:
        config: Its configuration.
        module: Where its `prepare_run(values, where, options)` is; imported when a run asks for it.
    """

    config: type[CommonConfig]
    module: str


OBJECTIVES = {
    "causal": Objective(RunConfig, "descant_modeling.training.causal"),
    "gan": Objective(GanConfig, "descant_modeling.gan.run"),
    "roll-gan": Objective(RollGanConfig, "descant_modeling.gan.run"),
    "midinet": Objective(MidinetConfig, "descant_modeling.gan.run"),
    "grid": Objective(GridConfig, "descant_modeling.jsb_grid.run"),
}


def prepare_run(config_path: Path | None, options: RunOptions) -> Run:
    """Prepare a run of whatever objective its configuration names.

    Args:
        config_path: YAML file of a new run, None for the published default; not read when a run is resumed.
        options: What else is said about the run.

    Raises:
        InputError: A wrong configuration, corpus, device or run folder.
    """
    resume = options.resume
    values, where = load_values(config_path) if resume is None else resumed_values(resume, options.overrides)
    module = import_module(objective_of(values, where).module)
    run: Run = module.prepare_run(values, where, options)
    return run


def parse_run_config(values: dict[str, Any], where: str, overrides: Sequence[str] = ()) -> CommonConfig:
    """Build the configuration of whatever objective the values name.

    Args:
        values: As YAML gives them; overrides are written into them.
        where: Names the values in errors.
        overrides: `key=value` with dots for nesting.

    Raises:
        InputError: An unknown objective or key, a value of a wrong type or out of range.
    """
    return build_config(objective_of(values, where).config, values, where, overrides)


def objective_of(values: dict[str, Any], where: str) -> Objective:
    """Return the objective that a configuration names; the first one is what is meant when it names none.

    Raises:
        InputError: There is no such objective.
    """
    names = list(OBJECTIVES)
    name = values.get("objective", names[0])
    if name not in OBJECTIVES:
        raise InputError(f"{where}: objective is {name!r}: {', '.join(names[:-1])} or {names[-1]}")
    return OBJECTIVES[name]
