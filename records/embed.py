"""Copy a run's checkpoint into the weights of the package, and its log, pictures and header into the records.

    python records/embed.py runs/chorales chorales --record 2026-11-26_chorales
    python records/embed.py runs/gan gan --record 2026-11-25_gan --git 3a5c5fe     (a run outside a git checkout)
    python records/embed.py runs/midinet midinet --record 2026-11-26_midinet
    python records/embed.py chorales chorales --record 2026-11-30_hints --measured 2026-12-01_evaluation

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
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from descant_modeling.evaluation.cards import FAMILIES, causal_card, measured_rolls
from descant_modeling.families.checkpoints import family_card
from descant_modeling.gan.checkpoints import BUILDERS, gan_card, load_gan
from descant_modeling.models.checkpoints import (
    EMBEDDED,
    find_checkpoint,
    load_checkpoint,
    replace_folder,
    save_checkpoint,
)
from descant_modeling.models.networks import load_network, save_network
from descant_modeling.training.data import seen_meters, stated_licences
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.corpora.rights import RIGHTS

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
        card = gan_card(gan_meta, measured_rolls(gan_meta.training, name, RECORDS.parent))
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
    card = causal_card(checkpoint, meta, name, RECORDS.parent)
    save_checkpoint(folder, checkpoint.model, checkpoint.vocabulary.tokenizer, meta, card)


if __name__ == "__main__":
    main()
