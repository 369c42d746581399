"""A prompt in, music out: what was given stays to the tick, and what is written fits to it."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_modeling.checkpoints import EMBEDDED
from descant_modeling.decoding.sampler import SamplingConfig
from descant_modeling.generation import MusicModel, load_music_model
from descant_modeling.writing import GenerationConfig, Sketch
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of, last_note_end, read_score

Event = tuple[int, int, int, int]
WILD = SamplingConfig(temperature=1.0, top_p=1.0)


@pytest.fixture(scope="module")
def writer(tiny_checkpoint: Path) -> MusicModel:
    return load_music_model(str(tiny_checkpoint))


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


@pytest.mark.parametrize("tpq", [24, 96, 120, 220, 384, 480, 1000, 32767])
def test_every_resolution_keeps_the_melody_to_the_tick(writer: MusicModel, tpq: int) -> None:
    prompt = melody(scale(16, tpq), tpq=tpq)
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)
    assert sample.score.ticks_per_quarter <= 0x7FFF


@pytest.mark.parametrize("meter", [(3, 2), (6, 8), (5, 4), (7, 8), (12, 8), (2, 2), (3, 4)])
def test_meters_survive(writer: MusicModel, meter: tuple[int, int]) -> None:
    bar_ticks = 1920 * meter[0] // meter[1]
    prompt = melody(scale(6, bar_ticks // 2), meters=((0, *meter),))
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)
    assert len(bars_of(sample.score)) == 3


def test_pickup_changes_of_meter_key_and_tempo_survive(writer: MusicModel) -> None:
    prompt = melody(scale(14, 480), meters=((0, 1, 4), (480, 4, 4), (480 + 1920, 3, 4)))
    prompt.tempos.extend([TempoTick(0, mspq=500_001), TempoTick(777, mspq=400_000)])
    prompt.key_signatures.extend([KeySignatureTick(0, -3, 1), KeySignatureTick(480, 2, 0)])
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)
    assert [bar.number for bar in bars_of(sample.score)] == [bar.number for bar in bars_of(prompt)]


def test_a_bar_cut_short_by_a_signature_is_a_bar_of_its_length(writer: MusicModel) -> None:
    prompt = melody(scale(9, 480), meters=((0, 4, 4), (480, 4, 4)))
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)


@pytest.mark.parametrize("semitones", [*range(-24, 25, 6), -60, 40])
def test_a_melody_at_any_pitch_stays_there(writer: MusicModel, semitones: int) -> None:
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
def test_rhythms_off_the_grid_stay_as_they_are(writer: MusicModel, notes: list[tuple[int, int, int]]) -> None:
    prompt = melody(notes)
    for sample in writer.harmonize(prompt, GenerationConfig(WILD, num_samples=3)).samples:
        assert_harmony(prompt, sample.score)


def test_two_hundred_bars_are_written_window_by_window(writer: MusicModel) -> None:
    prompt = melody(scale(800, 480))
    (sample,) = writer.harmonize(prompt).samples
    assert_harmony(prompt, sample.score)
    onsets = [note.time // 1920 for note in sample.score.tracks[1].notes]
    assert max(onsets) > 190


@pytest.mark.parametrize("voice", VOICES)
def test_any_voice_may_be_the_given_one(writer: MusicModel, voice: str) -> None:
    prompt = melody(scale(8, 480, base={"Soprano": 67, "Alto": 60, "Tenor": 53, "Bass": 45}[voice]))
    result = writer.harmonize(prompt, given=[voice.lower()])
    assert_harmony(prompt, result.samples[0].score, voice)
    assert result.given == (voice,)
    assert result.written == tuple(other for other in VOICES if other != voice)


def test_written_notes_are_in_range(writer: MusicModel) -> None:
    score = writer.harmonize(melody(scale(32, 240)), GenerationConfig(WILD)).samples[0].score
    for track, (low, high) in zip(score.tracks, writer.checkpoint.meta.voice_ranges, strict=True):
        assert all(low <= note.pitch <= high for note in track.notes)


def test_soprano_and_bass_are_kept_and_the_middle_is_written(writer: MusicModel) -> None:
    prompt = chorale()
    result = writer.harmonize(prompt, given=["soprano", "bass"])
    (sample,) = result.samples
    for index in (0, 3):
        assert events(sample.score.tracks[index].notes) == events(prompt.tracks[index].notes)
    assert {name for name, _, _ in sample.added} == {"Alto", "Tenor"} == set(result.written)


def test_other_tracks_leave_a_harmony(writer: MusicModel) -> None:
    prompt = melody(scale(8, 480))
    drums = TrackTick("Drums", 0, True)
    drums.notes.append(NoteTick(0, 10_000, 36, 100))
    prompt.tracks.append(drums)
    (sample,) = writer.harmonize(prompt).samples
    assert tuple(track.name for track in sample.score.tracks) == VOICES
    assert last_note_end(sample.score) == 8 * 480
    (sample,) = writer.continue_(prompt, num_bars=1, given=["soprano"]).samples
    assert len(bars_of(sample.score)) == 3


def test_other_tracks_stay_beside_a_melody_that_goes_on(writer: MusicModel) -> None:
    prompt = melody(scale(8, 480))
    drums = TrackTick("Drums", 0, True)
    drums.notes.append(NoteTick(0, 10_000, 36, 100))  # into bar 6
    prompt.tracks.append(drums)
    (sample,) = writer.continue_(prompt, num_bars=2).samples
    assert events(sample.score.tracks[1].notes) == events(drums.notes)
    assert min(onset for _, onset, _ in sample.added) >= 6 * 1920
    assert len(bars_of(sample.score)) == 8


def test_four_given_voices_leave_nothing_to_harmonize(writer: MusicModel) -> None:
    with pytest.raises(InputError, match="nothing to write"):
        writer.harmonize(chorale(), given=VOICES)


@pytest.mark.parametrize("meter", [(13, 16), (4, 32), (17, 4)])
def test_a_meter_outside_the_vocabulary_is_refused(writer: MusicModel, meter: tuple[int, int]) -> None:
    with pytest.raises(
        InputError, match=rf"time signature {meter[0]}/{meter[1]} \(bar 1\) is none that the model knows"
    ):
        writer.harmonize(melody(scale(8, 480), meters=((0, *meter),)))


def test_a_signature_inside_a_beat_is_refused(writer: MusicModel) -> None:
    with pytest.raises(InputError, match="a time signature in the middle of a beat cuts bar 2 short"):
        writer.harmonize(melody(scale(8, 480), meters=((0, 4, 4), (1931, 4, 4))))


def test_a_melody_wider_than_the_vocabulary_is_refused(writer: MusicModel) -> None:
    with pytest.raises(InputError, match="more than the 60 semitones"):
        writer.harmonize(melody([(0, 480, 20), (480, 480, 100)]))


@pytest.mark.parametrize("num_bars", [1, 3, 8])
def test_a_melody_goes_on_alone_for_so_many_bars(writer: MusicModel, num_bars: int) -> None:
    prompt = melody(scale(10, 480))  # ends in the middle of its third bar
    result = writer.continue_(prompt, GenerationConfig(WILD), num_bars=num_bars)
    score = result.samples[0].score
    (track,) = score.tracks
    assert events(n for n in track.notes if n.time < 3 * 1920) == events(prompt.tracks[0].notes)
    assert_no_overlap(events(track.notes))
    assert len(bars_of(score)) == 3 + num_bars
    assert (track.name, track.program, result.written) == ("Melody", 73, ("Soprano",))
    assert {note.velocity for note in track.notes} == {90}


def test_four_voices_go_on_in_four(writer: MusicModel) -> None:
    prompt = chorale()
    (sample,) = writer.continue_(prompt, num_bars=3).samples
    assert [track.name for track in sample.score.tracks] == list(VOICES)
    for before, after in zip(prompt.tracks, sample.score.tracks, strict=True):
        assert events(n for n in after.notes if n.time < 4 * 1920) == events(before.notes)
        assert after.program == before.program
    assert len(bars_of(sample.score)) == 7


def test_a_melody_given_as_soprano_goes_on_in_four_voices(writer: MusicModel) -> None:
    prompt = melody(scale(8, 480))
    config = GenerationConfig(num_samples=2, seed=3)
    result = writer.continue_(prompt, config, num_bars=2, given=["soprano"])
    for sample in result.samples:
        assert tuple(track.name for track in sample.score.tracks) == VOICES
        soprano = sample.score.tracks[0]
        assert events(n for n in soprano.notes if n.time < 8 * 480) == events(prompt.tracks[0].notes)
        assert len(bars_of(sample.score)) == 4
        assert any(note.time < 8 * 480 for note in sample.score.tracks[3].notes)
    assert (result.given, result.written) == (("Soprano",), VOICES)


def test_a_long_continuation_is_written_window_by_window(writer: MusicModel) -> None:
    (sample,) = writer.continue_(chorale(), num_bars=100).samples
    assert len(bars_of(sample.score)) == 104


@pytest.mark.parametrize("num_bars", [0, -1, 257])
def test_a_number_of_bars_out_of_range_is_refused(writer: MusicModel, num_bars: int) -> None:
    with pytest.raises(InputError, match="give 1 to 256"):
        writer.continue_(chorale(), num_bars=num_bars)


def outside(score: ScoreTick, start: int, end: int) -> list[list[Event]]:
    return [[event for event in events(track.notes) if not start <= event[0] < end] for track in score.tracks]


@pytest.mark.parametrize("bars", [(1, 1), (2, 3), (4, 4), (1, 4)])
def test_an_infill_leaves_everything_outside_untouched(writer: MusicModel, bars: tuple[int, int]) -> None:
    prompt = chorale()
    other = TrackTick("Organ", 19, False)
    other.notes.extend([NoteTick(0, 7680, 48, 50), NoteTick(0, 7680, 55, 50)])
    prompt.tracks.append(other)
    (sample,) = writer.infill(prompt, GenerationConfig(WILD), bars=bars).samples
    start, end = (bars[0] - 1) * 1920, bars[1] * 1920
    assert outside(sample.score, start, end) == outside(prompt, start, end)
    assert events(sample.score.tracks[4].notes) == events(other.notes)
    for track in sample.score.tracks[:4]:
        assert_no_overlap(events(track.notes))
        assert all(note.end <= end for note in track.notes if start <= note.time < end)
    assert {name for name, _, _ in sample.added} <= set(VOICES)


def test_a_pickup_is_bar_zero(writer: MusicModel) -> None:
    prompt = melody(scale(9, 480), meters=((0, 1, 4), (480, 4, 4)))
    (sample,) = writer.infill(prompt, bars=(0, 0)).samples
    assert outside(sample.score, 0, 480) == outside(prompt, 0, 480)
    assert all(onset < 480 for _, onset, _ in sample.added)


def test_given_voices_stay_inside_the_bars(writer: MusicModel) -> None:
    prompt = chorale()
    result = writer.infill(prompt, bars=(2, 3), given=["soprano", "tenor"])
    for index in (0, 2):
        assert events(result.samples[0].score.tracks[index].notes) == events(prompt.tracks[index].notes)
    assert result.written == ("Alto", "Bass")


def test_a_note_held_into_the_bars_stays_and_is_not_sung_over(writer: MusicModel) -> None:
    prompt = melody([(0, 960, 67), (960, 1500, 69), (2460, 1380, 67), (3840, 1920, 65)])
    for sample in writer.infill(prompt, GenerationConfig(WILD, num_samples=4), bars=(2, 2)).samples:
        notes = events(sample.score.tracks[0].notes)
        assert (960, 1500, 69, 90) in notes
        assert_no_overlap(notes)


def test_a_new_note_may_sound_as_long_as_the_one_it_replaces(writer: MusicModel) -> None:
    prompt = melody([(0, 1920, 67), (1920, 2400, 69), (4800, 960, 67)])
    ends = set()
    for sample in writer.infill(prompt, GenerationConfig(WILD, num_samples=16), bars=(2, 2)).samples:
        notes = events(sample.score.tracks[0].notes)
        assert_no_overlap(notes)
        ends |= {onset + duration for onset, duration, *_ in notes if 1920 <= onset < 3840}
    assert 3840 < max(ends) <= 4320


def test_a_note_just_before_the_bars_stays(writer: MusicModel) -> None:
    prompt = melody([(0, 1900, 67), (1919, 961, 69), (2880, 960, 65), (3838, 1922, 64)])
    (sample,) = writer.infill(prompt, bars=(2, 2)).samples
    assert outside(sample.score, 1920, 3840) == outside(prompt, 1920, 3840)
    assert_no_overlap(events(n for n in sample.score.tracks[0].notes if n.time != 0))


def test_one_bar_of_a_long_piece_is_written_with_what_is_near(writer: MusicModel) -> None:
    prompt = chorale(150)
    (sample,) = writer.infill(prompt, bars=(100, 101)).samples
    assert outside(sample.score, 99 * 1920, 101 * 1920) == outside(prompt, 99 * 1920, 101 * 1920)


@pytest.mark.parametrize("bars", [(0, 1), (3, 2), (4, 5)])
def test_bars_that_are_not_there_are_refused(writer: MusicModel, bars: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="the prompt has bars 1 to 4"):
        writer.infill(chorale(), bars=bars)


def test_a_voice_that_is_not_there_cannot_stay(writer: MusicModel) -> None:
    with pytest.raises(InputError, match="Bass is given, but the prompt has Soprano"):
        writer.infill(melody(scale(8, 480)), bars=(1, 1), given=["bass"])


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(-40, 40), st.integers(55, 80)), min_size=1, max_size=30),
    st.sampled_from([96, 120, 480]),
    st.integers(0, 1000),
)
def test_any_melody_is_kept(writer: MusicModel, steps: list[tuple[int, int, int]], tpq: int, seed: int) -> None:
    notes, onset = [], 0
    for step, longer, pitch in steps:
        notes.append((onset, max(1, min(step + longer, step + tpq // 5)), pitch))
        onset += step
    prompt = melody(notes, tpq=tpq)
    (sample,) = writer.harmonize(prompt, GenerationConfig(WILD, seed=seed)).samples
    assert_harmony(prompt, sample.score)


def midi(result: Any) -> list[bytes]:
    return [sample.score.dumps_midi() for sample in result.samples]


@pytest.mark.parametrize("best_of", [1, 3])
def test_what_is_written_is_told_bar_by_bar(writer: MusicModel, best_of: int) -> None:
    sketches: list[Sketch] = []
    config = GenerationConfig(SamplingConfig(best_of=best_of), num_samples=2, on_bar=sketches.append)
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


def test_a_seed_names_its_music(writer: MusicModel) -> None:
    prompt = melody(scale(8, 480))
    first = midi(writer.harmonize(prompt, GenerationConfig(seed=5, num_samples=3)))
    assert midi(writer.harmonize(prompt, GenerationConfig(seed=5, num_samples=3))) == first
    assert len(set(first)) == 3
    assert not set(first) & set(midi(writer.harmonize(prompt, GenerationConfig(seed=6, num_samples=3))))


# The command.


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "tune.mid"
    melody(scale(8, 480)).dump_midi(path)
    return path


@pytest.fixture
def generate(descant: Callable[..., Any], tiny_checkpoint: Path, tune: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs `descant generate` with the tiny model, in the folder of the tune."""
    monkeypatch.chdir(tune.parent)
    return lambda *arguments: descant("generate", "--prompt", tune.name, "--model", tiny_checkpoint, *arguments)


