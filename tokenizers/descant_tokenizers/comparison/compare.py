"""The same music through several schemes: how long the stream gets, and what comes back.

The scores of a corpus, a dataset, a folder or a list of files, as far as they can be read.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.comparison.catalogue import SchemeMusic, label_voices, music_of
from descant_tokenizers.comparison.fidelity import fidelity
from descant_tokenizers.comparison.schemes import Scheme, bits_per_token
from descant_tokenizers.corpora.files import FileReader, score_keys
from descant_tokenizers.scores import SUFFIXES, bars_of, read_score

__all__ = ["Comparison", "SchemeResult", "Source", "compare", "load_source", "music_of_all"]

Progress = Callable[[int, int], None]


@dataclass
class SchemeResult:
    """What one scheme made of all pieces.

    Sums run over the pieces that the scheme took, but those that it refused count as not exact, and their notes as
    lost. Seconds are those of the processor, on one core.

    Attributes:
        name: What the scheme is called.
        title: Its name in print.
        vocabulary_sizes: See `Scheme.vocabulary_sizes`.
        bits_per_token: See `bits_per_token`.
        limits: See `Scheme.limits`.
        num_pieces: All pieces.
        num_exact: Pieces that came back with all notes and time signatures to the tick.
        num_same_notes: Pieces that came back with all notes to the tick.
        num_notes: Notes of the pieces taken.
        num_notes_refused: Notes of the others.
        num_notes_back: Notes that came back, right or wrong.
        num_notes_exact: Notes that came back with onset and duration to the tick.
        num_notes_matched: Notes that came back with their onset within `fidelity.TOLERANCE_QUARTERS`.
        num_bars: Bars of the pieces taken.
        num_tokens: Their tokens.
        refusals: Reason to number of pieces.
    """

    name: str
    title: str
    vocabulary_sizes: tuple[int, ...]
    bits_per_token: float
    limits: tuple[str, ...]
    num_pieces: int = 0
    num_exact: int = 0
    num_same_notes: int = 0
    num_notes: int = 0
    num_notes_refused: int = 0
    num_notes_back: int = 0
    num_notes_exact: int = 0
    num_notes_matched: int = 0
    num_bars: int = 0
    num_tokens: int = 0
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, Any]:
        """Return everything that the table shows, and the sums that it comes from, ready for JSON."""
        return {
            **vars(self),
            "vocabulary": sum(self.vocabulary_sizes),
            "num_refused": self.refusals.total(),
            "tokens_per_note": _ratio(self.num_tokens, self.num_notes),
            "tokens_per_bar": _ratio(self.num_tokens, self.num_bars),
            "bits_per_note": _ratio(self.num_tokens * self.bits_per_token, self.num_notes),
            "exact_share": _ratio(self.num_exact, self.num_pieces),
            "same_notes_share": _ratio(self.num_same_notes, self.num_pieces),
            "note_f1": _ratio(
                2 * self.num_notes_matched, self.num_notes + self.num_notes_refused + self.num_notes_back
            ),
            "notes_per_second": _ratio(self.num_notes, self.encode_seconds),
        }

    def add(self, scheme: Scheme, score: ScoreTick, num_bars: int) -> None:
        """Send one piece through the scheme."""
        self.num_pieces += 1
        start = time.process_time()
        try:
            tokens = scheme.encode(score)
            encoded = time.process_time()
            copy = scheme.decode(tokens)
        except InputError as error:
            self.refusals[str(error)] += 1
            self.num_notes_refused += score.note_num()
            return
        self.encode_seconds += encoded - start
        self.decode_seconds += time.process_time() - encoded
        kept = fidelity(score, copy)
        self.num_exact += kept.is_exact
        self.num_same_notes += kept.same_notes
        self.num_notes += kept.num_notes
        self.num_notes_back += kept.num_back
        self.num_notes_exact += kept.num_exact
        self.num_notes_matched += kept.num_matched
        self.num_bars += num_bars
        self.num_tokens += tokens.num_tokens


@dataclass(frozen=True)
class Comparison:
    """The results of several schemes over the same pieces.

    Attributes:
        music: What the vocabularies hold.
        num_pieces: Pieces.
        num_notes: Their notes.
        num_bars: Their bars, pickups included.
        results: One for each scheme, in the order asked for.
    """

    music: SchemeMusic
    num_pieces: int
    num_notes: int
    num_bars: int
    results: tuple[SchemeResult, ...]

    def figures(self) -> dict[str, Any]:
        """Return the comparison, ready for JSON."""
        return {
            "music": str(self.music),
            "num_pieces": self.num_pieces,
            "num_notes": self.num_notes,
            "num_bars": self.num_bars,
            "schemes": [result.figures() for result in self.results],
        }


def music_of_all(scores: Mapping[str, ScoreTick]) -> SchemeMusic:
    """Tell which vocabulary all of some scores need."""
    return (
        SchemeMusic.VOICES
        if all(music_of(score) is SchemeMusic.VOICES for score in scores.values())
        else SchemeMusic.ANY
    )


def compare(
    scores: Mapping[str, ScoreTick], schemes: Sequence[Scheme], music: SchemeMusic, progress: Progress | None = None
) -> Comparison:
    """Send every score through every scheme.

    Args:
        scores: At least one score, by name. Where `music` is `VOICES`, tracks get the programs of the voices first.
        schemes: The schemes, opened for `music`.
        music: `music_of_all(scores)`.
        progress: Called with the number of scores done and of all scores.
    """
    results = tuple(
        SchemeResult(scheme.name, scheme.title, scheme.vocabulary_sizes, bits_per_token(scheme), scheme.limits)
        for scheme in schemes
    )
    total_notes = total_bars = 0
    for done, score in enumerate(scores.values(), start=1):
        ready = label_voices(score) if music is SchemeMusic.VOICES else score
        num_bars = len(bars_of(ready))
        total_notes, total_bars = total_notes + ready.note_num(), total_bars + num_bars
        for scheme, result in zip(schemes, results, strict=True):
            result.add(scheme, ready, num_bars)
        if progress is not None:
            progress(done, len(scores))
    return Comparison(music, len(scores), total_notes, total_bars, results)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


Item = TypeVar("Item")


@dataclass(frozen=True)
class Source:
    """Scores by name.

    Attributes:
        name: Where they come from.
        scores: What could be read, in order.
        skipped: Names and reasons of what could not.
        num_found: Pieces or files that are there; more than were looked at, if their number was limited.
    """

    name: str
    scores: Mapping[str, ScoreTick]
    skipped: Mapping[str, str]
    num_found: int


def load_source(names: Sequence[str], limit: int = 0, seed: int = 0, progress: Progress | None = None) -> Source:
    """Read scores.

    Args:
        names: One corpus, one folder of a built dataset, one folder of score files in any supported format, or files.
        limit: Most pieces to take, drawn at random; 0 for all.
        seed: Which pieces are drawn.
        progress: Called with the number of files read and of all files.

    Raises:
        InputError: There is no such thing, or nothing in it can be read.
    """
    if limit < 0:
        raise InputError(f"the limit is {limit}; give 1 or more pieces, or 0 for all.")
    if len(names) == 1 and not _is_scores(Path(names[0])):
        return _dataset(names[0], limit, seed, progress)
    folder = Path(names[0]) if len(names) == 1 and Path(names[0]).is_dir() else None
    keys = list(names) if folder is None else score_keys(folder)
    scores: dict[str, ScoreTick] = {}
    skipped: dict[str, str] = {}
    chosen = _drawn(keys, limit, seed)
    for done, key in enumerate(chosen, start=1):
        try:
            scores[key] = read_score(key) if folder is None else _score_in(folder, key)
        except InputError as error:
            skipped[key] = str(error)
        if progress is not None:
            progress(done, len(chosen))
    if not scores:
        raise InputError(next(iter(skipped.values())))
    return Source(names[0] if len(names) == 1 else f"{len(names)} files", scores, skipped, len(keys))


def _is_scores(path: Path) -> bool:
    """Tell a file or a folder of files from a corpus's name and a built dataset."""
    if path.is_dir():
        from descant_tokenizers.corpora.store import is_dataset

        return not is_dataset(path)
    return path.exists() or path.suffix.lower() in SUFFIXES


def _score_in(folder: Path, key: str) -> ScoreTick:
    """Read a piece of a folder with all its tracks."""
    reader = FileReader(folder, "all")
    return reader.read(key, reader.load(key)).score


def _dataset(name: str, limit: int, seed: int, progress: Progress | None) -> Source:
    from descant_tokenizers.corpora import load_corpus, row_to_score

    dataset = load_corpus(name, progress=progress)
    places = [(split, index) for split in dataset for index in range(len(dataset[split]))]
    rows = [dataset[split][index] for split, index in _drawn(places, limit, seed)]
    return Source(name, {row["id"]: row_to_score(row) for row in rows}, {}, len(places))


def _drawn(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """Draw some of the items, in their order."""
    if not limit or limit >= len(items):
        return list(items)
    return [items[index] for index in sorted(random.Random(seed).sample(range(len(items)), limit))]
