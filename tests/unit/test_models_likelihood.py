"""Likelihood: against a hand computation, against padding, against batching."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from descant_modeling.models.likelihood import (
    WHOLE_16TH,
    Batch,
    collate,
    piece_16ths,
    score_pieces,
    score_streams,
    token_nll,
    windows,
)
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece
from descant_tokenizers.tokens.tasks import Encoded, Task, TaskLayout


@pytest.fixture(scope="module")
def model(vocabulary):
    torch.manual_seed(5)
    config = ModelConfig(width=16, num_layers=1, num_heads=2, dropout=0.5)
    return build_model(config, vocabulary.size, bos=1, eos=2, pad=0)


@pytest.fixture(scope="module")
def streams(vocabulary, tiny_pieces):
    layout = TaskLayout(vocabulary)
    return [layout.encode(piece, Task.CONTINUE, piece.voices) for piece in tiny_pieces]


def test_token_nll_by_hand():
    # A vocabulary of two: after 0 comes 1 with p = 3/4, after that 0 with p = 1/2. The padding's logits are absurd.
    logits = torch.tensor([[[0.0, math.log(3)], [7.0, 7.0], [-100.0, 100.0], [0.0, 0.0]]])
    batch = Batch(torch.tensor([[0, 1, 0, 0]]), torch.tensor([[False, True, True, False]]))
    torch.testing.assert_close(token_nll(logits, batch), torch.tensor([math.log(4 / 3), math.log(2)]))


def test_only_target_tokens_count():
    logits = torch.zeros(1, 3, 4)
    batch = Batch(torch.tensor([[1, 2, 3]]), torch.tensor([[False, False, True]]))
    assert token_nll(logits, batch).tolist() == pytest.approx([math.log(4)])


def test_a_uniform_model_gives_the_log_of_the_vocabulary(vocabulary, tiny_pieces, streams):
    config = ModelConfig(width=16, num_layers=1, num_heads=2)
    uniform = build_model(config, vocabulary.size, bos=1, eos=2, pad=0)
    torch.nn.init.zeros_(uniform.get_output_embeddings().weight)
    score = score_pieces(uniform, TaskLayout(vocabulary), enumerate(tiny_pieces))
    num_tokens = sum(sum(stream.loss_mask) for stream in streams)
    num_16ths = sum(piece_16ths(piece, vocabulary.ticks_per_quarter) for piece in tiny_pieces)
    nats = num_tokens * math.log(vocabulary.size)
    assert score.headline == pytest.approx(nats / (4 * num_16ths), rel=1e-6)
    assert score.bits_per_note == pytest.approx(nats / math.log(2) / sum(p.num_notes for p in tiny_pieces), rel=1e-6)
    assert len(score.pieces) == 12
    assert sum(piece.length for piece in score.pieces) == pytest.approx(4 * num_16ths)


def test_a_stream_scores_as_it_does_alone_and_token_by_token(model, streams):
    stream = streams[0]
    ids = torch.tensor(stream.ids)
    with torch.inference_mode():
        log_p = functional.log_softmax(model.train(False)(input_ids=ids[None]).logits[0, :-1].double(), dim=-1)
    by_hand = -sum(log_p[t, ids[t + 1]].item() for t in range(len(ids) - 1) if stream.loss_mask[t + 1])
    assert score_streams(model, [stream], pad=0)[0] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 800, 100_000])
def test_batches_of_one_and_of_many_agree(model, streams, batch_tokens):
    alone = [score_streams(model, [stream], pad=0)[0] for stream in streams]
    assert score_streams(model, streams, pad=0, batch_tokens=batch_tokens) == pytest.approx(alone, rel=1e-5)


def test_more_padding_changes_nothing(model, streams):
    batch = collate(streams[:2], pad=0)
    wider = Batch(functional.pad(batch.ids_BT, (0, 50)), functional.pad(batch.loss_mask_BT, (0, 50)))
    model.train(False)
    with torch.inference_mode():
        nll, padded = (token_nll(model(input_ids=b.ids_BT).logits, b) for b in (batch, wider))
    torch.testing.assert_close(padded, nll)


def test_dropout_is_off_while_scoring_and_the_mode_comes_back(model, streams):
    model.train()
    first = score_streams(model, streams[:1], pad=0)
    assert first == score_streams(model, streams[:1], pad=0)
    assert model.training


def test_progress_rises_to_the_whole(model, streams):
    shares = []
    score_streams(model, streams, pad=0, batch_tokens=800, progress=shares.append)
    assert len(shares) > 1
    assert shares == sorted(set(shares))
    assert shares[-1] == 1.0


def test_rests_belong_to_a_piece_but_silence_after_it_does_not(vocabulary):
    meter = vocabulary.meter_of[vocabulary.meter_id[4, 4]]
    piece = Piece((GridBar(meter), GridBar(meter, (GridNote(96, 0, 60, 48),)), GridBar(meter)))
    assert piece_16ths(piece, vocabulary.ticks_per_quarter) == 16 + 6


def test_nothing_to_score_is_refused(model, vocabulary):
    with pytest.raises(InputError, match="no piece to score"):
        score_pieces(model, TaskLayout(vocabulary), [])


def test_context_tokens_do_not_count(model, vocabulary, tiny_pieces):
    encoded = TaskLayout(vocabulary).encode(tiny_pieces[0], Task.HARMONIZE, (1, 2, 3))
    none = Encoded(encoded.ids, [False] * len(encoded.ids))
    assert score_streams(model, [none], pad=0) == [0.0]
    assert score_streams(model, [encoded], pad=0)[0] > 0


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
def test_pieces_longer_than_the_position_table_are_scored_in_windows(vocabulary, tiny_pieces, streams, architecture):
    longest = max(len(stream.ids) for stream in streams)
    shapes = {"architecture": architecture, "width": 16, "num_layers": 1, "num_heads": 2, "dropout": 0.0}
    scores = []
    assert max(len(windows(stream, longest // 3)) for stream in streams) > 1
    for max_tokens in (longest, longest // 3):
        torch.manual_seed(3)
        short = build_model(ModelConfig(**shapes, max_tokens=max_tokens), vocabulary.size, bos=1, eos=2, pad=0)
        scores.append(score_pieces(short, TaskLayout(vocabulary), enumerate(tiny_pieces)))
    # An untrained model is near uniform whatever it sees.
    assert scores[1].headline == pytest.approx(scores[0].headline, rel=0.05)


@pytest.mark.parametrize("limit", [16, 33, 40, 1000])
def test_windows_count_every_token_once_and_keep_the_prefix(streams, limit):
    for stream in streams:
        found = windows(stream, limit)
        assert all(len(window.ids) <= limit for window in found)
        counted = [i for window in found for i, counts in zip(window.ids, window.loss_mask, strict=True) if counts]
        assert counted == [i for i, counts in zip(stream.ids, stream.loss_mask, strict=True) if counts]
        prefix = stream.loss_mask.index(True) if limit >= 40 else 4
        assert all(window.ids[:prefix] == stream.ids[:prefix] for window in found)


def test_progress_counts_windows(model, streams):
    seen, parts = [], []
    model.config.max_position_embeddings, before = 50, model.config.max_position_embeddings
    try:
        nats = score_streams(
            model, streams, pad=0, batch_tokens=1, progress=seen.append, visit=lambda index, *_: parts.append(index)
        )
    finally:
        model.config.max_position_embeddings = before
    assert seen == pytest.approx([(done + 1) / len(parts) for done in range(len(parts))])
    assert set(parts) == set(range(len(streams))) == set(range(len(nats)))
    assert [parts.count(index) for index in range(len(streams))] == [len(windows(s, 50)) for s in streams]


def test_music_of_any_instruments_is_scored_per_16th(gm_vocabulary, random_band):
    pieces = [random_band(np.random.default_rng(seed)) for seed in range(3)]
    config = ModelConfig(width=16, num_layers=1, num_heads=2)
    uniform = build_model(config, gm_vocabulary.size, bos=1, eos=2, pad=0)
    torch.nn.init.zeros_(uniform.get_output_embeddings().weight)
    layout = TaskLayout(gm_vocabulary)
    score = score_pieces(uniform, layout, enumerate(pieces))
    num_tokens = sum(sum(layout.encode(piece, Task.CONTINUE, piece.voices).loss_mask) for piece in pieces)
    num_16ths = sum(piece_16ths(piece, gm_vocabulary.ticks_per_quarter) for piece in pieces)
    assert score.unit is WHOLE_16TH
    assert score.headline == pytest.approx(num_tokens * math.log(gm_vocabulary.size) / num_16ths, rel=1e-6)
