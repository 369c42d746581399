"""Write `metrics.json` into the record of an RNN, CNN or VAE: what its run measured last, and its likelihoods.

    python records/embed.py runs/rnn rnn --record 2026-11-30_families-rnn       first
    python records/families.py rnn

The model is embedded, and its card names its record. Only valid is read.
"""

from __future__ import annotations

import argparse
import json

from evaluate import RECORDS, Facts, _run  # type: ignore[import-not-found]  # beside this script

from descant_modeling.models.checkpoints import find_checkpoint

#: Pieces that are scored cell by cell, since that is slow.
CHRONOLOGICAL_PIECES = 12
LIKELIHOODS: dict[str, dict[str, tuple[str, ...]]] = {
    "rnn": {"likelihood": ()},
    "cnn": {
        "orderless": (),
        "orderless_some": ("--limit", str(CHRONOLOGICAL_PIECES)),
        "chronological_some": ("--limit", str(CHRONOLOGICAL_PIECES), "--order", "chronological"),
    },
    "vae": {},
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", help="name of the embedded model")
    name = parser.parse_args().name
    found = find_checkpoint(name)
    training = found.meta["training"]
    command = f"accelerate launch train.py --config configs/{name}.yaml"
    metrics: Facts = {
        "training": {"command": command, "steps": training["step"], "minutes": training["minutes"]},
        "valid": {"command": command} | {key[6:]: value for key, value in training.items() if key.startswith("valid_")},
    }
    for kind, options in LIKELIHOODS[found.objective].items():
        facts = _run("likelihood", "--model", name, "--split", "valid", *options)
        metrics[kind] = {key: value for key, value in facts.items() if key not in ("pieces", "seconds")}
    path = RECORDS.parent / training["record"] / "metrics.json"
    path.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
