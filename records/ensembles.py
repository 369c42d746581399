"""Measure a model of songs or quartets on the valid split, and write the records that its card and the pages quote.

    python records/ensembles.py songs data/songs --out records/2026-11-30_songs
    python records/ensembles.py quartets data/quartets --out records/2026-11-30_quartets --bars 16 --scored 8

Each record is the output of `descant evaluate ... --json`, with its command: `likelihood.json`, `accompaniment.json`
and, for a model with styles, `style.json`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from descant_modeling.cli.evaluate import evaluated
from descant_modeling.models.checkpoints import load_checkpoint
from descant_tokenizers.common.files import write_json


def main() -> None:
    """Measure and write the records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="embedded model, checkpoint or run folder")
    parser.add_argument("corpus", help="folder of the built dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--only", default="likelihood,accompaniment,style", help="some of the records")
    parser.add_argument("--limit", default="30", help="pieces to write parts to")
    parser.add_argument("--max-bars", default="40", help="longest of these pieces")
    parser.add_argument("--bars", help="take the first bars of pieces of any length instead")
    parser.add_argument("--scored", help="pieces to score, of each style for the styles; default: all")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    shared = ("--model", options.model)
    length = ("--bars", options.bars) if options.bars else ("--max-bars", options.max_bars)
    limit = ("--limit", options.scored) if options.scored else ()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "likelihood": lambda: {
            task: evaluated("likelihood", *shared, "--corpus", options.corpus, "--task", task, *limit)
            for task in ("continue", "harmonize")
        },
        "accompaniment": lambda: evaluated("accompaniment", options.corpus, *shared, "--limit", options.limit, *length),
    }
    if load_checkpoint(options.model).layout.config.styles:
        parts["style"] = lambda: evaluated("style", *shared, "--corpus", options.corpus, *limit)
    for part in options.only.split(","):
        if part in parts:
            started = time.monotonic()
            path = options.out / f"{part}.json"
            write_json(path, parts[part]())
            print(f"{path}: {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
