"""The decoding pass agrees with the stock classes, in whatever chunks the tokens arrive."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from descant_modeling.decoding.engine.forward import CachedModel
from descant_modeling.models.transformer import ModelConfig, build_model

ARCHITECTURES = ("rotary", "gpt2")
VOCAB_SIZE = 23
NUM_POSITIONS = 48
NUM_ROWS = 3
NUM_TOKENS = 40
TOLERANCE = 1e-4


@functools.cache
def _model(architecture: str) -> Any:
    config = ModelConfig(
        architecture=architecture, width=32, num_layers=2, num_heads=4, dropout=0.2, max_tokens=NUM_POSITIONS
    )
    return _randomize(build_model(config, VOCAB_SIZE, bos=0, eos=1, pad=2))


def _randomize(model: Any) -> Any:
    """Draw all weights, including biases and norms, so that zeros and ones hide no mistake."""
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3, generator=generator)
    return model.eval()


@functools.cache
def _ids() -> torch.Tensor:
    return torch.randint(VOCAB_SIZE, (NUM_ROWS, NUM_TOKENS), generator=torch.Generator().manual_seed(5))


@functools.cache
def _expected(architecture: str) -> torch.Tensor:
    """Return the logits of the stock class after each token, (B, T, V)."""
    with torch.inference_mode():
        logits: torch.Tensor = _model(architecture)(input_ids=_ids(), use_cache=False).logits
    return logits


def _feed(cached: CachedModel, num_valid: list[int], sources: list[int] | None = None) -> torch.Tensor:
    """Append each row's next tokens; the ids after the valid ones are out of range."""
    sources = list(range(NUM_ROWS)) if sources is None else sources
    chunk = torch.full((len(sources), max(num_valid) + 1), -1)
    for row, (source, start, n) in enumerate(zip(sources, cached.lengths, num_valid, strict=True)):
        chunk[row, :n] = _ids()[source, start : start + n]
    return cached.forward(chunk, num_valid)


