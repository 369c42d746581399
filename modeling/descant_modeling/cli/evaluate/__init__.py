"""``descant evaluate``: measure music and models."""

from __future__ import annotations

import typer

from descant_modeling.cli.evaluate.chorales import chorales_command
from descant_modeling.cli.evaluate.families import families_command
from descant_modeling.cli.evaluate.harmonization import harmonization_command
from descant_modeling.cli.evaluate.likelihood import likelihood_command, style_command
from descant_modeling.cli.evaluate.memorization import memorization_command
from descant_modeling.cli.evaluate.report import report_command
from descant_modeling.cli.evaluate.tunes import tunes_command

evaluate_app = typer.Typer(
    name="evaluate",
    help="Measure music and models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
evaluate_app.command("likelihood")(likelihood_command)
evaluate_app.command("chorales")(chorales_command)
evaluate_app.command("harmonization")(harmonization_command)
evaluate_app.command("families")(families_command)
evaluate_app.command("tunes")(tunes_command)
evaluate_app.command("memorization")(memorization_command)
evaluate_app.command("style")(style_command)
evaluate_app.command("report")(report_command)
