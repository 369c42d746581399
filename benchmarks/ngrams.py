"""Score a dataset's valid split with n-grams of tokens, the baseline that knows the last tokens only.

    python benchmarks/ngrams.py data/songs --preset song --json songs.json
    python benchmarks/ngrams.py data/quartets --preset quartet --json quartets.json

The streams are those of the task *continue*; the prefix is not scored, as in `descant evaluate likelihood`. Counts are
smoothed after Witten and Bell (1991), down to the uniform distribution, so there is nothing to choose.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from descant_modeling.evaluation.bootstrap import ratio_interval
from descant_tokenizers.common.files import write_json
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.tokens.dataset import tokenize_dataset
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

ORDERS = (1, 2, 3, 4)


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dataset", help="folder of a built dataset")
    parser.add_argument("--preset", default="song", help="tokenizer preset")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    vocabulary = Vocabulary(build_tokenizer(options.preset))
    tokenized, _ = tokenize_dataset(load_corpus(options.dataset), vocabulary.tokenizer, 1)
    train, valid = ([row["input_ids"] for row in tokenized[name]] for name in ("train", "valid"))
    notes = list(tokenized["valid"]["num_notes"])
    facts = {
        "command": f"python benchmarks/ngrams.py data/{Path(options.dataset).name} --preset {options.preset}",
        "num_pieces": len(valid),
        "bits_per_note": {
            str(order): ratio_interval(_bits(train, valid, order, vocabulary), notes).rounded() for order in ORDERS
        },
    }
    sys.stdout.write(write_json(options.json, facts))


def _bits(
    train: Sequence[Sequence[int]], valid: Sequence[Sequence[int]], order: int, vocabulary: Vocabulary
) -> list[float]:
    """Return the bits of each piece under n-grams of an order."""
    counts: list[defaultdict[tuple[int, ...], Counter[int]]] = [defaultdict(Counter) for _ in range(order)]
    for ids in train:
        for place in range(_start(ids, vocabulary), len(ids)):
            for length in range(order):
                if place >= length:
                    counts[length][tuple(ids[place - length : place])][ids[place]] += 1
    totals = [{context: (own.total(), len(own)) for context, own in level.items()} for level in counts]
    found = []
    for ids in valid:
        bits = 0.0
        for place in range(_start(ids, vocabulary), len(ids)):
            probability = 1 / vocabulary.size
            for length in range(order):
                context = tuple(ids[max(place - length, 0) : place])
                total, kinds = totals[length].get(context, (0, 0))
                if total:
                    probability = (counts[length][context][ids[place]] + kinds * probability) / (total + kinds)
            bits -= math.log2(probability)
        found.append(bits)
    return found


def _start(ids: Sequence[int], vocabulary: Vocabulary) -> int:
    """Return where the music begins, behind `BOS CONTINUE Program+`."""
    return list(ids).index(vocabulary.bar_id)


if __name__ == "__main__":
    main()
