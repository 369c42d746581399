"""Prompts made for the purpose, and what has to hold of whatever is written to them."""

from __future__ import annotations

import itertools
from typing import Any

from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.decoding.config import GenerationConfig
from descant_tokenizers.scores import VOICES, last_note_end

Event = tuple[int, int, int, int]
WILD = GenerationConfig(temperature=1.0, top_p=1.0)


def events(notes: Any, factor: int = 1) -> list[Event]:
    return sorted((n.time * factor, n.duration * factor, n.pitch, n.velocity) for n in notes)


def melody(
    notes: list[tuple[int, int, int]],
    *,
    tpq: int = 480,
    meters: tuple[tuple[int, int, int], ...] = ((0, 4, 4),),
    name: str = "Melody",
    velocity: int = 90,
) -> ScoreTick:
    """A score of one track from (onset, duration, pitch) in ticks and (tick, numerator, denominator)."""
    score = ScoreTick(tpq)
    score.time_signatures.extend([TimeSignatureTick(*meter) for meter in meters])
    track = TrackTick(name, 73, False)
    track.notes.extend([NoteTick(*note, velocity) for note in notes])
    score.tracks.append(track)
    return score


def scale(num_notes: int, step: int, *, start: int = 0, base: int = 67) -> list[tuple[int, int, int]]:
    return [(start + i * step, step, base + (0, 2, 4, 5, 7, 5, 4, 2)[i % 8]) for i in range(num_notes)]


def chorale(num_bars: int = 4, *, tpq: int = 480) -> ScoreTick:
    score = ScoreTick(tpq)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    for rank, voice in enumerate(VOICES):
        track = TrackTick(voice, 52 + rank, False)
        step = tpq * (2 if voice == "Bass" else 1)
        notes = scale(num_bars * 4 * tpq // step, step, base=(72, 62, 55, 43)[rank])
        track.notes.extend([NoteTick(*note, 60 + rank) for note in notes])
        score.tracks.append(track)
    return score


def outside(score: ScoreTick, start: int, end: int) -> list[list[Event]]:
    return [[event for event in events(track.notes) if not start <= event[0] < end] for track in score.tracks]


def assert_no_overlap(notes: list[Event]) -> None:
    for (onset, duration, *_), (following, *_) in itertools.pairwise(sorted(notes)):
        assert onset + duration <= following


def assert_harmony(prompt: ScoreTick, result: ScoreTick, given: str = "Soprano") -> None:
    """Four tracks, the prompt's own notes and signatures to the tick, and nothing behind its end."""
    assert tuple(track.name for track in result.tracks) == VOICES
    assert result.ticks_per_quarter % prompt.ticks_per_quarter == 0
    factor = result.ticks_per_quarter // prompt.ticks_per_quarter
    assert events(result.tracks[VOICES.index(given)].notes) == events(prompt.tracks[0].notes, factor)
    assert [(t.time * factor, t.mspq) for t in prompt.tempos] == [(t.time, t.mspq) for t in result.tempos]
    for kept, was in ((result.time_signatures, prompt.time_signatures), (result.key_signatures, prompt.key_signatures)):
        expected = was.copy()
        for event in expected:
            event.time *= factor
        assert list(kept) == list(expected)
    velocity = round(sum(n.velocity for n in prompt.tracks[0].notes) / len(prompt.tracks[0].notes))
    for track in result.tracks:
        assert last_note_end(prompt) * factor >= max((note.end for note in track.notes), default=0)
        if track.name != given:
            assert_no_overlap(events(track.notes))
            assert {note.velocity for note in track.notes} <= {velocity}
