"""The same music through several schemes: length of the stream, what comes back, and both as a table or picture.

Scores are compared by what sounds: for each instrument (MIDI program, or drums) and pitch, when notes begin and how
long they last. Tracks of one program count as one instrument, because a single stream of tokens cannot tell them
apart. Times are compared exactly at any two resolutions: both are scaled to their product.

Tables and pictures are made from the figures of `compare` alone, so that a record can be printed again.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from pathlib import Path
from typing import Any, TypeVar

from rich.table import Table
from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.comparison.catalogue import label_voices, music_of
from descant_tokenizers.comparison.schemes import Scheme
from descant_tokenizers.corpora.files import FileReader, score_keys
from descant_tokenizers.corpora.rows import row_to_score
from descant_tokenizers.scores import SUFFIXES, bars_of, read_score
from descant_tokenizers.scores.bars import DEFAULT_SIGNATURE
from descant_tokenizers.tokens.kinds import FOUR_PART, MULTITRACK, MusicKind

TOLERANCE_QUARTERS = (1, 48)
"""Half a step of a grid of 24 to the quarter, as a fraction: rounding to that grid is not an error, more is."""

OnScores = Callable[[int, int], None]
"""Called with the number of scores done and of all scores."""
Figures = Mapping[str, Any]
Item = TypeVar("Item")
_Key = tuple[int, int]  # instrument (-1 for drums) and pitch
_Note = tuple[_Key, int, int]  # with onset and duration

COLUMNS = (
    "scheme",
    "vocabulary",
    "tokens/note",
    "tokens/bar",
    "bits/note",
    "exact",
    "notes exact",
    "note F1",
    "notes/s",
    "refused",
)
"""Headings of the table; docs/schemes.md explains each."""

_PANELS = (
    ("tokens_per_note", "tokens per note"),
    ("bits_per_note", "bits per note, fixed-length code"),
    ("exact_share", "pieces that come back exactly"),
    ("note_f1", "note F1 after the round trip"),
    ("notes_per_second", "notes encoded per second"),
)
_SHARES = ("exact_share", "note_f1")  # their axes end at 1


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The agreement of a score and its copy.

    Attributes:
        num_notes: Notes of the score.
        num_back: Notes of the copy.
        num_exact: Notes with the same instrument, pitch, onset and duration, to the tick.
        num_in_place: Notes with the same instrument, pitch and onset, to the tick.
        num_matched: Pairs of notes of one instrument and pitch whose onsets lie within `TOLERANCE_QUARTERS`.
        same_signatures: True if the same time signatures begin at the same ticks.
    """

    num_notes: int
    num_back: int
    num_exact: int
    num_in_place: int
    num_matched: int
    same_signatures: bool

    @property
    def same_notes(self) -> bool:
        """True if every note came back to the tick, and no other."""
        return self.num_exact == self.num_notes == self.num_back

    @property
    def is_exact(self) -> bool:
        """True if all notes and time signatures came back."""
        return self.same_notes and self.same_signatures


