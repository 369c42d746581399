r"""Keep every tenth work of a dataset's training split, to see what the rest of the data is worth.

    python records/tenth.py data/songs data/songs-tenth
    accelerate launch train.py --config configs/songs.yaml name=songs-tenth \
        data.valid_corpus=data/songs 'data.corpora=[data/songs-tenth]'

Movements of one work (rows whose source differs after the #) stay together. The order of the works follows from their
hashes, so the choice is the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from datasets import DatasetDict, load_from_disk


def main(source: str, out: str) -> None:
    """Write `out` with one work out of ten for training, and all of valid."""
    splits = load_from_disk(source)
    works = [row.partition("#")[0] for row in splits["train"]["source"]]
    ordered = sorted(set(works), key=lambda work: hashlib.sha256(work.encode()).digest())
    kept = set(ordered[::10])
    train = splits["train"].select([index for index, work in enumerate(works) if work in kept])
    if Path(out).exists():
        sys.exit(f"{out} exists. Name another folder.")
    DatasetDict({"train": train, "valid": splits["valid"]}).save_to_disk(out)
    facts = {"works": len(kept), "of": len(ordered), "pieces": len(train), "notes": sum(train["num_notes"])}
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
