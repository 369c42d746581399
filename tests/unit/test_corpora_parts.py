"""From any tracks to four single lines."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.chorales import choose_parts
from descant_tokenizers.corpora.files import FolderCorpus, score_keys
from descant_tokenizers.corpora.reading import Parts, Reading, make_four_part, read_piece, single_line
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


def _read(path: Path, parts: Parts = "auto") -> Reading:
    return read_piece(path, path.read_bytes(), parts)


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
    score, remarks = make_four_part(source, [_track(_line(pitch)) for pitch in (72, 67, 60)] + [_track(chords)])
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
    reading = _read(_write(tmp_path / "x.mid", *tracks))
    assert [track.notes[0].pitch for track in reading.score.tracks] == [50, 65, 60, 70]
    assert reading.num_parts == 5
    assert reading.remarks == ("track 5 'Organ' left out beside the four voices",)


def test_four_single_lines_are_ordered_by_pitch(tmp_path: Path) -> None:
    tracks = [_track(_line(pitch), "Organ") for pitch in (48, 72, 60, 65)]
    reading = _read(_write(tmp_path / "x.mid", *tracks))
    assert [track.name for track in reading.score.tracks] == list(VOICES)
    assert [track.notes[0].pitch for track in reading.score.tracks] == [72, 65, 60, 48]
    assert reading.num_parts == 4


NOT_FOUR = {
    "three": [_track(_line(pitch), "Horn") for pitch in (60, 64, 67)],
    "five": [_track(_line(pitch), "Horn") for pitch in (48, 55, 60, 64, 67)],
    "drums": [*(_track(_line(pitch), "Horn") for pitch in (72, 67, 60)), _track(_line(36), "Kit", is_drum=True)],
    "four and drums": [*(_track(_line(pitch)) for pitch in (72, 67, 60, 48)), _track(_line(36), is_drum=True)],
    "chords": [*(_track(_line(pitch)) for pitch in (72, 67, 60)), _track([(0, 24, 48), (0, 24, 55)], "left hand")],
}


@pytest.mark.parametrize("tracks", NOT_FOUR.values(), ids=list(NOT_FOUR))
def test_what_is_not_four_part_stays_as_it_is(tmp_path: Path, tracks: list[TrackTick]) -> None:
    for program, track in enumerate(tracks, start=30):
        track.program = program
    _same_tracks(_read(_write(tmp_path / "x.mid", *tracks)), tracks)


def test_every_track_is_kept_on_request(tmp_path: Path) -> None:
    tracks = [_track(_line(70 - 5 * place), name) for place, name in enumerate((*VOICES, "Piano"))]
    _same_tracks(_read(_write(tmp_path / "x.mid", *tracks), "all"), tracks)


def _same_tracks(reading: Reading, tracks: list[TrackTick]) -> None:
    """Assert that nothing was changed: neither names, programs, drums nor notes with their velocities."""
    assert list(reading.score.tracks) == tracks
    assert reading.num_parts == len(tracks)
    assert reading.remarks == ()


def test_score_files_are_found_in_every_folder_in_one_order(tmp_path: Path) -> None:
    for name in ("b.mid", "a/z.MIDI", "a.mid", "b.abc", "c.mxl", "notes.txt", ".hidden.mid"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = ["a.mid", "a/z.MIDI", "b.abc", "b.mid", "c.mxl"]
    assert score_keys(tmp_path) == names
    corpus = FolderCorpus.of(tmp_path)
    assert [corpus.id_of(key) for key in corpus.keys] == ["a", "a/z", "b.abc", "b.mid", "c"]


def test_a_folder_must_exist_and_hold_scores(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no score file"):
        score_keys(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        score_keys(tmp_path / "nothing")
