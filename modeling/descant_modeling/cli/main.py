"""The `descant` command with its sub-commands.

Heavy libraries (torch, transformers, datasets) are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from descant_modeling import __version__
from descant_modeling.cli.app import app_command
from descant_modeling.cli.doctor import doctor_command
from descant_modeling.cli.evaluate import evaluate_app
from descant_modeling.cli.generate import generate_command
from descant_modeling.cli.options import GenerateCommand
from descant_modeling.cli.train import train_command
from descant_tokenizers.cli.main import dataset_app, run, tokenizer_app
from descant_tokenizers.cli.render import render_command


def push_command(
    checkpoint: Annotated[str, typer.Argument(help="Checkpoint or run folder, or an embedded model.")],
    repo_id: Annotated[str, typer.Argument(help="Repository on the Hub: user/name.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Add a new version to an existing repository.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead.")] = False,
) -> None:
    """Push a checkpoint to the Hugging Face Hub: stock model, stock tokenizer, model card."""
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.models.checkpoints import find_checkpoint
    from descant_modeling.models.publishing import push_checkpoint

    with quiet_libraries():
        found = find_checkpoint(checkpoint)
        pushed = push_checkpoint(found, repo_id, private=private, update=update)
    if as_json:
        typer.echo(json.dumps(asdict(pushed)))
    elif not quiet:
        prompt = "" if found.is_unconditional else "--prompt melody.mid "
        typer.echo(
            f"{pushed.url} has {len(pushed.files)} files, revision {pushed.revision}\n"
            f"use it: python generate.py {prompt}--model {repo_id}@{pushed.revision}"
        )


app = typer.Typer(
    name="descant",
    help="A melody in, a chorale out: tokenize, train and generate symbolic music.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(dataset_app)
app.add_typer(tokenizer_app)
app.add_typer(evaluate_app)
app.command("generate", cls=GenerateCommand)(generate_command)
app.command("train")(train_command)
app.command("render")(render_command)
app.command("app")(app_command)
app.command("doctor")(doctor_command)
app.command("push")(push_command)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"descant {__version__}")
        raise typer.Exit


@app.callback()
def _descant(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Options before any sub-command."""


def main() -> None:
    """Run the `descant` console script."""
    run(app)


if __name__ == "__main__":
    main()
