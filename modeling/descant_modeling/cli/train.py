"""`descant train`, and `train.py`: a training run from its configuration to a pushed checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from descant_modeling.cli.options import Device


def train_command(
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, e.g. optimizer.learning_rate=3e-4")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of a run; default: the published model.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Folder of a run to resume, with its own configuration.")] = None,
    device: Device = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of each process; default: its share of the cores.")
    ] = None,
    push_to_hub: Annotated[
        str | None, typer.Option(help="user/name on the Hub: push the best checkpoint there at the end; it may exist.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress line and no summary.")] = False,
) -> None:
    """Train a model from a configuration file; a run folder holds its logs and its last and best checkpoints."""
    from descant_modeling.objectives import prepare_run
    from descant_modeling.training.run import RunOptions
    from descant_tokenizers.common.hub import check_push

    if push_to_hub is not None:
        check_push(push_to_hub, update=True)
    trainer = prepare_run(config, RunOptions(tuple(overrides or ()), resume, device, threads, quiet))
    try:
        progress = trainer.train()
    finally:
        trainer.log.close()
    trainer.accelerator.end_training()  # a process group that is left to the interpreter's exit can abort there
    if not trainer.accelerator.is_main_process:
        return
    if not quiet:
        typer.echo(f"{trainer.summary()}\ntry it: {trainer.task.first_command(trainer.folder)}")
    (trainer.folder / "summary.json").write_text(json.dumps(vars(progress), indent=1) + "\n", encoding="utf-8")
    if push_to_hub is not None:
        from descant_modeling.models.publishing import push_checkpoint

        pushed = push_checkpoint(str(trainer.folder), push_to_hub, update=True)
        typer.echo(f"pushed: {pushed.url}, revision {pushed.revision}")