def test_default_names_are_numbered_together_with_whatever_lies_there(generate: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/tune-harmonize-2.mp3").write_bytes(b"mine")
    for _ in range(2):
        assert generate("--quiet", "--formats", "midi,png") == (0, "", "")
    assert generate("--quiet", "--num-samples", 2, "--formats", "midi,png", "--no-picture").status == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = ("tune-harmonize", "tune-harmonize-3")
    pictured = {f"{stem}{suffix}" for stem in stems for suffix in (".mid", ".png")}
    assert names == pictured | {"tune-harmonize-2.mp3", "tune-harmonize-4.mid", "tune-harmonize-5.mid"}
    assert (tmp_path / "out/tune-harmonize-2.mp3").read_bytes() == b"mine"


@pytest.mark.parametrize("existing", ["x.mid", "x.svg", "x-2.mid", "x-2.svg"])
def test_a_named_output_is_not_replaced(generate: Any, tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_bytes(b"mine")
    options = ("--out", "x.mid", "--num-samples", 2, "--formats", "midi,svg")
    outcome = generate(*options)
    assert outcome == (
        2,
        "",
        f"error: {existing} exists already; add --force to replace it, or choose another --out.\n",
    )
    assert {path.name for path in tmp_path.iterdir()} == {"tune.mid", existing}
    assert (tmp_path / existing).read_bytes() == b"mine"
    assert generate(*options, "--force").status == 0
    assert {path.name for path in tmp_path.iterdir()} == {"tune.mid", "x.mid", "x.svg", "x-2.mid", "x-2.svg"}


def test_json_is_one_line_and_names_every_file(generate: Any, tmp_path: Path) -> None:
    outcome = generate("--json", "--seed", 7, "--num-samples", 2, "--chords")
    assert (outcome.status, outcome.err) == (0, "")
    (line,) = outcome.out.splitlines()
    facts = json.loads(line)
    assert facts["outputs"] == ["out/tune-harmonize.mid", "out/tune-harmonize-2.mid"]
    assert facts["pictures"] == ["out/tune-harmonize.png", "out/tune-harmonize-2.png"]
    assert [list(files) for files in facts["files"]] == [["midi", "musicxml", "svg", "png", "flac"]] * 2
    named = [path for files in facts["files"] for paths in files.values() for path in paths]
    assert sorted(named) == sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "out").iterdir())
    assert (facts["task"], facts["seed"], facts["given"]) == ("harmonize", 7, ["Soprano"])
    assert facts["num_tokens"] > 0 < facts["tokens_per_second"]
    assert facts["seconds"] > 0
    assert len(facts["keys"]) == len(facts["chords"]) == 2
    assert facts["chords"][0][0].keys() == {"bar", "time_ticks", "symbol", "numeral"}