def _assert_expected(
    architecture: str, cached: CachedModel, logits: torch.Tensor, num_valid: list[int], sources: list[int] | None = None
) -> None:
    for row, source in enumerate(range(NUM_ROWS) if sources is None else sources):
        if num_valid[row]:
            expected = _expected(architecture)[source, cached.lengths[row] - 1]
            torch.testing.assert_close(logits[row], expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_whole_prompt_gives_the_stock_logits(architecture: str) -> None:
    cached = CachedModel(_model(architecture), NUM_ROWS, NUM_TOKENS)
    logits = cached.forward(_ids(), torch.tensor([NUM_TOKENS] * NUM_ROWS))
    assert cached.lengths == [NUM_TOKENS] * NUM_ROWS
    assert logits.shape == (NUM_ROWS, VOCAB_SIZE)
    _assert_expected(architecture, cached, logits, [NUM_TOKENS] * NUM_ROWS)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("first", [[1, 1, 1], [9, 2, 5]], ids=["equal lengths", "unequal lengths"])
def test_token_by_token_gives_the_stock_logits(architecture: str, first: list[int]) -> None:
    cached = CachedModel(_model(architecture), NUM_ROWS, NUM_TOKENS)
    _feed(cached, first)
    while max(cached.lengths) < NUM_TOKENS:
        logits = _feed(cached, [1, 1, 1])
        _assert_expected(architecture, cached, logits, [1, 1, 1])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ragged_chunks_give_the_stock_logits(architecture: str) -> None:
    cached = CachedModel(_model(architecture), NUM_ROWS, NUM_TOKENS)
    for num_valid in ([12, 1, 5], [1, 20, 1], [4, 4, 4], [0, 3, 0], [1, 1, 0], [0, 0, 9], [0, 0, 0], [1, 1, 1]):
        logits = _feed(cached, num_valid)
        _assert_expected(architecture, cached, logits, num_valid)
    assert cached.lengths == [19, 30, 20]


@settings(max_examples=20)
@given(
    architecture=st.sampled_from(ARCHITECTURES),
    capacity=st.integers(1, NUM_TOKENS),
    chunks=st.lists(st.lists(st.integers(0, 5), min_size=NUM_ROWS, max_size=NUM_ROWS), min_size=1, max_size=8),
)
def test_any_chunks_give_the_stock_logits(architecture: str, capacity: int, chunks: list[list[int]]) -> None:
    cached = CachedModel(_model(architecture), NUM_ROWS, capacity)
    for num_valid in chunks:
        _assert_expected(architecture, cached, _feed(cached, num_valid), num_valid)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_selected_rows_continue_separately(architecture: str) -> None:
    cached = CachedModel(_model(architecture), NUM_ROWS, NUM_TOKENS)
    _feed(cached, [8, 3, 6])
    sources = [2, 0, 2, 2, 1]
    cached.select_rows(sources)
    assert cached.lengths == [6, 8, 6, 6, 3]
    for num_valid in ([1, 1, 1, 1, 1], [7, 1, 0, 2, 4], [1, 1, 1, 1, 1]):
        logits = _feed(cached, num_valid, sources)
        _assert_expected(architecture, cached, logits, num_valid, sources)
    cached.select_rows([4])
    _assert_expected(architecture, cached, _feed(cached, [2], [1]), [2], [1])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_that_share_their_beginning_give_the_stock_logits(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("descant_modeling.decoding.engine.cache.MIN_SHARED_TOKENS", 8)
    beginning, stop = _ids()[1, :9], 9
    tails = _ids()[:, :NUM_TOKENS]
    with torch.inference_mode():
        whole = torch.cat([beginning.expand(NUM_ROWS, -1), tails[:, : NUM_POSITIONS - stop]], dim=1)
        expected = _model(architecture)(input_ids=whole, use_cache=False).logits
    cached = CachedModel(_model(architecture), 1, 4)
    cached.forward(beginning[None], [stop])
    cached.select_rows([0] * NUM_ROWS)
    assert cached.lengths == [stop] * NUM_ROWS
    rows = list(range(NUM_ROWS))
    for num_valid in ([1, 1, 1], [3, 1, 0], [1, 1, 1], [5, 9, 2], [1, 1, 1]):
        chunk = torch.zeros(len(rows), max(num_valid), dtype=torch.long)
        for place, (row, length) in enumerate(zip(rows, cached.lengths, strict=True)):
            chunk[place, : num_valid[place]] = whole[row, length : length + num_valid[place]]
        logits = cached.forward(chunk, num_valid)
        for place, (row, length) in enumerate(zip(rows, cached.lengths, strict=True)):
            if num_valid[place]:
                torch.testing.assert_close(logits[place], expected[row, length - 1], atol=TOLERANCE, rtol=0)
    cached.select_rows([2, 0])
    logits = cached.forward(
        torch.stack([whole[row, cached.lengths[i]] for i, row in enumerate([2, 0])])[:, None], [1, 1]
    )
    wanted = torch.stack([expected[row, cached.lengths[i] - 1] for i, row in enumerate([2, 0])])
    torch.testing.assert_close(logits, wanted, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_room_grows_when_it_runs_out(architecture: str) -> None:
    cached = CachedModel(_model(architecture), NUM_ROWS, 2)
    for num_valid in ([2, 2, 2], [1, 1, 1], [1, 9, 0], [20, 1, 1]):
        _assert_expected(architecture, cached, _feed(cached, num_valid), num_valid)


def test_rotary_models_outgrow_their_training_length() -> None:
    ids = _ids().flatten()[None]
    assert ids.shape[1] > NUM_POSITIONS
    with torch.inference_mode():
        expected = _model("rotary")(input_ids=ids, use_cache=False).logits[:, -1]
    logits = CachedModel(_model("rotary"), 1, NUM_POSITIONS).forward(ids, [ids.shape[1]])
    torch.testing.assert_close(logits, expected, atol=TOLERANCE, rtol=0)


def test_gpt2_ends_at_its_last_position_and_keeps_its_tokens() -> None:
    cached = CachedModel(_model("gpt2"), NUM_ROWS, 2 * NUM_POSITIONS)
    _feed(cached, [10, 12, 5])
    with pytest.raises(ValueError, match="positions for 48"):
        cached.forward(torch.zeros(NUM_ROWS, NUM_POSITIONS, dtype=torch.long), [1, 1, NUM_POSITIONS])
    assert cached.lengths == [10, 12, 5]
    _assert_expected("gpt2", cached, _feed(cached, [1, 1, 1]), [1, 1, 1])
    ids = torch.zeros(NUM_ROWS, NUM_POSITIONS, dtype=torch.long)
    cached.forward(ids, [NUM_POSITIONS - length for length in cached.lengths])
    assert cached.lengths == [NUM_POSITIONS] * NUM_ROWS


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.bfloat16, 0.2)])
def test_other_precisions(architecture: str, dtype: torch.dtype, tolerance: float) -> None:
    source = _model(architecture)
    model = type(source)(source.config).to(dtype).eval()
    model.load_state_dict(source.state_dict())
    cached = CachedModel(model, NUM_ROWS, NUM_TOKENS)
    for num_valid in ([4, 9, 1], [1, 1, 1]):
        logits = _feed(cached, num_valid)
    assert logits.dtype == dtype
    with torch.inference_mode():
        expected = model(input_ids=_ids(), use_cache=False).logits
    expected = torch.stack([expected[row, length - 1] for row, length in enumerate(cached.lengths)])
    torch.testing.assert_close(logits, expected, atol=tolerance, rtol=tolerance)


