"""Measure the tokens per note of vocabularies with merges, and check that every legal stream decodes.

    python benchmarks/learned_tokens.py out/BPE-* out/Unigram-* --out records/2026-11-26_learned/chorales.json

This is the table of docs/learned-tokens.md, which also has the commands that train these tokenizers. For each of them,
`--walks` random walks follow the grammar's mask, every legal token equally likely, and are decoded by miditok alone:
`decoded` counts those that give the notes of their base tokens, one line per voice.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from descant_tokenizers.cli.train import FACTS_FILE
from descant_tokenizers.common.files import write_json
from descant_tokenizers.tokens.encode import decode_piece
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import parse_piece
from descant_tokenizers.tokens.presets import load_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

Notes = Counter[tuple[int, float, int, float]]
"""Program, onset and length in quarters, pitch."""


def main() -> None:
    """Measure, and write one record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="tokenizers trained with `descant tokenizer train`")
    parser.add_argument("--walks", type=int, default=1000, help="random walks per tokenizer")
    parser.add_argument("--tokens", type=int, default=60, help="longest walk")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the record")
    options = parser.parse_args()
    libraries = {name: version(name) for name in ("miditok", "tokenizers")}
    record: dict[str, Any] = {"command": "python benchmarks/learned_tokens.py", "versions": libraries}
    for folder in options.folders:
        record[folder.name] = measure(folder, options.walks, options.tokens)
        print(folder.name, record[folder.name], flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, record)


def measure(folder: Path, num_walks: int, max_tokens: int) -> dict[str, Any]:
    """Return the figures of `tokenizer train` for one tokenizer, and the number of its walks that decode."""
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    vocabulary = Vocabulary(load_tokenizer(folder))
    grammar, rng = Grammar(vocabulary), np.random.default_rng(0)
    walks = [walk(grammar, rng, max_tokens) for _ in range(num_walks)]
    return {
        "vocab_size": facts["vocab_size"],
        "train": facts["splits"]["train"]["tokens_per_note"],
        "valid": facts["splits"]["valid"]["tokens_per_note"],
        "walks": num_walks,
        "decoded": sum(decodes(vocabulary, ids) for ids in walks),
        "learned_share": round(float(np.mean([i >= vocabulary.num_base_ids for ids in walks for i in ids])), 3),
    }


def walk(grammar: Grammar, rng: np.random.Generator, max_tokens: int) -> list[int]:
    """Return a random legal stream; after `max_tokens` it ends as soon as it may."""
    state = grammar.start()
    ids: list[int] = []
    while not grammar.is_final(state):
        mask = grammar.mask(state)
        may_end = len(ids) >= max_tokens and bool(mask[grammar.eos])
        ids.append(grammar.eos if may_end else int(rng.choice(np.flatnonzero(mask))))
        state = grammar.advance(state, ids[-1])
    return ids


def decodes(vocabulary: Vocabulary, ids: list[int]) -> bool:
    """Return True if miditok decodes the ids to the notes of their base tokens."""
    piece = parse_piece(vocabulary, vocabulary.expand(ids[:-1]))
    expected, found = decode_piece(vocabulary, piece), vocabulary.tokenizer.decode(ids)
    return piece.num_notes > 0 and notes_of(expected) == notes_of(found)


def notes_of(score: Any) -> Notes:
    """Count the notes of a score."""
    quarter = score.ticks_per_quarter
    return Counter(
        (track.program, note.time / quarter, note.pitch, note.duration / quarter)
        for track in score.tracks
        for note in track.notes
    )


if __name__ == "__main__":
    main()
