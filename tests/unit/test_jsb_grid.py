"""The sounding-pitch grid: its tokens, its file, its transpositions, and likelihood against a hand computation."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from descant_modeling.common.config import build_config, load_values
from descant_modeling.evaluation.likelihood import likelihood_facts
from descant_modeling.jsb_grid.checkpoints import score_grids
from descant_modeling.jsb_grid.config import GridConfig
from descant_modeling.jsb_grid.data import (
    BOS,
    EOS,
    PAD,
    REST,
    Grid,
    GridSource,
    GridVocabulary,
    grid_ranges,
    grid_shifts,
    read_grids,
)
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, chorale_of_frames

VOCABULARY = GridVocabulary(lowest=48, highest=60, beat_cycle=3)
#: Ids of VOCABULARY: 4 stands for pitch 48, 16 for 60; the beats are 17, 18 and 19.
FIRST_BEAT = 17


def grid_of(num_16ths, seed=0, name="piece"):
    """A piece of random pitches 48-60, with a rest in the alto."""
    pitches_VT = np.random.default_rng(seed).integers(50, 59, size=(4, num_16ths))
    pitches_VT[1, 0] = SILENT
    return Grid(name, pitches_VT)


class FixedModel:
    """Gives every token after a token the same probabilities, whatever came before."""

    def __init__(self, probabilities_VV):
        self.logits_VV = torch.log(probabilities_VV)
        self.config = SimpleNamespace(max_position_embeddings=4096)
        self.training, self.device = False, torch.device("cpu")

    def train(self, mode=True):
        self.training = mode

    def __call__(self, input_ids, use_cache):
        return SimpleNamespace(logits=self.logits_VV[input_ids])


def test_the_ids_of_a_small_piece():
    pitches_VT = np.array([[60] * 5, [55, 55, SILENT, 55, 55], [50] * 5, [48, 49, 50, 51, 52]])
    encoded = VOCABULARY.encode(pitches_VT)
    # fmt: off
    assert encoded.ids == [
        BOS,
        FIRST_BEAT, 16, 11, 6, 4,  16, 11, 6, 5,  16, REST, 6, 6,  16, 11, 6, 7,
        FIRST_BEAT + 1, 16, 11, 6, 8,
        EOS,
    ]
    # fmt: on
    assert encoded.loss_mask == [False] + [True] * 23
    assert VOCABULARY.size == 20


@pytest.mark.parametrize("beat_cycle", [0, 1, 12])
@pytest.mark.parametrize("num_16ths", [1, 4, 63])
def test_a_piece_comes_back_from_its_tokens(beat_cycle, num_16ths):
    vocabulary, grid = GridVocabulary(36, 81, beat_cycle), grid_of(num_16ths)
    ids = vocabulary.encode(grid.pitches_VT).ids
    np.testing.assert_array_equal(vocabulary.decode(ids), grid.pitches_VT)
    num_beats = math.ceil(num_16ths / 4) if beat_cycle else 0
    assert len(ids) == 4 * num_16ths + num_beats + 2
    assert max(ids) < vocabulary.size


def test_beats_say_nothing_about_the_music():
    one, other = (VOCABULARY.encode(grid_of(40, seed).pitches_VT).ids for seed in (1, 2))
    assert [(place, token) for place, token in enumerate(one) if token >= FIRST_BEAT] == [
        (place, token) for place, token in enumerate(other) if token >= FIRST_BEAT
    ]


@pytest.mark.parametrize("pitch", [47, 61])
def test_a_pitch_outside_the_vocabulary_has_no_likelihood(pitch):
    pitches_VT = grid_of(4).pitches_VT
    pitches_VT[2, 3] = pitch
    with pytest.raises(InputError, match=rf"bwv1 has pitches from .*{pitch}.*the model knows 48 to 60"):
        VOCABULARY.encode(pitches_VT, "bwv1")


def test_vocabularies_differ_in_their_hashes():
    assert VOCABULARY.sha256() == GridVocabulary(48, 60, 3).sha256()
    assert len({GridVocabulary(low, 60, cycle).sha256() for low in (47, 48) for cycle in (0, 3)}) == 4


def test_likelihood_by_hand():
    """Two 16ths of a vocabulary without beats: eight pitches and EOS count, BOS does not, and the unit has 8 places."""
    vocabulary = GridVocabulary(60, 61, beat_cycle=0)
    low, high = 4, 5
    probabilities_VV = torch.full((6, 6), 1e-9)
    probabilities_VV[BOS, high] = 1 / 2
    probabilities_VV[high, low] = 1 / 4
    probabilities_VV[low, low] = 1 / 8
    probabilities_VV[low, high] = 1 / 16
    probabilities_VV[low, EOS] = 1 / 32
    probabilities_VV[:, PAD] += 1 - probabilities_VV.sum(1)  # never seen, never counted
    # S A T B = 61 60 60 60, then 61 60 60 60.
    grid = Grid("two", np.array([[61, 61], [60, 60], [60, 60], [60, 60]]))
    by_hand = math.log(2) * (1 + 2 + 3 + 3 + 4 + 2 + 3 + 3 + 5)
    score = score_grids(FixedModel(probabilities_VV), vocabulary, [grid])
    assert [piece.nats for piece in score.pieces] == pytest.approx([by_hand])
    assert score.headline == pytest.approx(by_hand / 8)
    assert score.bits_per_note == pytest.approx(26 / 4)


@pytest.mark.parametrize("beat_cycle", [0, 12])
def test_a_uniform_model_gives_the_log_of_the_vocabulary(beat_cycle):
    vocabulary = GridVocabulary(36, 81, beat_cycle)
    model = build_model(ModelConfig(width=16, num_layers=1, num_heads=2), vocabulary.size, bos=BOS, eos=EOS, pad=PAD)
    torch.nn.init.zeros_(model.get_output_embeddings().weight)
    grids = [grid_of(length, length) for length in (5, 12, 40)]
    num_tokens = 4 * 57 + 3 + (2 + 3 + 10 if beat_cycle else 0)
    score = score_grids(model, vocabulary, grids)
    assert score.headline == pytest.approx(num_tokens * math.log(vocabulary.size) / (4 * 57), rel=1e-6)


def test_padding_never_counts():
    """A model that is absurd wherever there is padding scores pieces of very different lengths as it does alone."""
    probabilities_VV = torch.rand(VOCABULARY.size, VOCABULARY.size, generator=torch.manual_seed(3))
    probabilities_VV[:, PAD] = 1e-30
    model = FixedModel(probabilities_VV / probabilities_VV.sum(1, keepdim=True))
    grids = [grid_of(4, 1, "short"), grid_of(64, 2, "long")]
    together = score_grids(model, VOCABULARY, grids)
    alone = [score_grids(model, VOCABULARY, [grid]).pieces[0] for grid in grids]
    assert [piece.nats for piece in together.pieces] == pytest.approx([piece.nats for piece in alone], rel=1e-6)
    assert together.headline == pytest.approx(sum(piece.nats for piece in alone) / (4 * 68), rel=1e-6)
    assert together.headline < 10


def test_scores_of_pieces_add_up_and_reports_have_the_figures_of_training():
    torch.manual_seed(4)
    config = ModelConfig(width=16, num_layers=1, num_heads=2, dropout=0.3)
    model = build_model(config, VOCABULARY.size, bos=BOS, eos=EOS, pad=PAD)
    grids, shares = [grid_of(8 + 4 * index, index, f"p{index}") for index in range(5)], []
    scores = score_grids(model, VOCABULARY, grids, shares.append)
    facts = likelihood_facts(scores)
    assert facts[scores.unit.key] == round(scores.headline, 5)
    assert facts["bits_per_note"] == round(scores.bits_per_note, 4)
    nats = sum(piece.nats for piece in scores.pieces)
    assert scores.headline == pytest.approx(nats / sum(piece.length for piece in scores.pieces))
    assert [piece.length for piece in scores.pieces] == [32, 48, 64, 80, 96]
    assert scores.num_notes == sum(grid.num_notes for grid in grids)
    assert shares[-1] == 1.0


def test_notes_of_a_grid_are_those_that_can_be_told_apart():
    pitches_VT = np.array([[60, 60, 62, 62], [SILENT] * 4, [55, SILENT, 55, 55], [48] * 4])
    grid = Grid("piece", pitches_VT)
    assert grid.num_notes == chorale_of_frames(pitches_VT).num_notes == 2 + 0 + 2 + 1


def test_a_grid_file_is_read(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({"about": "x", "valid": [[[60, 55, 50, 45], [60, -1, 50, 45]], [[61, 56, 51, 46]]]}))
    first, second = read_grids(path, "valid")
    assert (first.name, second.name) == ("valid-0", "valid-1")
    assert first.pitches_VT.tolist() == [[60, 60], [55, SILENT], [50, 50], [45, 45]]
    assert (first.num_16ths, second.num_16ths) == (2, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("{", "cannot be read as JSON"),
        ("[]", "has no split 'valid'. Give the JSB Chorales"),
        ('{"train": [[[60, 55, 50, 45]]]}', "has no split 'valid'. Choose from train"),
        ('{"valid": []}', "has no split 'valid'"),
        ('{"valid": [[[60, 55, 50, 45]], [[60, 55, 50]]]}', "piece 1 of valid is not a list of"),
        ('{"valid": [[]]}', "piece 0 of valid is not a list of"),
        ('{"valid": [[[60, 55, 50, 45], [60]]]}', "piece 0 of valid is not a list of"),
        ('{"valid": [[[60.5, 55, 50, 45]]]}', "piece 0 of valid is not a list of"),
        ('{"valid": [[["S", "A", "T", "B"]]]}', "piece 0 of valid is not a list of"),
        ('{"valid": [[[128, 55, 50, 45]]]}', "piece 0 of valid is not a list of"),
        ('{"valid": [[[60, 55, 50, -2]]]}', "piece 0 of valid is not a list of"),
        ('{"valid": [[[-1, -1, -1, -1]]]}', "piece 0 of valid has no notes"),
    ],
)
def test_a_wrong_grid_file_is_refused(tmp_path, content, message):
    path = tmp_path / "grid.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_grids(path, "valid")


def test_transpositions_stay_where_the_voices_sing():
    wide = Grid("wide", np.array([[60, 81], [55, 74], [48, 69], [36, 66]]))
    narrow = Grid("narrow", np.array([[70, 72], [SILENT, 60], [55, 55], [50, 50]]))
    silent = Grid("silent alto", np.array([[62, 72], [SILENT] * 2, [50, 66], [40, 50]]))
    ranges = grid_ranges([wide, narrow, silent])
    assert ranges == [(60, 81), (55, 74), (48, 69), (36, 66)]
    assert grid_shifts(wide, ranges) == range(1)
    assert grid_shifts(narrow, ranges) == range(-5, 7)  # the alto holds it below, the limit above
    assert grid_shifts(silent, ranges) == range(-2, 4)
    assert grid_ranges([Grid("rests", np.array([[60], [SILENT], [50], [40]]))])[1] == (127, 0)


def test_each_epoch_holds_every_piece_once_and_transposes_it_anew():
    grids = [Grid(str(index), np.array([[70 + index], [60], [55], [50]])) for index in range(5)]
    grids.append(Grid("ranges", np.array([[60, 81], [52, 74], [46, 69], [40, 66]])))
    vocabulary = GridVocabulary(36, 81, 12)
    source = GridSource(grids, vocabulary, seed=1, transpose=True)
    seen = set()
    for epoch in range(4):
        rows = [row.tolist() for batch in source.batches(epoch, 40) for row in batch.ids_BT]
        assert len(rows) == len(grids)
        pieces = [vocabulary.decode(row) for row in rows]
        assert sorted(int(piece[0, 0] - piece[1, 0]) for piece in pieces if piece.shape[1] == 1) == [10, 11, 12, 13, 14]
        seen.update(int(piece[1, 0]) for piece in pieces)
        again = [row.tolist() for batch in source.batches(epoch, 40) for row in batch.ids_BT]
        assert again == rows
    assert len(seen) > 4
    plain = GridSource(grids, vocabulary, seed=1, transpose=False)
    assert {int(vocabulary.decode(plain.example(0, epoch).ids)[0, 0]) for epoch in range(4)} == {70}


def test_the_published_row_is_the_default(repo_root):
    published = build_config(GridConfig, *load_values(repo_root / "configs" / "grid.yaml"))
    assert published == GridConfig()
    assert published.data.grid_json is None
    with pytest.raises(InputError, match=r"data\.beat_cycle is -1\. Give 0 or more"):
        build_config(GridConfig, {"objective": "grid"}, "here", ["data.beat_cycle=-1"])
