"""Measure what a model with hints reads of them, on the valid chorales: nats of a bass note that wrong hints cost.

python records/lookahead.py --model chorales > records/2026-11-30_hints/lookahead.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from descant_modeling.evaluation.lookahead import annotated_pieces, cost_of_swap, swaps
from descant_modeling.models.checkpoints import load_checkpoint


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="chorales", help="embedded model, or checkpoint folder")
    parser.add_argument("--limit", type=int, help="number of pieces")
    options = parser.parse_args()
    checkpoint = load_checkpoint(options.model)
    ranks = {name: checkpoint.vocabulary.voices.index(name) for name in checkpoint.vocabulary.voices}
    pieces = annotated_pieces("chorales:valid", checkpoint.vocabulary)[: options.limit]
    model = checkpoint.model.train(False)
    found = {}
    for swap in swaps(ranks):
        bare = [(piece, replace(known, chords=None)) for piece, known in pieces]
        truth, added = cost_of_swap(model, checkpoint.layout, bare, swap, ranks["Bass"])
        found[swap.name] = {"nats_per_bass_note": truth.rounded(), "added_by_wrong_hints": added.rounded()}
    print(json.dumps({"model": options.model, "pieces": len(pieces), "swaps": found}, indent=1))


if __name__ == "__main__":
    main()
