"""The same music through several schemes: how long the stream gets, and what comes back."""

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
from descant_tokenizers.comparison.catalogue import label_voices, music_of
from descant_tokenizers.comparison.fidelity import fidelity
from descant_tokenizers.comparison.schemes import Scheme, bits_per_token
from descant_tokenizers.corpora.build import load_corpus
from descant_tokenizers.corpora.files import FileReader, score_keys
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.corpora.store import is_dataset
from descant_tokenizers.scores import SUFFIXES, bars_of, read_score
from descant_tokenizers.tokens.kinds import FOUR_PART, MULTITRACK, MusicKind

__all__ = ["Comparison", "SchemeResult", "Source", "compare", "kind_of_all", "load_source"]

OnScores = Callable[[int, int], None]
"""Called with the number of scores done and of all scores."""
Item = TypeVar("Item")


@dataclass
class SchemeResult:
    """The results of one scheme over all pieces.

    Sums are over the pieces that the scheme took; those that it refused count as not exact, and their notes as lost.
    Seconds are processor time on one core.

    Attributes:
        scheme: The scheme.
        num_pieces: All pieces.
        num_exact: Pieces that came back with all notes and time signatures to the tick.
        num_same_notes: Pieces that came back with all notes to the tick.
        num_notes: Notes of the pieces taken.
        num_notes_refused: Notes of the others.
        num_notes_back: Notes that came back, right or wrong.
        num_notes_exact: Notes that came back with onset and duration to the tick.
        num_notes_matched: Notes that came back with their onset within `fidelity.TOLERANCE_QUARTERS`.
        num_bars: Bars of the pieces taken.
        num_tokens: Tokens of the pieces taken.
        refusals: Number of pieces by reason.
    """

    scheme: Scheme
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
        sums = {name: value for name, value in vars(self).items() if name != "scheme"}
        scheme, bits = self.scheme, bits_per_token(self.scheme)
        return {
            "name": scheme.name,
            "title": scheme.title,
            "vocabulary_sizes": scheme.vocabulary_sizes,
            "bits_per_token": bits,
            "limits": scheme.limits,
            **sums,
            "vocabulary": sum(scheme.vocabulary_sizes),
            "num_refused": self.refusals.total(),
            "tokens_per_note": _ratio(self.num_tokens, self.num_notes),
            "tokens_per_bar": _ratio(self.num_tokens, self.num_bars),
            "bits_per_note": _ratio(self.num_tokens * bits, self.num_notes),
            "exact_share": _ratio(self.num_exact, self.num_pieces),
            "same_notes_share": _ratio(self.num_same_notes, self.num_pieces),
            "note_f1": _ratio(
                2 * self.num_notes_matched, self.num_notes + self.num_notes_refused + self.num_notes_back
            ),
            "notes_per_second": _ratio(self.num_notes, self.encode_seconds),
        }

    def add(self, score: ScoreTick, num_bars: int) -> None:
        """Send one piece through the scheme."""
        self.num_pieces += 1
        start = time.process_time()
        try:
            tokens = self.scheme.encode(score)
            encoded = time.process_time()
            copy = self.scheme.decode(tokens)
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
        kind: The music that the vocabularies hold.
        num_pieces: Pieces.
        num_notes: Their notes.
        num_bars: Their bars, pickups included.
        results: One for each scheme, in the order asked for.
    """

    kind: MusicKind
    num_pieces: int
    num_notes: int
    num_bars: int
    results: tuple[SchemeResult, ...]

    def figures(self) -> dict[str, Any]:
        """Return the comparison, ready for JSON."""
        return {
            "music": self.kind.key,
            "num_pieces": self.num_pieces,
            "num_notes": self.num_notes,
            "num_bars": self.num_bars,
            "schemes": [result.figures() for result in self.results],
        }


def kind_of_all(scores: Mapping[str, ScoreTick]) -> MusicKind:
    """Return the kind of music that all of some scores are."""
    return FOUR_PART if all(music_of(score) is FOUR_PART for score in scores.values()) else MULTITRACK


def compare(
    scores: Mapping[str, ScoreTick], schemes: Sequence[Scheme], kind: MusicKind, progress: OnScores | None = None
) -> Comparison:
    """Send every score through every scheme.

    Args:
        scores: At least one score, by name. Tracks of four-part music get the programs of the voices first.
        schemes: The schemes, loaded for `kind`.
        kind: `kind_of_all(scores)`.
        progress: Called after each score.
    """
    results = tuple(map(SchemeResult, schemes))
    total_notes = total_bars = 0
    for done, score in enumerate(scores.values(), start=1):
        ready = label_voices(score) if kind is FOUR_PART else score
        num_bars = len(bars_of(ready))
        total_notes, total_bars = total_notes + ready.note_num(), total_bars + num_bars
        for result in results:
            result.add(ready, num_bars)
        if progress is not None:
            progress(done, len(scores))
    return Comparison(kind, len(scores), total_notes, total_bars, results)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True)
class Source:
    """Scores by name.

    Attributes:
        name: Where they come from.
        scores: The scores that could be read, in order.
        skipped: Reasons by name of those that could not.
        num_found: Pieces or files there are; more than were read, if their number was limited.
    """

    name: str
    scores: Mapping[str, ScoreTick]
    skipped: Mapping[str, str]
    num_found: int


def load_source(names: Sequence[str], limit: int = 0, seed: int = 0, progress: OnScores | None = None) -> Source:
    """Read scores.

    Args:
        names: One corpus, one folder of a built dataset, one folder of score files in any supported format, or files.
        limit: Most pieces to take, drawn at random; 0 for all.
        seed: Seed of the draw.
        progress: Called after each file.

    Raises:
        InputError: There is no such source, or nothing in it can be read.
    """
    if limit < 0:
        raise InputError(f"The limit is {limit}. Give 1 or more pieces, or 0 for all.")
    path = Path(names[0])
    is_folder = len(names) == 1 and path.is_dir()
    is_files = len(names) > 1 or path.is_file() or path.suffix.lower() in SUFFIXES
    if is_dataset(path) if is_folder else not is_files:
        return _load_dataset(names[0], limit, seed, progress)
    reader = FileReader(path, "all") if is_folder else None
    keys = score_keys(path) if is_folder else list(names)
    scores: dict[str, ScoreTick] = {}
    skipped: dict[str, str] = {}
    chosen = _drawn(keys, limit, seed)
    for done, key in enumerate(chosen, start=1):
        try:
            scores[key] = read_score(key) if reader is None else reader.read(key, reader.load(key)).score
        except InputError as error:
            skipped[key] = str(error)
        if progress is not None:
            progress(done, len(chosen))
    if not scores:
        raise InputError(next(iter(skipped.values())))
    return Source(names[0] if len(names) == 1 else f"{len(names)} files", scores, skipped, len(keys))


def _load_dataset(name: str, limit: int, seed: int, progress: OnScores | None) -> Source:
    dataset = load_corpus(name, progress=progress)
    places = [(split, index) for split in dataset for index in range(len(dataset[split]))]
    rows = [dataset[split][index] for split, index in _drawn(places, limit, seed)]
    return Source(name, {row["id"]: row_to_score(row) for row in rows}, {}, len(places))


def _drawn(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """Draw some of the items, in their order."""
    if not limit or limit >= len(items):
        return list(items)
    return [items[index] for index in sorted(random.Random(seed).sample(range(len(items)), limit))]
