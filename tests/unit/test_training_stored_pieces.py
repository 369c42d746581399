"""Training data stays in Arrow: a piece is decoded when its example is drawn, and not kept."""

import gc
import hashlib

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict

from descant_modeling.common.config import build_config
from descant_modeling.training.config import RunConfig, TaskShares
from descant_modeling.training.data import load_data
from descant_modeling.training.examples import ExampleSource
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.tokens.dataset import StoredPieces, tokenize_dataset
from descant_tokenizers.tokens.encode import decode_piece
from descant_tokenizers.tokens.piece import Piece, join_ranges, pitch_ranges, shifts_within, survey_pitches
from descant_tokenizers.tokens.tasks import TaskLayout


class CountingLayout(TaskLayout):
    """Counts the streams that it decodes."""

    num_decoded = 0

    def decode(self, ids):
        type(self).num_decoded += 1
        return super().decode(ids)


@pytest.fixture
def layout(vocabulary):
    CountingLayout.num_decoded = 0
    return CountingLayout(vocabulary)


@pytest.fixture
def splits(layout, tiny_pieces, tmp_path):
    """The tiny pieces as two tokenized splits on disk."""
    rows = [
        {
            "id": str(number),
            "music": decode_piece(layout.vocabulary, piece).dumps_midi(),
            "num_notes": piece.num_notes,
            "fermatas": [],
        }
        for number, piece in enumerate(tiny_pieces)
    ]
    found = DatasetDict()
    for name, part in (("train", rows[:8]), ("extra", rows[8:])):
        Dataset.from_list(part).save_to_disk(tmp_path / name)
        found[name] = Dataset.load_from_disk(tmp_path / name)
    tokenized, refused = tokenize_dataset(found, layout.vocabulary.tokenizer)
    assert not refused
    return list(tokenized.values())


def num_pieces_in_memory():
    gc.collect()
    return sum(type(thing) is Piece for thing in gc.get_objects())


def make_source(pieces, layout):
    return ExampleSource(pieces, layout, TaskShares(), seed=3, transpose=True, max_tokens=3000)


def test_pieces_come_back_by_index(splits, layout, tiny_pieces):
    stored = StoredPieces(splits, layout)
    assert len(stored) == len(tiny_pieces)
    assert layout.num_decoded == 0
    assert stored[9] == tiny_pieces[9]
    assert stored[-1] == tiny_pieces[-1]
    assert layout.num_decoded == 2
    assert list(stored) == tiny_pieces
    assert stored[2:4] == tiny_pieces[2:4]
    assert len(StoredPieces([], layout)) == 0


def test_a_source_keeps_no_piece_and_decodes_one_per_example(splits, layout):
    before = num_pieces_in_memory()
    stored = StoredPieces(splits, layout)
    source = make_source(stored, layout)
    assert layout.num_decoded == 0, "the voices' ranges are in a column"
    assert num_pieces_in_memory() == before
    source.example(5, epoch=0)
    assert layout.num_decoded == 1
    batches = list(source.batches(1, 700))
    assert layout.num_decoded == len(stored) + 1
    assert sum(len(batch.ids_BT) for batch in batches) == len(stored)
    assert num_pieces_in_memory() == before


def test_batches_are_those_of_the_pieces_in_memory(splits, layout, tiny_pieces):
    sources = make_source(StoredPieces(splits, layout), layout), make_source(tiny_pieces, layout)
    assert sources[0].voice_ranges == sources[1].voice_ranges == join_ranges(map(pitch_ranges, tiny_pieces), 4)
    for epoch in range(2):
        for one, other in zip(*(source.batches(epoch, 700) for source in sources), strict=True):
            assert torch.equal(one.ids_BT, other.ids_BT)
            assert torch.equal(one.loss_mask_BT, other.loss_mask_BT)


def test_ranges_and_transpositions_are_found_in_one_pass(vocabulary, tiny_pieces):
    ranges, shifts = survey_pitches(iter(tiny_pieces), vocabulary)  # an iterator: nobody reads it twice
    assert ranges == join_ranges(map(pitch_ranges, tiny_pieces), 4)
    assert list(shifts) == [shifts_within(pitch_ranges(piece), ranges) for piece in tiny_pieces]


def test_ranges_and_transpositions_follow_from_the_columns(vocabulary, layout, splits, tiny_pieces):
    stored = StoredPieces(splits, layout)
    (ranges, shifts), (expected_ranges, expected) = (survey_pitches(p, vocabulary) for p in (stored, tiny_pieces))
    assert layout.num_decoded == 0
    assert ranges == expected_ranges
    assert list(shifts) == list(expected)
    assert stored.pitch_table().num_notes_N.tolist() == [piece.num_notes for piece in tiny_pieces]
    assert len(survey_pitches(StoredPieces([], layout), vocabulary)[1]) == 0


def test_the_hash_is_that_of_all_ids(splits, layout):
    rows = [ids for split in splits for ids in split["input_ids"]]
    each = [hashlib.sha256(np.array(ids, dtype="<i8").tobytes()).hexdigest() for ids in rows]
    expected = hashlib.sha256("".join(each).encode()).hexdigest()
    assert StoredPieces(splits, layout).sha256() == expected


def test_a_corpus_is_loaded_without_a_piece_in_memory(vocabulary, tiny_pieces, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for number, piece in enumerate(tiny_pieces):
        decode_piece(vocabulary, piece).dump_midi(songs / f"{number}.mid")
    build_dataset(str(songs), tmp_path / "dataset", num_proc=1)
    before = num_pieces_in_memory()
    config = build_config(RunConfig, {}, "test", [f"data.corpora=[{tmp_path / 'dataset'}]"])
    data = load_data(config, TaskLayout(vocabulary, config.layout))
    assert len(data.train) + len(data.valid) > 6
    assert data.meters == ("4/4",)
    assert num_pieces_in_memory() == before
    assert sum(piece.num_notes for piece in data.train) > 0


def test_of_a_large_validation_split_the_same_pieces_are_scored(vocabulary, random_piece, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(60):
        piece = random_piece(np.random.default_rng(number), num_bars=2)
        decode_piece(vocabulary, piece).dump_midi(songs / f"{number}.mid")
    build_dataset(str(songs), tmp_path / "dataset", num_proc=1)

    def load(*overrides):
        config = build_config(RunConfig, {}, "test", [f"data.corpora=[{tmp_path / 'dataset'}]", *overrides])
        return load_data(config, TaskLayout(vocabulary, config.layout))

    whole = load()
    assert len(whole.valid) > 3
    assert whole.remarks == ()
    assert list(load("eval.max_pieces=null").valid) == list(whole.valid)
    some, again = load("eval.max_pieces=3"), load("eval.max_pieces=3", "seed=7")
    assert len(some.valid) == 3
    assert list(some.valid) == list(again.valid)
    assert all(piece in list(whole.valid) for piece in some.valid)
    assert some.remarks == (
        f"valid: 3 of {len(whole.valid)} pieces are scored, the same ones in every run (eval.max_pieces=null scores "
        "all)",
    )
    with pytest.raises(InputError, match=r"eval\.max_pieces is 0\. Give a positive number, or null for all pieces\."):
        load("eval.max_pieces=0")
