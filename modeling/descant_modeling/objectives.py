"""What can be trained: each objective has its own configuration and its own preparation of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from descant_modeling.config import RunConfig, build_config, load_values
from descant_modeling.gan.config import GanConfig
from descant_modeling.runs import Run, resumed_values
from descant_tokenizers.errors import InputError

OBJECTIVES = ("causal", "gan")


def prepare_run(
    config_path: Path | None,
    overrides: Sequence[str],
    *,
    resume: Path | None,
    device: str | None,
    threads: int | None = None,
    quiet: bool,
) -> Run:
    """Prepare a run of whatever objective its configuration names.

    Args:
        config_path: YAML file of a new run, None for the published default; not read when `resume` is given.
        overrides: `key=value`; of a resumed run only `max_steps`.
        resume: Folder of a run to go on with.
        device: `cpu`, `cuda` or `mps`; None for the best there is.
        threads: CPU threads of this process; None for its share of the machine's cores.
        quiet: No progress line and no progress bars.

    Raises:
        InputError: A wrong configuration, corpus, device or run folder.
    """
    values, where = load_values(config_path) if resume is None else resumed_values(resume, overrides)
    if objective_of(values, where) == "gan":
        from descant_modeling.gan.runs import prepare_run as prepare
    else:
        from descant_modeling.runs import prepare_run as prepare
    return prepare(values, where, overrides, resume=resume, device=device, threads=threads, quiet=quiet)


def parse_run_config(values: dict[str, Any], where: str, overrides: Sequence[str] = ()) -> RunConfig | GanConfig:
    """Build the configuration of whatever objective the values name.

    Args:
        values: As YAML gives them; overrides are written into them.
        where: Names the values in errors.
        overrides: `key=value` with dots for nesting.

    Raises:
        InputError: An unknown objective or key, a value of a wrong type or out of range.
    """
    if objective_of(values, where) == "gan":
        return build_config(GanConfig, values, where, overrides)
    return build_config(RunConfig, values, where, overrides)


def objective_of(values: dict[str, Any], where: str) -> str:
    """Return the objective that a configuration names; `causal` is what is meant when it names none.

    Raises:
        InputError: There is no such objective.
    """
    objective = values.get("objective", OBJECTIVES[0])
    if objective not in OBJECTIVES:
        raise InputError(f"{where}: objective is {objective!r}: {' or '.join(OBJECTIVES)}")
    return str(objective)
