"""``descant evaluate likelihood``: whole pieces, in tokenizer-independent units.

``descant evaluate style``: each composer's held-out pieces under each style token.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from descant_modeling.cli.evaluate.common import MODELS, MUSIC, Corpus, Limit, Output, Split, table
from descant_modeling.cli.options import AsJson, Device, Quiet
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.config import check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from descant_modeling.models.checkpoints import FoundCheckpoint
    from descant_modeling.models.likelihood import Likelihood, Unit

#: Objectives whose models score what sounds at every 16th.
GRID_OBJECTIVES = ("grid", "rnn", "cnn")

_Model = Annotated[
    str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.", rich_help_panel=MODELS)
]


def likelihood_command(
    model: _Model = EMBEDDED_DEFAULT,
    corpus: Corpus = "chorales",
    split: Split = "valid",
    grid_json: Annotated[
        Path | None,
        typer.Option(help="Score a split of this grid file instead of a corpus (grid models).", rich_help_panel=MUSIC),
    ] = None,
    limit: Limit = None,
    task: Annotated[
        Literal["continue", "harmonize"],
        typer.Option(help="Score all voices, or the lower ones given the soprano.", rich_help_panel=MUSIC),
    ] = "continue",
    order: Annotated[
        Literal["orderless", "chronological"],
        typer.Option(
            help="For cnn: a bound over all orders of the cells, or from left to right (minutes a piece).",
            rich_help_panel=MODELS,
        ),
    ] = "orderless",
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score whole pieces: nats per voice-16th, bits per note, and the share of pitches predicted."""
    check_range("--limit", limit, 1)

    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.likelihood import likelihood_facts
    from descant_modeling.models.checkpoints import find_checkpoint

    output = Output(split, quiet=quiet, as_json=as_json)
    picked_device = pick_device(device)
    with quiet_libraries():
        found = find_checkpoint(model)
        is_grid = found.objective in GRID_OBJECTIVES
        if is_grid and task != "continue":
            raise InputError(f"{model} is a grid model, which supports only continuation. Omit --task.")
        if grid_json is not None and not is_grid:
            raise InputError(f"--grid-json is for grid models, and {model} is not one. Omit it, or give a grid model.")
        if is_grid:
            score, noun = grid_scorer(found, picked_device, corpus, split, grid_json, limit, order), "four-part grids"
        else:
            score, noun = piece_scorer(found, picked_device, corpus, split, task, limit)
    with output.progress(f"{split} of {grid_json or corpus}") as progress:
        likelihood = score(progress=progress)
    facts = {
        "model": model,
        "corpus": corpus if grid_json is None else grid_json.name,
        "split": split,
        "task": task,
        **({"order": order} if found.objective == "cnn" else {}),
        **likelihood_facts(likelihood),
    }
    output.finish(facts, lambda facts: [_summary(facts, likelihood.unit, noun)])


def piece_scorer(
    found: FoundCheckpoint, device: str, corpus: str, split: str, task: str, limit: int | None
) -> tuple[Callable[..., Likelihood], str]:
    """Return a function that scores the pieces of a corpus with a token model, and a noun for the pieces."""
    from descant_modeling.models.checkpoints import load_checkpoint
    from descant_modeling.models.likelihood import score_pieces
    from descant_modeling.training.data import load_named_pieces
    from descant_tokenizers.tokens.kinds import kind_of
    from descant_tokenizers.tokens.tasks import Task

    checkpoint = load_checkpoint(found, device)
    pieces = load_named_pieces(corpus, split, checkpoint.layout)[:limit]
    noun = kind_of(checkpoint.vocabulary).noun
    if not pieces:
        raise InputError(f"Split {split!r} of {corpus} has no {noun}. Choose another split.")
    return partial(score_pieces, checkpoint.model, checkpoint.layout, pieces, Task(task)), noun


