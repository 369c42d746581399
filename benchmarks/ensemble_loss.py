"""Count what the token grid changes in a dataset of songs or quartets: the figures of docs/data.md.

    python benchmarks/ensemble_loss.py data/songs --preset song --json songs.json
    python benchmarks/ensemble_loss.py data/quartets --preset quartet --json quartets.json

The counts are those that the tokenizer reports for each piece (column `grid_changes`), summed by kind.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from descant_tokenizers.common.files import write_json
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.tokens.dataset import tokenize_dataset
from descant_tokenizers.tokens.presets import build_tokenizer

_COUNTED = re.compile(r"(.*): (\d+)")


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dataset", help="folder of a built dataset")
    parser.add_argument("--preset", default="song", help="tokenizer preset")
    parser.add_argument("--files", type=Path, help="folder that the dataset was built from, to hash its files")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    facts = count(options.dataset, options.preset)
    if options.files is not None:
        facts["files_sha256"] = files_sha256(options.files)
    sys.stdout.write(write_json(options.json, facts))


def count(dataset: str, preset: str) -> dict[str, Any]:
    """Return the sums over all splits of a dataset."""
    tokenized, refused = tokenize_dataset(load_corpus(dataset), build_tokenizer(preset), 1)
    changes: Counter[str] = Counter()
    num_notes = num_tokens = num_pieces = num_changed = 0
    for split in tokenized.values():
        for row in split.select_columns(["num_notes", "input_ids", "grid_changes"]):
            num_pieces += 1
            num_notes += row["num_notes"]
            num_tokens += len(row["input_ids"])
            num_changed += bool(row["grid_changes"])
            for phrase in row["grid_changes"]:
                counted = _COUNTED.fullmatch(phrase)
                kind = (counted[1] if counted else phrase).removesuffix(" to fit the grid").replace(" ", "_")
                changes[kind] += int(counted[2]) if counted else 1
    return {
        "pieces": {name: len(split) for name, split in tokenized.items()},
        "notes": num_notes,
        "tokens": num_tokens,
        "tokens_per_note": round(num_tokens / num_notes, 3),
        "pieces_changed": num_changed,
        "changes": dict(changes.most_common()),
        "refused": len(refused),
        "refusals": dict(Counter(re.sub(r"bar \d+", "a bar", reason) for reason in refused.values()).most_common(8)),
    }


def files_sha256(folder: Path) -> str:
    """Return the hash that `find . -type f | sort | xargs sha256sum | sha256sum` prints for the .mxl files inside."""
    files = sorted(folder.rglob("*.mxl"), key=lambda path: str(path.relative_to(folder)).encode())
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(folder)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


if __name__ == "__main__":
    main()
