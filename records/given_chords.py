"""Measure how well a model with hints keeps to Bach's chords when they are given, on the valid sopranos.

python records/given_chords.py --model chorales > records/2026-12-01_evaluation/given_chords.json

The chords of each beat are read from Bach's harmony and requested as `generate.py --chords` would (a pickup has none).
A beat spells its chord if the same root, quality and inversion are read there from the result.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from symusic.core import ScoreTick

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.evaluation.bootstrap import ratio_interval
from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, split_chorales
from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
from descant_modeling.evaluation.harmonizers import causal_generator, open_harmonizer
from descant_modeling.generation.base import Request
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.scores import bars_of
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.harmony import ChordLabel, beat_chords, chord_name


class WithChords:
    """A model that gets the chords of each melody in turn."""

    def __init__(self, name: str, generator: FourPartGenerator, chords: Iterator[tuple[str, ...]]) -> None:
        self.name, self.generator, self.chords = name, generator, chords

    def harmonize(self, melody: ScoreTick, seed: int, phrase_ends: Sequence[int] = ()) -> ScoreTick:
        """See `Harmonizer`."""
        request = Request("harmonize", melody, phrase_ends=tuple(phrase_ends), chords=next(self.chords))
        return self.generator.generate(request, replace(GenerationConfig(), seed=seed)).score


def chords_of_beats(generator: FourPartGenerator, score: ScoreTick) -> dict[int, ChordLabel | None]:
    """Return the chord of each beat behind a pickup, by onset in grid ticks."""
    piece = encode_score(generator.vocabulary, score).piece
    first = piece.bar_starts_ticks()[1] if bars_of(score)[0].number == 0 else 0
    return {onset: chord for onset, chord in beat_chords(piece).items() if onset >= first}


def chords_of_bars(generator: FourPartGenerator, score: ScoreTick) -> tuple[str, ...]:
    """Return the chords of each bar behind a pickup as a request has them."""
    chords = chords_of_beats(generator, score)
    starts = encode_score(generator.vocabulary, score).piece.bar_starts_ticks()
    bars = [[chord_name(chords[at]) for at in sorted(chords) if low <= at < high] for low, high in pairwise(starts)]
    return tuple(" ".join(names) for names in bars if names)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="chorales", help="embedded model, or checkpoint folder")
    parser.add_argument("--num-draws", type=int, default=1, help="number of harmonies of each melody")
    parser.add_argument("--limit", type=int, help="number of pieces")
    options = parser.parse_args()
    generator = causal_generator(open_harmonizer(options.model))
    assert generator is not None, "a causal model of four voices"
    rows = split_rows("chorales:valid")[: options.limit]
    originals = [row_to_score(row) for row in rows]
    draws = []
    for seed in range(options.num_draws):
        chords = (chords_of_bars(generator, score) for score in originals)
        draws.append(harmonize_rows(WithChords(options.model, generator, chords), rows, seed=seed))
        print(f"draw {seed + 1} of {options.num_draws}: {draws[-1].seconds:.0f} s", file=sys.stderr)
    right, wanted = [], []
    for place, original in enumerate(originals):
        bach = {at: chord for at, chord in chords_of_beats(generator, original).items() if chord is not None}
        found = [chords_of_beats(generator, draw.harmonies[place].score) for draw in draws]
        right.append(sum(own.get(at) == chord for own in found for at, chord in bach.items()))
        wanted.append(len(bach) * len(draws))
    facts = measure_harmonies(draws, ReferenceCorpus(split_chorales("chorales:train"))).facts()
    spelled = ratio_interval(right, wanted, scale=100).rounded()
    kept = {key: facts[key] for key in ("accuracy", "cadences", "bach_outgrades")}
    command = f"python records/given_chords.py --model {options.model} --num-draws {options.num_draws}"
    measured = {
        "command": command,
        "num_sopranos": len(rows),
        "num_draws": len(draws),
        "beats_spelled": spelled,
        **kept,
    }
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
