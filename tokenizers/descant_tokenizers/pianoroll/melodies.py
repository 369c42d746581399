"""The corpus `melody-bars`: bars of melody, each with the bar before and a chord; MidiNet's training data.

They are the 4/4 bars of the chorales' sopranos and of the folk tunes (corpora `chorales` and `folk`), splits train and
valid. A bar is one pitch for each sixteenth. As in MidiNet's data there are no rests: a silent sixteenth takes the
pitch before it, or the first pitch of the bar if there is none; silent bars are left out. If a tune has two notes at
once, the higher one counts.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from datasets import DatasetDict, Features, List, Value
from symusic.core import ScoreTick

from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.pianoroll.chords import Chord, chord_of_harmony, chord_of_melody, parse_chord
from descant_tokenizers.pianoroll.rolls import BAR_STEPS, NUM_PITCHES, STEPS_PER_BEAT, Rolls, roll_of_notes
from descant_tokenizers.pianoroll.windows import SPLITS, Rows, is_full
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES

MELODY_CORPUS = "melody-bars"

Pitches = tuple[int, ...]


@dataclass(frozen=True)
class MelodyReport:
    """Contents of the bars.

    Attributes:
        splits: Bars in each split, by corpus.
        filled: Share of the sixteenths that were rests and took another pitch.
        in_chord: Share of the sixteenths whose pitch belongs to their bar's chord, by corpus.
        chords: Bars of train by chord.
    """

    splits: dict[str, dict[str, int]]
    filled: float
    in_chord: dict[str, float]
    chords: dict[str, int]


@dataclass(frozen=True)
class MelodyBar:
    """A bar of melody.

    Attributes:
        bar: Its place in the piece.
        pitches: A MIDI pitch for each of its 16 sixteenths.
        filled: Number of these that were rests.
        chord: Its chord.
    """

    bar: Bar
    pitches: Pitches
    filled: int
    chord: Chord


def melody_bars(row: Mapping[str, Any]) -> list[MelodyBar]:
    """List the full bars of 4/4 in which the melody of a piece sounds, each with a chord.

    The chord is that of the four voices of a chorale (`chords.chord_of_harmony`), or for a tune without harmony the
    best triad of its key (`chords.chord_of_melody`).

    Args:
        row: A row of `chorales` or `folk`; the first track is the melody.
    """
    score = row_to_score(row)
    found = []
    for bar in (bar for bar in bars_of(score) if is_full(score, bar)):
        rolls = _rolls(score, bar)
        melody = rolls[..., 0]
        if melody.any():
            has_harmony = rolls.shape[2] > 1
            chord = chord_of_harmony(rolls) if has_harmony else chord_of_melody(melody, row["key"])
            found.append(MelodyBar(bar, *filled_pitches(melody), chord))
    return found


def filled_pitches(roll: Rolls) -> tuple[Pitches, int]:
    """Read one pitch for each step: the highest that sounds; in a rest the one before, or else the bar's first.

    Args:
        roll: (steps, 128); something sounds.

    Returns:
        The pitches, and the number of silent steps.
    """
    assert roll.any(), "a silent bar has no pitches"
    highest = np.where(roll.any(1), NUM_PITCHES - 1 - roll[:, ::-1].argmax(1), -1)
    pitches = []
    last = int(highest[highest >= 0][0])
    for pitch in highest.tolist():
        last = pitch if pitch >= 0 else last
        pitches.append(last)
    return tuple(pitches), int((highest < 0).sum())


def bar_rows(row: Mapping[str, Any], bars: Sequence[MelodyBar]) -> Iterator[dict[str, Any]]:
    """Yield a dataset row for each bar of a piece; `previous` is empty if no 4/4 bar precedes it."""
    for before, bar in zip((None, *bars), bars, strict=False):
        follows = before is not None and before.bar.end_ticks == bar.bar.start_ticks
        yield {
            "id": f"{row['id']}:{bar.bar.number}",
            "piece": row["id"],
            "bar": bar.bar.number,
            **{name: row[name] for name in ("composer", "title", "corpus", "licence", "key", "split")},
            "chord": str(bar.chord),
            "pitches": list(bar.pitches),
            "previous": list(before.pitches) if before is not None and follows else [],
        }


def melody_rows(corpora: Sequence[DatasetDict]) -> tuple[Rows, Features, MelodyReport]:
    """Cut the bars of some corpora, such as `chorales` and `folk`; see `stored.build_corpus`.

    Returns:
        Rows by split, their columns and a report.
    """
    rows: Rows = {}
    filled = 0
    for split in SPLITS:
        pieces = itertools.chain.from_iterable(corpus[split] for corpus in corpora)
        found = [(row, melody_bars(row)) for row in pieces if row["time_signature"] == "4/4"]
        rows[split] = [line for row, bars in found for line in bar_rows(row, bars)]
        filled += sum(bar.filled for _, bars in found for bar in bars)
    text = ("id", "piece", "composer", "title", "corpus", "licence", "key", "split", "chord")
    pitches = dict.fromkeys(("pitches", "previous"), List(Value("int16")))
    features = Features({**dict.fromkeys(text, Value("string")), "bar": Value("int32"), **pitches})
    return rows, features, _report(rows, filled)


def _report(rows: Mapping[str, Sequence[Mapping[str, Any]]], filled: int) -> MelodyReport:
    number = sum(len(lines) for lines in rows.values())
    inside: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in itertools.chain.from_iterable(rows.values()):
        chord = parse_chord(line["chord"]).pitch_classes
        inside[line["corpus"]] += sum(pitch % NUM_PITCH_CLASSES in chord for pitch in line["pitches"])
        total[line["corpus"]] += BAR_STEPS
    return MelodyReport(
        splits={split: dict(Counter(line["corpus"] for line in lines)) for split, lines in rows.items()},
        filled=filled / max(BAR_STEPS * number, 1),
        in_chord={corpus: inside[corpus] / count for corpus, count in total.items()},
        chords=dict(Counter(line["chord"] for line in rows[SPLITS[0]]).most_common()),
    )


def _rolls(score: ScoreTick, bar: Bar) -> Rolls:
    """Return (16, 128, tracks)."""
    step = Fraction(score.ticks_per_quarter, STEPS_PER_BEAT)
    edges = [bar.start_ticks + round(index * step) for index in range(BAR_STEPS + 1)]
    return np.stack([roll_of_notes(track.notes, edges) for track in score.tracks], axis=-1)
