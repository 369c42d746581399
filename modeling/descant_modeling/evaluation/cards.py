"""Model cards of embedded models, with the figures of the records that their facts name.

A record is a folder with the output of evaluations as JSON; `descant.json` names it as a path in the repository.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descant_modeling.cnn.networks import CnnNetwork
from descant_modeling.evaluation.accompaniment import FIGURES
from descant_modeling.families.checkpoints import family_card
from descant_modeling.families.networks import GridNetwork
from descant_modeling.gan.checkpoints import BUILDERS, gan_card, load_gan, recorded_figures
from descant_modeling.models.checkpoints import Checkpoint, CheckpointMeta, find_checkpoint, load_checkpoint
from descant_modeling.models.networks import load_network
from descant_modeling.models.publishing import MeasuredFigure, model_card
from descant_modeling.rnn.networks import RnnNetwork
from descant_modeling.vae.networks import VaeNetwork

#: Networks of the families on the grid, by objective.
FAMILIES: dict[str, type[GridNetwork[Any]]] = {"rnn": RnnNetwork, "cnn": CnnNetwork, "vae": VaeNetwork}


def card_of(name: str, root: Path) -> str:
    """Return the card of an embedded model, from its own facts and the records that they name.

    Args:
        name: The model.
        root: Folder of the repository, which holds the records.
    """
    found = find_checkpoint(name)
    if found.objective in FAMILIES:
        own = load_network(found, FAMILIES[found.objective].build)
        return family_card(own.meta, own.network)
    if found.objective in BUILDERS:
        meta = load_gan(name).meta
        return gan_card(meta, measured_rolls(meta.training, name, root))
    checkpoint = load_checkpoint(name)
    return causal_card(checkpoint, checkpoint.meta, name, root)


def causal_card(checkpoint: Checkpoint, meta: CheckpointMeta, name: str, root: Path) -> str:
    """Return the card of a causal model with these contents of `descant.json`; see `card_of`."""
    records = [root / meta.training[key] for key in ("evaluation", "test") if key in meta.training]
    read = measured if checkpoint.vocabulary.ensemble is None else measured_parts
    figures = [figure for record in records for figure in read(record, name)]
    return model_card(checkpoint.model, meta, checkpoint.vocabulary, figures)


def measured(record: Path, name: str) -> list[MeasuredFigure]:
    """Read the figures of a causal model's card from the output of records/evaluate.py."""
    found = json.loads((record / "likelihood.json").read_text(encoding="utf-8"))
    split = found["continue"]["split"]

    def nats(task: str, key: str, label: str) -> MeasuredFigure:
        facts = found[task]
        return MeasuredFigure(key, label, facts["nats_per_voice_16th"], None, facts["command"], ".4f", split=split)

    label = "nats per voice-16th of alto, tenor and bass, given the soprano"
    given = nats("harmonize", "harmonize_nats_per_voice_16th", label)
    # the checkpoint has the figure of valid
    alone = [] if split == "valid" else [nats("continue", "nats_per_voice_16th", "nats per voice-16th")]
    return [*alone, given, *measured_harmonies(record, name)]


def measured_parts(record: Path, name: str) -> list[MeasuredFigure]:
    """Read the figures of the card of a model of songs or quartets from the output of records/ensembles.py."""
    likelihood = json.loads((record / "likelihood.json").read_text(encoding="utf-8"))["harmonize"]
    given = MeasuredFigure(
        "harmonize_bits_per_note",
        "bits per note of the other parts, given the leading part",
        likelihood["bits_per_note"],
        None,
        likelihood["command"],
        ".3f",
        split=likelihood["split"],
    )
    facts = json.loads((record / "accompaniment.json").read_text(encoding="utf-8"))
    mine, real = facts["figures"]["model"], facts["figures"]["real"]
    return [given] + [
        MeasuredFigure(
            figure.key,
            figure.title,
            mine[figure.key]["value"],
            real[figure.key]["value"],
            facts["command"],
            split=facts["split"],
        )
        for figure in FIGURES
        if mine.get(figure.key) is not None  # older records have fewer figures
    ]


def measured_harmonies(record: Path, name: str) -> list[MeasuredFigure]:
    """Read the figures about a model's harmonizations of a split's sopranos."""
    harmonies = json.loads((record / "harmonization.json").read_text(encoding="utf-8"))
    mine, bach = harmonies["models"][name], harmonies["bach"]

    def figure(key: str, label: str, value: float, reference: float) -> MeasuredFigure:
        return MeasuredFigure(
            key, label, value, reference, harmonies["command"], corpus=harmonies["corpus"], split=harmonies["split"]
        )

    figures = []
    for key, label in (("parallel_fifths", "parallel fifths"), ("parallel_octaves", "parallel octaves, unisons")):
        value, his = (facts["rules"][key]["value"] for facts in (mine, bach))
        figures.append(figure(key, f"{label}, per 1,000 pitch changes", value, his))
    grades = mine["grade"]["median"], bach["grade"]["median"]
    outgrades = mine["bach_outgrades"]["value"]
    return [
        *figures,
        figure("grade", "grade of harmonies, median (lower is more like Bach)", *grades),
        figure("bach_outgrades", "pairs in which Bach has the better grade, %", outgrades, 50),
    ]


def measured_rolls(facts: Mapping[str, Any], name: str, root: Path) -> list[MeasuredFigure]:
    """Read the figures of a GAN's card from the records that its facts name, if they exist."""
    path = root / facts["record"] / "metrics.json"
    figures = []
    if path.is_file():
        metrics = json.loads(path.read_text(encoding="utf-8"))
        found = metrics["bars"] if "bars" in metrics else metrics["rolls"]
        figures += recorded_figures(found["written"], found["valid_data"], found["command"])
    if "evaluation" in facts:
        figures += measured_harmonies(root / facts["evaluation"], name)
    return figures