def test_the_summary_says_what_was_given_written_and_where(generate: Any) -> None:
    outcome = generate("--task", "continue", "--bars", 2)
    assert (outcome.status, outcome.err) == (0, "")
    for words in ("given    Soprano of tune.mid", "written  Soprano:", "out/tune-continue.mid", "--seed "):
        assert words in outcome.out


@pytest.mark.parametrize("order", [("--chords", "--seed", 1), ("--seed", 1, "--chords")])
def test_chords_stand_alone_anywhere_and_are_printed_and_written(generate: Any, order: tuple[object, ...]) -> None:
    outcome = generate("--task", "continue", "--bars", 1, "--formats", "musicxml", *order, "--key", "D minor")
    assert (outcome.status, outcome.err) == (0, "")
    assert "key      D minor (as asked for)" in outcome.out.splitlines()
    text = Path("out/tune-continue.musicxml").read_text()
    assert "<fifths>-1</fifths>" in text
    assert ("<harmony" in text) == ("chords   " in outcome.out)


def test_the_words_of_a_prompt_are_in_the_sheet_music(
    descant: Callable[..., Any], tiny_checkpoint: Path, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repo_root / "examples/au-clair-de-la-lune.musicxml").read_text()
    sung = text.replace("</note>", "<lyric><syllabic>single</syllabic><text>Mond</text></lyric></note>", 1)
    assert sung != text
    monkeypatch.chdir(tmp_path)
    Path("sung.musicxml").write_text(sung)
    options = ("--prompt", "sung.musicxml", "--model", tiny_checkpoint, "--out", "x.mid", "--formats", "midi,musicxml")
    assert descant("generate", *options, "--quiet") == (0, "", "")
    assert Path("x.musicxml").read_text().count("<text>Mond</text>") == 1


