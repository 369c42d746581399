"""Single chorales, compared with their printed scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.chorales import ChoraleCorpus, chorale_files, chorale_title, read_chorale
from descant_tokenizers.corpora.rows import COLUMN_TYPES, make_piece, make_row, row_to_score
from descant_tokenizers.corpora.splits import CHORALE_SPLITS, canonical_splits, split_of_digest
from descant_tokenizers.scores import VOICES, bars_of
from descant_tokenizers.scores.music21_reader import from_music21


@pytest.fixture(scope="module")
def paths() -> dict[str, Path]:
    """The chorales by id."""
    return {path.stem: path for path in chorale_files()}


def test_all_408_files_are_installed_and_in_catalogue_order(paths: dict[str, Path]) -> None:
    assert len(paths) == 408
    assert list(paths)[:3] == ["bwv1.6", "bwv2.6", "bwv3.6"]
    assert list(paths)[-1] == "bwv846"


def test_a_music21_without_its_corpus_is_a_user_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("music21.common.getCorpusFilePath", lambda: str(tmp_path))
    with pytest.raises(InputError, match="lacks 408 of the 408 Bach files"):
        chorale_files()


def test_a_chorale_of_four_parts_keeps_every_note_and_its_pickup(paths: dict[str, Path]) -> None:
    from music21 import converter

    reading = read_chorale(paths["bwv269"])
    source = from_music21(converter.parse(paths["bwv269"]))
    assert [track.name for track in reading.score.tracks] == list(VOICES)
    assert [track.notes for track in reading.score.tracks] == [track.notes for track in source.tracks]
    assert reading.num_parts == 4
    assert reading.remarks == ()
    bars = bars_of(reading.score)
    assert (bars[0].number, bars[0].length_ticks) == (0, 480)  # an upbeat of one quarter
    assert (bars[1].numerator, bars[1].denominator, bars[1].length_ticks) == (3, 4, 1440)
    assert bars[-1].number == 21  # as printed: 2 + 1 beats around a repeat sign are one bar


def test_fermatas_are_onsets_of_notes_at_the_ends_of_phrases(paths: dict[str, Path]) -> None:
    reading = read_chorale(paths["bwv66.6"])
    onsets = {note.time for track in reading.score.tracks for note in track.notes}
    third_beats = [bar.start_ticks + 2 * 480 for bar in bars_of(reading.score) if bar.number in (1, 2, 3, 5, 7, 9)]
    assert list(reading.fermatas_ticks) == third_beats
    assert onsets.issuperset(reading.fermatas_ticks)


def test_voices_are_picked_out_of_an_orchestra(paths: dict[str, Path]) -> None:
    reading = read_chorale(paths["bwv79.6"])  # two horns, timpani and four voices
    assert reading.num_parts == 7
    assert [len(track.notes) for track in reading.score.tracks] == [30, 36, 37, 34]


def test_rests_before_the_first_voice_stay(paths: dict[str, Path]) -> None:
    reading = read_chorale(paths["bwv424"])  # its upbeat is printed as a full bar that begins with a rest
    assert {track.notes[0].time for track in reading.score.tracks} == {480}
    assert bars_of(reading.score)[0].number == 1


def test_a_row_is_complete_and_reads_back(paths: dict[str, Path]) -> None:
    corpus = ChoraleCorpus()
    reading = read_chorale(paths["bwv269"])
    row = make_row(corpus, "bwv269.mxl", make_piece(reading))
    assert list(row) == list(COLUMN_TYPES)
    assert row["title"] == "Aus meines Herzens Grunde (BWV 269)"
    assert (row["id"], row["corpus"], row["split"]) == ("bwv269", "chorales", canonical_splits()["bwv269.mxl"])
    assert (row["key"], row["time_signature"]) == ("G major", "3/4")
    score = row_to_score(row)
    assert [track.name for track in score.tracks] == list(VOICES)
    assert [track.notes for track in score.tracks] == [track.notes for track in reading.score.tracks]
    assert score.time_signatures == reading.score.time_signatures
    assert row["num_notes"] == sum(len(track.notes) for track in score.tracks)


def test_a_title_is_never_empty() -> None:
    assert chorale_title("bwv1.6.mxl") == "BWV 1.6"


def test_the_split_file_counts_as_published() -> None:
    splits = list(canonical_splits().values())
    assert {split: splits.count(split) for split in CHORALE_SPLITS} == {
        "train": 217,
        "valid": 72,
        "test": 75,
        "extra": 31,
        "held_out": 13,
    }


def test_the_split_file_says_what_it_is(repo_root: Path) -> None:
    table = json.loads((repo_root / "tokenizers/descant_tokenizers/corpora/data/jsb_splits.json").read_text("utf-8"))
    assert "Boulanger-Lewandowski" in table["about"]


def test_digests_are_split_by_tenths() -> None:
    splits = [split_of_digest(f"{value:08x}" + "f" * 56) for value in range(0, 16**8, 16**5 + 1)]
    shares = {split: splits.count(split) / len(splits) for split in ("train", "valid", "test")}
    assert shares == pytest.approx({"train": 0.8, "valid": 0.1, "test": 0.1}, abs=0.001)
    assert split_of_digest("00000000") == "train"
    assert split_of_digest("ffffffff") == "test"
