"""``descant evaluate``: how good music is, and how good a model is on held-out music."""

from __future__ import annotations

import typer

from descant_modeling.evaluation.chorales_command import chorales_command
from descant_modeling.evaluation.harmonization_command import harmonization_command
from descant_modeling.evaluation.likelihood_command import likelihood_command
from descant_modeling.evaluation.memorization_command import memorization_command
from descant_modeling.evaluation.report_command import report_command
from descant_modeling.evaluation.style_command import style_command

evaluate_app = typer.Typer(
    name="evaluate",
    help="Measure how good music is, and how good a model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
evaluate_app.command("likelihood")(likelihood_command)
evaluate_app.command("chorales")(chorales_command)
evaluate_app.command("harmonization")(harmonization_command)
evaluate_app.command("memorization")(memorization_command)
evaluate_app.command("style")(style_command)
evaluate_app.command("report")(report_command)
