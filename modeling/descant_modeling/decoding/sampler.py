"""Constrained sampling: a model writes the target bars of templates, several samples side by side.

Context tokens are fed, never sampled. Every sampled token is legal in the grammar, so the result always decodes.

Shapes: B samples, N appended tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from descant_modeling.decoding.config import GenerationConfig, OnProgress
from descant_modeling.decoding.engine import Engine
from descant_modeling.decoding.sequences import InfilledNotes, SequenceState
from descant_modeling.decoding.template import Template
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.grammar import Grammar

#: Share of the temperature at which a model with hints draws pitches and chords; rhythm is drawn at all of it. Chosen
#: on valid: lower for all tokens dulls the rhythm (records/LOG.md).
PITCH_TEMPERATURE = 0.75
_LOWEST_TEMPERATURE = 1e-6  # below it, logits divided by the temperature overflow
_MAX_STEPWISE = 4  # context tokens that are fed one at a time

Item = TypeVar("Item")
Logits: TypeAlias = npt.NDArray[np.float32]
OnBar: TypeAlias = Callable[[Sequence[InfilledNotes]], None]
"""Takes the samples so far."""


class Drawn(NamedTuple):
    """A sampled token.

    Attributes:
        token_id: The token.
        log_p: ln of its probability under the model itself (no mask, temperature 1).
        log_p_V: ln of the probabilities of all tokens.
        legal_ids: The tokens to choose from.
    """

    token_id: int
    log_p: float
    log_p_V: npt.NDArray[np.float32]
    legal_ids: npt.NDArray[np.intp]


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
        for place, drawn in zip(waiting, draw(logits_BV[waiting], [active[i] for i in waiting], config), strict=True):
            active[place].accept(drawn.token_id, drawn.log_p)
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


def draw(logits_BV: Logits, rows: Sequence[SequenceState], config: GenerationConfig) -> list[Drawn]:
    """Sample a legal token for each row."""
    below_max = logits_BV - logits_BV.max(axis=-1, keepdims=True)
    log_p = below_max - np.log(np.exp(below_max).sum(axis=-1, keepdims=True))
    found = []
    for row, log_p_V in zip(rows, log_p, strict=True):
        legal_ids = row.legal().nonzero()[0]
        temperature = config.temperature * (PITCH_TEMPERATURE if row.draws_pitch else 1.0)
        token_id = int(legal_ids[_pick(log_p_V[legal_ids], temperature, config.top_p, row.random)])
        found.append(Drawn(token_id, float(log_p_V[token_id]), log_p_V, legal_ids))
    return found


def log_mass(drawn: Drawn, temperature: float) -> float:
    """Return ln of the probability, at a temperature, of all tokens that could have been sampled."""
    scaled_V = drawn.log_p_V.astype(np.float64) / max(temperature, _LOWEST_TEMPERATURE)
    p_V = np.exp(scaled_V - scaled_V[drawn.legal_ids].max())
    return float(np.log(p_V[drawn.legal_ids].sum()) - np.log(p_V.sum()))


def _pick(log_p_N: npt.NDArray[np.float32], temperature: float, top_p: float, random: np.random.Generator) -> int:
    """Choose one of some tokens: of the most likely that together reach `top_p`, by one uniform number."""
    if temperature == 0 or len(log_p_N) == 1:
        return int(log_p_N.argmax())
    below_max_N = log_p_N.astype(np.float64) - log_p_N.max()
    p_N = np.exp(below_max_N / max(temperature, _LOWEST_TEMPERATURE))
    order_N = (-p_N).argsort(kind="stable")
    reached_N = p_N[order_N].cumsum()
    last = int(reached_N[:-1].searchsorted(top_p * reached_N[-1]))  # where the nucleus ends
    return int(order_N[reached_N[:last].searchsorted(random.random() * reached_N[last], side="right")])
