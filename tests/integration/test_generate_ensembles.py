"""Songs and string quartets as they are generated: named parts, the tune as it was, tracks in score order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ensemble_models import save_ensemble
from small_ensembles import SCALE, song, song_xml
from symusic.core import ScoreTick

from descant_modeling.api import Model, load
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.ensembles import EnsembleGenerator
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.scores import read_score_report, write_midi

WILD = GenerationConfig(temperature=1.0, top_p=1.0, seed=3)
TUNE = Path(__file__).resolve().parents[2] / "examples" / "ode-to-joy.mid"


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(save_ensemble("song", tmp_path_factory.mktemp("songs")), "cpu")


@pytest.fixture(scope="module")
def quartets(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(save_ensemble("quartet", tmp_path_factory.mktemp("quartets")), "cpu")


def notes_of(score: ScoreTick, index: int) -> list[tuple[int, ...]]:
    return sorted((n.time, n.duration, n.pitch, n.velocity) for n in score.tracks[index].notes)


def test_a_tune_gets_two_hands_and_stays_as_it_was(songs):
    assert isinstance(songs.generator, EnsembleGenerator)
    tune = read_score_report(TUNE).score
    result = songs.harmonize(tune, config=WILD)
    assert [(track.name, track.program) for track in result.score.tracks] == [
        ("Voice", tune.tracks[0].program),
        ("Right hand", 0),
        ("Left hand", 0),
    ]
    factor = result.score.ticks_per_quarter // tune.ticks_per_quarter
    given = [(time * factor, length * factor, *rest) for time, length, *rest in notes_of(tune, 0)]
    assert notes_of(result.score, 0) == given
    assert result.written == ("Left hand", "Right hand")
    assert {name for name, _, _ in result.samples[0].added} <= {"Left hand", "Right hand"}
    assert len(result.samples[0].added) > 20
    low, high = songs.generator.checkpoint.meta.voice_ranges[1]
    assert all(low <= note.pitch <= high for note in result.score.tracks[2].notes)


def test_one_hand_is_written_to_the_other(songs):
    result = songs.harmonize(song(), given=["Voice", "Right hand"], write=["left"], config=WILD)
    assert result.written == ("Left hand",)
    fine = result.score.ticks_per_quarter // 480
    for index in (0, 1):
        before = [(time * fine, length * fine, *rest) for time, length, *rest in notes_of(song(), index)]
        assert notes_of(result.score, index) == before


def test_a_song_goes_on_in_all_its_parts_and_a_span_of_one_is_written_again(songs):
    result = songs.continue_(song(), bars=2, config=WILD)
    assert {name for name, _, _ in result.samples[0].added} <= {"Voice", "Right hand", "Left hand"}
    end = song().end() * result.score.ticks_per_quarter // 480
    assert all(time >= end for _, time, _ in result.samples[0].added)
    again = songs.infill(song(), bars=(2, 3), given=["Voice"], config=WILD)
    fine = again.score.ticks_per_quarter // 480
    assert notes_of(again.score, 0) == [(t * fine, d * fine, *rest) for t, d, *rest in notes_of(song(), 0)]
    assert all(time // fine >= 480 for _, time, _ in again.samples[0].added)


def test_tracks_that_are_not_continued_are_named(quartets):
    choir = song()
    for track, name in zip(choir.tracks, ("Soprano", "Alto", "Tenor"), strict=True):
        track.name = name
    result = quartets.continue_(choir, bars=1, config=WILD)
    assert [track.name for track in result.score.tracks] == ["Violin I"]
    (named,) = (remark for remark in result.remarks if remark.startswith("left out"))
    assert "'Alto'" in named
    assert "'Tenor'" in named
    assert "'Soprano'" not in named


def test_a_violin_gets_its_quartet_in_a_style(quartets):
    result = quartets.harmonize(TUNE, style="haydn", config=WILD)
    assert [(track.name, track.program) for track in result.score.tracks][1:] == [
        ("Violin II", 40),
        ("Viola", 41),
        ("Cello", 42),
    ]
    assert result.score.tracks[0].name == "Violin I"
    with pytest.raises(InputError, match="Choose from mozart, haydn"):
        quartets.harmonize(TUNE, style="bach", config=WILD)


def test_tracks_that_are_no_parts_are_refused(songs):
    other = song(names=("Voice", "Organ", "Left hand"))
    other.tracks.pop(2)
    with pytest.raises(InputError, match=r"Track 2 'Organ' .* is no part of the model\. Name it one of Voice"):
        songs.harmonize(other, given=["Voice", "Organ"], config=WILD)
    with pytest.raises(InputError, match=r"The model has no part 'drums'\. Choose from Voice, Right hand, Left hand"):
        songs.harmonize(song(), write=["drums"], config=WILD)
    with pytest.raises(InputError, match=r"Voice is given and written\. Choose one of the two"):
        songs.harmonize(song(), given=["Voice"], write=["voice"], config=WILD)
    with pytest.raises(InputError, match=r"All parts are given\. Name the given ones with given"):
        songs.harmonize(song(), given=["Voice", "Left hand", "Right hand"], config=WILD)


def test_the_command_writes_sheet_music_with_a_brace(descant, tmp_path):
    write_midi(song(), tmp_path / "song.mid")
    ended = descant("render", tmp_path / "song.mid", "--out", tmp_path / "song", "--formats", "musicxml")
    assert ended.status == 0, ended.err
    text = (tmp_path / "song.musicxml").read_text(encoding="utf-8")
    assert text.count("<group-symbol>brace</group-symbol>") == 1
    assert "<group-symbol>bracket</group-symbol>" not in text


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen songs, split by title."""
    folder = tmp_path_factory.mktemp("airs")
    for number in range(14):
        shift = SCALE[number % 7] - 12 * (number // 7)
        (folder / f"{number}.musicxml").write_text(song_xml(f"Air {number}", shift=shift), encoding="utf-8")
    report = build_dataset(str(folder), folder / "built", parts="song", num_proc=1)
    assert report.splits["train"] > 5
    assert report.splits["valid"] > 0
    return folder / "built"


def test_accompaniments_are_measured_beside_the_real_ones_and_those_of_another_piece(songs, dataset, descant, tmp_path):
    model = songs.generator.checkpoint.folder
    options = ("accompaniment", dataset, "--model", model, "--device", "cpu")
    ended = descant("evaluate", *options, "--json", "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    facts = json.loads(ended.out)
    assert set(facts["figures"]) >= {"model", "real"}
    real = facts["figures"]["real"]
    assert real["num_pieces"] == facts["figures"]["model"]["num_pieces"] == len(list((tmp_path / "out").glob("*.mid")))
    assert real["notes"]["value"] == 2
    assert real["within_tenth"]["value"] == 100
    assert real["repeated_notes"]["value"] == 100
    assert facts["shared_with_train"]["real"]["longest"] == 6  # all songs have the same hands
    assert facts["shared_with_train"]["model"]["longest"] < 6
    assert descant("evaluate", *options, "--limit", "1").status == 0


def test_what_cannot_be_measured_is_refused(songs, dataset, descant, tmp_path):
    model = songs.generator.checkpoint.folder

    def refused(*arguments: object) -> str:
        ended = descant("evaluate", "accompaniment", *arguments)
        assert ended.status == 2
        return str(ended.err)

    assert "is no model of songs or quartets. Choose another --model" in refused(dataset, "--model", "chorales")
    assert "has Voice and at most 1 bars. Allow longer ones" in refused(dataset, "--model", model, "--max-bars", "1")
    assert "has no split 'held_out' beside train" in refused(dataset, "--model", model, "--split", "held_out")
    assert "already exists. Choose a new folder" in refused(dataset, "--model", model, "--out", tmp_path)


def test_the_piano_of_a_song_is_scored_given_the_voice(songs, dataset, descant):
    options = (
        "likelihood",
        "--model",
        songs.generator.checkpoint.folder,
        "--corpus",
        dataset,
        "--device",
        "cpu",
        "--json",
    )
    whole, piano = (json.loads(descant("evaluate", *options, "--task", t).out) for t in ("continue", "harmonize"))
    assert piano["num_notes"] == whole["num_notes"] * 12 // 21
    assert 0 < piano["bits_per_note"] < 40


def chords_of(score: ScoreTick, index: int) -> list[list[int]]:
    """Return the pitches that begin together in a track."""
    found: dict[int, list[int]] = {}
    for note in score.tracks[index].notes:
        found.setdefault(note.time, []).append(note.pitch)
    return list(found.values())


def test_new_chords_can_be_struck_by_a_hand_and_bowed_on_two_strings(songs, quartets):
    song_, quartet = songs.harmonize(TUNE, config=WILD).score, quartets.harmonize(TUNE, config=WILD).score
    hands = [chord for index in (1, 2) for chord in chords_of(song_, index)]
    assert max(map(len, hands)) > 1
    assert all(len(chord) <= 5 and max(chord) - min(chord) <= 16 for chord in hands)
    strings = [chord for index in (1, 2, 3) for chord in chords_of(quartet, index)]
    assert strings
    assert all(len(chord) <= 2 and max(chord) - min(chord) <= 12 for chord in strings)


def test_strings_begin_no_note_while_they_hold_another(quartets):
    for task in (quartets.harmonize(TUNE, config=WILD), quartets.continue_(TUNE, bars=4, write=["cello"], config=WILD)):
        for track in task.score.tracks[1:]:
            ends = 0
            for time in sorted({note.time for note in track.notes}):
                assert ends <= time, track.name
                ends = max(note.end for note in track.notes if note.time == time)
        assert len(task.samples[0].added) > 20


def test_no_part_moves_on_after_the_last_note_of_the_tune(songs):
    result = songs.harmonize(TUNE, config=WILD)
    last = max(note.time for note in result.score.tracks[0].notes)
    assert all(time <= last for _, time, _ in result.samples[0].added)


def test_an_introduction_is_written_last(songs, monkeypatch):
    """It is infilled before bars that are there already, and its notes end where the voice enters."""
    late = song(num_bars=8)
    late.tracks[0].notes = type(late.tracks[0].notes)([n for n in late.tracks[0].notes if n.time >= 480 + 4 * 1440])
    for track in late.tracks[1:]:
        track.notes = type(track.notes)()
    written = []
    write = EnsembleGenerator._write

    def spy(self, partial, task, spans, bars, *rest, **more):
        written.append((str(task), bars.start, bars.stop))
        write(self, partial, task, spans, bars, *rest, **more)

    monkeypatch.setattr(EnsembleGenerator, "_write", spy)
    result = songs.harmonize(late, given=["Voice"], config=WILD)
    assert written == [("harmonize", 5, 9), ("infill", 0, 5)]
    entrance = (480 + 4 * 1440) * result.score.ticks_per_quarter // 480
    added = result.samples[0].added
    notes = [n for track in result.score.tracks for n in track.notes if (track.name, n.time, n.pitch) in added]
    assert any(note.time < entrance for note in notes)
    assert all(note.end <= entrance for note in notes if note.time < entrance)
    assert any(note.time >= entrance for note in notes)


def test_a_long_song_is_written_in_windows_as_one_harmony(songs):
    long = song(num_bars=24)
    for track in long.tracks[1:]:
        track.notes = type(track.notes)()
    result = songs.harmonize(long, given=["Voice"], config=WILD)
    bars = {time * 480 // result.score.ticks_per_quarter // 1440 for _, time, _ in result.samples[0].added}
    assert len(bars) > 18
