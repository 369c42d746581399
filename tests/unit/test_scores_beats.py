"""Tunes played without a click: bars in the beats that are found, and the player's timing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from symusic.core import NoteTick, NoteTickList, ScoreTick, TempoTick, TempoTickList, TimeSignatureTickList

from descant_modeling import load
from descant_tokenizers.scores import ReadResult, read_score
from descant_tokenizers.scores.beats import with_beats
from descant_tokenizers.scores.played import quantize

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
JITTER = 0.02  # seconds
TEMPOS: dict[str, Callable[[float], float]] = {  # by the quarter of the tune, in quarters a second
    "92 a minute": lambda _: 92 / 60,
    "drifting by a tenth": lambda quarter: 100 / 60 * (1 + 0.1 * math.sin(quarter / 8)),
    "slowing down": lambda quarter: 110 / 60 - quarter / 150,
}


def played(score: ScoreTick, tempo: Callable[[float], float], seed: int = 1) -> ScoreTick:
    """Play a score in a tempo, into a file of 120 quarters a minute and no time signature."""
    chance, unit, step = random.Random(seed), score.ticks_per_quarter, 24
    times = [0.0]
    for index in range(step * (max(note.end for note in score.tracks[0].notes) // unit + 2)):
        times.append(times[-1] + 1 / step / tempo(index / step))

    def tick(time: int) -> int:
        place, rest = divmod(time * step, unit)
        second = times[place] + (times[place + 1] - times[place]) * rest / unit
        return max(round((second + chance.uniform(-JITTER, JITTER)) * 2 * unit), 0)

    result = score.copy()
    result.tempos = TempoTickList([TempoTick(0, qpm=120)])
    result.time_signatures = TimeSignatureTickList()
    for track in result.tracks:
        notes = [(tick(note.time), tick(note.end), note) for note in track.notes]
        track.notes = NoteTickList([NoteTick(on, max(off - on, 1), n.pitch, n.velocity) for on, off, n in notes])
    return result


def quarters(score: ScoreTick) -> list[tuple[float, int]]:
    """Onsets from the first one, in quarters, and pitches."""
    notes = score.tracks[0].notes
    return [((note.time - notes[0].time) / score.ticks_per_quarter, note.pitch) for note in notes]


def seconds(score: ScoreTick) -> list[tuple[float, int]]:
    """Onsets from the first one, in seconds, and pitches."""
    notes = score.to("second").tracks[0].notes  # type: ignore[attr-defined]
    return [(note.time - notes[0].time, note.pitch) for note in notes]


@pytest.mark.parametrize("tempo", TEMPOS)
@pytest.mark.parametrize("name", ["twinkle", "old-hundredth"])
def test_a_tune_played_without_a_click_is_the_written_one(name: str, tempo: str) -> None:
    score = read_score(EXAMPLES / f"{name}.mid")
    own = played(score, TEMPOS[tempo])
    assert quarters(quantize(own).score) != quarters(score)
    found = with_beats(ReadResult(own))
    assert quarters(quantize(found.score).score) == quarters(score)
    assert "played without a click" in found.repairs[-1]
    times, others = seconds(found.score), seconds(own)
    assert [pitch for _, pitch in times] == [pitch for _, pitch in others]
    assert max(abs(time - other) for (time, _), (other, _) in zip(times, others, strict=True)) < 0.002


@pytest.mark.parametrize("name", ["twinkle", "old-hundredth"])
def test_music_in_the_bars_of_its_file_stays_as_it_is(name: str) -> None:
    written = ReadResult(read_score(EXAMPLES / f"{name}.mid"))
    assert with_beats(written) is written
    with_click = ReadResult(played(written.score, lambda _: 2.0))
    assert with_beats(with_click) is with_click


def test_it_gets_the_harmony_of_the_written_one_in_the_players_timing() -> None:
    model, score = load(), read_score(EXAMPLES / "twinkle.mid")
    own = played(score, TEMPOS["drifting by a tenth"])
    written, result = (model.harmonize(ReadResult(each), seed=1, best_of=1) for each in (score, own))
    for track, other in zip(written.score.tracks, result.score.tracks, strict=True):
        assert [note.pitch for note in track.notes] == [note.pitch for note in other.notes]
    times, others = seconds(result.score), seconds(own)
    assert max(abs(time - other) for (time, _), (other, _) in zip(times, others, strict=True)) < 0.002
    assert any("played without a click" in remark for remark in result.remarks)
