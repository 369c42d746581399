"""Continuations and infills: what was given stays to the tick, and what is written fits to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prompts import WILD, assert_no_overlap, chorale, events, melody, outside, scale
from symusic.core import NoteTick, TrackTick

from descant_modeling.api import Model
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.infilling import Infiller
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of


@pytest.mark.parametrize("num_bars", [1, 3, 8])
def test_a_melody_goes_on_alone_for_so_many_bars(writer: Model, num_bars: int) -> None:
    prompt = melody(scale(10, 480))  # ends in the middle of its third bar
    result = writer.continue_(prompt, WILD, bars=num_bars)
    score = result.samples[0].score
    (track,) = score.tracks
    assert events(n for n in track.notes if n.time < 3 * 1920) == events(prompt.tracks[0].notes)
    assert_no_overlap(events(track.notes))
    assert len(bars_of(score)) == 3 + num_bars
    assert (track.name, track.program, result.written) == ("Melody", 73, ("Soprano",))
    assert result.silences == ()
    assert {note.velocity for note in track.notes} == {90}


def test_four_voices_go_on_in_four(writer: Model) -> None:
    prompt = chorale()
    (sample,) = writer.continue_(prompt, bars=3).samples
    assert [track.name for track in sample.score.tracks] == list(VOICES)
    for before, after in zip(prompt.tracks, sample.score.tracks, strict=True):
        assert events(n for n in after.notes if n.time < 4 * 1920) == events(before.notes)
        assert after.program == before.program
    assert len(bars_of(sample.score)) == 7


def test_a_melody_given_as_soprano_goes_on_in_four_voices(writer: Model) -> None:
    prompt = melody(scale(8, 480))
    config = GenerationConfig(num_samples=2, seed=3)
    result = writer.continue_(prompt, config, bars=2, given=["soprano"])
    for sample in result.samples:
        assert tuple(track.name for track in sample.score.tracks) == VOICES
        soprano = sample.score.tracks[0]
        assert events(n for n in soprano.notes if n.time < 8 * 480) == events(prompt.tracks[0].notes)
        assert len(bars_of(sample.score)) == 4
        assert any(note.time < 8 * 480 for note in sample.score.tracks[3].notes)
    assert (result.given, result.written) == (("Soprano",), VOICES)


def test_a_long_continuation_is_written_window_by_window(writer: Model) -> None:
    (sample,) = writer.continue_(chorale(), bars=100).samples
    assert len(bars_of(sample.score)) == 104


@pytest.mark.parametrize("num_bars", [0, -1, 257])
def test_a_number_of_bars_out_of_range_is_refused(writer: Model, num_bars: int) -> None:
    with pytest.raises(InputError, match="Give 1 to 256"):
        writer.continue_(chorale(), bars=num_bars)


@pytest.mark.parametrize("bars", [(1, 1), (2, 3), (4, 4), (1, 4)])
def test_an_infill_leaves_everything_outside_untouched(writer: Model, bars: tuple[int, int]) -> None:
    prompt = chorale()
    other = TrackTick("Organ", 19, False)
    other.notes.extend([NoteTick(0, 7680, 48, 50), NoteTick(0, 7680, 55, 50)])
    prompt.tracks.append(other)
    (sample,) = writer.infill(prompt, WILD, bars=bars).samples
    start, end = (bars[0] - 1) * 1920, bars[1] * 1920
    assert outside(sample.score, start, end) == outside(prompt, start, end)
    assert events(sample.score.tracks[4].notes) == events(other.notes)
    for track in sample.score.tracks[:4]:
        assert_no_overlap(events(track.notes))
        assert all(note.end <= end for note in track.notes if start <= note.time < end)
    assert {name for name, _, _ in sample.added} <= set(VOICES)


def test_a_pickup_is_bar_zero(writer: Model) -> None:
    prompt = melody(scale(9, 480), meters=((0, 1, 4), (480, 4, 4)))
    (sample,) = writer.infill(prompt, bars=(0, 0)).samples
    assert outside(sample.score, 0, 480) == outside(prompt, 0, 480)
    assert all(onset < 480 for _, onset, _ in sample.added)


def test_given_voices_stay_inside_the_bars(writer: Model) -> None:
    prompt = chorale()
    result = writer.infill(prompt, bars=(2, 3), given=["soprano", "tenor"])
    for index in (0, 2):
        assert events(result.samples[0].score.tracks[index].notes) == events(prompt.tracks[index].notes)
    assert result.written == ("Alto", "Bass")


def test_a_note_held_into_the_bars_stays_and_is_not_sung_over(writer: Model) -> None:
    prompt = melody([(0, 960, 67), (960, 1500, 69), (2460, 1380, 67), (3840, 1920, 65)])
    for sample in writer.infill(prompt, replace(WILD, num_samples=4), bars=(2, 2)).samples:
        notes = events(sample.score.tracks[0].notes)
        assert (960, 1500, 69, 90) in notes
        assert_no_overlap(notes)


def test_a_new_note_may_sound_as_long_as_the_one_it_replaces(writer: Model) -> None:
    prompt = melody([(0, 1920, 67), (1920, 2400, 69), (4800, 960, 67)])
    ends = set()
    for sample in writer.infill(prompt, replace(WILD, num_samples=16), bars=(2, 2)).samples:
        notes = events(sample.score.tracks[0].notes)
        assert_no_overlap(notes)
        ends |= {onset + duration for onset, duration, *_ in notes if 1920 <= onset < 3840}
    assert 3840 < max(ends) <= 4320


def test_a_note_just_before_the_bars_stays(writer: Model) -> None:
    prompt = melody([(0, 1900, 67), (1919, 961, 69), (2880, 960, 65), (3838, 1922, 64)])
    (sample,) = writer.infill(prompt, bars=(2, 2)).samples
    assert outside(sample.score, 1920, 3840) == outside(prompt, 1920, 3840)
    assert_no_overlap(events(n for n in sample.score.tracks[0].notes if n.time != 0))


def test_one_bar_of_a_long_piece_is_written_with_what_is_near(writer: Model) -> None:
    prompt = chorale(150)
    (sample,) = writer.infill(prompt, bars=(100, 101)).samples
    assert outside(sample.score, 99 * 1920, 101 * 1920) == outside(prompt, 99 * 1920, 101 * 1920)


def test_music_of_nothing_but_rests_is_refused(writer: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Infiller, "infill", lambda *_: [InfilledNotes(), InfilledNotes()])
    config, alone = replace(WILD, num_samples=2), melody([(0, 960, 67), (960, 960, 69)])
    with pytest.raises(InputError, match="The model wrote nothing but rests"):
        writer.infill(alone, config, bars=(1, 1))
    result = writer.infill(melody(scale(8, 480)), config, bars=(1, 1))
    assert [len(sample.score.tracks[0].notes) for sample in result.samples] == [4, 4]


@pytest.mark.parametrize("bars", [(0, 1), (3, 2), (4, 5)])
def test_bars_that_are_not_there_are_refused(writer: Model, bars: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="Choose from the prompt's bars 1 to 4"):
        writer.infill(chorale(), bars=bars)


def test_a_voice_that_is_not_there_cannot_stay(writer: Model) -> None:
    with pytest.raises(InputError, match="Bass is not in the prompt, which has Soprano"):
        writer.infill(melody(scale(8, 480)), bars=(1, 1), given=["bass"])
