"""Measure a model on the valid split, and write every record that docs/evaluation.md quotes.

    python records/evaluate.py                                  the embedded models, all records (about an hour)
    python records/evaluate.py --model runs/mine --out /tmp/x   another model, another folder
    python records/evaluate.py --only likelihood,memorization   some of the records
    python records/evaluate.py --only families,gibbs --out records/2026-11-30_families     those of docs/families.md
    python records/evaluate.py --harmonies DIR                  keep the harmonies, or reuse those in DIR
    python records/refresh.py                                   then update the tables

Each record is the output of one `descant evaluate ... --json`, with its command. Repeating `--model` adds columns to
the table of harmonizations; the other records are about the first model.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from descant_modeling.cli.evaluate import evaluated
from descant_modeling.evaluation.harmonizers import BASELINES
from descant_tokenizers.common.files import write_json

RECORDS = Path(__file__).parent
PARTS = (
    "bach",
    "likelihood",
    "harmonization",
    "no_fermatas",
    "tunes",
    "unconstrained",
    "memorization",
    "continuations",
    "families",
    "gibbs",
)
TUNES = "tests/data/tunes"
CONTINUED = 20
"""Number of pieces to continue for the record of memorization, since continuations are slow."""
FAMILIES = ("chorales", "gan", "roll-gan", "midinet", "rnn", "cnn", "vae", "vae-melody")
GIBBS_STEPS = (1, 8, 32, 128)
GIBBS_SOPRANOS = 20

Facts = dict[str, Any]


def main() -> None:
    """Measure and write the records."""
    options = _options()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    models = options.model or ["chorales", "gan"]
    with contextlib.ExitStack() as stack:
        harmonies = options.harmonies or Path(stack.enter_context(tempfile.TemporaryDirectory()), "harmonies")
        for part in options.only:
            started = time.monotonic()
            facts = {
                "bach": lambda: bach(options.split),
                "likelihood": lambda: likelihood(models[0], options.split),
                "harmonization": lambda: harmonization(models, options.split, options.num_draws, harmonies),
                "no_fermatas": lambda: no_fermatas(models[0], options.split, options.num_draws),
                "tunes": lambda: tunes(models[0], options.num_draws),
                "unconstrained": lambda: unconstrained(models[0], options.split),
                "memorization": lambda: memorization(models[0], options.split, harmonies),
                "continuations": lambda: continuations(models[0], options.split),
                "families": lambda: families(options.model or FAMILIES, options.split, out / "families.json"),
                "gibbs": lambda: gibbs(options.split),
            }[part]()
            path = out / f"{part}.json"
            write_json(path, facts)
            print(f"{path}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    _write_header(out)


def bach(split: str) -> Facts:
    """Compare the split's own pieces with Bach's."""
    return evaluated("chorales", f"chorales:{split}")


def likelihood(model: str, split: str) -> Facts:
    """Score the split for both tasks."""
    command = ("likelihood", "--model", model, "--split", split)
    return {task: evaluated(*command, "--task", task) for task in ("continue", "harmonize")}


def harmonization(models: list[str], split: str, num_draws: int, harmonies: Path) -> Facts:
    """Measure the harmonies of the baselines and the models."""
    named = [word for model in (*BASELINES, *models) for word in ("--model", model)]
    command = ("harmonization", *named, "--split", split, "--num-draws", str(num_draws))
    return evaluated(*command, private=("--out", str(harmonies)))


def no_fermatas(model: str, split: str, num_draws: int) -> Facts:
    """Measure the first model's harmonies when it is not told where phrases end."""
    command = ("harmonization", "--model", model, "--split", split, "--num-draws", str(num_draws))
    return evaluated(*command, "--no-fermatas")


def tunes(model: str, num_draws: int) -> Facts:
    """Measure harmonies of tunes that are not chorales: told phrases, not told, told and ending as `generate` does."""
    command = ("--model", model, "--num-draws", str(num_draws))
    facts = {}
    runs = (("told", ()), ("not_told", ("--no-fermatas",)), ("auto", ("--last-chord", "auto")))
    for name, more in runs:
        facts[name] = evaluated("tunes", *command, *more, private=(str(RECORDS.parent / TUNES),))
        facts[name]["command"] = " ".join(("descant evaluate tunes", TUNES, *command, *more, "--json"))
        facts[name]["tunes"] = TUNES
    return facts


def unconstrained(model: str, split: str) -> Facts:
    """Measure the first model without rules of voice leading, to show what the rules cost."""
    free = ("--allow-parallels", "--allow-leaps", "--allow-unresolved", "--allow-rests", "--best-of", "1")
    return evaluated("harmonization", "--model", model, "--split", split, *free)


def memorization(model: str, split: str, harmonies: Path) -> Facts:
    """Measure memorization in the harmonies of the model (those just written) and of the baselines."""
    facts = {}
    for kind, name in (("harmonize", model), *((name, name) for name in BASELINES)):
        command = ("memorization", "--model", name, "--split", split)
        folder = harmonies / Path(name).name
        reused = ("--samples", str(folder)) if folder.is_dir() else ()
        facts[kind] = evaluated(*command, private=reused)
        if reused:
            facts[kind]["command"] = " ".join(
                ("descant evaluate", *command, f"--samples HARMONIES/{folder.name} --json")
            )
        facts[kind]["model"] = name
        facts[kind]["pieces"] = {Path(piece).stem: runs for piece, runs in facts[kind]["pieces"].items()}
    return facts


def continuations(model: str, split: str) -> Facts:
    """Measure memorization in the model's continuations of two bars."""
    return evaluated(
        "memorization", "--model", model, "--split", split, "--task", "continue", "--limit", str(CONTINUED)
    )


def families(models: Sequence[str], split: str, path: Path) -> Facts:
    """Set a model of each family, or others, side by side; those that the record has already are not measured again."""

    def command(*models: str) -> tuple[str, ...]:
        return ("families", *(word for model in models for word in ("--model", model)), "--split", split)

    facts: Facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"models": {}}
    for model in models:
        if model not in facts["models"]:
            found = evaluated(*command(model))
            facts = found | {"models": facts["models"] | found["models"]}
            write_json(path, facts)
    return facts | {"command": " ".join(("descant evaluate", *command(*facts["models"]), "--json"))}


def gibbs(split: str) -> Facts:
    """Measure the CNN's harmonies by the number of its Gibbs steps."""
    command = ("families", "--model", "cnn", "--split", split, "--limit", str(GIBBS_SOPRANOS), "--steps")
    found = {str(steps): evaluated(*command, str(steps)) for steps in GIBBS_STEPS}
    return {"command": " ".join(("descant evaluate", *command, "N --json")), "steps": found}


def _write_header(out: Path) -> None:
    from descant_modeling.training.log import git_revision, run_header

    header = run_header({})
    facts: Facts = {"command": "python records/evaluate.py", "git": git_revision()}
    facts |= {key: header[key] for key in ("versions", "machine") if key in header}
    write_json(out / "header.json", facts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="model to measure; repeat it for more columns")
    parser.add_argument("--split", default="valid", help="valid; test only once, for a release")
    parser.add_argument("--num-draws", type=int, default=3, help="number of harmonies of each soprano")
    parser.add_argument("--out", type=Path, default=RECORDS / "2026-12-01_evaluation", help="folder of the records")
    parser.add_argument("--harmonies", type=Path, help="folder for the harmonies as MIDI")
    parser.add_argument("--only", type=_parts, default=PARTS, help=f"records to write, of {','.join(PARTS)}")
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is not a part. Choose from {', '.join(PARTS)}.")
    return parts


if __name__ == "__main__":
    main()
