"""``descant evaluate``: measure music and models."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import typer

from descant_modeling.cli.evaluate.accompaniment import accompaniment_command
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
    "accompaniment": accompaniment_command,
    "memorization": memorization_command,
    "style": style_command,
    "report": report_command,
}
for _name, _command in _COMMANDS.items():
    evaluate_app.command(_name, epilog=examples_of(f"evaluate {_name}"))(_command)


def evaluated(*arguments: str, private: Sequence[str] = ()) -> dict[str, Any]:
    """Run an evaluation in this process with `--json`; return its output with its `command`, for records.

    Args:
        *arguments: The command and its options.
        private: Further options, which the command in the output leaves out (local paths).
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        evaluate_app([*arguments, *private, "--json"], standalone_mode=False)
    return {"command": " ".join(("descant", "evaluate", *arguments, "--json")), **json.loads(printed.getvalue())}
