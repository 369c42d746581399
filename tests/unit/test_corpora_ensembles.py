"""Folders of songs and string quartets: parts, movements, works that stay in one split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from small_ensembles import quartet_xml, song, song_xml
from symusic.core import TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build_dataset, load_corpus, row_to_score
from descant_tokenizers.corpora.files import FolderCorpus, score_keys
from descant_tokenizers.scores import Limits, write_midi
from descant_tokenizers.scores.ensembles import QUARTET, SONG, parts_of_tracks
from descant_tokenizers.scores.musicxml.movements import movement_starts, split_movements

ARCHIVE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "openscore" / "quartets.zip"


def rows_of(folder: Path) -> dict[str, dict]:
    return {row["id"]: row for split in load_corpus(str(folder)).values() for row in split}


def test_songs_keep_voice_and_hands_apart_and_others_are_skipped_with_a_reason(tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    (music / "air.musicxml").write_text(song_xml())
    (music / "again.musicxml").write_text(song_xml("Same notes"))
    (music / "quartet.musicxml").write_text(quartet_xml(movements=1))
    write_midi(song(), music / "played.mid")
    report = build_dataset(str(music), tmp_path / "built", parts="song", num_proc=1)
    rows = rows_of(tmp_path / "built")
    assert set(rows) == {"again", "played"}
    assert report.duplicates == {"air": "again"}
    assert list(report.skipped) == ["quartet"]
    assert (
        "is not for a voice and a piano on two staves, but for Violin 1, Violin 2, Viola" in report.skipped["quartet"]
    )
    tracks = row_to_score(rows["again"]).tracks
    assert [(track.name, track.program, len(track.notes)) for track in tracks] == [
        ("Voice", 52, 9),
        ("Right hand", 0, 6),
        ("Left hand", 0, 6),
    ]
    assert {note.pitch for note in tracks[1].notes} == {64}
    assert rows["again"]["composer"] == "A. Composer"


def test_each_movement_of_a_file_is_a_piece_and_keeps_what_the_first_states(tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    (music / "whole.musicxml").write_text(quartet_xml(movements=3))
    corpus = FolderCorpus.of(music, parts="quartet")
    assert list(corpus.keys) == ["whole.musicxml#1", "whole.musicxml#2", "whole.musicxml#3"]
    assert score_keys(music) == ["whole.musicxml"]  # movements are told apart for ensembles only
    build_dataset(corpus, tmp_path / "built", num_proc=1)
    rows = rows_of(tmp_path / "built")
    assert {row["title"] for row in rows.values()} == {f"Quartet, movement {number}" for number in (1, 2, 3)}
    assert len({row["split"] for row in rows.values()}) == 1
    for number in (1, 2, 3):
        row = rows[f"whole#{number}"]
        score = row_to_score(row)
        assert [track.name for track in score.tracks] == list(QUARTET.tracks)
        assert [track.program for track in score.tracks] == [40, 40, 41, 42]
        assert row["time_signature"] == "3/4"
        assert score.tracks[0].notes[-1].pitch == 76 - 12 * (number - 1)
        assert row["num_notes"] == 16


def test_the_pieces_of_a_work_go_into_one_split_and_works_into_all(tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    for number in range(40):
        for place, movement in enumerate((1, 3)):
            text = quartet_xml(f"Quartet {number}", movements=movement, number=number + 1)
            text = text.replace("</work>", f"</work><movement-title>Part {place}</movement-title>")
            (music / f"{number}-{place}.musicxml").write_text(text)
    build_dataset(str(music), tmp_path / "built", parts="quartet", num_proc=1)
    splits: dict[str, set[str]] = {}
    for row in rows_of(tmp_path / "built").values():
        splits.setdefault(row["title"].partition(": Part")[0], set()).add(row["split"])
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())
    assert set(Counter(next(iter(found)) for found in splits.values())) == {"train", "valid", "test"}


def test_a_pickup_and_a_measure_that_counts_twice_begin_no_movement(tmp_path):
    path = tmp_path / "x.musicxml"
    text = quartet_xml(movements=2)
    assert movement_starts(path, text.encode(), Limits()) == [0, 3]
    pickup = text.replace('<measure number="1">', '<measure number="0">').replace('number="2"', 'number="1"')
    assert movement_starts(path, pickup.encode(), Limits()) == [0, 3]
    single = quartet_xml(movements=1).encode()
    assert split_movements(path, single, Limits()) == (single,)


def test_tracks_are_known_by_name_by_order_and_by_sound():
    def track(name: str, program: int) -> TrackTick:
        return TrackTick(name, program, False)

    hands = [track("Piano", 0), track("Piano", 0)]
    assert parts_of_tracks([track("Flute", 73), *hands], SONG) == SONG.tracks
    assert parts_of_tracks([track("Melody", 0), *hands], SONG) == SONG.tracks
    assert parts_of_tracks([track("", 0), *hands], SONG) is None
    assert parts_of_tracks([*hands, track("Voice", 52)], SONG) is None
    swapped = [track("left hand", 0), track("Right Hand", 0), track("voice", 0)]
    assert parts_of_tracks(swapped, SONG) == ("Left hand", "Right hand", "Voice")
    by_sound = [track("", 40), track("", 40), track("", 41), track("", 42)]
    assert parts_of_tracks(by_sound, QUARTET) == QUARTET.tracks
    by_name = [track(name, 0) for name in ("Violine I", "Violine II", "Bratsche", "Violoncello")]
    assert parts_of_tracks(by_name, QUARTET) == QUARTET.tracks
    assert parts_of_tracks(by_name[:3], QUARTET) is None


def test_movements_of_one_work_of_openscore(tmp_path):
    if not ARCHIVE.is_file():
        pytest.skip("the quartets of OpenScore are not in ../shared/data/openscore")
    import zipfile

    with zipfile.ZipFile(ARCHIVE) as archive:
        name = next(name for name in archive.namelist() if "Op.1_No.2__sq8438840" in name)
        (tmp_path / "music").mkdir()
        (tmp_path / "music" / "quartet.mxl").write_bytes(archive.read(name))
    report = build_dataset(str(tmp_path / "music"), tmp_path / "built", parts="quartet", num_proc=1)
    assert report.skipped == {}
    assert report.num_rows == report.num_found == 2
    (composer,) = {row["composer"] for row in rows_of(tmp_path / "built").values()}
    assert composer == "Joseph Bologne Saint-Georges"


def test_a_damaged_work_is_skipped_like_any_damaged_file(tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    (music / "good.musicxml").write_text(quartet_xml(movements=1))
    (music / "cut.musicxml").write_text(quartet_xml(movements=2)[:-60])
    (music / "zip.mxl").write_bytes(b"PK\x03\x04 no zip file")
    report = build_dataset(str(music), tmp_path / "built", parts="quartet", num_proc=1)
    assert set(report.skipped) >= {"zip"}
    assert report.num_rows == 1
    with pytest.raises(InputError):
        build_dataset(str(tmp_path / "nothing"), tmp_path / "other", parts="quartet")
