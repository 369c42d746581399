"""Measure how the token grid changes real music: the table of docs/tokenizers.md.

    descant dataset build chorales --out data/chorales
    python benchmarks/grid_loss.py --chorales data/chorales               # and 200 of Ryan's tunes, drawn with seed 0
    python benchmarks/grid_loss.py --chorales data/chorales --tunes 0     # and all 1,059 of them

Every piece goes through the tokenizer (miditok, with only the grid changed) and is compared with the original, note by
note and exactly. A note is changed if its onset or duration differs, or if it is missing.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from datasets import DatasetDict, load_from_disk
from miditok import REMI
from music21.common.pathTools import getCorpusFilePath
from symusic.core import ScoreTick, TrackTickList

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.comparison.catalogue import label_voices
from descant_tokenizers.comparison.compare import fidelity
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.scores import read_score
from descant_tokenizers.scores.voices import pick_voices
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.presets import build_tokenizer, satb_config
from descant_tokenizers.tokens.vocabulary import Vocabulary

LONGEST_BEATS = 16
GRIDS = (8, 12, 24)
"""Positions per beat, for notes of every length."""


@dataclass
class Tally:
    """Counts of one grid over one corpus."""

    num_notes: int = 0
    num_changed: int = 0
    num_pieces: int = 0
    num_changed_pieces: int = 0
    refusals: list[str] = field(default_factory=list)

    def add(self, vocabulary: Vocabulary, score: ScoreTick) -> None:
        """Count one score."""
        try:
            kept = fidelity(label_voices(score), decode_piece(vocabulary, encode_score(vocabulary, score).piece))
        except InputError as error:
            self.refusals.append(str(error))
            return
        num_changed = kept.num_notes - kept.num_exact
        self.num_notes += kept.num_notes
        self.num_changed += num_changed
        self.num_pieces += 1
        self.num_changed_pieces += num_changed > 0


def main() -> None:
    """Print a table for each corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chorales", type=Path, help="folder written by `descant dataset build chorales`")
    parser.add_argument("--tunes", type=int, default=200, help="number of Ryan's tunes; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    options = parser.parse_args()
    vocabularies = {f"{grid}": Vocabulary(_uniform(grid)) for grid in GRIDS} | {"`satb`": Vocabulary(build_tokenizer())}
    if options.chorales:
        _report("chorales", vocabularies, lambda: _chorales(options.chorales))
    _report("Ryan's Mammoth", vocabularies, lambda: _tunes(options.tunes, options.seed))


def _uniform(grid: int) -> REMI:
    config = satb_config()
    config.beat_res = {(0, LONGEST_BEATS): grid}
    return REMI(config)


def _report(corpus: str, vocabularies: dict[str, Vocabulary], scores: Callable[[], Iterator[ScoreTick | None]]) -> None:
    tallies = {name: Tally() for name in vocabularies}
    num_unread = 0
    for score in scores():
        if score is None:
            num_unread += 1
            continue
        for name, vocabulary in vocabularies.items():
            tallies[name].add(vocabulary, score)
    print(f"\n| {corpus}: positions per beat | vocabulary | notes changed | pieces changed | pieces refused |")
    print("|---|---|---|---|---|")
    for name, tally in tallies.items():
        notes = f"{tally.num_changed:,} of {tally.num_notes:,} ({tally.num_changed / tally.num_notes:.3%})"
        pieces = (
            f"{tally.num_changed_pieces:,} of {tally.num_pieces:,} ({tally.num_changed_pieces / tally.num_pieces:.1%})"
        )
        print(f"| {name} | {vocabularies[name].size} | {notes} | {pieces} | {len(tally.refusals)} |")
    for reason in sorted({reason for tally in tallies.values() for reason in tally.refusals}):
        print(f"refused: {reason}", file=sys.stderr)
    print(f"\n{num_unread} files left out.", flush=True)


def _chorales(folder: Path) -> Iterator[ScoreTick]:
    dataset = load_from_disk(str(folder))
    assert isinstance(dataset, DatasetDict)
    for split in dataset.values():
        yield from map(row_to_score, split)


def _tunes(number: int, seed: int) -> Iterator[ScoreTick | None]:
    paths = sorted((Path(getCorpusFilePath()) / "ryansMammoth").glob("*.abc"))
    chosen = random.Random(seed).sample(paths, number) if number else paths
    for path in chosen:
        try:
            score = read_score(path)
            melody = pick_voices(score).tracks["Soprano"]
        except InputError as error:
            print(f"left out {path.name}: {error}", file=sys.stderr)
            yield None
            continue
        melody.name = "Soprano"
        score.tracks = TrackTickList([melody])
        yield score


if __name__ == "__main__":
    main()
