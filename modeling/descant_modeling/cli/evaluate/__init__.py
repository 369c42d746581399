"""``descant evaluate``: measure music and models."""

from __future__ import annotations

from collections.abc import Callable

import typer

from descant_modeling.cli.evaluate.chorales import chorales_command
from descant_modeling.cli.evaluate.families import families_command
from descant_modeling.cli.evaluate.harmonization import harmonization_command
from descant_modeling.cli.evaluate.likelihood import likelihood_command, style_command
from descant_modeling.cli.evaluate.memorization import memorization_command
from descant_modeling.cli.evaluate.report import report_command
from descant_modeling.cli.evaluate.tunes import tunes_command
from descant_modeling.cli.examples import examples_of

evaluate_app = typer.Typer(
    name="evaluate",
    help="Measure music and models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "likelihood": likelihood_command,
    "chorales": chorales_command,
    "harmonization": harmonization_command,
    "families": families_command,
    "tunes": tunes_command,
    "memorization": memorization_command,
    "style": style_command,
    "report": report_command,
}
for _name, _command in _COMMANDS.items():
    evaluate_app.command(_name, epilog=examples_of(f"evaluate {_name}"))(_command)