def grid_scorer(
    found: FoundCheckpoint, device: str, corpus: str, split: str, grid_json: Path | None, limit: int | None, order: str
) -> Callable[..., Likelihood]:
    """Return a function that scores the grids of a file or of a corpus with a model on the grid."""
    from descant_modeling.cnn.networks import CnnNetwork
    from descant_modeling.cnn.run import score_chronological, score_orderless
    from descant_modeling.jsb_grid.checkpoints import load_grid, score_grids
    from descant_modeling.jsb_grid.data import corpus_grids, read_grids
    from descant_modeling.models.networks import load_network
    from descant_modeling.rnn.networks import RnnNetwork
    from descant_modeling.rnn.run import score_pieces

    grids = (corpus_grids(corpus, split) if grid_json is None else read_grids(grid_json, split))[:limit]
    if found.objective == "rnn":
        return partial(score_pieces, load_network(found, RnnNetwork.build, device).network, grids)
    if found.objective == "cnn":
        score = score_chronological if order == "chronological" else score_orderless
        return partial(score, load_network(found, CnnNetwork.build, device).network, grids)
    checkpoint = load_grid(found, device)
    return partial(score_grids, checkpoint.model, checkpoint.meta.vocabulary, grids)


def _summary(facts: dict[str, Any], unit: Unit, noun: str) -> str:
    key = unit.key
    nats, bits = (facts["interval"][name] for name in (key, "bits_per_note"))
    voices = "all voices" if facts["task"] == "continue" else "the missing voices, given the soprano"
    ranked = sorted(facts["pieces"].items(), key=lambda item: float(item[1][key]))
    easiest, hardest = (f"{name} {piece[key]:.3f}" for name, piece in (ranked[0], ranked[-1]))
    lines = [
        f"{facts[key]} {unit.name} [{nats['low']:.3f}, {nats['high']:.3f}], "
        f"{facts['bits_per_note']} bits per note [{bits['low']:.3f}, {bits['high']:.3f}]: {voices}",
        f"over {facts['num_pieces']} {noun} ({facts['num_notes']} notes) of {facts['corpus']}, split "
        f"{facts['split']}; in brackets 95 % intervals over pieces",
        f"easiest {easiest}, hardest {hardest}; {facts['num_windowed']} scored in windows of "
        f"{facts['window']['tokens']} tokens that overlap by {100 * facts['window']['overlap']:g} %",
    ]
    if facts["pitch_accuracy"]:
        shares = (f"{voice} {share['value']:.1f} %" for voice, share in facts["pitch_accuracy"].items())
        lines.append(f"pitches predicted, given all tokens before them: {', '.join(shares)}")
    return "\n".join(lines)


def style_command(
    model: _Model,
    corpus: Annotated[
        str | None,
        typer.Option(help="Dataset with the pieces; default: the named corpora of the styles.", rich_help_panel=MUSIC),
    ] = None,
    split: Split = "valid",
    limit: Annotated[
        int | None, typer.Option(help="Use only the first pieces of each style.", rich_help_panel=MUSIC)
    ] = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score each composer's pieces under each style token, to test the effect of the tokens."""
    check_range("--limit", limit, 1)

    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.likelihood import held_out_pieces, score_styles
    from descant_modeling.models.checkpoints import load_checkpoint

    output = Output(split, quiet=quiet, as_json=as_json)
    with quiet_libraries():
        checkpoint = load_checkpoint(model, pick_device(device))
        pieces = held_out_pieces(checkpoint.layout, split, limit, [corpus] if corpus else [])
    if not any(pieces.values()):
        raise InputError(f"Split {split!r} holds no piece of any style of {model}. Choose another split.")
    with output.progress(f"styles of {split}") as progress:
        rows = score_styles(checkpoint, pieces, progress)
    styles = checkpoint.layout.config.styles
    facts = {
        "model": model,
        "split": split,
        "styles": list(styles),
        "without_pieces": [style for style, named in pieces.items() if not named],
        "rows": [row.facts(styles) for row in rows],
    }
    output.finish(facts, lambda facts: [style_table(facts)])


def style_table(facts: dict[str, Any]) -> Table:
    """Return a table with the bits per note of each composer's pieces (rows) under each style (columns)."""
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
    columns = ("pieces of", "n", *(f"as {style}" for style in facts["styles"]), "own likeliest, % of pieces")
    return table(f"Styles of {facts['model']}, {facts['split']}", columns, rows, note)
