"""Count how often Bach breaks each rule of voice leading, into the file that the page reads.

    python records/reference_rates.py

Of the four-part pieces of `chorales:train`, as MIDI would tell them. The first time, the corpus is read (minutes).
"""

from __future__ import annotations

import argparse

from descant_modeling.cli.evaluate.tables import write_json
from descant_modeling.evaluation.rules import BACH_FILE, SPLIT, count_bach
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.pianoroll.frames import chorale_of_row


def main() -> None:
    """Count and write."""
    argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0]).parse_args()
    write_json(count_bach([chorale_of_row(row) for row in split_rows(SPLIT)]), BACH_FILE)
    print(f"wrote {BACH_FILE.name}")


if __name__ == "__main__":
    main()