def fidelity(score: ScoreTick, copy: ScoreTick) -> Fidelity:
    """Compare a score with its copy after a round trip."""
    unit, copy_unit = copy.ticks_per_quarter, score.ticks_per_quarter  # brings both to the product of the resolutions
    before, after = _notes(score, unit), _notes(copy, copy_unit)
    numerator, denominator = TOLERANCE_QUARTERS
    onsets_before, onsets_after = _onsets(before), _onsets(after)

    def matched(tolerance: int) -> int:
        return sum(_num_pairs(onsets, onsets_after.get(key, ()), tolerance) for key, onsets in onsets_before.items())

    return Fidelity(
        num_notes=before.total(),
        num_back=after.total(),
        num_exact=(before & after).total(),
        num_in_place=matched(0),
        num_matched=matched(unit * copy_unit * numerator // denominator),
        same_signatures=_signatures(score, unit) == _signatures(copy, copy_unit),
    )


def _notes(score: ScoreTick, unit: int) -> Counter[_Note]:
    """Count equal notes; times are multiplied by `unit`."""
    return Counter(
        ((-1 if track.is_drum else track.program, note.pitch), note.time * unit, note.duration * unit)
        for track in score.tracks
        for note in track.notes
    )


def _onsets(notes: Counter[_Note]) -> dict[_Key, list[int]]:
    found: dict[_Key, list[int]] = defaultdict(list)
    for key, onset, _ in sorted(notes.elements()):
        found[key].append(onset)
    return found


def _num_pairs(before: Sequence[int], after: Sequence[int], tolerance: int) -> int:
    """Pair rising onsets from the left, which gives as many pairs as possible."""
    pairs = i = j = 0
    while i < len(before) and j < len(after):
        if abs(before[i] - after[j]) <= tolerance:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif before[i] < after[j]:
            i += 1
        else:
            j += 1
    return pairs


def _signatures(score: ScoreTick, unit: int) -> list[tuple[int, int, int]]:
    """List the changes of time signature, without repetitions; the default is 4/4."""
    by_time = {0: DEFAULT_SIGNATURE}
    for event in sorted(score.time_signatures, key=lambda event: event.time):
        by_time[event.time * unit] = (event.numerator, event.denominator)
    changes: list[tuple[int, int, int]] = []
    for place, signature in by_time.items():
        if not changes or changes[-1][1:] != signature:
            changes.append((place, *signature))
    return changes


@dataclass
class _Tally:
    """Sums over the pieces that a scheme encoded. A refused piece counts as not exact, and its notes as lost."""

    num_pieces: int = 0  # all pieces
    num_exact: int = 0  # pieces that came back with all notes and time signatures to the tick
    num_same_notes: int = 0  # pieces that came back with all notes to the tick
    num_notes: int = 0
    num_notes_refused: int = 0
    num_notes_back: int = 0  # notes that came back, right or wrong
    num_notes_exact: int = 0  # ... with onset and duration to the tick
    num_notes_matched: int = 0  # ... with their onset within `TOLERANCE_QUARTERS`
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
        """Return all figures of the table, and the sums that they are computed from."""
        bits = sum(map(log2, scheme.vocabulary_sizes))  # per token, in a code of fixed length
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
    """Return `FOUR_PART` if all scores are in four parts, else `MULTITRACK`."""
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
        InputError: The source does not exist, or nothing in it can be read.
    """
    from descant_tokenizers.corpora.build import load_corpus  # with datasets, which inspecting a file does not need
    from descant_tokenizers.corpora.store import is_dataset

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


def rich_table(figures: Figures) -> Table:
    """Return the table for a terminal."""
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for scheme in figures["schemes"]:
        table.add_row(*_cells(scheme))
    return table


def markdown_table(figures: Figures) -> str:
    """Return the table in Markdown, without a final line break."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
    lines += [f"| {' | '.join(_cells(scheme))} |" for scheme in figures["schemes"]]
    return "\n".join(lines)


def plot(figures: Figures, path: Path, title: str) -> None:
    """Draw a bar for each scheme, in a panel for each figure, to a PNG file; an existing one is replaced.

    Raises:
        InputError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    schemes = figures["schemes"]
    names = [scheme["name"] for scheme in schemes]
    inches = (3.0 * len(_PANELS), 0.32 * len(schemes) + 1.4)
    figure = Figure(figsize=inches, layout="constrained", facecolor="white")
    for axes, (key, label) in zip(figure.subplots(1, len(_PANELS), sharey=True), _PANELS, strict=True):
        values = [scheme[key] or 0.0 for scheme in schemes]
        bars = axes.barh(names, values, color="#0072b2")
        text = _f1 if key == "note_f1" else _short
        axes.bar_label(bars, [text(scheme[key]) for scheme in schemes], padding=3, fontsize=8)
        axes.set_title(label, fontsize=10)
        axes.set_xlim(0, 1.3 * (1.0 if key in _SHARES else max(values, default=1) or 1))
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.axes[0].invert_yaxis()  # of all panels, since they share it
    figure.suptitle(title, fontsize=12, parse_math=False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _cells(scheme: Figures) -> list[str]:
    num_parts = len(scheme["vocabulary_sizes"])
    return [
        str(scheme["name"]),
        f"{scheme['vocabulary']:,}" + f" in {num_parts}" * (num_parts > 1),
        _number(scheme["tokens_per_note"], ".2f"),
        _number(scheme["tokens_per_bar"], ".1f"),
        _number(scheme["bits_per_note"], ".1f"),
        _share(scheme["num_exact"], scheme["num_pieces"]),
        _share(scheme["num_same_notes"], scheme["num_pieces"]),
        _f1(scheme["note_f1"]),
        _number(scheme["notes_per_second"], ",.0f"),
        f"{scheme['num_refused']:,}",
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _share(part: int, whole: int) -> str:
    """Return a percentage that is 100 only for all, and 0 only for none."""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    return f"{min(max(100 * part / whole, 0.1), 99.9):.1f} %"


def _f1(value: float | None) -> str:
    """Return an F1 with four decimals that is 1 only for 1."""
    return _number(value if value in (None, 1) else min(value, 0.9999), ".4f")


def _short(value: float | None) -> str:
    return _number(value, ",.0f" if (value or 0) >= 1000 else ".3g")
