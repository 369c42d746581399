"""The `descant` command: everything that the installed package can do, one sub-command each.

Heavy libraries (torch, transformers, datasets) are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from descant_modeling import __version__
from descant_modeling.app.command import app_command
from descant_modeling.doctor_command import doctor_command
from descant_modeling.evaluate_command import evaluate_app
from descant_modeling.generate_command import generate_command
from descant_modeling.optional_values import GenerateCommand
from descant_modeling.push_command import push_command
from descant_modeling.train_command import train_command
from descant_tokenizers.cli import dataset_app, run, tokenizer_app
from descant_tokenizers.engraving.command import render_command

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
    """Options that stand before any sub-command."""


def main() -> None:
    """Run the `descant` console script."""
    run(app)


if __name__ == "__main__":
    main()
