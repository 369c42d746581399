"""Parts written to a given leading part: the piano of songs, the lower strings of quartets, beside the real ones.

A held-out piece gives its leading part; what a model writes to it is measured with the figures of the piece's own
parts, up to the end of the leading part. A third column is a baseline that has seen no model: the parts of another
held-out piece in the same meter, moved to the same tonic, from its beginning, and repeated where they are too short.

Units: ticks of the score, unless a name says otherwise.
"""

from __future__ import annotations

import bisect
import re
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTickList

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.evaluation.bootstrap import median_interval, ratio_interval
from descant_modeling.evaluation.memorization import RunIndex
from descant_modeling.generation.base import MusicGenerator, Request
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.scores import Bar, bars_of
from descant_tokenizers.scores.ensembles import Ensemble
from descant_tokenizers.scores.key import tonic_and_mode
from descant_tokenizers.tokens.harmony import read_chord

TENTH = 16
"""Semitones of a major tenth, which a hand reaches."""
_PART_OF_WORK = re.compile(r": |, movement ")  # before a song of a cycle, or a movement


class Figure(NamedTuple):
    """A figure, a ratio of counts pooled over pieces.

    Attributes:
        key: Its name in JSON.
        title: Its name in tables.
        scale: Factor of the ratio, 100 for per cent.
    """

    key: str
    title: str
    scale: float = 100.0


FIGURES = (
    Figure("agreement", "strong beats whose leading note is in the other parts' chord, %"),
    Figure("chord_changes", "chord changes a bar", 1.0),
    Figure("notes", "notes of the other parts a bar", 1.0),
    Figure("silent_bars", "bars without a note of theirs, %"),
    Figure("within_tenth", "attacks of a hand within a tenth, %"),
    Figure("tonic_end", "last bass note on the tonic, %"),
    Figure("repeated_rhythm", "bars whose rhythm an earlier bar has, %"),
    Figure("repeated_notes", "bars whose notes an earlier bar has, %"),
    Figure("new_at_sections", "sections of the leading part whose first bar has a rhythm that the last one had not, %"),
    Figure("new_inside", "other bars whose rhythm is new in their section, %"),
)


@dataclass(frozen=True)
class Accompanied:
    """A piece with its leading part, up to the end of that part.

    Attributes:
        name: The piece.
        tonic: Pitch class of the tonic of the real piece.
        lead: Notes of the leading part.
        others: Notes of each other part, by name.
        bars: Bars up to the end of the leading part.
        ticks_per_quarter: Resolution.
    """

    name: str
    tonic: int
    lead: Sequence[NoteTick]
    others: Mapping[str, Sequence[NoteTick]]
    bars: Sequence[Bar]
    ticks_per_quarter: int

    @property
    def notes(self) -> list[NoteTick]:
        """All notes of the other parts, by onset."""
        return sorted((note for own in self.others.values() for note in own), key=lambda note: (note.time, note.pitch))


def accompanied(name: str, key: str, score: ScoreTick, ensemble: Ensemble) -> Accompanied:
    """Take a score apart; notes that begin after the leading part has ended are left out."""
    tracks = {track.name: track.notes for track in score.tracks}
    lead = list(tracks[ensemble.lead.name])
    end = max(note.end for note in lead)
    others = {part.name: [note for note in tracks.get(part.name, ()) if note.time < end] for part in ensemble.parts[1:]}
    bars = [bar for bar in bars_of(score) if bar.start_ticks < end]
    return Accompanied(name, tonic_and_mode(key)[0], lead, others, bars, score.ticks_per_quarter)


def lead_alone(score: ScoreTick, ensemble: Ensemble) -> ScoreTick:
    """Return a score with its leading part only."""
    alone = score.copy()
    alone.tracks = TrackTickList([track for track in alone.tracks if track.name == ensemble.lead.name])
    return alone


def first_bars(score: ScoreTick, num_bars: int | None) -> ScoreTick:
    """Return the first bars of a score, a pickup not counted; all for None."""
    bars = [bar for bar in bars_of(score) if num_bars is None or bar.number <= num_bars]
    end = bars[-1].end_ticks
    part = score.copy()
    for track in part.tracks:
        kept = [note for note in track.notes if note.time < end]
        track.notes = NoteTickList([NoteTick(n.time, min(n.end, end) - n.time, n.pitch, n.velocity) for n in kept])
    return part


