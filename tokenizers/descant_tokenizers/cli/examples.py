"""Examples at the end of a command's help; a test parses them."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: dict[str, tuple[str, ...]] = {
    "dataset build": (
        "descant dataset build chorales --out data/chorales",
        "descant dataset build my-midis --out data/mine --parts all --licence CC0-1.0",
        "descant dataset build my-scores --out data/mine --format parquet --no-repeats",
    ),
    "dataset stats": (
        "descant dataset stats chorales",
        "descant dataset stats my-midis --preset gm --plot my-midis.png",
        "descant dataset stats folk --json",
    ),
    "dataset tokenize": (
        "descant dataset tokenize chorales --out data/tokens",
        "descant dataset tokenize my-midis --out data/tokens --preset gm",
        "descant dataset tokenize chorales --out data/tokens --tokenizer bpe",
    ),
    "dataset push": (
        "descant dataset push data/mine user/name --private",
        "descant dataset push data/mine user/name --update",
    ),
    "tokenizer inspect": (
        "descant tokenizer inspect melody.mid",
        "descant tokenizer inspect song.mid --preset gm --track 2",
        "descant tokenizer inspect melody.mid --scheme octuple --html tokens.html",
    ),
    "tokenizer compare": (
        "descant tokenizer compare chorales --limit 50",
        "descant tokenizer compare melody.mid song.mid",
        "descant tokenizer compare my-midis --schemes remi,tsd --plot schemes.png",
    ),
    "tokenizer train": (
        "descant tokenizer train chorales --vocab-size 1024 --out bpe",
        "descant tokenizer train my-midis --preset gm --vocab-size 2000 --out gm-bpe",
        "descant tokenizer train chorales --vocab-size 800 --model Unigram --out uni",
    ),
    "tokenizer push": (
        "descant tokenizer push bpe user/name --private",
        "descant tokenizer push bpe user/name --update",
    ),
}


def examples_of(command: str, examples: Mapping[str, tuple[str, ...]] = EXAMPLES) -> str | None:
    """Return the end of a command's help; typer keeps the lines of a paragraph that begins with a backspace."""
    lines = examples.get(command, ())
    return "\n".join(["\b", "Examples:", *lines]) if lines else None
