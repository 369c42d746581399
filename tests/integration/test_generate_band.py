"""Prompts of any instruments: what was given stays as it was, and what is written goes where it belongs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from symusic.core import (
    ControlChangeTick,
    KeySignatureTick,
    NoteTick,
    PitchBendTick,
    ScoreTick,
    TempoTick,
    TimeSignatureTick,
    TrackTick,
)

from descant_modeling.api import Model, load, load_generator
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.multitrack import MultitrackGenerator
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import bars_of, read_score_report, write_midi

WILD = GenerationConfig(temperature=1.0, top_p=1.0, seed=3)
BAR = 1920
NUM_BARS = 6


@pytest.fixture(scope="module")
def writer(band_checkpoint: Path) -> Model:
    return load(str(band_checkpoint), "cpu")


def band() -> ScoreTick:
    """Melody, two hands of a piano, bass and drums; off the grid, with pedal, bends, volume and changes of tempo."""
    score = ScoreTick(480)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    score.key_signatures.append(KeySignatureTick(0, 2, 0))
    score.tempos.extend([TempoTick(0, qpm=97), TempoTick(BAR * 2, qpm=133.3)])
    parts = (
        ("Tune", 40, False, [72, 74, 76, 77], 1),
        ("Right", 0, False, [64, 67, 72], 2),
        ("Left", 0, False, [40, 47, 52], 2),
        ("Low", 33, False, [31, 38], 1),
        ("Kit", 25, True, [36, 42, 38, 42], 1),
    )
    for rank, (name, program, is_drum, pitches, chord) in enumerate(parts):
        track = TrackTick(name, program, is_drum)
        for beat in range(NUM_BARS * 4):
            for voice in range(chord):
                onset = beat * 480 + (rank * 3 if beat % 2 else 0)
                pitch = pitches[(beat + voice) % len(pitches)]
                track.notes.append(NoteTick(onset, 400 + rank, pitch, 50 + beat + rank))
        score.tracks.append(track)
    low, right = score.tracks[3], score.tracks[1]
    low.pitch_bends.extend(
        [PitchBendTick(BAR - 100, 300), PitchBendTick(BAR * 2 + 10, 500), PitchBendTick(BAR * 5, 700)]
    )
    right.controls.extend([ControlChangeTick(0, 7, 99), ControlChangeTick(BAR + 50, 64, 127)])
    right.controls.extend([ControlChangeTick(BAR * 2 + 30, 64, 0), ControlChangeTick(BAR * 5, 64, 127)])
    return score


def notes_of(score: ScoreTick, factor: int = 1) -> dict[str, list[tuple[int, ...]]]:
    return {
        track.name: sorted((n.time * factor, n.duration * factor, n.pitch, n.velocity) for n in track.notes)
        for track in score.tracks
    }


def before(notes: dict[str, list[tuple[int, ...]]], end: int) -> dict[str, list[tuple[int, ...]]]:
    return {name: [note for note in own if note[0] < end] for name, own in notes.items()}


def events_of(score: ScoreTick, factor: int = 1) -> list[Any]:
    """Tempos, signatures, keys, and the controllers and bends of each track."""
    return [
        [(t.time * factor, t.mspq) for t in score.tempos],
        [(t.time * factor, t.numerator, t.denominator) for t in score.time_signatures],
        [(k.time * factor, k.key, k.tonality) for k in score.key_signatures],
        {t.name: [(c.time * factor, c.number, c.value) for c in t.controls] for t in score.tracks},
        {t.name: [(b.time * factor, b.value) for b in t.pitch_bends] for t in score.tracks},
        {t.name: (t.program, t.is_drum) for t in score.tracks},
    ]


def assert_no_pitch_twice(score: ScoreTick) -> None:
    for track in score.tracks:
        ends: dict[int, int] = {}
        for note in sorted(track.notes, key=lambda n: n.time):
            assert note.duration > 0
            assert ends.get(note.pitch, 0) <= note.time
            ends[note.pitch] = note.end


def test_a_continuation_adds_notes_behind_and_changes_nothing_before(writer: Model) -> None:
    prompt = band()
    (sample,) = writer.continue_(prompt, WILD, bars=3).samples
    assert sample.score.ticks_per_quarter == 480
    notes = notes_of(sample.score)
    assert before(notes, BAR * NUM_BARS) == notes_of(prompt)
    added = {name: [note for note in own if note[0] >= BAR * NUM_BARS] for name, own in notes.items()}
    assert sum(map(len, added.values())) == len(sample.added) > 0
    assert all(onset + duration <= BAR * (NUM_BARS + 3) for own in added.values() for onset, duration, *_ in own)
    assert_no_pitch_twice(sample.score)
    assert len(bars_of(sample.score)) == NUM_BARS + 3
    # What was there stays; a bend and a pedal that would go on are taken back at the bar line.
    mine, his = events_of(sample.score), events_of(prompt)
    assert mine[1:3] == his[1:3]
    assert mine[5] == his[5]
    assert mine[0][: len(his[0])] == his[0]
    assert all(time >= BAR * NUM_BARS for time, _ in mine[0][len(his[0]) :])
    end = BAR * NUM_BARS
    assert mine[3] == {**his[3], "Right": [*his[3]["Right"], (end, 64, 0)]}
    assert mine[4] == {**his[4], "Low": [*his[4]["Low"], (end, 0)]}


def test_new_notes_go_to_the_nearer_of_the_tracks_of_one_instrument(writer: Model) -> None:
    samples = writer.continue_(band(), WILD, bars=4, num_samples=4).samples
    added = [note for sample in samples for note in sample.added]
    pitches = {name: [p for own, time, p in added if own == name] for name in ("Right", "Left")}
    assert pitches["Right"] or pitches["Left"]
    middle = (67 + 47) / 2
    assert all(pitch >= middle for pitch in pitches["Right"])
    assert all(pitch <= middle for pitch in pitches["Left"])


@pytest.mark.parametrize("bars", [(1, 1), (2, 3), (1, NUM_BARS)])
def test_an_infill_leaves_everything_outside_untouched(writer: Model, bars: tuple[int, int]) -> None:
    prompt = band()
    result = writer.infill(prompt, WILD, bars=bars, given=["tune", "5"])
    (sample,) = result.samples
    assert result.given == ("1 'Tune' (Violin)", "5 'Kit' (Drums)")
    start, end = (bars[0] - 1) * BAR, bars[1] * BAR
    mine, his = notes_of(sample.score), notes_of(prompt)
    assert mine["Tune"] == his["Tune"]
    assert mine["Kit"] == his["Kit"]
    for name in ("Right", "Left", "Low"):
        assert [note for note in mine[name] if not start <= note[0] < end] == [
            note for note in his[name] if not start <= note[0] < end
        ]
    assert {(name, time, pitch) for name, own in mine.items() for time, _, pitch, _ in own} >= sample.added
    assert {name for name, *_ in sample.added} <= {"Right", "Left", "Low"}
    assert all(start <= time < end for _, time, _ in sample.added)
    assert_no_pitch_twice(sample.score)
    assert events_of(sample.score)[:3] == events_of(prompt)[:3]


def test_a_bar_line_off_the_grid_stays_where_it_is(writer: Model) -> None:
    """The model sees such a bar a little longer; what it writes is put back where the prompt has its bars."""
    prompt = band()
    prompt.time_signatures.append(TimeSignatureTick(BAR * 2 - 16, 4, 4))
    last = bars_of(prompt)[-1]
    (longer,) = writer.continue_(prompt, WILD, bars=1).samples
    assert before(notes_of(longer.score), last.end_ticks) == notes_of(prompt)
    assert min(time for _, time, _ in longer.added) >= last.end_ticks
    (filled,) = writer.infill(prompt, WILD, bars=(3, 3)).samples
    bar = bars_of(prompt)[2]
    assert bar.start_ticks == BAR * 2 - 16
    assert all(bar.start_ticks <= time < bar.end_ticks for _, time, _ in filled.added)
    for name, own in notes_of(prompt).items():
        outside = [note for note in own if not bar.start_ticks <= note[0] < bar.end_ticks]
        assert set(outside) <= set(notes_of(filled.score)[name])


def test_bends_and_pedals_of_a_rewritten_stretch_go_and_come_back_behind_it(writer: Model) -> None:
    (sample,) = writer.infill(band(), WILD, bars=(2, 2), given=["tune", "kit"]).samples
    controls, bends = events_of(sample.score)[3:5]
    assert bends["Low"] == [(BAR - 100, 300), (BAR, 0), (BAR * 2, 300), (BAR * 2 + 10, 500), (BAR * 5, 700)]
    assert controls["Right"] == [(0, 7, 99), (BAR * 2, 64, 127), (BAR * 2 + 30, 64, 0), (BAR * 5, 64, 127)]


def test_a_harmony_writes_the_instruments_asked_for(writer: Model) -> None:
    prompt = band()
    result = writer.harmonize(prompt, WILD, given=["tune"], write=["piano", "33", "Kit"])
    (sample,) = result.samples
    assert result.given == ("1 'Tune' (Violin)",)
    assert result.written == ("Acoustic Grand Piano", "Electric Bass (finger)", "Drums")
    assert notes_of(sample.score)["Tune"] == notes_of(prompt)["Tune"]
    end = max(note.end for note in prompt.tracks[0].notes)
    for track in sample.score.tracks[1:]:
        assert (track.program, track.is_drum) in {(0, False), (33, False), (0, True)}
        assert all(0 <= note.time < note.end <= end for note in track.notes)
        low, high = {0: (36, 84), 33: (28, 50)}.get(track.program, (35, 51)) if not track.is_drum else (35, 51)
        assert all(low <= note.pitch <= high for note in track.notes)
    assert len(sample.score.tracks) > 1
    assert_no_pitch_twice(sample.score)


def test_instruments_of_the_other_tracks_are_written_if_nothing_is_said(writer: Model) -> None:
    result = writer.harmonize(band(), WILD, track="Tune")
    assert result.written == ("Acoustic Grand Piano", "Electric Bass (finger)", "Drums")


def test_an_instrument_may_join_a_continuation(writer: Model) -> None:
    result = writer.continue_(band(), WILD, bars=1, given=["tune", "low"], write=["drums"])
    (sample,) = result.samples
    assert [track.name for track in sample.score.tracks][:2] == ["Tune", "Low"]
    assert before(notes_of(sample.score), BAR * NUM_BARS)["Tune"] == notes_of(band())["Tune"]
    drums = [time for name, time, _ in sample.added if name == "Drums"]
    assert any(time < BAR * NUM_BARS for time in drums)


def test_the_same_seed_writes_the_same(writer: Model) -> None:
    first, again = (writer.continue_(band(), WILD, bars=2).samples[0].score for _ in range(2))
    assert first == again
    config = replace(WILD, num_samples=3)
    samples = writer.continue_(band(), config, bars=2).samples
    assert len({str(notes_of(sample.score)) for sample in samples}) == 3


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        ("harmonize", {"given": ["flute"]}, "There is no track 'flute'. Choose from 1 'Tune' (Violin), 2 'Right'"),
        ("harmonize", {"given": ["9"]}, "There is no track '9'. Choose from"),
        ("harmonize", {"write": ["flute"]}, "The model does not play 'flute'. Choose from acoustic grand piano (0), "),
        ("harmonize", {"write": ["73"]}, "The model does not play '73'. Choose from"),
        ("harmonize", {"given": ["right"], "write": ["piano"]}, "Acoustic Grand Piano is given and written"),
        ("harmonize", {"given": ["1", "2", "3", "4", "5"]}, "The instruments to write are missing. Name some of"),
        ("harmonize", {"given": ["1"], "track": "2"}, "track names the one given track"),
        ("infill", {"bars": (1, 2), "given": ["left"]}, "Tracks 3 'Left' (Acoustic Grand Piano) and 2 'Right'"),
        ("infill", {"bars": (1, 2), "given": ["low"], "write": ["bass"]}, "Track 4 'Low' (Electric Bass (finger)) is"),
        ("infill", {"bars": (5, 9)}, "The bars to write are 5-9. Choose from the prompt's bars 1 to 6"),
        ("infill", {"bars": (1, 1), "given": ["1", "2", "3", "4", "5"]}, "All tracks are given"),
        ("continue_", {"bars": 0}, "The number of bars to write is 0"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_one_sentence(writer: Model, task: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        getattr(writer, task)(band(), WILD, **values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_kind_of_music_has_its_generator(band_checkpoint: Path, tiny_checkpoint: Path) -> None:
    assert isinstance(load_generator(str(band_checkpoint)), MultitrackGenerator)
    assert isinstance(load_generator(str(tiny_checkpoint)), FourPartGenerator)


def test_the_command_keeps_a_file_and_writes_another(band_checkpoint: Path, descant: Any, tmp_path: Path) -> None:
    prompt, out = tmp_path / "band.mid", tmp_path / "more.mid"
    write_midi(band(), prompt)
    arguments = ["--model", band_checkpoint, "--out", out, "--seed", 1, "--json"]
    ended = descant("generate", "--prompt", prompt, "--task", "continue", "--bars", 2, *arguments)
    assert ended.status == 0, ended.err
    facts = json.loads(ended.out)
    assert facts["written"][0] == "Acoustic Grand Piano"
    given, result = (read_score_report(path, controls=True).score for path in (prompt, out))
    assert before(notes_of(result), BAR * NUM_BARS) == notes_of(given)
    assert events_of(result)[3]["Right"][:4] == events_of(given)[3]["Right"]
    assert out.with_suffix(".png").is_file()


def test_the_command_harmonizes_by_name(band_checkpoint: Path, descant: Any, tmp_path: Path) -> None:
    prompt, out = tmp_path / "band.mid", tmp_path / "harmony.mid"
    write_midi(band(), prompt)
    arguments = ["--model", band_checkpoint, "--out", out, "--seed", 1, "--formats", "midi"]
    ended = descant("generate", "--prompt", prompt, "--given", "tune", "--write", "piano,bass", *arguments)
    assert ended.status == 0, ended.err
    assert "given    1 'Tune' (Violin)" in ended.out
    assert "written  Acoustic Grand Piano, Electric Bass (finger)" in ended.out
    assert read_score_report(out).score.tracks[0].name == "Tune"


def test_a_model_of_four_voices_takes_no_instruments(tiny_checkpoint: Path, descant: Any, repo_root: Path) -> None:
    tune = repo_root / "examples" / "twinkle.mid"
    ended = descant("generate", "--prompt", tune, "--model", tiny_checkpoint, "--write", "piano")
    assert (ended.status, ended.out) == (2, "")
    assert "--write is for multitrack models" in ended.err


def test_only_an_instrument_that_got_no_note_is_called_silent(writer: Model) -> None:
    """What it is named after in the summary is no name of a track: its program, or number, name and program."""
    track_of = {"Violin": ["Tune"], "Acoustic Grand Piano": ["Right", "Left"], "Drums": ["Kit"]}
    track_of |= {"Electric Bass (finger)": ["Low"]}
    config = replace(WILD, num_samples=4)
    continued = writer.continue_(band(), config, bars=1)
    infilled = writer.infill(band(), config, bars=(2, 2))
    for result in (continued, infilled):
        expected = []
        for number, sample in enumerate(result.samples, start=1):
            found = {name for name, _, _ in sample.added}
            for label in result.written:
                tracks = track_of.get(label) or [label.split("'")[1]]
                expected += [f"{label} has no new note in sample {number}"] * found.isdisjoint(tracks)
        assert list(result.silences) == expected
        assert len(expected) < 4 * len(result.written), "nothing at all was written"