def test_a_format_that_cannot_be_made_is_left_out_and_said(generate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descant_tokenizers.engraving.pdf.why_no_pdf", lambda: "PDF needs the library libcairo2.")
    outcome = generate("--out", "x.mid", "--formats", "midi,pdf", "--json")
    facts = json.loads(outcome.out)
    assert facts["left_out"] == ["PDF needs the library libcairo2."]
    assert facts["files"] == [{"midi": ["x.mid"]}]
    outcome = generate("--out", "x.mid", "--formats", "midi,pdf", "--quiet", "--force")
    assert outcome == (0, "", "note: PDF needs the library libcairo2.\n")
    outcome = generate("--out", "y.pdf", "--formats", "pdf")
    assert outcome == (2, "", "error: PDF needs the library libcairo2.\n")
    assert not Path("y.pdf").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--formats", "midi,ogg"), "unknown format 'ogg'; give one or more of midi, musicxml, svg"),
        (("--formats", "png", "--no-picture"), "--no-picture leaves nothing of --formats png"),
        (("--formats", "svg", "--out", "x.mid"), "the output file is x.mid; give a name that ends in .svg."),
        (("--key", "H"), "'H' is no key; give one such as G"),
    ],
)
def test_wrong_formats_and_keys_are_told_before_the_work(generate: Any, options: tuple[str, ...], words: str) -> None:
    outcome = generate(*options)
    assert (outcome.status, outcome.out) == (2, "")
    assert words in outcome.err


