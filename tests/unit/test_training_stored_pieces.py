"""Training data stays in Arrow: a piece is decoded when its example is drawn, and not kept."""

import gc
import hashlib
import json

import pytest
import torch
from datasets import Dataset

from descant_modeling.common.config import build_config
from descant_modeling.training.config import RunConfig, TaskShares
from descant_modeling.training.data import StoredPieces, load_data
from descant_modeling.training.examples import ExampleSource
from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.tokens.encode import decode_piece
from descant_tokenizers.tokens.piece import Piece, join_ranges, piece_ids, pitch_ranges, shifts_within, survey_pitches
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
    """The tiny pieces as two tokenized splits on disk, beside another column."""
    rows = [
        {"input_ids": layout.continue_ids(piece_ids(layout.vocabulary, piece), piece.voices), "id": str(number)}
        for number, piece in enumerate(tiny_pieces)
    ]
    found = []
    for name, part in (("train", rows[:8]), ("extra", rows[8:])):
        Dataset.from_list(part).save_to_disk(tmp_path / name)
        found.append(Dataset.load_from_disk(tmp_path / name))
    return found


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
    assert layout.num_decoded == len(stored), "the corpus is read once for the voices' ranges"
    assert num_pieces_in_memory() == before
    source.example(5, epoch=0)
    assert layout.num_decoded == len(stored) + 1
    batches = list(source.batches(1, 700))
    assert layout.num_decoded == 2 * len(stored) + 1
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
    assert shifts == [shifts_within(pitch_ranges(piece), ranges) for piece in tiny_pieces]


def test_the_hash_is_that_of_all_ids(splits, layout):
    rows = [ids for split in splits for ids in split["input_ids"]]
    expected = hashlib.sha256("".join(json.dumps(list(ids)) for ids in rows).encode()).hexdigest()
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
    assert num_pieces_in_memory() == before
    assert sum(piece.num_notes for piece in data.train) > 0
