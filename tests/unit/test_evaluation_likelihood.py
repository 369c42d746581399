"""Likelihood piece by piece, for both tasks, in one window and in many."""

import math

import numpy as np
import pytest
import torch

from descant_modeling.evaluation.likelihood import likelihood_facts
from descant_modeling.models.likelihood import piece_16ths, score_pieces, score_streams
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout


@pytest.fixture(scope="module")
def layout(vocabulary):
    return TaskLayout(vocabulary, LayoutConfig())


@pytest.fixture(scope="module")
def named(tiny_pieces):
    return [(f"p{index}", piece) for index, piece in enumerate(tiny_pieces)]


def make(vocabulary, max_tokens=2048, *, uniform=False):
    torch.manual_seed(7)
    model = build_model(
        ModelConfig(width=16, num_layers=1, num_heads=2, max_tokens=max_tokens), vocabulary.size, bos=1, eos=2, pad=0
    )
    if uniform:
        torch.nn.init.zeros_(model.get_output_embeddings().weight)
    return model


def test_reports_have_the_figures_of_training(vocabulary, layout, named, tiny_pieces):
    model = make(vocabulary)
    scores = score_pieces(model, layout, named)
    facts, key = likelihood_facts(scores), scores.unit.key
    streams = [layout.encode(piece, Task.CONTINUE, piece.voices) for piece in tiny_pieces]
    assert [p.nats for p in scores.pieces] == score_streams(model, streams, pad=0)
    assert facts[key] == round(scores.headline, 5)
    assert facts["bits_per_note"] == round(scores.bits_per_note, 4)
    assert facts["interval"][key]["low"] < facts[key] < facts["interval"][key]["high"]


def test_a_harmony_counts_its_three_voices_only(vocabulary, layout, named, tiny_pieces):
    scores = score_pieces(make(vocabulary, uniform=True), layout, named, Task.HARMONIZE)
    streams = [layout.encode(piece, Task.HARMONIZE, [v for v in piece.voices if v]) for piece in tiny_pieces]
    nats = sum(sum(stream.loss_mask) for stream in streams) * math.log(vocabulary.size)
    num_16ths = sum(piece_16ths(piece, vocabulary.ticks_per_quarter) for piece in tiny_pieces)
    assert scores.headline == pytest.approx(nats / (3 * num_16ths), rel=1e-6)
    assert scores.num_notes == sum(piece.keep_voices((1, 2, 3)).num_notes for piece in tiny_pieces)
    assert list(likelihood_facts(scores)["pitch_accuracy"]) == ["alto", "tenor", "bass"]


def test_accuracy_belongs_to_the_voice_in_any_order_of_voices(vocabulary, outer_first, named):
    layout = TaskLayout(outer_first, LayoutConfig())
    pieces = [(name, encode_score(outer_first, decode_piece(vocabulary, piece)).piece) for name, piece in named]
    scores = score_pieces(make(outer_first), layout, pieces)
    for score, (_, piece) in zip(scores.pieces, named, strict=True):
        assert score.pitches[:, 1].tolist() == [piece.keep_voices([v]).num_notes for v in range(4)]


def test_every_note_of_a_counted_voice_counts_one_pitch(vocabulary, layout, named):
    scores = score_pieces(make(vocabulary), layout, named)
    for score, (_, piece) in zip(scores.pieces, named, strict=True):
        assert score.pitches[:, 1].tolist() == [piece.keep_voices([v]).num_notes for v in range(4)]


def test_the_likeliest_pitch_is_right_where_the_model_bets_on_it(vocabulary, layout, named):
    model = make(vocabulary, uniform=True)
    pitch = next(note.pitch for bar in named[0][1].bars for note in bar.notes)
    favourite = vocabulary.pitch_id[pitch]
    model.forward = lambda input_ids, use_cache: type(  # a model with the same output for any input
        "Output",
        (),
        {"logits": torch.zeros(*input_ids.shape, vocabulary.size).index_fill_(2, torch.tensor([favourite]), 1.0)},
    )
    scores = score_pieces(model, layout, named)
    notes = [note.pitch == pitch for _, piece in named for bar in piece.bars for note in bar.notes]
    assert sum(p.pitches[:, 0].sum() for p in scores.pieces) == sum(notes) > 0


@pytest.mark.parametrize("task", [Task.CONTINUE, Task.HARMONIZE])
def test_windows_count_every_token_once(vocabulary, layout, named, task):
    whole = score_pieces(make(vocabulary, uniform=True), layout, named, task)
    cut = score_pieces(make(vocabulary, 120, uniform=True), layout, named, task)
    assert [p.nats for p in cut.pieces] == pytest.approx([p.nats for p in whole.pieces], rel=1e-5)
    assert max(p.num_windows for p in cut.pieces) > 2
    assert cut.num_notes == whole.num_notes


def test_nothing_to_score_is_refused(vocabulary, layout):
    with pytest.raises(InputError, match="no piece to score"):
        score_pieces(make(vocabulary), layout, [])


def test_scores_do_not_depend_on_the_batch(vocabulary, layout, named):
    model = make(vocabulary)
    one, many = (score_pieces(model, layout, named, batch_tokens=n) for n in (1, 100_000))
    assert np.allclose([p.nats for p in one.pieces], [p.nats for p in many.pieces], rtol=1e-5)
