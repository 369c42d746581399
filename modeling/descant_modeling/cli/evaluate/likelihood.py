"""``descant evaluate likelihood``: whole pieces in a unit that compares.

``descant evaluate style``: each composer's held-out pieces under each style token.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from descant_modeling.cli.options import AsJson, Device, Quiet, check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from descant_modeling.evaluation.likelihood import Scores
    from descant_modeling.models.checkpoints import FoundCheckpoint
    from descant_modeling.models.likelihood import Unit

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

    from descant_modeling.cli.evaluate.tables import remark, write_json
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.data import release_remark
    from descant_modeling.evaluation.likelihood import score_facts
    from descant_modeling.jsb_grid.checkpoints import OBJECTIVE
    from descant_modeling.models.checkpoints import find_checkpoint
    from descant_tokenizers.corpora import silence_datasets

    started = time.monotonic()
    remark(release_remark(split), quiet=quiet)
    silence_datasets(quiet=quiet or as_json)
    picked_device = pick_device(device)
    with quiet_libraries():
        found = find_checkpoint(model)
    asked = _Asked(model, found, corpus, split, limit, task, picked_device, quiet or as_json)
    on_grid = found.objective == OBJECTIVE
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
    found: FoundCheckpoint
    corpus: str
    split: str
    limit: int | None
    task: TaskName
    device: str
    quiet: bool


def _score_tokens(asked: _Asked) -> tuple[Scores, str]:
    """Score the pieces of a corpus with a model over a tokenizer's tokens; return what kind they are, too."""
    from descant_modeling.common.console import progress_bar, quiet_libraries
    from descant_modeling.evaluation.likelihood import score_pieces
    from descant_modeling.models.checkpoints import load_checkpoint
    from descant_modeling.training.data import load_named_pieces
    from descant_tokenizers.tokens.tasks import Task

    with quiet_libraries():
        checkpoint = load_checkpoint(asked.found, asked.device)
        pieces = load_named_pieces(asked.corpus, asked.split, checkpoint.layout)[: asked.limit]
    kind = "four-part pieces" if checkpoint.vocabulary.is_four_part else "pieces"
    if not pieces:
        raise InputError(f"split {asked.split!r} of {asked.corpus} has no {kind}: choose another split")
    with progress_bar(f"{asked.split} of {asked.corpus}", quiet=asked.quiet) as progress:
        task = Task(asked.task)
        return score_pieces(checkpoint.model, checkpoint.layout, pieces, task, progress=progress), kind


def _score_grid(asked: _Asked, grid_json: Path | None) -> tuple[Scores, str]:
    """Score grids, out of a file or of a corpus, with a model over the grid; return what kind they are, too."""
    from descant_modeling.common.console import progress_bar, quiet_libraries
    from descant_modeling.evaluation.likelihood import score_grids
    from descant_modeling.jsb_grid.checkpoints import load_grid
    from descant_modeling.jsb_grid.data import corpus_grids, read_grids

    if asked.task != "continue":
        raise InputError(f"{asked.model} is a grid model, which knows no task but to go on: leave --task out")
    with quiet_libraries():
        checkpoint = load_grid(asked.found, asked.device)
    grids = corpus_grids(asked.corpus, asked.split) if grid_json is None else read_grids(grid_json, asked.split)
    grids = grids[: asked.limit]
    with progress_bar(f"{asked.split} of {grid_json or asked.corpus}", quiet=asked.quiet) as progress:
        return score_grids(checkpoint.model, checkpoint.meta.vocabulary, grids, progress), "four-part grids"


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


if TYPE_CHECKING:
    from rich.table import Table


def style_command(
    model: Annotated[str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.")],
    split: Annotated[str, typer.Option(help="Split to score; test is for releases only.")] = "valid",
    limit: Annotated[int | None, typer.Option(help="Take the first pieces of each style only.")] = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Whether style tokens steer: the likelihood of each composer's pieces under each of them."""
    check_range("--limit", limit, 1)

    from descant_modeling.cli.evaluate.tables import remark, show, write_json
    from descant_modeling.common.console import progress_bar, quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.data import release_remark
    from descant_modeling.evaluation.likelihood import held_out_pieces, score_styles
    from descant_modeling.models.checkpoints import load_checkpoint
    from descant_tokenizers.corpora import silence_datasets

    started = time.monotonic()
    remark(release_remark(split), quiet=quiet)
    silence_datasets(quiet=quiet or as_json)
    with quiet_libraries():
        checkpoint = load_checkpoint(model, pick_device(device))
        pieces = held_out_pieces(checkpoint.layout, split, limit)
    if not any(pieces.values()):
        raise InputError(f"split {split!r} holds no piece of any style that {model} knows: choose another split")
    with progress_bar(f"styles of {split}", quiet=quiet or as_json) as progress:
        rows = score_styles(checkpoint, pieces, progress)
    styles = checkpoint.layout.config.styles
    facts = {
        "model": model,
        "split": split,
        "styles": list(styles),
        "without_pieces": [style for style, named in pieces.items() if not named],
        "rows": [row.facts(styles) for row in rows],
        "seconds": round(time.monotonic() - started, 2),
    }
    if as_json:
        write_json(facts)
    else:
        show(style_table(facts))


def style_table(facts: dict[str, Any]) -> Table:
    """Set bits per note under each style side by side."""
    from descant_modeling.cli.evaluate.tables import table

    rows = [
        [
            f"{row['style']}{', soprano alone' if row['voices'] == 'soprano' else ''}",
            str(row["num_pieces"]),
            *(f"{row['bits_per_note'][style]['value']:.3f}" for style in facts["styles"]),
            f"{row['own_is_likeliest']:.0f}",
        ]
        for row in facts["rows"]
    ]
    note = "Bits per note of the pieces of each row under the style of each column; lower is likelier."
    if facts["without_pieces"]:
        note += f" No piece of {', '.join(facts['without_pieces'])} in this split."
    columns = ("pieces of", "n", *(f"told {style}" for style in facts["styles"]), "own likeliest, % of pieces")
    return table(f"styles of {facts['model']}, {facts['split']}", columns, rows, note)
