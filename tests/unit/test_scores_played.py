"""Tunes played by hand: on the grid for the model, and back in the player's timing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from symusic.core import NoteTick, NoteTickList, ScoreTick

from descant_modeling.api import Model
from descant_tokenizers.scores import ReadResult, read_score, read_score_report
from descant_tokenizers.scores.played import is_played, quantize

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PLAIN = sorted(EXAMPLES.glob("*.mid"))


def jittered(score: ScoreTick, seed: int, milliseconds: int = 25) -> ScoreTick:
    """Move every onset and end by up to so many milliseconds at 120 quarters a minute."""
    chance, result = random.Random(seed), score.copy()
    most = score.ticks_per_quarter * milliseconds // 500
    for track in result.tracks:
        notes = []
        for note in track.notes:
            begin = max(note.time + chance.randint(-most, most), 0)
            end = note.end + chance.randint(-most, most)
            notes.append(NoteTick(begin, end - begin, note.pitch, note.velocity))
        track.notes = NoteTickList(notes)
    return result


def events(score: ScoreTick) -> list[list[tuple[int, int, int]]]:
    return [[(note.time, note.duration, note.pitch) for note in track.notes] for track in score.tracks]


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_written_music_is_not_taken_for_played_music(path: Path) -> None:
    assert not is_played(read_score(path))
    assert is_played(jittered(read_score(path), 1))


@pytest.mark.parametrize("seed", range(5))
def test_a_played_tune_is_the_written_one_on_the_grid(seed: int) -> None:
    score = read_score(EXAMPLES / "twinkle.mid")
    assert events(quantize(jittered(score, seed)).score) == events(score)


def test_triplets_are_told_from_16ths() -> None:
    score = read_score(EXAMPLES / "twinkle.mid")
    unit = score.ticks_per_quarter
    onsets = [0, unit // 3, 2 * unit // 3, unit, unit + unit // 4, unit + unit // 2, 2 * unit]
    score.tracks[0].notes = NoteTickList([NoteTick(onset + 7, unit // 4, 60 + i, 80) for i, onset in enumerate(onsets)])
    assert [note.time for note in quantize(score).score.tracks[0].notes] == onsets


def test_notes_that_would_fall_together_stay() -> None:
    score = read_score(EXAMPLES / "twinkle.mid")
    score.tracks[0].notes = NoteTickList([NoteTick(onset, 5, 60, 80) for onset in (0, 9, 20)])
    assert len({note.time for note in quantize(score).score.tracks[0].notes}) == 3


def test_new_notes_follow_the_players_timing() -> None:
    played = jittered(read_score(EXAMPLES / "twinkle.mid"), 3)
    quantized = quantize(played)
    result = quantized.score.copy()
    bass = quantized.score.tracks[0].copy()
    bass.name = "Bass"
    for note in bass.notes:
        note.pitch -= 24
    result.tracks.append(bass)
    added = {("Bass", note.time, note.pitch) for note in bass.notes}
    restored, moved = quantized.restored(result, added)
    assert events(restored)[0] == events(played)[0]
    assert [note.time for note in restored.tracks[1].notes] == [note.time for note in played.tracks[0].notes]
    assert moved == {("Bass", note.time, note.pitch) for note in restored.tracks[1].notes}


def test_a_played_tune_gets_the_harmony_of_the_written_one(embedded: Model) -> None:
    score = read_score(EXAMPLES / "twinkle.mid")
    played = jittered(score, 2)
    written = embedded.harmonize(ReadResult(score), seed=1, best_of=1)
    result = embedded.harmonize(ReadResult(played), seed=1, best_of=1)
    for own, other in zip(written.score.tracks, result.score.tracks, strict=True):
        assert [note.pitch for note in own.notes] == [note.pitch for note in other.notes]
    assert [(n.time, n.duration) for n in result.score.tracks[0].notes] == [
        (n.time, n.duration) for n in played.tracks[0].notes
    ]
    assert any("played by hand" in remark for remark in result.remarks)
    assert len(result.samples[0].given) == len(played.tracks[0].notes)


@pytest.fixture(scope="module")
def embedded() -> Model:
    from descant_modeling import load

    return load()


def test_the_report_of_a_file_is_read_as_it_is() -> None:
    assert not is_played(read_score_report(EXAMPLES / "greensleeves.mid").score)
