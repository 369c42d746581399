"""Both engines compute what the stock classes compute, however the tokens arrive."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.engine import Engine
from descant_modeling.decoding.engine.graph import Bits, build_graph, read_stack
from descant_modeling.decoding.engine.onnx_engine import OnnxModel
from descant_modeling.decoding.engine.torch_engine import TorchModel
from descant_modeling.models.checkpoints import load_checkpoint
from descant_modeling.models.transformer import ModelConfig, build_model

ARCHITECTURES = ("rotary", "gpt2")
VOCAB_SIZE = 23
NUM_POSITIONS = 48
NUM_ROWS = 3
NUM_TOKENS = 40
TOLERANCE = 1e-4


def _randomize(model: Any) -> Any:
    """Draw all weights, biases and norms included, so that no mistake hides behind zeros and ones."""
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3, generator=generator)
    return model.eval()


@functools.cache
def _model(architecture: str) -> Any:
    config = ModelConfig(
        architecture=architecture, width=32, num_layers=2, num_heads=4, dropout=0.2, max_tokens=NUM_POSITIONS
    )
    return _randomize(build_model(config, VOCAB_SIZE, bos=0, eos=1, pad=2))


def _onnx_model(model: Any, bits: Bits = 32) -> OnnxModel:
    return OnnxModel(read_stack(json.loads(model.config.to_json_string())), _arrays(model), bits)


def _arrays(model: Any) -> dict[str, Any]:
    return {name: values.numpy() for name, values in model.state_dict().items()}


@functools.cache
def _shared(architecture: str) -> OnnxModel:
    return _onnx_model(_model(architecture))


ENGINES: dict[str, Callable[[str], Engine]] = {
    "onnx": lambda architecture: _shared(architecture).start(4),
    "torch": lambda architecture: TorchModel(_model(architecture)).start(4),
}


@pytest.fixture(params=[f"{engine}-{architecture}" for engine in ENGINES for architecture in ARCHITECTURES])
def walk(request: pytest.FixtureRequest) -> Walk:
    """An engine with three empty rows."""
    engine, _, architecture = request.param.partition("-")
    return Walk(ENGINES[engine](architecture), architecture, list(range(NUM_ROWS)))


@functools.cache
def _ids() -> torch.Tensor:
    return torch.randint(VOCAB_SIZE, (NUM_ROWS, NUM_TOKENS), generator=torch.Generator().manual_seed(5))


@functools.cache
def _expected(architecture: str) -> Any:
    """Logits of the stock class after each token, (B, T, V)."""
    with torch.inference_mode():
        return _model(architecture)(input_ids=_ids(), use_cache=False).logits.numpy()


class Walk:
    """An engine, and which of three known streams each of its rows follows."""

    def __init__(self, engine: Engine, architecture: str, sources: Sequence[int]) -> None:
        self.engine, self.architecture, self.sources = engine, architecture, list(sources)
        engine.select_rows([0] * len(sources))

    def select(self, rows: Sequence[int]) -> None:
        """Replace the batch by some of its rows."""
        self.engine.select_rows(rows)
        self.sources = [self.sources[row] for row in rows]

    def go(self, counts: Sequence[int]) -> None:
        """Append each row's next tokens, and compare the logits with the stock class's."""
        starts = list(self.engine.lengths)
        ids = [
            _ids()[source, start : start + count].tolist()
            for source, start, count in zip(self.sources, starts, counts, strict=True)
        ]
        logits_BV = self.engine.append(ids)
        assert logits_BV.shape == (len(counts), VOCAB_SIZE)
        assert self.engine.lengths == [start + len(own) for start, own in zip(starts, ids, strict=True)]
        for row, own in enumerate(ids):
            if own:
                expected = _expected(self.architecture)[self.sources[row], self.engine.lengths[row] - 1]
                np.testing.assert_allclose(logits_BV[row], expected, atol=TOLERANCE, rtol=0)


def test_a_whole_prompt_gives_the_stock_logits(walk: Walk) -> None:
    walk.go([NUM_TOKENS] * NUM_ROWS)


@pytest.mark.parametrize("first", [[1, 1, 1], [9, 2, 5]], ids=["equal lengths", "unequal lengths"])
def test_token_by_token_gives_the_stock_logits(walk: Walk, first: list[int]) -> None:
    walk.go(first)
    while max(walk.engine.lengths) < NUM_TOKENS:
        walk.go([1, 1, 1])


def test_ragged_chunks_give_the_stock_logits(walk: Walk) -> None:
    for counts in ([12, 1, 5], [1, 20, 1], [4, 4, 4], [0, 3, 0], [1, 1, 0], [0, 0, 9], [1, 1, 1]):
        walk.go(counts)
    assert walk.engine.lengths == [19, 30, 20]


def test_a_step_without_tokens_changes_nothing(walk: Walk) -> None:
    walk.go([4, 4, 4])  # as many as there is room for
    walk.go([0, 0, 0])
    walk.go([1, 1, 1])


@settings(max_examples=30, deadline=None)
@given(
    engine=st.sampled_from(sorted(ENGINES)),
    architecture=st.sampled_from(ARCHITECTURES),
    moves=st.lists(
        st.one_of(
            st.lists(st.integers(0, 5), min_size=NUM_ROWS, max_size=NUM_ROWS).filter(any),
            st.permutations([0, 0, 1, 2]).map(lambda rows: ("select", rows[:NUM_ROWS])),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_any_chunks_of_any_rows_give_the_stock_logits(engine: str, architecture: str, moves: list[Any]) -> None:
    walk = Walk(ENGINES[engine](architecture), architecture, range(NUM_ROWS))
    for move in moves:
        if isinstance(move, tuple):
            walk.select(move[1])
        else:
            walk.go([min(n, NUM_TOKENS - length) for n, length in zip(move, walk.engine.lengths, strict=True)])


def test_forgotten_tokens_leave_no_trace(walk: Walk) -> None:
    walk.go([5, 8, 3])
    walk.engine.append([[1, 2, 3], [4], []])
    walk.engine.rewind([5, 6, 0])
    walk.go([3, 1, 4])
    walk.engine.append([[7], [7], [7]])
    walk.engine.rewind([8, 7, 4])
    walk.go([1, 1, 1])
    for lengths in ([9, 9, 9], [1, 1], [-1, 0, 0]):
        with pytest.raises(ValueError, match="Keep at most"):
            walk.engine.rewind(lengths)


def test_selected_rows_go_on_separately(walk: Walk) -> None:
    walk.go([8, 3, 6])
    walk.select([2, 0, 2, 2, 1])
    assert walk.engine.lengths == [6, 8, 6, 6, 3]
    for counts in ([1, 1, 1, 1, 1], [7, 1, 0, 2, 4], [1, 1, 1, 1, 1]):
        walk.go(counts)
    walk.select([4])
    walk.go([2])


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_rotary_models_outgrow_their_training_length(engine: str) -> None:
    ids = _ids().flatten()[None]
    assert ids.shape[1] > NUM_POSITIONS
    with torch.inference_mode():
        expected = _model("rotary")(input_ids=ids, use_cache=False).logits[:, -1].numpy()
    logits_BV = ENGINES[engine]("rotary").append(ids.tolist())
    np.testing.assert_allclose(logits_BV, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_gpt2_ends_at_its_last_position_and_keeps_its_tokens(engine: str) -> None:
    walk = Walk(ENGINES[engine]("gpt2"), "gpt2", range(NUM_ROWS))
    walk.go([10, 12, 5])
    with pytest.raises(ValueError, match="positions for 48"):
        walk.engine.append([[0], [0], [0] * NUM_POSITIONS])
    assert walk.engine.lengths == [10, 12, 5]
    walk.go([1, 1, 1])
    walk.engine.append([[0] * (NUM_POSITIONS - length) for length in walk.engine.lengths])
    assert walk.engine.lengths == [NUM_POSITIONS] * NUM_ROWS


def test_untied_heads_and_no_attention_bias() -> None:
    model = _gpt_neox(tie_word_embeddings=False, attention_bias=False)
    with torch.inference_mode():
        expected = model(input_ids=_ids(), use_cache=False).logits[:, -1].numpy()
    engine = _onnx_model(model).start(8)
    engine.select_rows([0] * NUM_ROWS)
    np.testing.assert_allclose(engine.append(_ids().tolist()), expected, atol=TOLERANCE, rtol=0)


def _gpt_neox(**changes: Any) -> Any:
    config: dict[str, Any] = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "hidden_act": "gelu_pytorch_tanh",
        "use_parallel_residual": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 1.0},
    }
    return _randomize(GPTNeoXForCausalLM(GPTNeoXConfig(**{**config, **changes})))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_parallel_residual": True}, "use_parallel_residual is True"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, "scaled"),
        ({"model_type": "llama"}, "model type is 'llama'"),
    ],
)
def test_unsupported_configurations_are_refused(changes: dict[str, Any], message: str) -> None:
    config = json.loads(_gpt_neox().config.to_json_string())
    with pytest.raises(ValueError, match=message):
        read_stack({**config, **changes})


@pytest.mark.parametrize("rows", [[], [3], [0, -1]])
def test_rows_outside_the_batch_are_refused(walk: Walk, rows: list[int]) -> None:
    with pytest.raises(ValueError, match="from 0 to 2"):
        walk.engine.select_rows(rows)


@pytest.mark.parametrize("bits", [8, 32])
def test_a_row_computes_the_same_bits_alone_and_in_a_batch(bits: Bits) -> None:
    """One block of five rows and five blocks of one row, whichever rows get a token."""
    ids, number = _ids().tolist(), 5
    chosen = [[0, 1], [0, 1, 2, 3, 4], [1, 2, 4], [0, 4], [3]] * 3

    def walk(num_threads: int) -> list[list[Any]]:
        model = _onnx_model(_model("rotary"), bits)
        model.num_threads = num_threads
        engine, found = model.start(4), [list[Any]() for _ in range(number)]
        engine.select_rows([0] * number)
        engine.append([ids[row % NUM_ROWS][: 5 + row] for row in range(number)])
        for rows in chosen:
            fed = [ids[row % NUM_ROWS][-1:] if row in rows else [] for row in range(number)]
            logits_BV = engine.append(fed)
            for row in rows:
                found[row].append(logits_BV[row])
        return found

    together, apart = walk(1), walk(number)
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_array_equal(one, other)


def test_eight_bits_keep_the_likelihood() -> None:
    """Music that the embedded model samples, without a mask, is as likely in 8 bits as in 32."""
    checkpoint = load_checkpoint(EMBEDDED_DEFAULT)
    stack, weights, random = read_stack(checkpoint.config), checkpoint.read_weights(), np.random.default_rng(0)
    exact, rounded = (OnnxModel(stack, weights, bits).start(512) for bits in (32, 8))
    token_id, nats_2 = checkpoint.vocabulary.special("BOS"), np.zeros(2)
    for _ in range(400):
        logits_2V = np.concatenate([exact.append([[token_id]]), rounded.append([[token_id]])]).astype(np.float64)
        p_2V = np.exp(logits_2V) / np.exp(logits_2V).sum(axis=1, keepdims=True)
        token_id = int(random.choice(stack.vocab_size, p=p_2V[0]))
        nats_2 -= np.log(p_2V[:, token_id])
    assert nats_2[0] > 100
    assert nats_2[1] != nats_2[0]
    assert nats_2[1] == pytest.approx(nats_2[0], rel=0.005)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_key_or_value_exceeds_what_eight_bits_hold(architecture: str) -> None:
    model = _model(architecture)
    graph = build_graph(read_stack(json.loads(model.config.to_json_string())), _arrays(model), bits=8).graph
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    engine = _onnx_model(model).start(NUM_POSITIONS)
    engine.append(_ids()[:1].tolist())
    width = model.config.hidden_size // model.config.num_attention_heads
    for index, (keys, values) in enumerate(engine._blocks[0]._cache):
        for name, found in (("key", keys), ("value", values)):
            highest = 127 * constants[f"{name}_scale_{index}"]
            assert (np.abs(found) <= highest).all()
            assert np.abs(found)[..., : width // 2].max() > 0.1 * highest.max()  # nor are the scales far too wide


def test_another_number_of_rows_is_refused(walk: Walk) -> None:
    with pytest.raises(ValueError, match="Give 3"):
        walk.engine.append([[1], [1]])
