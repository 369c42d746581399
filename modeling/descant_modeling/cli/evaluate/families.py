"""``descant evaluate families``: every family of models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.evaluate.common import MODELS, Corpus, Limit, Output, Reference, Split, table
from descant_modeling.cli.options import AsJson, Device, Quiet
from descant_modeling.decoding.config import GenerationConfig, check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from descant_modeling.models.checkpoints import FoundCheckpoint
    from descant_modeling.models.likelihood import Likelihood


def families_command(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="A model; repeat for several. Default: all embedded ones.", rich_help_panel=MODELS
        ),
    ] = None,
    corpus: Corpus = "chorales",
    split: Split = "valid",
    reference: Reference = "chorales:train",
    limit: Limit = None,
    steps: Annotated[
        int | None, typer.Option(help="Gibbs steps of a CNN (default 32).", rich_help_panel="Sampling")
    ] = None,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Set models of all families side by side: size, likelihood where it is defined, and harmonies of a split."""
    check_range("--limit", limit, 1)
    config = GenerationConfig(steps=steps)

    from descant_modeling.api import load_generator
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.common.devices import pick_device
    from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, measure, split_chorales
    from descant_modeling.evaluation.families import FIGURE_HEADS, WHAT_HEADS, family_facts, figure_rows, what_rows
    from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
    from descant_modeling.evaluation.harmonizers import ModelHarmonizer, named_harmonizers
    from descant_modeling.generation.multitrack import MultitrackGenerator
    from descant_modeling.models.checkpoints import embedded_models, find_checkpoint
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    output = Output(split, quiet=quiet, as_json=as_json)
    rows = split_rows(f"{corpus}:{split}")[:limit]
    bach = ReferenceCorpus(split_chorales(reference))
    results: dict[str, Any] = {}
    for name in named_harmonizers(models or embedded_models()):
        with quiet_libraries():
            found = find_checkpoint(name)
            generator = load_generator(found, device)
            if isinstance(generator, MultitrackGenerator):
                if models:
                    raise InputError(f"{name} does not write four voices. Choose another --model.")
                continue
            facts = results[name] = family_facts(found, generator.tasks)
            scored = _scorer(found, pick_device(device), corpus, split, limit)
        if scored is not None:
            score, what = scored
            with output.progress(f"{name}: likelihood") as progress:
                facts["likelihood"] = {"value": round(score(progress=progress).headline, 4), "of": what}
        if "harmonize" in facts["tasks"]:
            own = config if "steps" in generator.own_options else GenerationConfig()
            with output.progress(f"{name}: {len(rows)} sopranos") as progress:
                draw = harmonize_rows(ModelHarmonizer(name, generator, own), rows, progress=progress)
            facts["harmonization"] = measure_harmonies([draw], bach).facts()
            facts["seconds_a_tune"] = round(facts["harmonization"]["writing_seconds"] / len(rows), 2)
    own_harmonies = measure([chorale_of_row(row) for row in rows], bach).facts()
    facts = {"corpus": corpus, "split": split, "num_sopranos": len(rows), "steps": steps, "models": results}
    facts["bach"] = {"harmonization": own_harmonies}
    title = f"The sopranos of {len(rows)} pieces of {corpus}, {split}, harmonized once"
    note = (
        "nats: per voice-16th, and what is scored; grade: median, lower is more like Bach; pairs: those in which Bach "
        "has the better grade; fifths, octaves: parallels per 1,000 pitch changes; A, T, B: 16ths with Bach's pitch in "
        "alto, tenor and bass; s: a tune. A bound or a given length makes nats incomparable: see docs/families.md."
    )
    output.finish(
        facts,
        lambda facts: [
            table("Families of models", WHAT_HEADS, what_rows(results), "min: minutes of training, where known."),
            table(title, FIGURE_HEADS, figure_rows({**results, "Bach": facts["bach"]}), note),
        ],
    )


def _scorer(
    found: FoundCheckpoint, device: str, corpus: str, split: str, limit: int | None
) -> tuple[Callable[..., Likelihood], str] | None:
    """Return a function that scores the pieces of a split, and what it scores; None where no likelihood is defined."""
    from descant_modeling.cli.evaluate.likelihood import GRID_OBJECTIVES, grid_scorer, piece_scorer

    if found.objective == "causal":
        return piece_scorer(found, device, corpus, split, "continue", limit)[0], "notes, onsets"
    if found.objective in GRID_OBJECTIVES:
        what = "grid, bound" if found.objective == "cnn" else "grid"
        return grid_scorer(found, device, corpus, split, None, limit, "orderless"), what
    return None
