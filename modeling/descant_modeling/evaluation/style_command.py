"""``descant evaluate style``: each composer's held-out pieces under each style token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.command_options import AsJson, Device, Quiet, check_range
from descant_tokenizers.errors import InputError

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

    from descant_modeling.checkpoints import load_checkpoint
    from descant_modeling.devices import pick_device
    from descant_modeling.evaluation.screen import remark, show, write_json
    from descant_modeling.evaluation.sources import release_remark
    from descant_modeling.evaluation.style import held_out_pieces, score_styles
    from descant_modeling.progress import progress_bar
    from descant_modeling.quiet import quiet_libraries
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
    from descant_modeling.evaluation.screen import table

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
