"""``descant evaluate likelihood``: whole pieces in a unit that compares."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from descant_modeling.command_options import AsJson, Device, Quiet, check_range
from descant_tokenizers.errors import InputError

if TYPE_CHECKING:
    from descant_modeling.evaluation.scoring import PieceScore, Scores
    from descant_modeling.likelihood import Unit

TaskName = Literal["continue", "harmonize"]


def likelihood_command(
    model: Annotated[str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.")] = "chorales",
    corpus: Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.")] = "chorales",
    split: Annotated[str, typer.Option(help="Split to score; test is for releases only.")] = "valid",
    grid_json: Annotated[
        Path | None, typer.Option(help="Score a split of this grid file instead of a corpus; for a grid model.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Take the first pieces only.")] = None,
    task: Annotated[TaskName, typer.Option(help="All voices, or the missing ones given the soprano.")] = "continue",
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Likelihood of whole pieces: nats per voice-16th, bits per note, and how many pitches are foreseen."""
    check_range("--limit", limit, 1)

    from descant_modeling.devices import pick_device
    from descant_modeling.evaluation.screen import remark, write_json
    from descant_modeling.evaluation.sources import release_remark
    from descant_modeling.grid.checkpoints import is_grid
    from descant_modeling.quiet import quiet_libraries
    from descant_tokenizers.corpora import silence_datasets

    started = time.monotonic()
    remark(release_remark(split), quiet=quiet)
    silence_datasets(quiet=quiet or as_json)
    asked = _Asked(model, corpus, split, limit, task, pick_device(device), quiet or as_json)
    with quiet_libraries():
        on_grid = is_grid(model)
    if not on_grid and grid_json is not None:
        raise InputError(f"--grid-json is for a model over the grid, and {model} is none: leave it out, or give one")
    scores, kind = _score_grid(asked, grid_json) if on_grid else _score_tokens(asked)
    facts = {
        "model": model,
        "corpus": corpus if grid_json is None else grid_json.name,
        "split": split,
        "task": task,
        **score_facts(scores),
        "seconds": round(time.monotonic() - started, 2),
    }
    if as_json:
        write_json(facts)
    else:
        typer.echo(_summary(facts, scores.unit, kind))


class _Asked(NamedTuple):
    """What the command was asked for."""

    model: str
    corpus: str
    split: str
    limit: int | None
    task: TaskName
    device: str
    quiet: bool


def _score_tokens(asked: _Asked) -> tuple[Scores, str]:
    """Score the pieces of a corpus with a model over a tokenizer's tokens; return what kind they are, too."""
    from descant_modeling.checkpoints import load_checkpoint
    from descant_modeling.data import load_named_pieces
    from descant_modeling.evaluation.scoring import score_pieces
    from descant_modeling.progress import progress_bar
    from descant_modeling.quiet import quiet_libraries
    from descant_tokenizers.tokens.layout import Task

    with quiet_libraries():
        checkpoint = load_checkpoint(asked.model, asked.device)
        pieces = load_named_pieces(asked.corpus, asked.split, checkpoint.layout)[: asked.limit]
    kind = "four-part pieces" if checkpoint.table.is_four_part else "pieces"
    if not pieces:
        raise InputError(f"split {asked.split!r} of {asked.corpus} has no {kind}: choose another split")
    with progress_bar(f"{asked.split} of {asked.corpus}", quiet=asked.quiet) as progress:
        task = Task(asked.task)
        return score_pieces(checkpoint.model, checkpoint.layout, pieces, task, progress=progress), kind


def _score_grid(asked: _Asked, grid_json: Path | None) -> tuple[Scores, str]:
    """Score grids, out of a file or of a corpus, with a model over the grid; return what kind they are, too."""
    from descant_modeling.grid.checkpoints import load_grid
    from descant_modeling.grid.data import corpus_grids, read_grids
    from descant_modeling.grid.likelihood import score_grids
    from descant_modeling.progress import progress_bar
    from descant_modeling.quiet import quiet_libraries

    if asked.task != "continue":
        raise InputError(f"{asked.model} is a grid model, which knows no task but to go on: leave --task out")
    with quiet_libraries():
        checkpoint = load_grid(asked.model, asked.device)
    grids = corpus_grids(asked.corpus, asked.split) if grid_json is None else read_grids(grid_json, asked.split)
    grids = grids[: asked.limit]
    with progress_bar(f"{asked.split} of {grid_json or asked.corpus}", quiet=asked.quiet) as progress:
        return score_grids(checkpoint.model, checkpoint.meta.vocabulary, grids, progress), "four-part grids"


def score_facts(scores: Scores) -> dict[str, Any]:
    """Return what goes into JSON."""
    from descant_modeling.likelihood import WINDOW_OVERLAP

    nats, bits, key = scores.headline, scores.bits_per_note, scores.unit.key
    return {
        key: round(nats.value, 5),
        "bits_per_note": round(bits.value, 4),
        "num_pieces": len(scores.pieces),
        "num_notes": scores.num_notes,
        "window": {"tokens": scores.window_tokens, "overlap": WINDOW_OVERLAP},
        "num_windowed": sum(piece.num_windows > 1 for piece in scores.pieces),
        "interval": {
            key: {"low": round(nats.low, 5), "high": round(nats.high, 5)},
            "bits_per_note": {"low": round(bits.low, 4), "high": round(bits.high, 4)},
        },
        "pitch_accuracy": {voice.lower(): share.rounded() for voice, share in scores.pitch_accuracy.items()},
        "pieces": {piece.name: _piece(piece, key) for piece in scores.pieces},
    }


def _piece(piece: PieceScore, key: str) -> dict[str, Any]:
    return {
        key: round(piece.nats / piece.length, 5),
        "bits_per_note": round(piece.nats / math.log(2) / max(piece.num_notes, 1), 4),
        "nats": round(piece.nats, 3),
        "num_notes": piece.num_notes,
    }


def _summary(facts: dict[str, Any], unit: Unit, kind: str) -> str:
    nats, bits = (facts["interval"][key] for key in (unit.key, "bits_per_note"))
    what = "all voices" if facts["task"] == "continue" else "the missing voices, given the soprano"
    pieces = sorted(facts["pieces"].items(), key=lambda item: float(item[1][unit.key]))
    ends = [f"{name} {piece[unit.key]:.3f}" for name, piece in (pieces[0], pieces[-1])]
    lines = [
        f"{facts[unit.key]} {unit.name} [{nats['low']:.3f}, {nats['high']:.3f}], "
        f"{facts['bits_per_note']} bits per note [{bits['low']:.3f}, {bits['high']:.3f}]: {what}",
        f"over {facts['num_pieces']} {kind} ({facts['num_notes']} notes) of {facts['corpus']}, split "
        f"{facts['split']}; in brackets 95 % intervals over pieces",
        f"easiest {ends[0]}, hardest {ends[1]}; {facts['num_windowed']} scored in windows of "
        f"{facts['window']['tokens']} tokens that overlap by {100 * facts['window']['overlap']:g} %",
    ]
    if facts["pitch_accuracy"]:
        shares = (f"{voice} {share['value']:.1f} %" for voice, share in facts["pitch_accuracy"].items())
        lines.append(f"pitches foreseen, given all before them: {', '.join(shares)}")
    return "\n".join(lines)