def test_same_seed_same_bytes_in_another_process(
    generate: Any, tiny_checkpoint: Path, tmp_path: Path, repo_root: Path
) -> None:
    assert generate("--out", "here.mid", "--seed", 11).status == 0
    options = ["--prompt", "tune.mid", "--model", str(tiny_checkpoint), "--out", "there.mid", "--seed", "11"]
    script = [sys.executable, str(repo_root / "generate.py"), *options]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "there.mid").read_bytes() == (tmp_path / "here.mid").read_bytes()


def test_an_example_of_each_format_is_harmonized(
    descant: Callable[..., Any], tiny_checkpoint: Path, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("greensleeves.mid", "row-your-boat.abc", "au-clair-de-la-lune.musicxml"):
        prompt = repo_root / "examples" / name
        out = tmp_path / f"{prompt.stem}.mid"
        outcome = descant("generate", "--prompt", prompt, "--model", tiny_checkpoint, "--out", out, "--quiet")
        assert outcome == (0, "", "")
        assert_harmony(read_score(prompt), read_score(out))


@pytest.mark.skipif(not (EMBEDDED / "chorales").is_dir(), reason="this tree has no embedded weights")
def test_the_embedded_model_harmonizes_an_example(
    descant: Callable[..., Any], repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(repo_root / "examples/ode-to-joy.mid", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert descant("generate", "--prompt", "ode-to-joy.mid", "--seed", 1, "--quiet") == (0, "", "")
    result = read_score("out/ode-to-joy-harmonize.mid")
    assert_harmony(read_score("ode-to-joy.mid"), result)
    for track in result.tracks[1:]:
        assert len({note.time // (4 * result.ticks_per_quarter) for note in track.notes}) >= 14  # of 16 bars
