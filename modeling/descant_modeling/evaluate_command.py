"""``descant evaluate``: how good a model is, measured on held-out music."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from descant_modeling.evaluation.chorales_command import chorales_command
from descant_modeling.evaluation.harmonization_command import harmonization_command
from descant_tokenizers.errors import InputError

evaluate_app = typer.Typer(
    name="evaluate",
    help="Measure how good music is, and how good a model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


evaluate_app.command("chorales")(chorales_command)
evaluate_app.command("harmonization")(harmonization_command)


@evaluate_app.command("likelihood")
def likelihood_command(
    model: Annotated[str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.")] = "chorales",
    corpus: Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.")] = "chorales",
    split: Annotated[str, typer.Option(help="Split to score; test is for releases only.")] = "valid",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; chosen by itself if not given.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Likelihood of whole pieces: nats per voice-16th (per 16th where there are not four voices), and bits per note."""
    from rich.console import Console
    from rich.progress import Progress

    from descant_modeling.checkpoints import load_checkpoint
    from descant_modeling.data import load_pieces
    from descant_modeling.devices import pick_device
    from descant_modeling.likelihood import corpus_likelihood
    from descant_modeling.quiet import quiet_libraries

    started = time.monotonic()
    with quiet_libraries():
        checkpoint = load_checkpoint(model, pick_device(device))
    pieces = load_pieces(corpus, split, checkpoint.layout)
    kind = "four-part pieces" if checkpoint.table.is_four_part else "pieces"
    if not pieces:
        raise InputError(f"split {split!r} of {corpus} has no {kind}: choose another split")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or as_json or not console.is_terminal) as bar:
        line = bar.add_task(f"{split} of {corpus}", total=len(pieces))
        score = corpus_likelihood(checkpoint.model, checkpoint.layout, pieces, lambda n: bar.advance(line, n))
    facts = {
        "model": model,
        "corpus": corpus,
        "split": split,
        score.unit.key: round(score.headline, 5),
        "bits_per_note": round(score.bits_per_note, 4),
        "num_pieces": score.num_pieces,
        "num_notes": score.num_notes,
        "num_windowed": score.num_windowed,
        "seconds": round(time.monotonic() - started, 2),
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    typer.echo(
        f"{facts[score.unit.key]} {score.unit.name}, {facts['bits_per_note']} bits per note\n"
        f"over {score.num_pieces} {kind} ({score.num_notes} notes) of {corpus}, split {split}"
    )
