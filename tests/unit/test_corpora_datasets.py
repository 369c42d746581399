"""Rows written while they arrive make the same dataset as rows written at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

from descant_tokenizers.corpora.rows import Row
from descant_tokenizers.corpora.store import BATCH_ROWS, features, write_stream

SPLITS = ("train", "valid", "test")


def _rows(num: int) -> list[Row]:
    return [
        Row(
            id=f"piece{index}",
            composer="somebody",
            title="Ä",
            corpus="test",
            licence="CC0-1.0",
            split=SPLITS[index % 7 == 3],
            key="C major",
            time_signature="4/4",
            num_notes=index,
            fermatas=list(range(index % 4)),
            music=bytes(range(index % 256)),
            num_parts=4,
            source=f"{index}.mid",
        )
        for index in range(num)
    ]


def test_arrow_is_what_datasets_itself_writes(tmp_path: Path) -> None:
    rows = _rows(2 * BATCH_ROWS + 5)
    (tmp_path / "ours").mkdir()
    write_stream(iter(rows), tmp_path / "ours", SPLITS, "arrow")
    splits = {split: [row for row in rows if row["split"] == split] for split in SPLITS[:2]}
    whole = DatasetDict({name: Dataset.from_list(found, features=features()) for name, found in splits.items()})
    whole.save_to_disk(str(tmp_path / "theirs"))
    ours, theirs = (load_from_disk(str(tmp_path / name)) for name in ("ours", "theirs"))
    assert {name: list(split) for name, split in ours.items()} == {name: list(split) for name, split in theirs.items()}
    assert ours["train"].features == theirs["train"].features
    for name in ("dataset_dict.json", "train/dataset_info.json", "train/state.json"):
        mine, other = (json.loads((tmp_path / side / name).read_text()) for side in ("ours", "theirs"))
        mine.pop("_fingerprint", None), other.pop("_fingerprint", None)
        assert mine == other, name


def test_parquet_reads_back_with_its_types(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    rows = ({**row, "input_ids": [1, 2, row["num_notes"]]} for row in _rows(9))
    write_stream(rows, tmp_path / "out", SPLITS, "parquet", {"input_ids": "int64[]"})
    found = load_dataset("parquet", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in found.items()} == {"train": 8, "valid": 1}
    assert found["valid"][0] == {**_rows(9)[3], "input_ids": [1, 2, 3]}
    assert found["train"].features == features({"input_ids": "int64[]"})


@pytest.mark.parametrize("change", [{"title": "B"}, {"music": b"x"}, {"fermatas": [9]}])
def test_the_fingerprint_follows_the_rows(tmp_path: Path, change: dict[str, object]) -> None:
    prints = []
    for name, last in (("one", {}), ("same", {}), ("other", change)):
        (tmp_path / name).mkdir()
        write_stream([{**row, **last} for row in _rows(2)], tmp_path / name, SPLITS, "arrow")
        prints.append(json.loads((tmp_path / name / "train" / "state.json").read_text())["_fingerprint"])
    assert prints[0] == prints[1] != prints[2]
