"""Constrained sampling: the empty bars of templates filled by a model, several samples side by side.

Given tokens are fed, never generated. Every sampled token is legal in the grammar, so the result always decodes.

Shapes: B samples, N appended tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.decoding.engine import Engine
from descant_modeling.decoding.sequences import InfilledNotes, SequenceState
from descant_modeling.decoding.template import Template
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.grammar import Grammar

_LOWEST_TEMPERATURE = 1e-6  # below it, logits divided by the temperature overflow
_MAX_STEPWISE = 4  # given tokens that are fed one at a time


OnBar: TypeAlias = "Callable[[Sequence[InfilledNotes]], None]"
"""Takes the samples as far as they are written."""


class Drawn(NamedTuple):
    """A token that was drawn.

    Attributes:
        token_id: The token.
        log_p: ln of its probability under the model itself (no mask, temperature 1).
        log_p_V: The same of all tokens.
        legal_ids: The tokens that might be drawn.
    """

    token_id: int
    log_p: float
    log_p_V: npt.NDArray[np.float32]
    legal_ids: npt.NDArray[np.intp]


def sample_templates(
    model: Engine,
    grammar: Grammar,
    templates: Sequence[Template],
    config: SamplingConfig,
    randoms: Sequence[np.random.Generator],
    progress: Callable[[float], None] | None = None,
    on_bar: OnBar | None = None,
) -> list[InfilledNotes]:
    """Fill the empty bars of each template once.

    Args:
        model: Engine of one row, empty; it is given a row for each template. Where all templates are the same object,
            their common beginning is computed once.
        grammar: Grammar over the model's vocabulary.
        templates: What is given and what is empty, for each sample.
        config: Temperature and nucleus.
        randoms: Random numbers of each sample, from its own stream: a sample does not depend on those beside it
            (but for the last bits of the model's arithmetic, which may differ with the size of the batch).
        progress: Called with the share of bars written so far, 0-1.
        on_bar: Called whenever a bar was written.

    Returns:
        One sample for each template.

    Raises:
        InputError: A stream got longer than the model's positions reach.
    """
    rows = [
        SequenceState(template, grammar, random, config) for template, random in zip(templates, randoms, strict=True)
    ]
    if all(template is templates[0] for template in templates):
        logits_BV = feed(model, [rows[0].pending]).expand(len(rows), -1)
        model.select_rows([0] * len(rows))
        for row in rows:
            row.pending = []
    else:
        model.select_rows([0] * len(rows))
        logits_BV = _feed_some(model, rows)
    num_bars, num_written = sum(len(template.bars) for template in templates), 0
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
    """Places of the rows that go on. The last ones fill the gaps, so that few have to be moved."""
    num_left = sum(not row.done for row in rows)
    movers = (place for place in range(num_left, len(rows)) if not rows[place].done)
    return [place if not rows[place].done else next(movers) for place in range(num_left)]


def _feed_some(model: Engine, rows: Sequence[SequenceState]) -> torch.Tensor:
    """Append what each row has pending, or the first of it; return the logits after it, (B, V).

    Rows of equal length that append equally many tokens are the fast case. So a few given tokens are fed one at a time,
    while the other rows go on drawing; a long run would hold its row up, and is fed at once.
    """
    longest = max(len(row.pending) for row in rows)
    most = longest if longest > _MAX_STEPWISE else min(len(row.pending) for row in rows)
    fed = [row.pending[:most] for row in rows]
    for row in rows:
        row.pending = row.pending[most:]
    return feed(model, fed)


def feed(model: Engine, fed: Sequence[Sequence[int]]) -> torch.Tensor:
    """Append tokens to each row, to some maybe none; return the logits after them, (B, V)."""
    counts = [len(ids) for ids in fed]
    ids_BN = torch.tensor([[*ids, *[0] * (max(counts) - len(ids))] for ids in fed])
    try:
        return model.forward(ids_BN.to(model.device), counts)
    except ValueError as error:
        raise InputError(
            f"the music is too long for this model ({error}); cut the prompt or ask for fewer bars"
        ) from None


def draw(logits_BV: torch.Tensor, rows: Sequence[SequenceState], config: SamplingConfig) -> list[Drawn]:
    """Draw a legal token for each row."""
    logits = logits_BV.float().cpu().numpy()
    below_max = logits - logits.max(axis=-1, keepdims=True)
    log_p = below_max - np.log(np.exp(below_max).sum(axis=-1, keepdims=True))
    found = []
    for row, log_p_V in zip(rows, log_p, strict=True):
        legal_ids = row.legal().nonzero()[0]
        token_id = int(legal_ids[_pick(log_p_V[legal_ids], config, row.random)])
        found.append(Drawn(token_id, float(log_p_V[token_id]), log_p_V, legal_ids))
    return found


def log_mass(drawn: Drawn, temperature: float) -> float:
    """Return ln of the probability, at a temperature above 0, of all tokens that might have been drawn."""
    scaled_V = drawn.log_p_V.astype(np.float64) / max(temperature, _LOWEST_TEMPERATURE)
    p_V = np.exp(scaled_V - scaled_V[drawn.legal_ids].max())
    return float(np.log(p_V[drawn.legal_ids].sum()) - np.log(p_V.sum()))


def _pick(log_p_N: npt.NDArray[np.float32], config: SamplingConfig, random: np.random.Generator) -> int:
    """Pick one of some tokens: of the likeliest that together reach `top_p`, by one uniform number."""
    if config.temperature == 0 or len(log_p_N) == 1:
        return int(log_p_N.argmax())
    below_max_N = log_p_N.astype(np.float64) - log_p_N.max()
    p_N = np.exp(below_max_N / max(config.temperature, _LOWEST_TEMPERATURE))
    order_N = (-p_N).argsort(kind="stable")
    reached_N = p_N[order_N].cumsum()
    last = int(reached_N[:-1].searchsorted(config.top_p * reached_N[-1]))  # the place where the nucleus ends
    return int(order_N[reached_N[:last].searchsorted(random.random() * reached_N[last], side="right")])