def _beat_ticks(bar: Bar, ticks_per_quarter: int) -> int:
    unit = 4 * ticks_per_quarter // bar.denominator
    return 3 * unit if bar.denominator >= 8 and bar.numerator % 3 == 0 else unit


def _sounding(notes: Sequence[NoteTick], start: int, end: int) -> list[int]:
    return [note.pitch for note in notes if note.time < end and note.end > start]


def figure_counts(piece: Accompanied, staves: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
    """Count each figure of a piece, as its part and whole.

    Args:
        piece: The piece.
        staves: Names of the parts that are hands.
    """
    notes, bars = piece.notes, piece.bars
    agreeing = strong = changes = 0
    chord = None
    for bar in bars:
        beat = _beat_ticks(bar, piece.ticks_per_quarter)
        num_beats = max(1, bar.length_ticks // beat)
        for index in range(num_beats):
            start = bar.start_ticks + index * beat
            own = _sounding(notes, start, start + beat)
            found = read_chord(_sounding(notes, start, start + 1)) or read_chord(own)
            if found is not None and (found.root, found.quality) != chord:
                changes += chord is not None
                chord = found.root, found.quality
            if index == 0 or (num_beats == 4 and index == 2):
                leading = _sounding(piece.lead, start, start + 1)
                if leading and own:
                    strong += 1
                    agreeing += leading[0] % 12 in {pitch % 12 for pitch in own}
    attacks = within = 0
    for name in staves:
        spans: dict[int, list[int]] = {}
        for note in piece.others[name]:
            spans.setdefault(note.time, []).append(note.pitch)
        attacks += len(spans)
        within += sum(max(pitches) - min(pitches) <= TENTH for pitches in spans.values())
    rhythms, contents, silent = _bar_contents(piece, notes)
    last = max((note.end for note in piece.lead), default=0)
    final = [note for note in notes if note.end >= last] or [note for note in notes if note.time == notes[-1].time]
    is_tonic = bool(final) and min(note.pitch for note in final) % 12 == piece.tonic
    return {
        "agreement": (agreeing, strong),
        "chord_changes": (changes, len(bars)),
        "notes": (len(notes), len(bars)),
        "silent_bars": (silent, len(bars)),
        "within_tenth": (within, attacks),
        "tonic_end": (is_tonic, 1),
        "repeated_rhythm": (_num_repeated(rhythms), max(len(rhythms) - 1, 0)),
        "repeated_notes": (_num_repeated(contents), max(len(contents) - 1, 0)),
        **_texture_changes(piece, notes),
    }


def _bar_contents(piece: Accompanied, notes: Sequence[NoteTick]) -> tuple[list[Hashable], list[Hashable], int]:
    """Return the rhythm and the notes of each bar that has any, and the number of bars without."""
    rhythms: list[Hashable] = []
    contents: list[Hashable] = []
    silent = 0
    for bar in piece.bars:
        inside = [note for note in notes if bar.start_ticks <= note.time < bar.end_ticks]
        if not inside:
            silent += 1
            continue
        at = [(Fraction(note.time - bar.start_ticks, piece.ticks_per_quarter), note.pitch) for note in inside]
        rhythms.append(tuple(sorted({onset for onset, _ in at})))
        contents.append(tuple(at))
    return rhythms, contents, silent


def _texture_changes(piece: Accompanied, notes: Sequence[NoteTick]) -> dict[str, tuple[int, int]]:
    """Count bars with a new rhythm where a section begins, and elsewhere.

    A section begins in a bar in which the leading part enters after half a bar of rest or more. A rhythm is new if no
    bar since the beginning of the section has it, at the beginning of a section, of the one before.
    """
    starts = [bar.start_ticks for bar in piece.bars]
    rhythms: list[set[int]] = [set() for _ in starts]
    for note in notes:
        index = bisect.bisect_right(starts, note.time) - 1
        rhythms[index].add(note.time - starts[index])
    entrances, end = set(), min(note.end for note in piece.lead)
    for note in sorted(piece.lead, key=lambda note: note.time):
        index = bisect.bisect_right(starts, note.time) - 1
        if 2 * (note.time - end) >= piece.bars[index].length_ticks:
            entrances.add(index)
        end = max(end, note.end)
    seen: set[frozenset[int]] = set()
    counts = {True: [0, 0], False: [0, 0]}
    for index, own in enumerate(map(frozenset, rhythms)):
        if index:
            counts[index in entrances][0] += own not in seen
            counts[index in entrances][1] += 1
        seen = {own} if index in entrances else {*seen, own}
    return {"new_at_sections": (counts[True][0], counts[True][1]), "new_inside": (counts[False][0], counts[False][1])}


def _num_repeated(bars: Sequence[Hashable]) -> int:
    return len(bars) - len(set(bars))


def measured(pieces: Sequence[Accompanied], staves: Sequence[str] = ()) -> dict[str, Any]:
    """Return every figure over pieces with its 95 % interval, and the median lowest and highest pitch, for JSON."""
    counts = [figure_counts(piece, staves) for piece in pieces]
    facts: dict[str, Any] = {"num_pieces": len(pieces), "num_bars": sum(len(piece.bars) for piece in pieces)}
    for figure in FIGURES:
        parts, wholes = zip(*(count[figure.key] for count in counts), strict=True)
        known = sum(wholes) > 0
        facts[figure.key] = ratio_interval(parts, wholes, scale=figure.scale).rounded() if known else None
    pitches = [[note.pitch for note in piece.notes] for piece in pieces]
    heard = [own for own in pitches if own]
    facts["lowest"] = median_interval([min(own) for own in heard]).rounded() if heard else None
    facts["highest"] = median_interval([max(own) for own in heard]).rounded() if heard else None
    return facts


def borrowed(piece: Accompanied, others: Sequence[Accompanied]) -> Accompanied | None:
    """Return a piece with the parts of the next one in its meter, moved to its tonic; None if there is none.

    The parts are repeated from their beginning if they are too short.
    """
    other = next((each for each in others if _bar_quarters(each) == _bar_quarters(piece)), None)
    if other is None:
        return None
    shift = (piece.tonic - other.tonic + 5) % 12 - 5
    scale = Fraction(piece.ticks_per_quarter, other.ticks_per_quarter)
    bar_ticks = piece.bars[len(piece.bars) // 2].length_ticks
    upbeat = piece.bars[0].length_ticks if piece.bars[0].length_ticks < bar_ticks else 0
    own_upbeat = other.bars[0].length_ticks if other.bars[0].length_ticks * scale < bar_ticks else 0
    length, end = int((other.bars[-1].end_ticks - own_upbeat) * scale), max(note.end for note in piece.lead)
    parts: dict[str, list[NoteTick]] = {}
    for name, notes in other.others.items():
        parts[name] = []
        for start in range(upbeat, end, max(length, 1)):
            for note in notes:
                time_ticks = start + int((note.time - own_upbeat) * scale)
                if note.time >= own_upbeat and time_ticks < end:
                    moved = NoteTick(time_ticks, max(1, int(note.duration * scale)), note.pitch + shift, note.velocity)
                    parts[name].append(moved)
    return Accompanied(piece.name, piece.tonic, piece.lead, parts, piece.bars, piece.ticks_per_quarter)


def _bar_quarters(piece: Accompanied) -> Fraction:
    """Return the length of a bar in the middle of a piece."""
    return Fraction(piece.bars[len(piece.bars) // 2].length_ticks, piece.ticks_per_quarter)


def run_steps(piece: Accompanied) -> list[Hashable]:
    """Return the step from each attack of the other parts to the next, in any key: bass interval, chord, distance."""
    attacks: dict[int, list[int]] = {}
    for note in piece.notes:
        attacks.setdefault(note.time, []).append(note.pitch)
    times = sorted(attacks)
    steps: list[Hashable] = []
    for before, now in pairwise(times):
        low = min(attacks[before])
        chord = tuple(sorted(pitch - low for pitch in attacks[now]))
        steps.append((chord, Fraction(now - before, piece.ticks_per_quarter)))
    return steps


def memorized(pieces: Sequence[Accompanied], known: RunIndex) -> dict[str, Any]:
    """Return the longest runs of attacks that pieces share with a training set: median, 95th percentile, longest."""
    runs = [steps + 1 if (steps := known.longest_run(run_steps(piece))) else 0 for piece in pieces]
    return {
        "median": median_interval(runs).rounded(),
        "percentile_95": float(np.percentile(runs, 95)),
        "longest": max(runs),
    }


class Written(NamedTuple):
    """Generated parts.

    Attributes:
        name: The piece.
        score: The leading part with the new parts.
        seconds: Time spent on generation.
    """

    name: str
    score: ScoreTick
    seconds: float


def write_parts(
    generator: MusicGenerator,
    rows: Sequence[Mapping[str, Any]],
    ensemble: Ensemble,
    config: GenerationConfig,
    num_bars: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Written]:
    """Write the other parts of each row, or of its first bars, to its leading part.

    The seed of each later row is one more.
    """
    found = []
    for index, row in enumerate(rows):
        started = time.monotonic()
        request = Request("harmonize", lead_alone(first_bars(row_to_score(row), num_bars), ensemble))
        score = generator.generate(request, replace(config, seed=config.seed + index)).score
        found.append(Written(row["id"], score, time.monotonic() - started))
        if progress is not None:
            progress((index + 1) / len(rows))
    return found


def chosen_rows(
    rows: Sequence[Mapping[str, Any]],
    ensemble: Ensemble,
    max_bars: int,
    limit: int | None,
    num_bars: int | None = None,
) -> list[Mapping[str, Any]]:
    """Return the rows whose leading part plays, the first of each work before others.

    They have at most `max_bars` bars; if only their first bars are taken, any number.
    """
    fitting = []
    for row in rows:
        score = first_bars(row_to_score(row), num_bars)
        if _has_lead(score, ensemble) and len(bars_of(score)) <= max_bars:
            fitting.append(row)
    seen: dict[str, int] = {}
    ranked = []
    for row in fitting:
        work = f"{row['composer']}: {_PART_OF_WORK.split(row['title'])[0]}"
        seen[work] = seen.get(work, -1) + 1
        ranked.append((seen[work], row["id"], row))
    return [row for _, _, row in sorted(ranked, key=lambda each: each[:2])][:limit]


def compare_parts(
    written: Sequence[Written],
    rows: Sequence[Mapping[str, Any]],
    train: Sequence[Mapping[str, Any]],
    ensemble: Ensemble,
    num_bars: int | None = None,
) -> dict[str, Any]:
    """Measure written parts beside the real ones and those of another piece, for JSON.

    Args:
        written: Parts written to the rows, one for each.
        rows: The pieces.
        train: Training pieces, in which runs of the parts are looked for.
        ensemble: The ensemble.
        num_bars: Bars of each row that the parts were written to; None for all.
    """
    real = [_of_row(row, ensemble, num_bars) for row in rows]
    mine = [accompanied(row["id"], row["key"], each.score, ensemble) for row, each in zip(rows, written, strict=True)]
    others = [borrowed(piece, [*real[index + 1 :], *real[:index]]) for index, piece in enumerate(real)]
    known = RunIndex(run_steps(_of_row(row, ensemble)) for row in train if _has_lead(row_to_score(row), ensemble))
    groups = {"model": mine, "real": real, "other piece": [each for each in others if each is not None]}
    return {
        "figures": {name: measured(pieces, ensemble.staves) for name, pieces in groups.items() if pieces},
        "shared_with_train": {name: memorized(groups[name], known) for name in ("model", "real")},
    }


def _of_row(row: Mapping[str, Any], ensemble: Ensemble, num_bars: int | None = None) -> Accompanied:
    return accompanied(row["id"], row["key"], first_bars(row_to_score(row), num_bars), ensemble)


def _has_lead(score: ScoreTick, ensemble: Ensemble) -> bool:
    """Return True if the leading part plays."""
    return any(track.name == ensemble.lead.name and track.notes for track in score.tracks)
