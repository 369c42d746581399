"""``descant evaluate likelihood``: whole pieces in a unit that compares."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from descant_tokenizers.errors import InputError

if TYPE_CHECKING:
    from descant_modeling.evaluation.scoring import PieceScore, Scores
    from descant_modeling.likelihood import Unit

TaskName = Literal["continue", "harmonize"]


def likelihood_command(
    model: Annotated[str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.")] = "chorales",
    corpus: Annotated[str, typer.Option(help="Corpus name, or folder of a built dataset.")] = "chorales",
    split: Annotated[str, typer.Option(help="Split to score; test is for releases only.")] = "valid",
    task: Annotated[TaskName, typer.Option(help="All voices, or the missing ones given the soprano.")] = "continue",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; chosen by itself if not given.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Neither progress nor remarks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Likelihood of whole pieces: nats per voice-16th, bits per note, and how many pitches are foreseen."""
    import datasets

    from descant_modeling.checkpoints import load_checkpoint
    from descant_modeling.data import load_named_pieces
    from descant_modeling.devices import pick_device
    from descant_modeling.evaluation.scoring import score_pieces
    from descant_modeling.evaluation.screen import remark, write_json
    from descant_modeling.evaluation.sources import release_remark
    from descant_modeling.progress import progress_bar
    from descant_modeling.quiet import quiet_libraries
    from descant_tokenizers.tokens.layout import Task

    started = time.monotonic()
    remark(release_remark(split), quiet=quiet)
    if quiet or as_json:
        datasets.disable_progress_bars()
    with quiet_libraries():
        checkpoint = load_checkpoint(model, pick_device(device))
        pieces = load_named_pieces(corpus, split, checkpoint.layout)
    kind = "four-part pieces" if checkpoint.table.is_four_part else "pieces"
    if not pieces:
        raise InputError(f"split {split!r} of {corpus} has no {kind}: choose another split")
    with progress_bar(f"{split} of {corpus}", quiet=quiet or as_json) as progress:
        scores = score_pieces(checkpoint.model, checkpoint.layout, pieces, Task(task), progress=progress)
    facts = {
        "model": model,
        "corpus": corpus,
        "split": split,
        "task": task,
        **score_facts(scores),
        "seconds": round(time.monotonic() - started, 2),
    }
    if as_json:
        write_json(facts)
    else:
        typer.echo(_summary(facts, scores.unit, kind))


def score_facts(scores: Scores) -> dict[str, Any]:
    """Return what goes into JSON."""
    nats, bits, key = scores.headline, scores.bits_per_note, scores.unit.key
    return {
        key: round(nats.value, 5),
        "bits_per_note": round(bits.value, 4),
        "num_pieces": len(scores.pieces),
        "num_notes": scores.num_notes,
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
        f"easiest {ends[0]}, hardest {ends[1]}; {facts['num_windowed']} scored in windows that overlap by half",
    ]
    if facts["pitch_accuracy"]:
        shares = (f"{voice} {share['value']:.1f} %" for voice, share in facts["pitch_accuracy"].items())
        lines.append(f"pitches foreseen, given all before them: {', '.join(shares)}")
    return "\n".join(lines)
