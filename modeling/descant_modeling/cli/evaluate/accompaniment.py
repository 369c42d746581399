"""``descant evaluate accompaniment``: parts written to held-out leading parts, beside the real ones and a baseline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.evaluate.common import MODELS, MUSIC, Output, Seed, Split, table, write_harmonies
from descant_modeling.cli.options import AsJson, Device, Engine, Quiet, Temperature, TopP, check_options
from descant_modeling.decoding.config import GenerationConfig, check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table


def accompaniment_command(
    corpus: Annotated[str, typer.Argument(help="Dataset of songs or quartets (dataset build --parts song).")],
    model: Annotated[
        str, typer.Option(help="Model of songs or quartets: embedded, folder, Hub id.", rich_help_panel=MODELS)
    ] = "songs",
    split: Split = "valid",
    limit: Annotated[int | None, typer.Option(help="Number of pieces.", rich_help_panel=MUSIC)] = 30,
    max_bars: Annotated[int, typer.Option(help="Take no longer pieces.", rich_help_panel=MUSIC)] = 40,
    bars: Annotated[
        int | None, typer.Option(help="Take the first bars of pieces of any length.", rich_help_panel=MUSIC)
    ] = None,
    seed: Seed = 0,
    temperature: Temperature = GenerationConfig.temperature,
    top_p: TopP = GenerationConfig.top_p,
    out: Annotated[Path | None, typer.Option(help="New folder for the MIDI files.", rich_help_panel="Files")] = None,
    device: Device = None,
    engine: Engine = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write the other parts to leading parts; measure them beside the real ones and those of another piece."""
    check_range("--limit", limit, 1)
    check_range("--max-bars", max_bars, 1)
    check_range("--bars", bars, 1)
    check_options(seed=seed, temperature=temperature, top_p=top_p, best_of=1)
    if out is not None and out.exists():
        raise InputError(f"{out} already exists. Choose a new folder for --out.")

    from descant_modeling.api import load_generator
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.evaluation.accompaniment import chosen_rows, compare_parts, write_parts
    from descant_modeling.generation.ensembles import EnsembleGenerator
    from descant_tokenizers.corpora import load_corpus

    output = Output(split, quiet=quiet, as_json=as_json)
    with quiet_libraries():
        generator = load_generator(model, device, engine)
    if not isinstance(generator, EnsembleGenerator):
        raise InputError(f"{model} is no model of songs or quartets. Choose another --model.")
    ensemble = generator.ensemble
    dataset = load_corpus(corpus)
    if split not in dataset or "train" not in dataset:
        raise InputError(f"{corpus} has no split {split!r} beside train. Choose from {', '.join(dataset)}.")
    rows = chosen_rows(list(dataset[split]), ensemble, max_bars if bars is None else sys.maxsize, limit, bars)
    if not rows:
        raise InputError(
            f"No piece of {corpus} has {ensemble.lead.name} and at most {max_bars} bars. Allow longer ones."
        )
    config = GenerationConfig(seed=seed, temperature=temperature, top_p=top_p, last_chord="any")  # what it has learned
    with output.progress(f"{model}: {len(rows)} pieces") as progress:
        written = write_parts(generator, rows, ensemble, config, bars, progress)
    facts = {
        "model": model,
        "corpus": Path(corpus).name,
        "split": split,
        **({"max_bars": max_bars} if bars is None else {"bars": bars}),
        "seed": seed,
        "temperature": temperature,
        "top_p": top_p,
        **compare_parts(written, rows, list(dataset["train"]), ensemble, bars),
        "seconds_a_piece": round(sum(each.seconds for each in written) / len(written), 2),
    }
    if out is not None:
        write_harmonies([[(str(n), each.score) for n, each in enumerate(written)]], out)
    output.finish(facts, lambda facts: [_table(facts), _runs(facts)])


def _table(facts: Mapping[str, Any]) -> Table:
    from descant_modeling.evaluation.accompaniment import FIGURES
    from descant_modeling.evaluation.bootstrap import estimate_text

    groups = facts["figures"]
    rows = [["pieces", *(str(group["num_pieces"]) for group in groups.values())]]
    pitches = (("lowest", "lowest pitch, median"), ("highest", "highest pitch, median"))
    for key, title in (*((figure.key, figure.title) for figure in FIGURES), *pitches):
        cells = ["-" if group[key] is None else estimate_text(group[key], 1) for group in groups.values()]
        rows.append([title, *cells])
    title = f"{facts['model']}: parts written to {facts['corpus']}, {facts['split']}"
    return table(title, ("", *groups), rows, "In brackets 95 % intervals over pieces.")


def _runs(facts: Mapping[str, Any]) -> str:
    mine, real = (facts["shared_with_train"][name] for name in ("model", "real"))
    return (
        f"Longest run of attacks shared with train, median / 95th percentile / longest: {mine['median']['value']:g} / "
        f"{mine['percentile_95']:g} / {mine['longest']}; of the real ones {real['median']['value']:g} / "
        f"{real['percentile_95']:g} / {real['longest']}."
    )
