"""The columns of a dataset row that describe its music."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from music21.analysis.discrete import AardenEssen
from symusic.core import NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.corpora.splits import main_time_signature, notes_digest
from descant_tokenizers.scores.key import MAJOR_PROFILE, MINOR_PROFILE, estimate_key

Line = list[tuple[int, int, int]]
"""Onset, duration and pitch of each note."""

lines = st.lists(st.tuples(st.integers(0, 64), st.integers(1, 16), st.integers(40, 80)), min_size=1, max_size=8)


def _score(*voices: Line, tpq: int = 24, unit: int = 1, transposition: int = 0, velocity: int = 80) -> ScoreTick:
    score = ScoreTick(tpq)
    for voice in voices:
        track = TrackTick("any", 0, False)
        for onset, duration, pitch in voice:
            track.notes.append(NoteTick(onset * unit, duration * unit, pitch + transposition, velocity))
        score.tracks.append(track)
    return score


@pytest.mark.parametrize(("mode", "profile"), [("major", MAJOR_PROFILE), ("minor", MINOR_PROFILE)])
def test_profiles_are_those_of_music21(mode: str, profile: tuple[float, ...]) -> None:
    assert profile == pytest.approx(AardenEssen().getWeights(mode), abs=0.0051)


@pytest.mark.parametrize(
    ("pitches", "key"),
    [
        ((60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60), "C major"),
        ((58, 60, 62, 63, 65, 67, 69, 70, 65, 62, 58), "Bb major"),
        ((57, 59, 60, 62, 64, 65, 68, 69, 64, 60, 57), "A minor"),
        ((61, 63, 64, 66, 68, 69, 72, 73, 68, 64, 61), "C# minor"),
    ],
)
def test_key_of_a_scale_that_returns_by_its_triad(pitches: tuple[int, ...], key: str) -> None:
    assert estimate_key(_score([(24 * index, 24, pitch) for index, pitch in enumerate(pitches)])) == key


def test_a_longer_note_weighs_more() -> None:
    scale = [(24 * index, 24, pitch) for index, pitch in enumerate((60, 62, 64, 65, 67, 69, 71))]
    assert estimate_key(_score([*scale, (168, 240, 57), (168, 240, 64)])) == "A minor"


def test_main_time_signature_governs_most_ticks_and_no_pickup() -> None:
    score = _score([(0, 24 * 22, 60)])
    for time, numerator in ((0, 1), (24, 4), (24 * 9, 3)):
        score.time_signatures.append(TimeSignatureTick(time, numerator, 4))
    assert main_time_signature(score) == "3/4"


def test_main_time_signature_of_a_piece_of_one_short_bar() -> None:
    assert main_time_signature(_score([(0, 24, 60)])) == "4/4"


@settings(max_examples=40)
@given(lines, lines, st.integers(1, 40))
def test_digest_ignores_resolution_tempo_velocity_and_name(upper: Line, lower: Line, factor: int) -> None:
    same = _score(upper[::-1], lower, tpq=24 * factor, unit=factor, velocity=33)
    same.tempos.append(TempoTick(0, qpm=47.0))
    same.tracks[0].name = "another"
    assert notes_digest(same) == notes_digest(_score(upper, lower))


@settings(max_examples=40)
@given(lines, st.integers(1, 24))
def test_only_the_transposable_digest_ignores_transposition(line: Line, semitones: int) -> None:
    here, there = _score(line), _score(line, transposition=semitones)
    assert notes_digest(here) != notes_digest(there)
    assert notes_digest(here, transposable=True) == notes_digest(there, transposable=True)


@settings(max_examples=40)
@given(lines, st.data())
def test_any_changed_note_changes_both_digests(line: Line, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(line) - 1))
    onset, duration, pitch = line[index]
    changed = [*line[:index], (onset, duration + 24, pitch), *line[index + 1 :]]
    for transposable in (False, True):
        before = notes_digest(_score(line, [(0, 24, 50)]), transposable=transposable)
        assert notes_digest(_score(changed, [(0, 24, 50)]), transposable=transposable) != before


def test_digest_knows_which_voice_sings() -> None:
    assert notes_digest(_score([(0, 1, 60)], [(0, 1, 64)])) != notes_digest(_score([(0, 1, 64)], [(0, 1, 60)]))
    assert notes_digest(_score([(0, 1, 60), (1, 1, 62)], [])) != notes_digest(_score([(0, 1, 60)], [(1, 1, 62)]))
