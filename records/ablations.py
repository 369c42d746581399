"""Change one part of the published model's configuration at a time, train each variant briefly, and compare them.

    python records/ablations.py --list                     list the rows
    python records/ablations.py base adamw prefix          train some of them, 600 steps each (ten minutes of one core)
    python records/ablations.py --record                   write the finished rows to records/2026-11-26_ablations

`base` is configs/chorales-sbat.yaml trained from scratch, with a schedule of 600 steps; every other row differs from it
only in the listed keys (two rows start with 600 steps on other music). `seed` is `base` with another seed, and
`prefix-seed` is `prefix` with another seed: differences of that size mean nothing. 600 steps are a tenth of a full run:
regularization shows its cost here, but not its gain. A row that is finished under `--out` is not trained again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from descant_modeling.models.likelihood import VOICE_16TH
from descant_modeling.training.log import git_revision, run_header
from descant_tokenizers.common.files import write_json

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "configs/chorales-sbat.yaml"
STEPS = 600
RECORD = Path(__file__).parent / "2026-11-26_ablations"
TASKS = ("continue", "harmonize")

#: Overrides of each row.
ROWS: dict[str, tuple[str, ...]] = {
    "base": (),
    "seed": ("seed=2",),
    "satb": ("data.tokenizer=satb",),
    "adamw": ("optimizer.name=adamw", "optimizer.learning_rate=1.5e-3"),
    "no-average": ("optimizer.ema_decay=0.0",),
    "prefix": ("layout.lookahead_bars=null",),
    "prefix-seed": ("layout.lookahead_bars=null", "seed=2"),
    "small-batches": (
        "data.batch_tokens=1750",
        "max_steps=1200",
        "optimizer.warmup_steps=200",
        "optimizer.learning_rate=2.1e-3",
        "optimizer.ema_decay=0.999",
    ),
    "dropout-0.1": ("model.dropout=0.1",),
    "dropout-0.3": ("model.dropout=0.3",),
    "decay-0": ("optimizer.weight_decay=0.0",),
    "decay-0.3": ("optimizer.weight_decay=0.3",),
    "deep": ("model.width=192", "model.num_layers=7"),
    "wide": ("model.width=352", "model.num_layers=2"),
    "all-voices": (
        "tasks.continue=0.4",
        "tasks.continue_some=0.0",
        "tasks.harmonize=0.45",
        "tasks.harmonize_some=0.0",
    ),
    "no-transposition": ("data.transpose=false",),
    "repeat-off": ("layout.given_at_onsets=false",),
    "bpe-1024": ("layout.given_at_onsets=false", "data.tokenizer=OUT/tokenizer-1024"),
    "bpe-4096": ("layout.given_at_onsets=false", "data.tokenizer=OUT/tokenizer-4096"),
    "folk-first": ("init_from=OUT/on-folk", "data.tokenizer=sbat-style"),
    "palestrina-first": ("init_from=OUT/on-palestrina", "data.tokenizer=sbat-style"),
}
"""`deep` and `wide` have about as many parameters as `base`. BPE cannot repeat context notes at their onsets, so
compare its rows with `repeat-off`."""
#: A layout with styles brings other music into four voices; its style tokens are not used here.
NO_STYLE = ("data.valid_corpus=chorales", "data.tokenizer=sbat-style", "data.unlabelled_share=1.0")
#: First stages of other rows: 600 steps on other music.
FIRST: dict[str, tuple[str, ...]] = {
    "on-folk": ("data.corpora=[folk]", "layout.styles=[folk]", *NO_STYLE),
    "on-palestrina": ("data.corpora=[palestrina]", "layout.styles=[palestrina]", *NO_STYLE),
}


def train(name: str, out: Path) -> None:
    """Train a row, unless it is finished."""
    folder = out / name
    if not (folder / "summary.json").exists():
        if folder.exists():
            raise SystemExit(f"{folder} is unfinished. Remove it to train the row again.")
        overrides = [override.replace("OUT", str(out)) for override in (ROWS | FIRST)[name]]
        for key, _, value in (override.partition("=") for override in overrides):
            if key == "data.tokenizer" and value.startswith("/"):
                learn_tokens(Path(value))
            if key == "init_from":
                train(Path(value).name, out)
        _run(
            sys.executable, "train.py", "--config", CONFIG, "--threads", "1",
            "init_from=null", f"max_steps={STEPS}", f"eval_every={STEPS}", f"save_every={STEPS}", "precision=bf16",
            "optimizer.learning_rate=3.0e-3", "model.dropout=0.2", f"out_dir={out}", f"name={name}", *overrides,
        )  # fmt: skip
    for task in TASKS:
        if not (folder / f"{task}.json").exists():
            command = ("descant", "evaluate", "likelihood", "--model", str(folder), "--task", task, "--json")
            measured = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
            (folder / f"{task}.json").write_text(measured, encoding="utf-8")


def learn_tokens(folder: Path) -> None:
    """Train the tokenizer of a folder whose name ends in its size, unless it exists."""
    if not folder.exists():
        size = folder.name.rpartition("-")[2]
        _run(
            "descant", "tokenizer", "train", "chorales", "--preset", "sbat", "--vocab-size", size, "--out", str(folder)
        )


def facts_of(name: str, out: Path) -> dict[str, Any]:
    """Return the figures of a finished row."""
    folder = out / name
    header, summary = (json.loads((folder / file).read_text(encoding="utf-8")) for file in ("run.json", "summary.json"))
    facts = {"row": name, "changed": " ".join(ROWS[name]) or "nothing", "parameters": header["num_parameters"]}
    facts |= {key: summary[key] for key in ("step", "tokens", "epoch", "seconds")}
    for task in TASKS:
        measured = json.loads((folder / f"{task}.json").read_text(encoding="utf-8"))
        facts[task] = measured[VOICE_16TH.key]
    return facts


def record(out: Path) -> None:
    """Write the finished rows, and print them as a table."""
    rows = [facts_of(name, out) for name in ROWS if (out / name / f"{TASKS[-1]}.json").exists()]
    RECORD.mkdir(exist_ok=True)
    facts = {
        "command": "python records/ablations.py",
        "git": git_revision(),
        "machine": run_header({})["machine"],
        "rows": rows,
    }
    write_json(RECORD / "ablations.json", facts)
    for row in rows:
        print(f"{row['row']:18} {row['continue']:.3f} {row['harmonize']:.3f}  {row['changed']}")


def main() -> None:
    """Train the requested rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to train; default: all")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--record", action="store_true", help="write the finished rows under records/, and print them")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "ablations", help="folder of the runs")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"{min(unknown)} is not a row. Choose from {', '.join(ROWS)}.")
    if options.list:
        print("\n".join(f"{name:18} {' '.join(changed)}" for name, changed in ROWS.items()))
    elif options.record:
        record(options.out.resolve())
    else:
        for name in options.rows or ROWS:
            train(name, options.out.resolve())


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
