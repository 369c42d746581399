"""The corpus `chorales`: the canonical split, with no leak into the training pieces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict, load_from_disk

from descant_tokenizers.corpora import build_dataset, load_corpus, row_to_score
from descant_tokenizers.corpora.chorales import ChoraleCorpus, chorale_files
from descant_tokenizers.corpora.splits import CHORALE_SPLITS, canonical_splits, notes_digest
from descant_tokenizers.scores import VOICES, bars_of

SKIPPED = {"bwv27.6", "bwv227.3", "bwv846"}  # two five-part settings with two sopranos, a piano prelude
REPEATED = {"bwv190.7-inst": "bwv190.7", "bwv398": "bwv197.7-a"}  # the same notes under another number
FEW = ("bwv66.6", "bwv269", "bwv190.7-inst", "bwv190.7", "bwv846", "bwv253", "bwv276", "bwv277", "bwv278")


@pytest.fixture(scope="module")
def chorales() -> DatasetDict:
    """All chorales, from the user's own cache; read now if this is the first time (a minute or two)."""
    return load_corpus("chorales")


@pytest.fixture(scope="module")
def few() -> ChoraleCorpus:
    """Nine files: one is skipped, one repeated."""
    return ChoraleCorpus(tuple(path for path in chorale_files() if path.stem in FEW))


def _rows(dataset: DatasetDict, *splits: str) -> Iterator[dict[str, Any]]:
    for split in splits or dataset:
        yield from dataset[split]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_every_file_is_in_its_canonical_split_skipped_or_repeated(chorales: DatasetDict) -> None:
    expected = {name.removesuffix(".mxl"): split for name, split in canonical_splits().items()}
    for name in SKIPPED | REPEATED.keys():
        del expected[name]
    assert {row["id"]: row["split"] for row in _rows(chorales)} == expected
    counts = {split: len(chorales[split]) for split in chorales}
    assert counts == {"train": 216, "valid": 71, "test": 75, "extra": 29, "held_out": 12}


@pytest.mark.slow
def test_likelihood_rows_use_the_66_files_of_exactly_four_parts(chorales: DatasetDict) -> None:
    four_part = {split: sum(count == 4 for count in chorales[split]["num_parts"]) for split in chorales}
    assert four_part == {"train": 201, "valid": 66, "test": 69, "extra": 20, "held_out": 7}


@pytest.mark.slow
def test_no_evaluation_piece_is_trained_on_in_any_transposition(chorales: DatasetDict) -> None:
    digests = {split: _digests(chorales, split) for split in CHORALE_SPLITS}
    trained = digests["train"] | digests["extra"]
    assert len(trained) == 216 + 29
    for split in ("valid", "test", "held_out"):
        assert len(digests[split]) == len(chorales[split])
        assert trained.isdisjoint(digests[split])


def _digests(dataset: DatasetDict, split: str) -> set[str]:
    return {notes_digest(row_to_score(row), transposable=True) for row in _rows(dataset, split)}


@pytest.mark.slow
def test_every_row_is_four_single_lines_with_bars(chorales: DatasetDict) -> None:
    for row in _rows(chorales):
        score = row_to_score(row)
        assert [track.name for track in score.tracks] == list(VOICES)
        assert sum(len(track.notes) for track in score.tracks) == row["num_notes"]
        for track in score.tracks:
            notes = sorted(track.notes, key=lambda note: note.time)
            assert all(before.end <= after.time for before, after in itertools.pairwise(notes)), row["id"]
        onsets = {note.time for track in score.tracks for note in track.notes}
        assert onsets.issuperset(row["fermatas"])
        assert bars_of(score)[0].number in (0, 1)


@pytest.mark.slow
def test_nearly_every_chorale_has_fermatas_and_a_licence_on_record(chorales: DatasetDict) -> None:
    bare = {row["id"] for row in _rows(chorales) if not row["fermatas"]}
    assert bare == {"bwv1.6", "bwv112.5", "bwv79.3", "bwv248.23-2", "bwv248.42-4", "bwv248.64-6"}
    assert {row["licence"] for row in _rows(chorales)} == {"no rights statement (music21 corpus)"}


def test_of_equal_files_the_one_in_the_earlier_split_stays(
    few: ChoraleCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    report = build_dataset(few, tmp_path / "one", num_proc=1)
    assert report.num_rows == len(FEW) - 2
    assert report.skipped.keys() == {"bwv846"}
    assert report.duplicates == {"bwv190.7-inst": "bwv190.7"}
    assert set(load_from_disk(str(tmp_path / "one"))) == {split for split, count in report.splits.items() if count}

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    build_dataset(few, tmp_path / "two", num_proc=2)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
