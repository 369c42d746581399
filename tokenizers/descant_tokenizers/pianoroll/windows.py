"""Windows of Bach's chorales as piano rolls: the corpora `chorales-rolls` and `chorales-rolls-64`.

`chorales-rolls` has as many two-bar windows as the source article. The article trains on 229 samples, one from each
chorale of the canonical train split, and treats all of them as 4/4, but some chorales of the split are in triple time.
So each 4/4 chorale of train gives its first window, and the longest ones (most full bars, then first in the catalogue)
a second one until there are 229. A window consists of neighboring full bars of 4/4 in which all four voices sound; the
second window begins after the first. In valid, each 4/4 chorale gives its first window.

`chorales-rolls-64` has windows of four bars, 64 steps, for generation without a melody. In train a window begins in
every bar; in valid windows do not overlap.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Array3D, DatasetDict, Features, Value
from symusic.core import NoteTick, NoteTickList, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.corpora.reading import FIRST_VOICE_PROGRAM
from descant_tokenizers.pianoroll.rolls import (
    BAR_STEPS,
    NUM_PITCHES,
    STEPS_PER_BEAT,
    WINDOW_BARS,
    count_lost,
    even_edges,
    roll_of_notes,
)
from descant_tokenizers.scores import NUM_VOICES, VOICES, Bar, bars_of

SPLITS = ("train", "valid")
ROLLS_CORPUS = "chorales-rolls"
LONG_ROLLS_CORPUS = "chorales-rolls-64"
#: Bars of a window, by corpus.
ROLL_CORPORA = {ROLLS_CORPUS: WINDOW_BARS, LONG_ROLLS_CORPUS: 2 * WINDOW_BARS}
NUM_TRAIN = 229

Rows = dict[str, list[dict[str, Any]]]


def is_full(score: ScoreTick, bar: Bar) -> bool:
    """Return True for a whole bar of 4/4 that is not a pickup."""
    is_four_four = (bar.numerator, bar.denominator) == (4, 4) and bar.length_ticks == 4 * score.ticks_per_quarter
    return is_four_four and bar.number > 0


@dataclass(frozen=True)
class RollReport:
    """Contents of the windows, and the notes that their rolls do not keep.

    Attributes:
        splits: Windows in each split.
        second_windows: Windows of train that are not a chorale's first.
        num_notes: Notes in all windows.
        merged: Notes that a roll joins to the note before (same voice and pitch, no rest between).
        off_grid: Notes that do not begin and end on a sixteenth.
    """

    splits: dict[str, int]
    second_windows: int
    num_notes: int
    merged: int
    off_grid: int


@dataclass(frozen=True)
class Window:
    """Some bars of a chorale."""

    row: Mapping[str, Any]
    score: ScoreTick
    first_bar: int
    start_ticks: int
    number: int
    num_bars: int

    @property
    def length_ticks(self) -> int:
        """Length in ticks."""
        return 4 * self.num_bars * self.score.ticks_per_quarter

    @property
    def step_ticks(self) -> int:
        """Length of a step in ticks."""
        return self.score.ticks_per_quarter // STEPS_PER_BEAT

    def voices(self) -> list[list[NoteTick]]:
        """Return the notes of each voice that sound in the window, cut to it; times count from its start."""
        return [_cut(track.notes, self.start_ticks, self.length_ticks) for track in self.score.tracks]


def windows_of(row: Mapping[str, Any], num_bars: int = WINDOW_BARS, *, overlap: bool = False) -> list[Window]:
    """List the windows of a chorale, from its beginning.

    Args:
        row: A row of the corpus `chorales`.
        num_bars: Length of a window.
        overlap: True if a window begins in every bar; else each begins after the one before.

    Returns:
        The windows; none if the chorale is not mainly in 4/4.
    """
    if row["time_signature"] != "4/4":
        return []
    score = row_to_score(row)
    bars = [bar for bar in bars_of(score) if _sounds(score, bar)]
    found: list[Window] = []
    end = 0
    for place in range(len(bars) - num_bars + 1):
        window = bars[place : place + num_bars]
        first = window[0]
        is_whole = all(bar.end_ticks == after.start_ticks for bar, after in itertools.pairwise(window))
        if is_whole and (overlap or first.start_ticks >= end):
            found.append(Window(row, score, first.number, first.start_ticks, len(found) + 1, num_bars))
            end = window[-1].end_ticks
    return found


def choose_windows(chorales: DatasetDict, corpus: str = ROLLS_CORPUS) -> dict[str, list[Window]]:
    """Choose the windows of train and valid; see the docstring of this module."""
    if corpus == LONG_ROLLS_CORPUS:
        num_bars = ROLL_CORPORA[corpus]
        return {
            split: [window for row in chorales[split] for window in windows_of(row, num_bars, overlap=split == "train")]
            for split in SPLITS
        }
    train, valid = ([found for row in chorales[split] if (found := windows_of(row))] for split in SPLITS)
    longest = sorted((windows for windows in train if len(windows) > 1), key=lambda w: -len(bars_of(w[0].score)))
    second = {windows[0].row["id"] for windows in longest[: max(NUM_TRAIN - len(train), 0)]}
    chosen = [window for windows in train for window in windows[: 2 if windows[0].row["id"] in second else 1]]
    return {"train": chosen, "valid": [windows[0] for windows in valid]}


def window_row(window: Window, split: str) -> dict[str, Any]:
    """Return the row of a window: its source, its music as MIDI, and its roll of -1 and +1."""
    row = window.row
    score = ScoreTick(window.score.ticks_per_quarter)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    rolls = []
    edges = even_edges(window.num_bars * BAR_STEPS, window.step_ticks)
    for index, (voice, notes) in enumerate(zip(VOICES, window.voices(), strict=True)):
        track = TrackTick(voice, FIRST_VOICE_PROGRAM + index, False)
        track.notes = NoteTickList(notes)
        score.tracks.append(track)
        rolls.append(roll_of_notes(notes, edges))
    return {
        "id": f"{row['id']}:{window.first_bar}",
        "piece": row["id"],
        "first_bar": window.first_bar,
        "window": window.number,
        **{name: row[name] for name in ("composer", "title", "licence", "key", "time_signature")},
        "split": split,
        "music": score.dumps_midi(),
        "roll": np.where(np.stack(rolls, axis=-1), 1, -1).astype(np.int8),
    }


def roll_rows(corpus: str, chorales: DatasetDict) -> tuple[Rows, Features, RollReport]:
    """Cut the windows of a corpus of `ROLL_CORPORA` from `chorales`; see `stored.build_corpus`.

    Returns:
        Rows by split, their columns and a report. `roll` is (16 steps a bar, 128 pitches, 4 voices), -1 silent and +1
        sounding.
    """
    windows = choose_windows(chorales, corpus)
    rows = {split: [window_row(window, split) for window in found] for split, found in windows.items()}
    text = ("id", "piece", "composer", "title", "licence", "key", "time_signature", "split")
    shape = (ROLL_CORPORA[corpus] * BAR_STEPS, NUM_PITCHES, NUM_VOICES)
    numbers = dict.fromkeys(("first_bar", "window"), Value("int32"))
    features = Features(
        {**dict.fromkeys(text, Value("string")), **numbers, "music": Value("binary"), "roll": Array3D(shape, "int8")}
    )
    return rows, features, _report(windows)


def _report(windows: Mapping[str, Sequence[Window]]) -> RollReport:
    found = itertools.chain.from_iterable(windows.values())
    lost = [count_lost(notes, window.step_ticks) for window in found for notes in window.voices()]
    return RollReport(
        splits={split: len(found) for split, found in windows.items()},
        second_windows=sum(window.number > 1 for window in windows["train"]),
        num_notes=sum(voice.num_notes for voice in lost),
        merged=sum(voice.merged for voice in lost),
        off_grid=sum(voice.off_grid for voice in lost),
    )


def _sounds(score: ScoreTick, bar: Bar) -> bool:
    """Return True for a full bar of 4/4 in which every track sounds."""
    return is_full(score, bar) and all(_cut(t.notes, bar.start_ticks, bar.length_ticks) for t in score.tracks)


def _cut(notes: Iterable[NoteTick], start: int, length: int) -> list[NoteTick]:
    """Return the notes that sound in a stretch of ticks, cut to it and counted from its start."""
    inside = [note for note in notes if note.time < start + length and note.end > start]
    spans = [(max(note.time - start, 0), min(note.end - start, length), note) for note in inside]
    return [NoteTick(first, end - first, note.pitch, note.velocity) for first, end, note in spans]
