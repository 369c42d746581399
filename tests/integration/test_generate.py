"""Harmonies: what was given stays to the tick, and what is written fits to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompts import WILD, assert_harmony, chorale, events, melody, scale
from symusic.core import KeySignatureTick, NoteTick, TempoTick, TrackTick

from descant_modeling.api import Model
from descant_modeling.decoding.config import GenerationConfig, Sketch
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of, last_note_end


@pytest.mark.parametrize("tpq", [24, 96, 120, 220, 384, 480, 1000, 32767])
def test_every_resolution_keeps_the_melody_to_the_tick(writer: Model, tpq: int) -> None:
    prompt = melody(scale(16, tpq), tpq=tpq)
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)
    assert sample.score.ticks_per_quarter <= 0x7FFF


@pytest.mark.parametrize("meter", [(3, 2), (6, 8), (5, 4), (7, 8), (12, 8), (2, 2), (3, 4)])
def test_meters_survive(writer: Model, meter: tuple[int, int]) -> None:
    bar_ticks = 1920 * meter[0] // meter[1]
    prompt = melody(scale(6, bar_ticks // 2), meters=((0, *meter),))
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)
    assert len(bars_of(sample.score)) == 3


def test_pickup_changes_of_meter_key_and_tempo_survive(writer: Model) -> None:
    prompt = melody(scale(14, 480), meters=((0, 1, 4), (480, 4, 4), (480 + 1920, 3, 4)))
    prompt.tempos.extend([TempoTick(0, mspq=500_001), TempoTick(777, mspq=400_000)])
    prompt.key_signatures.extend([KeySignatureTick(0, -3, 1), KeySignatureTick(480, 2, 0)])
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)
    assert [bar.number for bar in bars_of(sample.score)] == [bar.number for bar in bars_of(prompt)]


def test_a_bar_cut_short_by_a_signature_is_a_bar_of_its_length(writer: Model) -> None:
    prompt = melody(scale(9, 480), meters=((0, 4, 4), (480, 4, 4)))
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)


@pytest.mark.parametrize("semitones", [*range(-24, 25, 6), -60, 40])
def test_a_melody_at_any_pitch_stays_there(writer: Model, semitones: int) -> None:
    prompt = melody(scale(8, 480, base=67 + semitones))
    result = writer.harmonize(prompt)
    assert_harmony(prompt, result.samples[0].score)
    moved = any("for the model, and back" in remark for remark in result.remarks)
    assert moved == (not 60 <= 67 + semitones <= 81 - 7)


@pytest.mark.parametrize(
    "notes",
    [
        pytest.param(
            [(i * 480 + (320 if late else 0), 160 if late else 320, 67) for i in range(8) for late in (0, 1)],
            id="swing",
        ),
        pytest.param([(i * 160, 160, 65 + i % 5) for i in range(24)], id="triplets"),
        pytest.param([(round(i * 480 / 7), 68, 65 + i % 5) for i in range(28)], id="sevenths"),
        pytest.param([(i * 480, 500, 65 + i % 5) for i in range(8)], id="legato"),
        pytest.param([(i * 480 + 7 * (i % 3), 451, 65 + i % 5) for i in range(8)], id="humanized"),
        pytest.param([(1920 + i * 480, 480, 65) for i in range(8)], id="rest first"),
        pytest.param([(0, 480, 70)], id="one note"),
        pytest.param([(3, 17, 70)], id="one tiny note"),
        pytest.param([(0, 1920 * 7, 70)], id="one long note"),
        pytest.param([(i * 480, 479, 70 + i % 2) for i in range(8)], id="a tick short"),
        pytest.param([(0, 480, 40), (480, 480, 89)], id="wide"),
    ],
)
def test_rhythms_off_the_grid_stay_as_they_are(writer: Model, notes: list[tuple[int, int, int]]) -> None:
    prompt = melody(notes)
    for sample in writer.harmonize(prompt, replace(WILD, num_samples=3)).samples:
        assert_harmony(prompt, sample.score)


def test_two_hundred_bars_are_written_window_by_window(writer: Model) -> None:
    prompt = melody(scale(800, 480))
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)
    onsets = [note.time // 1920 for note in sample.score.tracks[1].notes]
    assert max(onsets) > 190


@pytest.mark.parametrize("voice", VOICES)
def test_any_voice_may_be_the_given_one(writer: Model, voice: str) -> None:
    prompt = melody(scale(8, 480, base={"Soprano": 67, "Alto": 60, "Tenor": 53, "Bass": 45}[voice]))
    result = writer.harmonize(prompt, given=[voice.lower()])
    assert_harmony(prompt, result.samples[0].score, voice)
    assert result.given == (voice,)
    assert result.written == tuple(other for other in VOICES if other != voice)


def test_written_notes_are_in_range(writer: Model) -> None:
    score = writer.harmonize(melody(scale(32, 240)), WILD).samples[0].score
    for track, (low, high) in zip(score.tracks, writer.generator.checkpoint.meta.voice_ranges, strict=True):
        assert all(low <= note.pitch <= high for note in track.notes)


def test_soprano_and_bass_are_kept_and_the_middle_is_written(writer: Model) -> None:
    prompt = chorale()
    result = writer.harmonize(prompt, given=["soprano", "bass"])
    (sample,) = result.samples
    for index in (0, 3):
        assert events(sample.score.tracks[index].notes) == events(prompt.tracks[index].notes)
    assert {name for name, _, _ in sample.added} == {"Alto", "Tenor"} == set(result.written)


def test_other_tracks_leave_a_harmony(writer: Model) -> None:
    prompt = melody(scale(8, 480))
    drums = TrackTick("Drums", 0, True)
    drums.notes.append(NoteTick(0, 10_000, 36, 100))
    prompt.tracks.append(drums)
    (sample,) = writer.harmonize(prompt).samples
    assert tuple(track.name for track in sample.score.tracks) == VOICES
    assert last_note_end(sample.score) == 8 * 480
    (sample,) = writer.continue_(prompt, bars=1, given=["soprano"]).samples
    assert len(bars_of(sample.score)) == 3


def test_other_tracks_stay_beside_a_melody_that_goes_on(writer: Model) -> None:
    prompt = melody(scale(8, 480))
    drums = TrackTick("Drums", 0, True)
    drums.notes.append(NoteTick(0, 10_000, 36, 100))  # into bar 6
    prompt.tracks.append(drums)
    (sample,) = writer.continue_(prompt, bars=2).samples
    assert events(sample.score.tracks[1].notes) == events(drums.notes)
    assert min(onset for _, onset, _ in sample.added) >= 6 * 1920
    assert len(bars_of(sample.score)) == 8


def test_four_given_voices_leave_nothing_to_harmonize(writer: Model) -> None:
    with pytest.raises(InputError, match="All four voices are given"):
        writer.harmonize(chorale(), given=VOICES)


@pytest.mark.parametrize("meter", [(13, 16), (4, 32), (17, 4)])
def test_a_meter_outside_the_vocabulary_is_refused(writer: Model, meter: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=rf"does not know the time signature {meter[0]}/{meter[1]} \(bar 1\)"):
        writer.harmonize(melody(scale(8, 480), meters=((0, *meter),)))


def test_a_signature_inside_a_beat_is_refused(writer: Model) -> None:
    with pytest.raises(InputError, match="A time signature in the middle of a beat cuts bar 2 short"):
        writer.harmonize(melody(scale(8, 480), meters=((0, 4, 4), (1931, 4, 4))))


def test_a_melody_wider_than_the_vocabulary_is_refused(writer: Model) -> None:
    with pytest.raises(InputError, match="more than the model's 60 semitones"):
        writer.harmonize(melody([(0, 480, 20), (480, 480, 100)]))


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(-40, 40), st.integers(55, 80)), min_size=1, max_size=30),
    st.sampled_from([96, 120, 480]),
    st.integers(0, 1000),
)
def test_any_melody_is_kept(writer: Model, steps: list[tuple[int, int, int]], tpq: int, seed: int) -> None:
    notes, onset = [], 0
    for step, longer, pitch in steps:
        notes.append((onset, max(1, min(step + longer, step + tpq // 5)), pitch))
        onset += step
    prompt = melody(notes, tpq=tpq)
    (sample,) = writer.harmonize(prompt, replace(WILD, seed=seed)).samples
    assert_harmony(prompt, sample.score)


def midi(result: Any) -> list[bytes]:
    return [sample.score.dumps_midi() for sample in result.samples]


@pytest.mark.parametrize("best_of", [1, 3])
def test_what_is_written_is_told_bar_by_bar(writer: Model, best_of: int) -> None:
    sketches: list[Sketch] = []
    config = GenerationConfig(best_of=best_of, num_samples=2, on_bar=sketches.append)
    prompt = melody(scale(16, 480))
    (first, _) = writer.harmonize(prompt, config).samples
    assert {sketch.num_bars for sketch in sketches} == {4}
    assert [sketch.num_written for sketch in sketches] == sorted(sketch.num_written for sketch in sketches)
    last = sketches[-1]
    assert (last.num_written, last.num_quarters) == (4, 16.0)
    unit = first.score.ticks_per_quarter
    told = {(note.voice, round(note.onset_quarters * unit), note.pitch) for note in last.notes if not note.is_given}
    assert told == first.added
    assert [note.pitch for note in last.notes if note.is_given] == [note.pitch for note in prompt.tracks[0].notes]


def test_a_seed_names_its_music(writer: Model) -> None:
    prompt = melody(scale(8, 480))
    first = midi(writer.harmonize(prompt, GenerationConfig(seed=5, num_samples=3)))
    assert midi(writer.harmonize(prompt, GenerationConfig(seed=5, num_samples=3))) == first
    assert len(set(first)) == 3
    assert not set(first) & set(midi(writer.harmonize(prompt, GenerationConfig(seed=6, num_samples=3))))
