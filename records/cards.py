"""Write the model cards of the embedded models again, from their facts and the records that these name.

    python records/cards.py             after a change of what cards say
    python records/cards.py --check     change nothing; exit status 1 if a card is stale

Weights and facts stay as they are; `records/embed.py` writes these.
"""

from __future__ import annotations

import sys
from pathlib import Path

from descant_modeling.evaluation.cards import card_of
from descant_modeling.models.checkpoints import EMBEDDED, embedded_models
from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.common.hub import CARD_NAME

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Rewrite or check every card; return the exit status."""
    is_check = "--check" in sys.argv[1:]
    cards = {EMBEDDED / name / CARD_NAME: card_of(name, ROOT) for name in embedded_models()}
    stale = [path for path, card in cards.items() if path.read_text(encoding="utf-8") != card]
    for path in stale:
        print(f"{'stale' if is_check else 'written'}: {path}")
        if not is_check:
            with atomic_write(path) as temporary:
                temporary.write_text(cards[path], encoding="utf-8")
    return int(is_check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
