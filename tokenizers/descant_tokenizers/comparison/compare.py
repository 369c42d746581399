"""The same music through several schemes: how long the stream gets, and what comes back."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from pathlib import Path
from typing import Any, TypeVar

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.comparison.catalogue import label_voices, music_of
from descant_tokenizers.comparison.fidelity import fidelity
from descant_tokenizers.comparison.schemes import Scheme
from descant_tokenizers.corpora.build import load_corpus
from descant_tokenizers.corpora.files import FileReader, score_keys
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.corpora.store import is_dataset
from descant_tokenizers.scores import SUFFIXES, bars_of, read_score
from descant_tokenizers.tokens.kinds import FOUR_PART, MULTITRACK, MusicKind

__all__ = ["Source", "compare", "kind_of_all", "load_source"]

OnScores = Callable[[int, int], None]
"""Called with the number of scores done and of all scores."""
Item = TypeVar("Item")


@dataclass
class _Tally:
    """Sums over the pieces that a scheme took; those that it refused count as not exact, and their notes as lost."""

    num_pieces: int = 0  # all pieces
    num_exact: int = 0  # pieces that came back with all notes and time signatures to the tick
    num_same_notes: int = 0  # pieces that came back with all notes to the tick
    num_notes: int = 0
    num_notes_refused: int = 0
    num_notes_back: int = 0  # notes that came back, right or wrong
    num_notes_exact: int = 0  # ... with onset and duration to the tick
    num_notes_matched: int = 0  # ... with their onset within `fidelity.TOLERANCE_QUARTERS`
    num_bars: int = 0
    num_tokens: int = 0
    encode_seconds: float = 0.0  # processor time on one core
    decode_seconds: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)  # number of pieces by reason

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

    def figures(self, scheme: Scheme) -> dict[str, Any]:
        """Return everything that the table shows, and the sums that it comes from."""
        bits = sum(map(log2, scheme.vocabulary_sizes))  # of a token in a code of fixed length
        all_notes = self.num_notes + self.num_notes_refused + self.num_notes_back
        return {
            "name": scheme.name,
            "title": scheme.title,
            "vocabulary_sizes": scheme.vocabulary_sizes,
            "bits_per_token": bits,
            "limits": scheme.limits,
            **vars(self),
            "vocabulary": sum(scheme.vocabulary_sizes),
            "num_refused": self.refusals.total(),
            "tokens_per_note": _ratio(self.num_tokens, self.num_notes),
            "tokens_per_bar": _ratio(self.num_tokens, self.num_bars),
            "bits_per_note": _ratio(self.num_tokens * bits, self.num_notes),
            "exact_share": _ratio(self.num_exact, self.num_pieces),
            "same_notes_share": _ratio(self.num_same_notes, self.num_pieces),
            "note_f1": _ratio(2 * self.num_notes_matched, all_notes),
            "notes_per_second": _ratio(self.num_notes, self.encode_seconds),
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def kind_of_all(scores: Mapping[str, ScoreTick]) -> MusicKind:
    """Return the kind of music that all of some scores are."""
    return FOUR_PART if all(music_of(score) is FOUR_PART for score in scores.values()) else MULTITRACK


def compare(
    scores: Mapping[str, ScoreTick], schemes: Sequence[Scheme], kind: MusicKind, progress: OnScores | None = None
) -> dict[str, Any]:
    """Send every score through every scheme.

    Args:
        scores: At least one score, by name. Tracks of four-part music get the programs of the voices first.
        schemes: The schemes, loaded for `kind`.
        kind: `kind_of_all(scores)`.
        progress: Called after each score.

    Returns:
        Figures ready for JSON: `music`, `num_pieces`, `num_notes`, `num_bars` (pickups included), and `schemes`, a
        dictionary for each scheme.
    """
    tallies = [_Tally() for _ in schemes]
    total_notes = total_bars = 0
    for done, score in enumerate(scores.values(), start=1):
        ready = label_voices(score) if kind is FOUR_PART else score
        num_bars = len(bars_of(ready))
        total_notes, total_bars = total_notes + ready.note_num(), total_bars + num_bars
        for tally, scheme in zip(tallies, schemes, strict=True):
            tally.add(scheme, ready, num_bars)
        if progress is not None:
            progress(done, len(scores))
    return {
        "music": kind.key,
        "num_pieces": len(scores),
        "num_notes": total_notes,
        "num_bars": total_bars,
        "schemes": [tally.figures(scheme) for tally, scheme in zip(tallies, schemes, strict=True)],
    }


@dataclass(frozen=True)
class Source:
    """Scores by name, reasons by name of those that could not be read, and the number of all before any limit."""

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
        dataset = load_corpus(names[0], progress=progress)
        places = [(split, index) for split in dataset for index in range(len(dataset[split]))]
        rows = [dataset[split][index] for split, index in _drawn(places, limit, seed)]
        return Source(names[0], {row["id"]: row_to_score(row) for row in rows}, {}, len(places))
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


def _drawn(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """Draw some of the items, in their order."""
    if not limit or limit >= len(items):
        return list(items)
    return [items[index] for index in sorted(random.Random(seed).sample(range(len(items)), limit))]
