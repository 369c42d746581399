"""From any tracks to four single lines."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.corpora.chorales import choose_parts
from descant_tokenizers.corpora.folder import FolderCorpus, midi_files, read_four_part_midi
from descant_tokenizers.corpora.reading import four_voices, single_line
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import VOICES

Notes = list[tuple[int, int, int]]

any_notes: st.SearchStrategy[Notes] = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(30, 90)), min_size=1, max_size=12
)


def _track(notes: Notes, name: str = "", *, is_drum: bool = False) -> TrackTick:
    track = TrackTick(name, 0, is_drum)
    for onset, duration, pitch in notes:
        track.notes.append(NoteTick(onset, duration, pitch, 80))
    return track


def _write(path: Path, *tracks: TrackTick) -> Path:
    score = ScoreTick(24)
    score.tracks.extend(tracks)
    score.dump_midi(path)
    return path


def _line(pitch: int) -> Notes:
    return [(0, 24, pitch), (24, 24, pitch + 2)]


@settings(max_examples=60)
@given(any_notes, st.sampled_from(VOICES))
def test_a_single_line_sounds_one_outer_note_at_a_time(notes: Notes, voice: str) -> None:
    line, num_dropped, _ = single_line(_track(notes), voice)
    assert line.name == voice
    assert [note.time for note in line.notes] == sorted({onset for onset, _, _ in notes})
    assert all(before.end <= after.time for before, after in itertools.pairwise(line.notes))
    assert num_dropped == len(notes) - len(line.notes)
    outer = min if voice == "Bass" else max
    assert all(note.pitch == outer(p for onset, _, p in notes if onset == note.time) for note in line.notes)


def test_a_clean_line_stays_as_it_is() -> None:
    assert single_line(_track(_line(60)), "Alto")[1:] == (0, 0)
    assert single_line(_track(_line(60)), "Alto")[0].notes == _track(_line(60)).notes


def test_four_voices_keep_meter_key_and_tempo_and_say_what_they_lost() -> None:
    source = ScoreTick(24)
    source.time_signatures.append(TimeSignatureTick(0, 3, 4))
    source.key_signatures.append(KeySignatureTick(0, -2, 1))
    source.tempos.append(TempoTick(0, qpm=66.0))
    chords = [(0, 30, 48), (0, 24, 60), (24, 24, 55)]
    score, remarks = four_voices(source, [_track(_line(pitch)) for pitch in (72, 67, 60)] + [_track(chords)])
    assert [track.name for track in score.tracks] == list(VOICES)
    assert remarks == ("Bass: 1 simultaneous notes dropped (lowest kept), 1 overlaps cut",)
    assert (score.time_signatures, score.key_signatures) == (source.time_signatures, source.key_signatures)
    assert score.tempos == source.tempos


def test_four_parts_are_taken_from_top_to_bottom() -> None:
    assert choose_parts(["Violin", "Alto", "Soprano", ""], "x.mxl") == [0, 1, 2, 3]


def test_from_many_parts_the_named_voices_are_taken() -> None:
    names = ["Horn 1", "soprano\rOboe 1", "Alto Viloin 2", "Tenor", "Continuo", "BASS"]
    assert choose_parts(names, "x.mxl") == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Piano", "Piano"], "2 parts, none of them named Soprano"),
        (["Soprano 1", "Soprano 2", "Alto", "Tenor", "Bass"], "5 parts, 2 of them named Soprano"),
    ],
)
def test_without_one_part_for_each_voice_there_is_no_piece(names: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        choose_parts(names, "x.mxl")


def test_named_tracks_are_the_voices_whatever_their_pitch(tmp_path: Path) -> None:
    names = {"b": 70, "Tenor": 60, "SOPRANO": 50, "Alto ": 65, "Organ": 40}
    tracks = [_track(_line(pitch), name) for name, pitch in names.items()]
    reading = read_four_part_midi(_write(tmp_path / "x.mid", *tracks))
    assert [track.notes[0].pitch for track in reading.score.tracks] == [50, 65, 60, 70]
    assert reading.num_parts == 5
    assert reading.remarks == ()


def test_other_tracks_are_ordered_by_pitch_and_drums_do_not_count(tmp_path: Path) -> None:
    tracks = [_track(_line(pitch), "Organ") for pitch in (48, 72, 60, 65)]
    drums = _track(_line(36), "Soprano", is_drum=True)
    reading = read_four_part_midi(_write(tmp_path / "x.mid", *tracks, drums))
    assert [track.name for track in reading.score.tracks] == list(VOICES)
    assert [track.notes[0].pitch for track in reading.score.tracks] == [72, 65, 60, 48]
    assert reading.num_parts == 4


@pytest.mark.parametrize("pitches", [(60, 64, 67), (48, 55, 60, 64, 67)])
def test_unnamed_tracks_must_be_four(tmp_path: Path, pitches: tuple[int, ...]) -> None:
    path = _write(tmp_path / "x.mid", *(_track(_line(pitch)) for pitch in pitches))
    with pytest.raises(InputError, match=f"has {len(pitches)} tracks with notes"):
        read_four_part_midi(path)


def test_unnamed_tracks_must_be_single_lines(tmp_path: Path) -> None:
    tracks = [_track(_line(pitch)) for pitch in (72, 67, 60)]
    path = _write(tmp_path / "x.mid", *tracks, _track([(0, 24, 48), (0, 24, 55)], "left hand"))
    with pytest.raises(InputError, match="has chords in its track left hand"):
        read_four_part_midi(path)


def test_midi_files_are_found_in_every_folder_in_one_order(tmp_path: Path) -> None:
    for name in ("b.mid", "a/z.MIDI", "a.mid", "notes.txt", ".hidden.mid"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert midi_files(tmp_path) == [tmp_path / "a.mid", tmp_path / "a/z.MIDI", tmp_path / "b.mid"]
    assert FolderCorpus.of(tmp_path).id_of(tmp_path / "a/z.MIDI") == "a/z"


def test_a_folder_must_exist_and_hold_midi(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no MIDI file"):
        midi_files(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        midi_files(tmp_path / "nothing")
