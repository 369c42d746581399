"""Constrained sampling: a plan's empty bars filled by the model, several samples side by side.

Given tokens are fed, never generated. Every sampled token is legal in the grammar, so the result always decodes.

Shapes: B samples, N appended tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from descant_modeling.decoding.forward import CachedModel
from descant_modeling.decoding.plan import EmptyBar, Plan
from descant_tokenizers.tokens.grammar import Grammar, Mask, Rules, State
from descant_tokenizers.tokens.piece import GridNote, read_notes


@dataclass(frozen=True)
class SamplingConfig:
    """How tokens are drawn.

    Args:
        temperature: Divides the logits; 0 takes the most likely token.
        top_p: Nucleus (Holtzman et al. 2020): only the likeliest tokens that together reach this probability.
    """

    temperature: float = 1.0
    top_p: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature is {self.temperature}: give 0 to 10")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}: give a number above 0, at most 1")


@dataclass
class Sample:
    """What one sample wrote.

    Attributes:
        notes: Notes of each written bar, by bar index.
        num_tokens: Tokens that were sampled.
        log_likelihood: Sum of ln p of the sampled tokens under the model itself (no mask, temperature 1), in nats.
    """

    notes: dict[int, tuple[GridNote, ...]] = field(default_factory=dict)
    num_tokens: int = 0
    log_likelihood: float = 0.0


class _Row:
    """One sample in the making."""

    def __init__(self, plan: Plan, grammar: Grammar, seed: tuple[int, int]) -> None:
        self.plan, self.grammar = plan, grammar
        self.random = np.random.default_rng(seed)
        self.sample = Sample()
        self.busy_ticks = plan.busy_ticks
        self.bar = -1
        self.pending: list[int] = []
        self.written: list[int] = []
        self.state = grammar.start()
        self.rules: Rules | None = None
        self._open_next_bar()

    @property
    def done(self) -> bool:
        return self.bar >= len(self.plan.bars)

    def illegal(self) -> Mask:
        """What may not be drawn; nothing is forbidden to a row that is done, whose draws are thrown away."""
        if self.done:
            return np.zeros(self.grammar.table.size, dtype=bool)
        return ~self.grammar.mask(self.state, self.rules)

    def accept(self, token_id: int) -> None:
        """Take a sampled token: a note token goes on, a closing token opens the next bar."""
        bar = self.plan.bars[self.bar]
        self.sample.num_tokens += 1
        if token_id not in bar.closing_ids:
            self.state: State = self.grammar.advance(self.state, token_id, self.rules)
            self.written.append(token_id)
            self.pending = [token_id]
            return
        table = self.grammar.table
        ids = [i for token in self.written for i in table.base_ids(token)]
        self.sample.notes[bar.index], _ = read_notes(table, ids, 0, table.meter_of[bar.meter_id])
        self.busy_ticks = tuple(bar.start_ticks + busy for busy in self.state.busy_ticks)
        self._open_next_bar()

    def _open_next_bar(self) -> None:
        self.bar += 1
        self.written = []
        if self.done:
            self.pending = []
            return
        bar, plan = self.plan.bars[self.bar], self.plan
        self.pending = list(plan.given[self.bar])
        self.state = self.grammar.enter_bar(bar.meter_id, (max(0, b - bar.start_ticks) for b in self.busy_ticks))
        self.rules = _rules(plan, bar)


def _rules(plan: Plan, bar: EmptyBar) -> Rules:
    latest = tuple(end - bar.start_ticks for end in plan.latest_end_ticks)
    return Rules(plan.voices, latest, plan.pitches, bar.closing_ids)


def sample_plan(
    model: CachedModel,
    grammar: Grammar,
    plan: Plan,
    config: SamplingConfig,
    *,
    num_samples: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> list[Sample]:
    """Fill the empty bars of a plan ``num_samples`` times.

    Args:
        model: Engine of batch size 1, empty; it is expanded to ``num_samples`` rows after the shared beginning.
        grammar: Grammar over the model's vocabulary.
        plan: What is given and what is empty.
        config: Temperature and nucleus.
        num_samples: Samples, each with its own stream of random numbers.
        seed: Seed of all of them.
        progress: Called with the share of bars written so far, 0-1.
    """
    rows = [_Row(plan, grammar, (seed, i)) for i in range(num_samples)]
    logits_BV = model.forward(torch.tensor([rows[0].pending], device=model.device), [len(rows[0].pending)])
    if num_samples > 1:
        model.select_rows([0] * num_samples)
        logits_BV = logits_BV.expand(num_samples, -1)
    while True:
        for row, (token, log_p) in zip(rows, _draw(logits_BV, rows, config), strict=True):
            if not row.done:
                row.sample.log_likelihood += log_p
                row.accept(token)
        if progress is not None:
            progress(sum(row.bar for row in rows) / (num_samples * len(plan.bars)))
        if all(row.done for row in rows):
            return [row.sample for row in rows]
        counts = [len(row.pending) for row in rows]
        ids_BN = torch.zeros((num_samples, max(counts)), dtype=torch.long)
        for index, row in enumerate(rows):
            ids_BN[index, : counts[index]] = torch.tensor(row.pending)
        logits_BV = model.forward(ids_BN.to(model.device), counts)


def _draw(logits_BV: torch.Tensor, rows: list[_Row], config: SamplingConfig) -> list[tuple[int, float]]:
    """Draw a legal token for each row; return it with its ln p under the model. Rows that are done draw anything."""
    logits_BV = logits_BV.float().cpu()
    illegal_BV = torch.from_numpy(np.stack([row.illegal() for row in rows]))
    masked_BV = logits_BV.masked_fill(illegal_BV, float("-inf"))
    if config.temperature == 0:
        tokens_B = masked_BV.argmax(dim=-1)
    else:
        p_BV, order_BV = torch.softmax(masked_BV / config.temperature, dim=-1).sort(dim=-1, descending=True, stable=True)
        below_BV = p_BV.cumsum(dim=-1)
        kept_BV = p_BV.masked_fill(below_BV - p_BV >= config.top_p, 0.0)
        below_BV = kept_BV.cumsum(dim=-1)
        uniform_B1 = torch.tensor([[row.random.random()] for row in rows])
        picked_B1 = (below_BV <= uniform_B1 * below_BV[:, -1:]).sum(dim=-1, keepdim=True)
        # Rounding may point past the last token with any probability.
        last_B1 = (kept_BV > 0).sum(dim=-1, keepdim=True) - 1
        tokens_B = order_BV.gather(1, torch.minimum(picked_B1, last_B1))[:, 0]
    log_p_B = torch.log_softmax(logits_BV, dim=-1).gather(1, tokens_B[:, None])[:, 0]
    return list(zip(tokens_B.tolist(), log_p_B.tolist(), strict=True))
