"""Constrained sampling: a model writes the target bars of templates, several samples side by side.

Context tokens are fed, never sampled. Every sampled token is legal in the grammar, so the result always decodes.

Shapes: B samples, V vocabulary, N most legal tokens of a sample, M legal tokens of all samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from descant_modeling.decoding.config import GenerationConfig, OnProgress
from descant_modeling.decoding.engine import Engine
from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.sequences import SequenceState, TokenKind
from descant_modeling.decoding.template import Template
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.grammar import Grammar, Mask

#: Shares of the temperature at which a model with hints draws the chords of cadences, pitches and rhythm; what
#: continues music is drawn at all of it. Chosen on valid: lower for all tokens dulls the rhythm, and lower for what
#: continues a piece copies more of the training pieces (records/LOG.md).
SHARES: dict[TokenKind | None, float] = {"chord": 0.3, "pitch": 0.6, "rhythm": 1.1}
_LOWEST_TEMPERATURE = 1e-6  # below it, logits divided by the temperature overflow
_MAX_STEPWISE = 4  # context tokens that are fed one at a time

Item = TypeVar("Item")
Logits: TypeAlias = npt.NDArray[np.float32]
OnBar: TypeAlias = Callable[[Sequence[InfilledNotes]], None]
"""Takes the samples so far."""


class Choice(Protocol):
    """A row whose next token is to be drawn."""

    @property
    def random(self) -> np.random.Generator:
        """Its random stream."""

    @property
    def kind(self) -> TokenKind | None:
        """What the token is, where that decides the temperature."""

    @property
    def moving_on(self) -> Sequence[npt.NDArray[np.int64]]:
        """Groups of tokens, one after the other: ends of the bar, and with them later onsets.

        Where only some of a group are legal, they have the probability of all. Empty to choose each on its own.
        """

    @property
    def leaning(self) -> tuple[npt.NDArray[np.int64], float]:
        """Tokens to make likelier than the model does, and by how many nats."""

    def legal(self) -> Mask:
        """Return the mask of tokens to choose from, (V,)."""


class Drawn(NamedTuple):
    """A sampled token for each row.

    Attributes:
        token_ids: The tokens.
        log_p: ln of their probabilities under the model itself (no mask, temperature 1).
        log_p_BV: ln of the probabilities of all tokens, those of moving on pooled, with what rows lean to.
        legal_BV: The tokens to choose from.
        temperature_B: The temperature at which each was drawn.
    """

    token_ids: list[int]
    log_p: list[float]
    log_p_BV: npt.NDArray[np.float64]
    legal_BV: npt.NDArray[np.bool_]
    temperature_B: npt.NDArray[np.float64]


def one_for_each(items: Sequence[Item], number: int) -> list[Item]:
    """Return one item for each sample, given one for all samples or one for each."""
    assert len(items) in (1, number)
    return list(items) * number if len(items) == 1 else list(items)


def sample_templates(
    model: Engine,
    grammar: Grammar,
    templates: Sequence[Template],
    config: GenerationConfig,
    randoms: Sequence[np.random.Generator],
    progress: OnProgress | None = None,
    on_bar: OnBar | None = None,
) -> list[InfilledNotes]:
    """Write the target bars of each sample.

    Args:
        model: Engine of one row, empty; it gets a row for each sample.
        grammar: Grammar over the model's vocabulary.
        templates: One template for all samples, whose common beginning is then computed once, or one for each.
        config: Options of sampling.
        randoms: Random stream of each sample: a sample does not depend on those beside it (except for the last bits
            of the model's arithmetic, which may differ with the size of the batch).
        progress: Called with the share of bars written so far, 0-1.
        on_bar: Called after each bar.

    Returns:
        The samples.

    Raises:
        InputError: A stream is longer than the model's positions.
    """
    rows = [
        SequenceState(template, grammar, random, config)
        for template, random in zip(one_for_each(templates, len(randoms)), randoms, strict=True)
    ]
    if len(templates) == 1:
        logits_BV = feed(model, [rows[0].pending]).repeat(len(rows), axis=0)
        model.select_rows([0] * len(rows))
        for row in rows:
            row.pending = []
    else:
        model.select_rows([0] * len(rows))
        logits_BV = _feed_some(model, rows)
    num_bars, num_written = sum(len(row.template.bars) for row in rows), 0
    active = rows
    while True:
        waiting = [place for place, row in enumerate(active) if not row.pending]
        if waiting:
            drawn = draw(logits_BV[waiting], [active[place] for place in waiting], config)
            for place, token_id, log_p in zip(waiting, drawn.token_ids, drawn.log_p, strict=True):
                active[place].accept(token_id, log_p)
        before, num_written = num_written, sum(row.bar for row in rows)
        if progress is not None:
            progress(num_written / num_bars)
        if on_bar is not None and num_written > before:
            on_bar([row.sample for row in rows])
        if any(row.done for row in active):
            going_on = _closed_ranks(active)
            if not going_on:
                return [row.sample for row in rows]
            model.select_rows(going_on)
            active = [active[index] for index in going_on]
        logits_BV = _feed_some(model, active)


def _closed_ranks(rows: Sequence[SequenceState]) -> list[int]:
    """Return the places of the rows that go on. The last ones fill the gaps, so that few have to be moved."""
    num_left = sum(not row.done for row in rows)
    movers = (place for place in range(num_left, len(rows)) if not rows[place].done)
    return [place if not rows[place].done else next(movers) for place in range(num_left)]


def _feed_some(model: Engine, rows: Sequence[SequenceState]) -> Logits:
    """Append each row's pending tokens, or the first of them; return the logits after them, (B, V).

    One token for each row is the fast case. So a few context tokens are fed one at a time while the other rows go on
    sampling; a long run would delay its row, and is fed at once.
    """
    longest = max(len(row.pending) for row in rows)
    most = longest if longest > _MAX_STEPWISE else min(len(row.pending) for row in rows)
    fed = [row.pending[:most] for row in rows]
    for row in rows:
        row.pending = row.pending[most:]
    return feed(model, fed)


def feed(model: Engine, fed: Sequence[Sequence[int]]) -> Logits:
    """Append tokens to each row (possibly none to some); return the logits after them, (B, V).

    Raises:
        InputError: A row is longer than the model's positions.
    """
    try:
        return model.append(fed)
    except ValueError as error:
        raise InputError(
            f"The music is too long for this model ({str(error).rstrip('.')}). Cut the prompt, or ask for fewer bars."
        ) from None


def draw(logits_BV: Logits, rows: Sequence[Choice], config: GenerationConfig) -> Drawn:
    """Sample a legal token for each row, with one uniform number where there is a choice.

    The nucleus is made of the most likely legal tokens that together reach `top_p` of the legal tokens' probability.
    The probability of moving on belongs to where that is legal: a model cannot know which bars it is asked for, and
    without it, notes would be added.
    """
    legal_BV = np.stack([row.legal() for row in rows])
    shares = (SHARES.get(row.kind, 1.0) for row in rows)
    temperature_B = np.array([max(config.temperature * share, _LOWEST_TEMPERATURE) for share in shares])
    own_log_p_BV = _log_softmax(logits_BV.astype(np.float64))
    log_p_BV = own_log_p_BV.copy()
    for row, log_p_V, legal_V in zip(rows, log_p_BV, legal_BV, strict=True):
        for token_ids in row.moving_on:
            _pool(log_p_V, legal_V, token_ids)
        leaning_ids, nats = row.leaning
        log_p_V[leaning_ids] += nats
    num_legal_B = legal_BV.sum(axis=1)
    rows_M, ids_M = legal_BV.nonzero()
    places_M = np.arange(len(ids_M)) - (num_legal_B.cumsum() - num_legal_B)[rows_M]
    ids_BN = np.zeros((len(rows), num_legal_B.max()), np.intp)
    log_p_BN = np.full(ids_BN.shape, -np.inf)
    ids_BN[rows_M, places_M] = ids_M
    log_p_BN[rows_M, places_M] = log_p_BV[rows_M, ids_M] / temperature_B[rows_M]

    order_BN = (-log_p_BN).argsort(axis=1, kind="stable")
    sorted_BN = np.take_along_axis(log_p_BN, order_BN, axis=1)
    reached_BN = np.exp(sorted_BN - sorted_BN[:, :1]).cumsum(axis=1)
    top_p = config.top_p if config.temperature else 0.0
    last_B = (reached_BN[:, :-1] < top_p * reached_BN[:, -1:]).sum(axis=1)  # where the nucleus ends
    uniform_B = [row.random.random() if last else 0.0 for row, last in zip(rows, last_B, strict=True)]
    all_B = np.arange(len(rows))
    is_passed_BN = reached_BN <= (uniform_B * reached_BN[all_B, last_B])[:, None]
    chosen_B = (is_passed_BN & (np.arange(is_passed_BN.shape[1]) < last_B[:, None])).sum(axis=1)
    ids_B = ids_BN[all_B, order_BN[all_B, chosen_B]]
    return Drawn(ids_B.tolist(), own_log_p_BV[all_B, ids_B].tolist(), log_p_BV, legal_BV, temperature_B)


def _pool(log_p_V: npt.NDArray[np.float64], legal_V: Mask, token_ids: npt.NDArray[np.int64]) -> None:
    """Give the probability of some tokens to those of them that are legal, in place."""
    is_legal = legal_V[token_ids]
    if not is_legal.any() or is_legal.all():
        return
    legal = token_ids[is_legal]
    log_p_V[legal] += _log_sum_exp(log_p_V[None, token_ids]) - _log_sum_exp(log_p_V[None, legal])
    log_p_V[token_ids[~is_legal]] = -np.inf


def log_masses(drawn: Drawn) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return ln of the sums of p^(1 / temperature) over the tokens that could have been sampled, and over all, (B,).

    Their difference says what the mask left of the probability; the second alone how sure the model is, 0 at most
    for temperatures up to 1.
    """
    tempered_BV = drawn.log_p_BV / drawn.temperature_B[:, None]
    return _log_sum_exp(np.where(drawn.legal_BV, tempered_BV, -np.inf)), _log_sum_exp(tempered_BV)


def _log_sum_exp(values_BV: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    highest_B1 = values_BV.max(axis=1, keepdims=True)
    sum_B: npt.NDArray[np.float64] = highest_B1[:, 0] + np.log(np.exp(values_BV - highest_B1).sum(axis=1))
    return sum_B


def _log_softmax(logits_BV: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    log_p_BV: npt.NDArray[np.float64] = logits_BV - _log_sum_exp(logits_BV)[:, None]
    return log_p_BV
