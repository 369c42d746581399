"""Fit the weights of the guessed phrase ends, and say how many ends they find.

    python benchmarks/hymns.py OpenHymnal.abc hymns                            (docs/data.md)
    python records/phrase_ends.py --hymns hymns --out phrase_ends.json

The weights (`descant_tokenizers/tokens/phrases.py`) maximize the likelihood of the phrase ends of the chorales in train
(fermatas) and of the hymns (lines of verse). Recall and precision are counted over the last notes of all phrases, the
piece's own last note included: on the valid chorales, on the 40 tunes of `tests/data/tunes`, and on songs of the Essen
collection, each line of which is a phrase; none of these are trained on. The weights are printed and written to OUT.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from music21 import corpus
from symusic.core import ScoreTick

from descant_modeling.evaluation.harmonizers import melody_of, phrase_ends_of
from descant_modeling.evaluation.tunes import read_tunes
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import write_json
from descant_tokenizers.corpora.build import load_corpus
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.scores.reading import read_score_report
from descant_tokenizers.tokens import phrases
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.harmony import sounding_notes
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

TUNES = Path(__file__).resolve().parents[1] / "tests" / "data" / "tunes"
NUM_ESSEN = 500
_VOCABULARY = Vocabulary(build_tokenizer("satb"))
EPOCHS, BATCH, LEARNING_RATE, DECAY, PENALTY = 12, 16, 0.15, 0.75, 0.002


class Example(NamedTuple):
    """A melody with its phrase ends.

    Attributes:
        piece: The melody as a piece; its voice has rank 0.
        onsets: Onsets of its notes.
        ends: Places of the last notes of its phrases.
    """

    piece: Piece
    onsets: list[int]
    ends: list[int]


class Terms(NamedTuple):
    """What the likelihood of a melody's phrase ends is made of.

    Attributes:
        ends: (notes, weights of ends): features of each note as the last of its phrase.
        firsts: For each note the places of the first notes of phrases that may end with it, without gaps.
        lengths: For each note (firsts, weights of lengths): features of these phrases' lengths.
    """

    ends: torch.Tensor
    firsts: list[list[int]]
    lengths: list[torch.Tensor]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hymns", required=True, help="dataset of hymns made by benchmarks/hymns.py")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    chorales, hymns = load_corpus("chorales"), load_corpus(args.hymns)
    examples = [example for rows in (chorales["train"], hymns["train"]) for example in _of_rows(rows)]
    weights = fit([(example, terms_of(example)) for example in examples])
    install(weights)
    sets = {"chorales": _of_rows(chorales["valid"]), "tunes": _of_tunes(), "essen": _of_essen()}
    found = {name: count(list(drawn)) for name, drawn in sets.items()}
    report = {"trained_on": len(examples), "weights": weights, "found": found}
    write_json(args.out, report)
    print(found)


def fit(examples: list[tuple[Example, Terms]]) -> dict[str, Any]:
    """Return the weights of the greatest likelihood, less a penalty on their squares."""
    names = (*phrases.END_WEIGHTS, *phrases.LENGTH_WEIGHTS)
    weights = torch.zeros(len(names) + len(phrases.BEATS_WEIGHTS), requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=LEARNING_RATE)
    for epoch in range(EPOCHS):
        lost: list[float] = []
        random.Random(epoch).shuffle(examples)
        for start in range(0, len(examples), BATCH):
            batch = [log_likelihood(weights, *pair) for pair in examples[start : start + BATCH]]
            known = torch.stack([value for value in batch if value is not None])
            optimizer.zero_grad()
            torch.autograd.backward(-known.mean() + PENALTY * weights.square().sum())
            optimizer.step()
            lost += (-known.detach()).tolist()
        for group in optimizer.param_groups:
            group["lr"] *= DECAY
        print(f"epoch {epoch}: {sum(lost) / len(lost):.3f} nats a melody", flush=True)
    values = [round(value, 2) for value in weights.tolist()]
    ends, lengths = len(phrases.END_WEIGHTS), len(names)
    return {
        "END_WEIGHTS": dict(zip(names[:ends], values, strict=False)),
        "LENGTH_WEIGHTS": dict(zip(names[ends:], values[ends:], strict=False)),
        "BEATS_WEIGHTS": values[lengths:],
    }


def install(weights: dict[str, Any]) -> None:
    """Let `guess_phrase_ends` use these weights."""
    for name, value in weights.items():
        setattr(phrases, name, value)


def log_likelihood(weights: torch.Tensor, example: Example, terms: Terms) -> torch.Tensor | None:
    """Return the log likelihood of the phrase ends, None where a phrase is longer than `MAX_BEATS`."""
    ends, lengths = weights[: terms.ends.shape[1]], weights[terms.ends.shape[1] :]
    values = terms.ends @ ends
    total = [torch.zeros(())]
    for place, firsts in enumerate(terms.firsts):
        before = torch.stack(total[firsts[0] : place + 1])
        total.append(torch.logsumexp(before + terms.lengths[place] @ lengths, 0) + values[place])
    score, first = -total[-1], 0
    for end in example.ends:
        if first not in terms.firsts[end]:
            return None
        score = score + values[end] + terms.lengths[end][first - terms.firsts[end][0]] @ lengths
        first = end + 1
    return score


def terms_of(example: Example) -> Terms:
    """Return the features of a melody's notes and phrases."""
    line = [note for note in sounding_notes(example.piece) if note.voice == 0]
    ends = [[known[name] for name in phrases.END_WEIGHTS] for known in phrases.end_features(example.piece, line)]
    spans = phrases.phrase_spans(example.piece, line)
    lengths = [torch.tensor([_length_row(*span) for span in found.values()]) for found in spans]
    return Terms(torch.tensor(ends), [list(found) for found in spans], lengths)


