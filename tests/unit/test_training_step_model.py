"""The model of a training step computes what the stock model does, with the same gradients, compiled or not."""

import json
import shutil

import pytest
import torch
from same_state import assert_same_state
from torch.nn.functional import gelu, scaled_dot_product_attention

from descant_modeling.models.likelihood import Batch, token_nll
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_modeling.training.step_model import (
    BLOCK,
    ByteDropout,
    SigmoidGelu,
    StepModel,
    causal_attention,
    has_cpp_compiler,
    num_graphs,
)

#: What a run and a model have in common, so that both have the same graphs.
COMPILED = {"compile": "true", "precision": "bf16", "data__batch_tokens": 400, "model__dropout": 0.2}

needs_compiler = pytest.mark.skipif(not has_cpp_compiler(), reason="no C++ compiler")


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 7])
def test_attention_and_its_gradients_are_those_of_torch(length):
    random = torch.Generator().manual_seed(length)
    q, k, v, gradient = (torch.randn(6, length, 16, generator=random).bfloat16() for _ in range(4))
    outcomes = []
    for attend in (
        lambda q, k, v: causal_attention(q, k, v)[0],
        lambda q, k, v: scaled_dot_product_attention(q.double(), k.double(), v.double(), is_causal=True, scale=1.0),
    ):
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        out = attend(*inputs)
        outcomes.append([out.double(), *torch.autograd.grad(out, inputs, gradient.to(out.dtype))])
    for ours, exact in zip(*outcomes, strict=True):
        assert (ours.double() - exact.double()).norm() <= 0.02 * exact.double().norm() + 1e-6


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    dropout = ByteDropout(0.2)
    dropout.bytes = torch.arange(256, dtype=torch.uint8).repeat(4, 1)
    out = dropout(torch.ones(4, 256))
    assert int((out == 0).sum()) == 4 * 51
    assert out.mean().item() == pytest.approx(1.0)
    assert dropout(torch.ones(4, 256, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_gelu_is_that_of_torch():
    x = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    torch.testing.assert_close(SigmoidGelu()(x), gelu(x, approximate="tanh"))


def make_model(architecture, dropout=0.0):
    torch.manual_seed(1)
    config = ModelConfig(
        architecture=architecture, width=32, num_layers=2, num_heads=2, dropout=dropout, max_tokens=512
    )
    return build_model(config, 50, bos=1, eos=2, pad=0)


def make_batch(num_rows=2, length=BLOCK + 9):
    random = torch.Generator().manual_seed(length)
    ids_BT = torch.randint(3, 50, (num_rows, length), generator=random)
    loss_mask_BT = torch.rand(ids_BT.shape, generator=random) < 0.6
    loss_mask_BT[:, 0] = False
    return Batch(ids_BT, loss_mask_BT)


def outcome(model, loss_of):
    """A loss, and its gradients by the names of the stock model's parameters."""
    loss = loss_of().sum()
    names, parameters = zip(*model.named_parameters(), strict=True)
    return loss.detach(), dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def assert_equal_steps(model, loss_of, exact_loss_of, in_bf16):
    """Losses and gradients of batches of several shapes are the same but for rounding."""
    for shape in ((2, BLOCK + 9), (5, 31), (1, 40), (3, 12)):
        batch = make_batch(*shape)
        expected, exact = outcome(model, lambda batch=batch: exact_loss_of(batch))
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
            loss, gradients = outcome(model, lambda batch=batch: loss_of(batch))
        torch.testing.assert_close(loss, expected, rtol=2e-3 if in_bf16 else 1e-5, atol=0)
        for name, gradient in gradients.items():
            limit = 0.05 if in_bf16 else 1e-4
            assert (gradient - exact[name]).norm() <= limit * exact[name].norm() + 1e-4, name


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
@pytest.mark.parametrize("in_bf16", [False, True])
def test_loss_and_gradients_are_those_of_the_stock_model(architecture, in_bf16):
    model = make_model(architecture)
    stock = model.config.to_json_string(), model.config._attn_implementation, repr(model)
    step_model = StepModel(model, in_bf16=in_bf16)
    assert_equal_steps(
        model,
        lambda batch: step_model(batch.ids_BT, batch.loss_mask_BT),
        lambda batch: token_nll(model(batch.ids_BT).logits, batch),
        in_bf16,
    )
    assert (model.config.to_json_string(), model.config._attn_implementation, repr(model)) == stock


def with_seed(step_model):
    """A function of a batch that returns its losses, the same elements dropped each time."""

    def loss_of(batch):
        step_model.seed_dropout(3, batch.ids_BT)
        return step_model(batch.ids_BT, batch.loss_mask_BT)

    return loss_of


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
def test_compiled_loss_and_gradients_are_those_of_the_uncompiled_model(architecture):
    """With dropout, and in fp32 beside bf16: without either, the uncompiled model is held to the stock model above."""
    model = make_model(architecture, dropout=COMPILED["model__dropout"])
    uncompiled, step_model = StepModel(model, in_bf16=False), StepModel(model, in_bf16=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert step_model.compile_blocks(COMPILED["data__batch_tokens"]) >= 1
    known = num_graphs()
    assert_equal_steps(model, with_seed(step_model), with_seed(uncompiled), in_bf16=True)
    assert num_graphs() == known, "another length was compiled again"


@pytest.mark.slow
@needs_compiler
def test_a_compiled_run_goes_on_bit_for_bit(make_trainer, monkeypatch):
    """Its graphs are those of the test above, which torch keeps on disk."""
    torch._dynamo.reset()
    whole = make_trainer("whole", max_steps=4, save_every=2, **COMPILED)
    cut = whole.folder.with_name("cut")
    save = whole.save_last

    def save_and_keep_the_first():
        save()
        if not cut.exists():
            shutil.copytree(whole.folder, cut)

    monkeypatch.setattr(whole, "save_last", save_and_keep_the_first)
    whole.train()
    whole.log.close()
    compiled = [json.loads(line) for line in (whole.folder / "log.jsonl").read_text().splitlines()]
    assert [line["graphs"] >= 1 for line in compiled if line["kind"] == "compile"] == [True]
    second = make_trainer("cut", max_steps=4, save_every=2, **COMPILED)
    second.resume()
    assert second.progress.step == 2
    second.train()
    assert_same_state(whole, second)


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
def test_dropout_follows_from_the_seed(architecture):
    model, batch = make_model(architecture, dropout=0.3), make_batch()
    step_model = StepModel(model, in_bf16=False)

    def loss(seed):
        step_model.seed_dropout(seed, batch.ids_BT)
        return step_model(batch.ids_BT, batch.loss_mask_BT).sum().item()

    assert loss(5) == loss(5)
    assert loss(5) != loss(6)
    bytes_of = [module.bytes for module in step_model.modules() if isinstance(module, ByteDropout)]
    assert len(bytes_of) == 5
    assert not torch.equal(bytes_of[0], bytes_of[1])


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
def test_some_sequences_have_the_dropout_that_they_have_among_all(architecture):
    model, batch = make_model(architecture, dropout=0.3), make_batch()
    step_model = StepModel(model, in_bf16=False)
    rows = torch.arange(len(batch.ids_BT)) % 2 == 1
    step_model.seed_dropout(5, batch.ids_BT)
    whole = step_model(batch.ids_BT, batch.loss_mask_BT)[rows[batch.rows]]
    some = batch.only(rows)
    step_model.seed_dropout(5, batch.ids_BT, rows)
    assert torch.allclose(step_model(some.ids_BT, some.loss_mask_BT), whole, atol=1e-5)
    assert step_model.has_dropout_by_row
    assert not StepModel(model, in_bf16=False, checkpointing=True).has_dropout_by_row


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
def test_gradient_checkpointing_changes_memory_alone(architecture):
    """Same loss and gradients, dropout included, while fewer tensors are kept for the backward pass."""
    model, batch = make_model(architecture, dropout=0.3), make_batch()
    outcomes, kept = [], []
    for checkpointing in (False, True):
        step_model = StepModel(model, in_bf16=False, checkpointing=checkpointing)
        step_model.seed_dropout(5, batch.ids_BT)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, s=sizes: s.append(x.numel()) or x, lambda x: x):
            losses = step_model(batch.ids_BT, batch.loss_mask_BT)
        outcomes.append(outcome(model, lambda losses=losses: losses))
        kept.append(sum(sizes))
    (loss, gradients), (again, same) = outcomes
    assert torch.equal(loss, again)
    assert all(torch.equal(gradients[name], same[name]) for name in gradients)
    assert kept[1] < kept[0] / 2


def test_a_missing_compiler_is_noticed(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not has_cpp_compiler()
