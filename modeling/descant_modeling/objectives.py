"""Objectives: the configuration of each, and the function that prepares its runs."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant_modeling.cnn.config import CnnConfig
from descant_modeling.cnn.run import CnnTask
from descant_modeling.common.config import CommonConfig, load_values
from descant_modeling.gan.config import GanConfig, MidinetConfig, RollGanConfig
from descant_modeling.gan.run import prepare_gan_run
from descant_modeling.jsb_grid.config import GridConfig
from descant_modeling.jsb_grid.run import prepare_grid_run
from descant_modeling.rnn.config import RnnConfig
from descant_modeling.rnn.run import RnnTask
from descant_modeling.training.config import RunConfig
from descant_modeling.training.run import PreparedRun, RunContext, RunOptions, open_run, resumed_values, start_run
from descant_modeling.training.scores import prepare_score_run
from descant_modeling.training.trainer import Trainer
from descant_modeling.vae.config import VaeConfig
from descant_modeling.vae.run import VaeTask
from descant_tokenizers.common.errors import InputError


@dataclass(frozen=True)
class Objective:
    """An objective of training.

    Attributes:
        config: Configuration of its runs.
        prepare: Loads data and networks of a run.
    """

    config: type[CommonConfig]
    prepare: Callable[[RunContext[Any]], PreparedRun]


OBJECTIVES = {
    "causal": Objective(RunConfig, prepare_score_run),
    "gan": Objective(GanConfig, prepare_gan_run),
    "roll-gan": Objective(RollGanConfig, prepare_gan_run),
    "midinet": Objective(MidinetConfig, prepare_gan_run),
    "grid": Objective(GridConfig, prepare_grid_run),
    "rnn": Objective(RnnConfig, RnnTask.prepare),
    "cnn": Objective(CnnConfig, CnnTask.prepare),
    "vae": Objective(VaeConfig, VaeTask.prepare),
}


def prepare_run(config_path: Path | None, options: RunOptions) -> Trainer:
    """Prepare a run of the objective that its configuration names.

    Args:
        config_path: YAML file of a new run, None for the published default; not read when a run is resumed.
        options: The other options.

    Raises:
        InputError: A wrong configuration, corpus, device or run folder.
    """
    resume = options.resume
    values, where = load_values(config_path) if resume is None else resumed_values(resume, options.overrides)
    objective = objective_of(values, where)
    context = open_run(objective.config, values, where, options)
    return start_run(context, objective.prepare(context))


def objective_of(values: dict[str, Any], where: str) -> Objective:
    """Return the objective that a configuration names (default: causal).

    Raises:
        InputError: There is no such objective.
    """
    names = list(OBJECTIVES)
    name = values.get("objective", names[0])
    if not isinstance(name, str) or name not in OBJECTIVES:
        raise InputError(
            f"{where} has the objective {reprlib.repr(name)}. Give {', '.join(names[:-1])} or {names[-1]}."
        )
    return OBJECTIVES[name]
