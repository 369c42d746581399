"""Copy a run's checkpoint into the weights of the package, and its log, pictures and header into the records.

    python records/embed.py runs/chorales chorales --record 2026-11-26_chorales
    python records/embed.py runs/gan gan --record 2026-11-25_gan --git 3a5c5fe     (a run outside a git checkout)
    python records/embed.py runs/midinet midinet --record 2026-11-26_midinet
    python records/embed.py chorales chorales --record 2026-11-30_hints --measured 2026-11-30_evaluation

The last command adds the figures of records/evaluate.py to the card of an embedded model; for a release, add `--tested
2026-11-26_test`. A checkpoint that does not list the meters of its training pieces, or the licences that folders of
music state, gets them from the corpora of its run; `--licence 'hymns=public domain'` says what these no longer can.
GANs, RNN, CNN and VAE are stored in fp16 (`save_network`), causal models unchanged. The record's `metrics.json` is
written by hand from the output of the commands in it; a GAN's card quotes it if it exists. `records/cards.py` writes
the cards alone again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from descant_modeling.cnn.networks import CnnNetwork
from descant_modeling.families.checkpoints import family_card
from descant_modeling.families.networks import GridNetwork
from descant_modeling.gan.checkpoints import BUILDERS, gan_card, load_gan, recorded_figures
from descant_modeling.models.checkpoints import (
    EMBEDDED,
    Checkpoint,
    CheckpointMeta,
    find_checkpoint,
    load_checkpoint,
    replace_folder,
    save_checkpoint,
)
from descant_modeling.models.networks import load_network, save_network
from descant_modeling.models.publishing import MeasuredFigure, model_card
from descant_modeling.rnn.networks import RnnNetwork
from descant_modeling.training.data import seen_meters, stated_licences
from descant_modeling.vae.networks import VaeNetwork
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.corpora.rights import RIGHTS

#: Networks of the families on the grid, by objective.
FAMILIES: dict[str, type[GridNetwork[Any]]] = {"rnn": RnnNetwork, "cnn": CnnNetwork, "vae": VaeNetwork}
RECORDS = Path(__file__).parent
LOGGED = ("log.jsonl", "run.json", "*.png")


def main() -> None:
    """Embed, and record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("name", help="name of the embedded model")
    parser.add_argument("--record", required=True, help="folder under records/")
    parser.add_argument("--measured", help="folder under records/ with the output of records/evaluate.py")
    parser.add_argument("--tested", help="folder under records/ with the same output for the test split, for a release")
    parser.add_argument("--git", help="git revision of the run, if its header has none")
    parser.add_argument("--licence", metavar="CORPUS=TEXT", action="append", help="licence of a folder of music")
    options = parser.parse_args()
    record = RECORDS / options.record
    facts: dict[str, Any] = {"record": f"records/{options.record}"} | ({"git": options.git} if options.git else {})
    if options.licence:
        stated = (text.split("=", 1) for text in options.licence)
        facts["licences"] = {corpus: [licence] for corpus, licence in stated}
    if options.measured:
        facts["evaluation"] = f"records/{options.measured}"
    if options.tested:
        facts["test"] = f"records/{options.tested}"
    replace_folder(EMBEDDED / options.name, lambda folder: embed(str(options.run), options.name, folder, facts))
    record.mkdir(exist_ok=True)
    for pattern in LOGGED:
        for path in sorted(options.run.glob(pattern)):
            shutil.copyfile(path, record / path.name)
    print(f"{EMBEDDED / options.name}\n{record}")


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


def measured_rolls(facts: Mapping[str, Any], name: str) -> list[MeasuredFigure]:
    """Read the figures of a GAN's card from the records that its facts name, if they exist."""
    path = RECORDS.parent / facts["record"] / "metrics.json"
    figures = []
    if path.is_file():
        metrics = json.loads(path.read_text(encoding="utf-8"))
        found = metrics["bars"] if "bars" in metrics else metrics["rolls"]
        figures += recorded_figures(found["written"], found["valid_data"], found["command"])
    if "evaluation" in facts:
        figures += measured_harmonies(RECORDS.parent / facts["evaluation"], name)
    return figures


def run_data(run: Path) -> tuple[dict[str, Any], dict[str, list[Dataset]]]:
    """Return the configured data of a run, and its splits by corpus, as its header names them; nothing without one."""
    header = run / "run.json"
    if not header.is_file():
        return {}, {}
    data = json.loads(header.read_text(encoding="utf-8"))["config"]["data"]
    corpora = {Path(name).name: load_corpus(name) for name in data["corpora"]}
    return data, {name: [rows[split] for split in data["splits"] if split in rows] for name, rows in corpora.items()}


def embed(run: str, name: str, folder: Path, facts: dict[str, Any]) -> None:
    """Write the published files of a run's checkpoint into an empty folder, with further facts about the run."""
    found = find_checkpoint(run)
    if found.objective in FAMILIES:
        own = load_network(found, FAMILIES[found.objective].build)
        own_meta = replace(own.meta, training=own.meta.training | facts)
        save_network(folder, own.network, own_meta, family_card(own_meta, own.network), torch.float16)
        return
    if found.objective in BUILDERS:
        gan = load_gan(run)
        gan_meta = replace(gan.meta, training=gan.meta.training | facts)
        card = gan_card(gan_meta, measured_rolls(gan_meta.training, name))
        save_network(folder, gan.network, gan_meta, card, torch.float16)
        return
    checkpoint = load_checkpoint(run)
    corpora = {Path(corpus).name: digest for corpus, digest in checkpoint.meta.corpora.items()}
    training, meters = checkpoint.meta.training | facts, checkpoint.meta.meters
    if not meters or not ({*corpora} <= {*RIGHTS} or "licences" in training):
        data, splits = run_data(Path(run))
        pieces = [split for found in splits.values() for split in found]
        meters = meters or seen_meters(pieces, checkpoint.vocabulary, moved=data.get("other_meters", 0) > 0)
        training |= {"licences": stated} if (stated := stated_licences(splits)) else {}
    elif "licences" in training:
        training["licences"] = {Path(corpus).name: stated for corpus, stated in training["licences"].items()}
    meta = replace(checkpoint.meta, corpora=corpora, training=training, meters=meters)
    card = causal_card(checkpoint, meta, name)
    save_checkpoint(folder, checkpoint.model, checkpoint.vocabulary.tokenizer, meta, card)


def causal_card(checkpoint: Checkpoint, meta: CheckpointMeta, name: str) -> str:
    """Return the card of a causal model, with the figures of the records that its facts name."""
    records = [RECORDS.parent / meta.training[key] for key in ("evaluation", "test") if key in meta.training]
    figures = [figure for record in records for figure in measured(record, name)]
    return model_card(checkpoint.model, meta, checkpoint.vocabulary, figures)


def card_of(name: str) -> str:
    """Return the card of an embedded model, from its own facts and the records that they name."""
    found = find_checkpoint(name)
    if found.objective in FAMILIES:
        own = load_network(found, FAMILIES[found.objective].build)
        return family_card(own.meta, own.network)
    if found.objective in BUILDERS:
        meta = load_gan(name).meta
        return gan_card(meta, measured_rolls(meta.training, name))
    checkpoint = load_checkpoint(name)
    return causal_card(checkpoint, checkpoint.meta, name)


if __name__ == "__main__":
    main()
