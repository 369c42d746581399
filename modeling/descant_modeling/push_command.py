"""`descant push`: a checkpoint to the Hugging Face Hub."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def push_command(
    checkpoint: Annotated[str, typer.Argument(help="Checkpoint or run folder, or an embedded model.")],
    repo_id: Annotated[str, typer.Argument(help="Where to: user/name.")],
    private: Annotated[bool, typer.Option("--private", help="A new repository is private.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Add a new version to a repository that exists.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead.")] = False,
) -> None:
    """Push a checkpoint to the model hub: stock model, stock tokenizer, model card."""
    from descant_modeling.checkpoints import writes_from_nothing
    from descant_modeling.publishing import push_checkpoint
    from descant_modeling.quiet import quiet_libraries

    with quiet_libraries():
        pushed = push_checkpoint(checkpoint, repo_id, private=private, update=update)
    if as_json:
        typer.echo(json.dumps(asdict(pushed)))
    elif not quiet:
        prompt = "" if writes_from_nothing(checkpoint) else "--prompt melody.mid "
        typer.echo(
            f"{pushed.url} has {len(pushed.files)} files, revision {pushed.revision}\n"
            f"use it: python generate.py {prompt}--model {repo_id}@{pushed.revision}"
        )