def _length_row(beats: float, bars: float) -> list[float]:
    known = phrases.length_features(beats, bars)
    classes = [0.0] * len(phrases.BEATS_WEIGHTS)
    classes[phrases.beats_class(beats)] = 1.0
    return [*(known[name] for name in phrases.LENGTH_WEIGHTS), *classes]


def count(examples: Sequence[Example]) -> dict[str, float]:
    """Return how many phrase ends are marked, the recall and the precision of the guessed ones, %."""
    marked = guessed = both = 0
    for example in examples:
        found = set(phrases.guess_phrase_ends(example.piece, 0))
        true = {example.onsets[end] for end in example.ends}
        marked, guessed, both = marked + len(true), guessed + len(found), both + len(true & found)
    return {
        "pieces": len(examples), "marked": marked, "recall": round(100 * both / marked, 1),
        "precision": round(100 * both / guessed, 1),
    }  # fmt: skip


def _example(melody: ScoreTick, ends: Sequence[int]) -> Example | None:
    """Return a melody with its phrase ends in ticks of the score, None if it cannot be written in tokens."""
    vocabulary = _VOCABULARY
    try:
        piece = encode_score(vocabulary, melody).piece
    except InputError:
        return None
    scale = vocabulary.ticks_per_quarter / melody.ticks_per_quarter
    onsets = [note.start_ticks for note in sounding_notes(piece) if note.voice == 0]
    marked = {round(end * scale) for end in ends}
    places = [place for place, onset in enumerate(onsets) if onset in marked or place == len(onsets) - 1]
    return Example(piece, onsets, places) if marked and onsets else None


def _of_rows(rows: Any) -> Iterator[Example]:
    for row in rows:
        melody = melody_of(row_to_score(row))
        example = _example(melody, phrase_ends_of(melody, row["fermatas"]))
        if example is not None:
            yield example


def _of_tunes() -> Iterator[Example]:
    for tune in read_tunes(TUNES):
        example = _example(tune.melody, tune.phrase_ends)
        if example is not None:
            yield example


def _of_essen() -> Iterator[Example]:
    """Yield songs of the Essen collection that music21 ships, drawn with a fixed seed; a fermata ends each line."""
    paths = [path for path in corpus.getPaths() if "essenFolksong" in str(path)]
    texts = [Path(path).read_text(encoding="utf-8", errors="replace") for path in sorted(paths)]
    songs = [song.strip() for text in texts for song in re.split(r"\n(?=X:)", text) if "X:" in song]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.abc"
        for song in random.Random(1).sample(songs, NUM_ESSEN):
            header, key, body = song.partition("\nK:")
            first, *lines = body.split("\n")
            path.write_text("\n".join([header + key + first, *map(_with_fermata, lines)]) + "\n", encoding="utf-8")
            read = read_score_report(path)
            read.score.tracks[0].name = "Soprano"
            example = _example(read.score, sorted(read.fermatas_ticks))
            if example is not None:
                yield example


def _with_fermata(line: str) -> str:
    """Return a line of ABC with a fermata on its last note."""
    notes = list(re.finditer(r"[=^_]*[A-Ga-g][,']*[0-9/]*", line))
    return f"{line[: notes[-1].start()]}H{line[notes[-1].start() :]}" if notes else line


if __name__ == "__main__":
    main()