def test_training_mode_makes_no_difference() -> None:
    model = _model("rotary")
    model.train()
    try:
        logits = CachedModel(model, NUM_ROWS, NUM_TOKENS).forward(_ids(), [NUM_TOKENS] * NUM_ROWS)
    finally:
        model.eval()
    torch.testing.assert_close(logits, _expected("rotary")[:, -1], atol=TOLERANCE, rtol=0)


def _gpt_neox(**settings: Any) -> Any:
    config: dict[str, Any] = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "use_parallel_residual": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 1.0},
    }
    return _randomize(GPTNeoXForCausalLM(GPTNeoXConfig(**{**config, **settings})))


def test_untied_head_other_activation_and_no_attention_bias() -> None:
    model = _gpt_neox(tie_word_embeddings=False, hidden_act="relu", attention_bias=False)
    with torch.inference_mode():
        expected = model(input_ids=_ids(), use_cache=False).logits[:, -1]
    logits = CachedModel(model, NUM_ROWS, NUM_TOKENS).forward(_ids(), [NUM_TOKENS] * NUM_ROWS)
    torch.testing.assert_close(logits, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_parallel_residual": True}, "use_parallel_residual"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "rotary_pct"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, "rope_type"),
    ],
)
def test_unsupported_configurations_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CachedModel(_gpt_neox(**settings), 1, 8)


def test_other_families_are_refused() -> None:
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    with pytest.raises(ValueError, match="'llama' has no decoding pass"):
        CachedModel(LlamaForCausalLM(config), 1, 8)


@pytest.mark.parametrize("num_valid", [[1, 1], [1, 1, 4], [1, -1, 1]], ids=["too few", "too many tokens", "negative"])
def test_counts_that_do_not_fit_are_refused(num_valid: list[int]) -> None:
    cached = CachedModel(_model("rotary"), NUM_ROWS, 8)
    with pytest.raises(ValueError, match="Give"):
        cached.forward(_ids()[:, :3], num_valid)


@pytest.mark.parametrize("rows", [[], [3], [0, -1]])
def test_rows_outside_the_batch_are_refused(rows: list[int]) -> None:
    with pytest.raises(ValueError, match="from 0 to 2"):
        CachedModel(_model("rotary"), NUM_ROWS, 8).select_rows(rows)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="Give 1 or more"):
        CachedModel(_model("rotary"), 0, 8)
