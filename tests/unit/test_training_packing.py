"""Packed rows: the loss and the gradients of the same examples one by one, in a stream that continues at any place."""

from itertools import islice

import numpy as np
import pytest
import torch
from same_state import assert_same_state

from descant_modeling.common.config import build_config
from descant_modeling.models.likelihood import Example, collate, token_nll
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_modeling.training.config import RunConfig, TaskShares
from descant_modeling.training.examples import ExampleSource
from descant_modeling.training.loader import Place, stream
from descant_modeling.training.packing import flatten, lengths_of, pack
from descant_modeling.training.step_model import BLOCK, StepModel
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.tasks import TaskLayout

LENGTHS = (40, 3, BLOCK + 9, 1, 25)


def make_examples():
    """Examples of random tokens, whose first token does not count."""
    rng = np.random.default_rng(5)
    found = [Example(rng.integers(3, 50, size, dtype=np.int32), rng.random(size) < 0.6) for size in LENGTHS]
    for example in found:
        example.loss_mask[0] = False
    return found


def make_model(architecture):
    torch.manual_seed(1)
    config = ModelConfig(architecture=architecture, width=32, num_layers=2, num_heads=2, dropout=0.0, max_tokens=256)
    return build_model(config, 50, bos=1, eos=2, pad=0)


def test_rows_take_examples_in_order_while_there_is_room():
    assert pack([30, 60, 20, 90, 10, 120, 1], 100) == [[0, 1], [2], [3, 4], [5], [6]]
    assert pack([], 100) == []


def test_a_row_holds_the_examples_one_after_the_other():
    examples = make_examples()
    row = flatten(examples)
    assert row.ids_BT.tolist() == [[token for example in examples for token in example.ids.tolist()]]
    assert row.loss_mask_BT.tolist() == [[counts for example in examples for counts in example.loss_mask.tolist()]]
    assert row.positions_BT.tolist() == [[place for length in LENGTHS for place in range(length)]]
    assert lengths_of(row.positions_BT) == list(LENGTHS)


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
@pytest.mark.parametrize(("in_bf16", "checkpointing"), [(False, False), (False, True), (True, False)])
def test_loss_and_gradients_are_those_of_the_examples_alone(architecture, in_bf16, checkpointing):
    """A row longer than the model's positions, against the stock model on each example."""
    model, examples = make_model(architecture), make_examples()
    assert sum(LENGTHS) > model.config.max_position_embeddings
    step_model = StepModel(model, in_bf16=in_bf16, checkpointing=checkpointing, packing=True)
    row = flatten(examples)
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
        packed_N = step_model(row.ids_BT, row.loss_mask_BT, row.positions_BT)
    alone = (collate([example], 0) for example in examples if len(example.ids) > 1)
    alone_N = torch.cat([token_nll(model(batch.ids_BT).logits, batch) for batch in alone])
    tolerance = 0.02 if in_bf16 else 1e-5
    torch.testing.assert_close(packed_N, alone_N, rtol=tolerance, atol=tolerance)
    parameters = list(model.parameters())
    gradients = [torch.autograd.grad(nll_N.mean(), parameters) for nll_N in (packed_N, alone_N)]
    for packed, exact in zip(*gradients, strict=True):
        assert (packed - exact).norm() <= 5 * tolerance * exact.norm() + 1e-5


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_packed_stream_continues_at_any_place(vocabulary, tiny_pieces, num_workers):
    source = ExampleSource(tiny_pieces, TaskLayout(vocabulary), TaskShares(), seed=3, transpose=True, max_tokens=3000)
    source.pool_size, source.packing = 5, True
    lengths = [len(source.example(index, 0).ids) for index in range(len(tiny_pieces))]
    limit = max(lengths) + min(lengths)

    def take(number, start):
        found = islice(stream(source, limit, start, num_workers), number)
        return [(place, batch.ids_BT.tolist(), batch.positions_BT.tolist()) for place, batch in found]

    whole = take(15, Place())
    assert all(take(3, whole[number][0]) == whole[number : number + 3] for number in (1, 4, 9, 12))
    rows = list(source.batches(0, limit))
    assert len(rows) < len(tiny_pieces)
    assert sorted(length for row in rows for length in lengths_of(row.positions_BT)) == sorted(lengths)
    assert all(row.ids_BT.shape[0] == 1 and row.ids_BT.shape[1] <= limit for row in rows)


def test_a_packed_run_continues_where_it_stopped(make_trainer):
    values = {"data__packing": True, "data__batch_tokens": 600, "data__micro_batches": 2}
    whole = make_trainer("whole", **values)
    whole.train()
    first = make_trainer("cut", max_steps=3, **values)
    first.train()
    second = make_trainer("cut", **values)
    second.resume()
    second.train()
    assert_same_state(whole, second)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.style_contrast=1", r"data\.packing is True\. Give false with style_contrast"),
        ("compile=true", r"compile is true\. Give auto or false with data\.packing"),
    ],
)
def test_packing_excludes_what_needs_rows_of_one_example(override, words):
    with pytest.raises(InputError, match=words):
        build_config(RunConfig, {"data": {"packing": True}}, "here", [override])
