"""Count Bach's breaches of each rule of voice leading, and write the file that the page reads.

    python records/reference_rates.py

Counts the four-part pieces of `chorales:train` without their fermatas, as if read from MIDI. The first run reads the
corpus (minutes).
"""

from __future__ import annotations

import argparse

from descant_modeling.evaluation.corpus_stats import split_chorales
from descant_modeling.evaluation.rules import REFERENCE_FILE, REFERENCE_SPLIT, count_reference
from descant_tokenizers.common.files import write_json


def main() -> None:
    """Count and write."""
    argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0]).parse_args()
    facts = count_reference(split_chorales(REFERENCE_SPLIT))
    write_json(REFERENCE_FILE, facts)
    print(f"wrote {REFERENCE_FILE.name}")


if __name__ == "__main__":
    main()
