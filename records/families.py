"""Write `metrics.json` into the record of an RNN, CNN or VAE: what its run measured last, and its likelihoods.

    python records/embed.py runs/rnn rnn --record 2026-11-30_families-rnn       first
    python records/families.py rnn --grid-json FILE     also the benchmark's 76 texts of valid
    python records/families.py cnn

The model is embedded, and its card names its record. Only valid is read.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from descant_modeling.cli.evaluate import evaluated
from descant_modeling.models.checkpoints import find_checkpoint
from descant_tokenizers.common.files import write_json

ROOT = Path(__file__).parent.parent
#: Pieces that are scored cell by cell, since that is slow.
CHRONOLOGICAL_PIECES = 20
LIKELIHOODS: dict[str, dict[str, tuple[str, ...]]] = {
    "rnn": {"likelihood": ()},
    "cnn": {
        "orderless_some": ("--limit", str(CHRONOLOGICAL_PIECES)),
        "chronological_some": ("--limit", str(CHRONOLOGICAL_PIECES), "--order", "chronological"),
    },
    "vae": {},
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", help="name of the embedded model")
    parser.add_argument(
        "--grid-json", type=Path, help="the JSB Chorales on a grid of 16ths, to score an RNN on as well"
    )
    options = parser.parse_args()
    found = find_checkpoint(options.name)
    training = found.meta["training"]
    command = f"accelerate launch train.py --config configs/{options.name}.yaml"
    metrics: dict[str, Any] = {
        "training": {"command": command, "steps": training["step"], "minutes": training["minutes"]},
        "valid": {"command": command} | {key[6:]: value for key, value in training.items() if key.startswith("valid_")},
    }
    base = ("likelihood", "--model", options.name, "--split", "valid")
    runs = {kind: evaluated(*base, *more) for kind, more in LIKELIHOODS[found.objective].items()}
    if options.grid_json is not None:
        runs["likelihood_76"] = evaluated(*base, private=("--grid-json", str(options.grid_json)))
        runs["likelihood_76"]["command"] = " ".join(
            ("descant evaluate", *base, "--grid-json", options.grid_json.name, "--json")
        )
    metrics |= {
        kind: {key: value for key, value in facts.items() if key not in ("pieces", "seconds")}
        for kind, facts in runs.items()
    }
    path = ROOT / training["record"] / "metrics.json"
    write_json(path, metrics)
    print(path)


if __name__ == "__main__":
    main()
