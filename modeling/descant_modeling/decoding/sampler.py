"""Constrained sampling: the empty bars of plans filled by a model, several samples side by side.

Given tokens are fed, never generated. Every sampled token is legal in the grammar, so the result always decodes.

Shapes: B samples, N appended tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from descant_modeling.decoding.leading import VoiceLeading
from descant_modeling.decoding.plan import EmptyBar, Plan
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.grammar import Grammar, Mask, Rules, State
from descant_tokenizers.tokens.piece import GridNote, GridTempo, read_content

_LOWEST_TEMPERATURE = 1e-6  # below it, logits divided by the temperature overflow
_MAX_STEPWISE = 4  # given tokens that are fed one at a time


class Engine(Protocol):
    """What the sampler needs of a model: see :class:`descant_modeling.decoding.forward.CachedModel`."""

    @property
    def device(self) -> torch.device:
        """Where ids go."""

    def select_rows(self, rows: Sequence[int]) -> None:
        """Make copies of the named rows the new batch."""

    def forward(self, ids_BN: torch.Tensor, num_valid_B: Sequence[int], /) -> torch.Tensor:
        """Append tokens to the rows and return the logits after them, (B, V)."""


@dataclass(frozen=True)
class SamplingConfig:
    """How tokens are drawn.

    Args:
        temperature: Divides the logits; 0 takes the most likely token.
        top_p: Nucleus (Holtzman et al. 2020): only the likeliest tokens that together reach this probability.
        allow_parallels: Whether a voice may move in parallel fifths, octaves and unisons with another one; only asked
            in four-part music without learned tokens.
    """

    temperature: float = 0.9
    top_p: float = 0.95
    allow_parallels: bool = False

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
        tempos: Tempos of each written bar, by bar index, where the vocabulary has them.
        num_tokens: Tokens that were sampled.
        log_likelihood: Sum of ln p of the sampled tokens under the model itself (no mask, temperature 1), in nats.
    """

    notes: dict[int, tuple[GridNote, ...]] = field(default_factory=dict)
    tempos: dict[int, tuple[GridTempo, ...]] = field(default_factory=dict)
    num_tokens: int = 0
    log_likelihood: float = 0.0


class _Row:
    """One sample in the making."""

    def __init__(self, plan: Plan, grammar: Grammar, random: np.random.Generator, config: SamplingConfig) -> None:
        self.plan, self.grammar, self.random = plan, grammar, random
        self.sample = Sample()
        table = grammar.table
        has_lines = table.is_four_part and not table.has_learned_tokens
        self.leading = VoiceLeading(table.num_voices, plan.held) if has_lines and not config.allow_parallels else None
        self.busy_ticks = grammar.busy_with(plan.held)
        self.bar = -1
        self.state: State
        self.rules: Rules
        self.pending: list[int]
        self.written: list[int]
        self.inside: list[GridNote]
        self._open_next_bar()

    @property
    def done(self) -> bool:
        return self.bar >= len(self.plan.bars)

    def legal(self) -> Mask:
        """What may be drawn."""
        legal = self.grammar.mask(self.state, self.rules)
        if self.state.kind == "Program":
            return self._without_parallels(legal)
        closing = list(self.rules.closing_ids)
        if self.inside and self.state.kind != "Pitch":
            return self._with_given(legal)
        if len(self.written) >= self.plan.max_bar_tokens and legal[closing].any():
            only_closing = np.zeros_like(legal)
            only_closing[closing] = legal[closing]
            return only_closing
        if self._is_unfinished() or self._is_last_bar_empty():
            going_on = legal.copy()
            going_on[closing] = False
            return going_on if going_on.any() else legal
        return legal

    def _without_parallels(self, legal: Mask) -> Mask:
        """Leave out pitches that make parallels, unless no other is left."""
        if self.leading is None:
            return legal
        onset = self.plan.bars[self.bar].start_ticks + self.state.offset_ticks
        due = (note for note in self.inside if note.offset_ticks == self.state.offset_ticks)
        parallels = self.leading.parallels(self.state.voice, onset, due)
        ids = [self.grammar.table.pitch_id[pitch] for pitch in parallels if pitch in self.grammar.table.pitch_id]
        if not ids:
            return legal
        others = legal.copy()
        others[ids] = False
        return others if others.any() else legal

    def _with_given(self, legal: Mask) -> Mask:
        """Let nothing pass the next given note of the bar: no later onset, at its own no lower voice, no bar line."""
        note, table = self.inside[0], self.grammar.table
        position_ticks = table.meter_of[self.plan.bars[self.bar].meter_id].position_ticks
        legal = legal.copy()
        legal[list(self.rules.closing_ids)] = False
        if note.offset_ticks == self.state.offset_ticks:
            legal[list(table.position_of)] = False
            legal[[i for i, voice in table.voice_of.items() if voice > note.voice]] = False
            legal[table.voice_id[note.voice]] = True
        elif self.state.kind != "Position":
            place = note.offset_ticks // position_ticks
            legal[[i for i, position in table.position_of.items() if position > place]] = False
            legal[table.position_id[place]] = True
        return legal

    def _is_unfinished(self) -> bool:
        """Whether some voice has to sound until an end in this bar, and does not yet."""
        if not self.plan.to_the_end:
            return False
        bar_ticks = self.grammar.table.meter_of[self.plan.bars[self.bar].meter_id].bar_ticks
        ends = self.rules.latest_end_ticks
        return any(self._end_of(voice) < ends[voice] <= bar_ticks for voice in self.plan.voices)

    def _is_last_bar_empty(self) -> bool:
        is_last = self.plan.fills_last_bar and self.bar == len(self.plan.bars) - 1
        return is_last and not any(self._end_of(voice) > 0 for voice in self.plan.voices)

    def _end_of(self, voice: int) -> int:
        return self.grammar.end_of(self.state.busy_ticks, voice)

    def accept(self, token_id: int, log_p: float) -> None:
        """Take a drawn token: a note goes on, a closing token opens the next bar, a given voice sings its own note."""
        if self.inside and self.grammar.table.voice_of.get(token_id) == self.inside[0].voice:
            self.pending = self._sing_given()
        else:
            self.sample.num_tokens += 1
            self.sample.log_likelihood += log_p
            if token_id in self.rules.closing_ids:
                self._close_bar()
                return
            self.pending = self._follow([token_id])
        while self._given_is_due():
            self.pending += self._sing_given()

    def _given_is_due(self) -> bool:
        """Whether nothing else may follow than the next given note."""
        if not self.inside or self.inside[0].offset_ticks != self.state.offset_ticks:
            return False
        return self.state.kind not in ("Program", "Pitch") and int(self.legal().sum()) == 1

    def _sing_given(self) -> list[int]:
        note, table = self.inside.pop(0), self.grammar.table
        durations = table.duration_id[table.meter_of[self.plan.bars[self.bar].meter_id].denominator]
        return self._follow([table.voice_id[note.voice], table.pitch_id[note.pitch], durations[note.duration_ticks]])

    def _follow(self, ids: list[int]) -> list[int]:
        # given notes keep the grammar, not the wishes for written ones
        rules = None if self.plan.inside else self.rules
        for token_id in ids:
            self.state = self.grammar.advance(self.state, token_id, rules)
        self.written += ids
        if self.leading is not None and self.state.kind == "Duration":
            start, voice = self.plan.bars[self.bar].start_ticks, self.state.voice
            end = start + self._end_of(voice)
            self.leading.sing(
                voice, start + self.state.offset_ticks, end, self.grammar.table.pitch_of[self.written[-2]]
            )
        return ids

    def _close_bar(self) -> None:
        bar, table = self.plan.bars[self.bar], self.grammar.table
        ids = [base_id for token_id in self.written for base_id in table.base_ids(token_id)]
        content, _ = read_content(table, ids, 0, table.meter_of[bar.meter_id])
        self.sample.notes[bar.index] = tuple(note for note in content.notes if note.voice in self.plan.voices)
        if content.tempos:
            self.sample.tempos[bar.index] = content.tempos
        self.busy_ticks = self.grammar.later(self.state.busy_ticks, bar.start_ticks)
        self._open_next_bar()

    def _open_next_bar(self) -> None:
        self.bar += 1
        self.written = []
        self.pending = []
        self.inside = []
        if self.done:
            return
        bar = self.plan.bars[self.bar]
        self.pending = list(self.plan.given[self.bar])
        self.inside = list(self.plan.inside[self.bar]) if self.plan.inside else []
        self.state = self.grammar.enter_bar(bar.meter_id, self.grammar.later(self.busy_ticks, -bar.start_ticks))
        self.rules = _rules(self.plan, bar)


def _rules(plan: Plan, bar: EmptyBar) -> Rules:
    latest = tuple(end - bar.start_ticks for end in plan.latest_end_ticks)
    return Rules(plan.voices, latest, plan.pitches, bar.closing_ids, plan.tempos)


def sample_plans(
    model: Engine,
    grammar: Grammar,
    plans: Sequence[Plan],
    config: SamplingConfig,
    randoms: Sequence[np.random.Generator],
    progress: Callable[[float], None] | None = None,
) -> list[Sample]:
    """Fill the empty bars of each plan once.

    Args:
        model: Engine of one row, empty; it is given a row for each plan. Where all plans are one and the same object,
            their common beginning is computed once.
        grammar: Grammar over the model's vocabulary.
        plans: What is given and what is empty, for each sample.
        config: Temperature and nucleus.
        randoms: Random numbers of each sample, from its own stream: a sample does not depend on those beside it
            (but for the last bits of the model's arithmetic, which may differ with the size of the batch).
        progress: Called with the share of bars written so far, 0-1.

    Returns:
        One sample for each plan.

    Raises:
        InputError: A stream got longer than the model's positions reach.
    """
    rows = [_Row(plan, grammar, random, config) for plan, random in zip(plans, randoms, strict=True)]
    if all(plan is plans[0] for plan in plans):
        logits_BV = _feed(model, rows[:1]).expand(len(rows), -1)
        model.select_rows([0] * len(rows))
        for row in rows:
            row.pending = []
    else:
        model.select_rows([0] * len(rows))
        logits_BV = _feed(model, rows)
    num_bars = sum(len(plan.bars) for plan in plans)
    active = rows
    while True:
        _draw(logits_BV, active, config)
        if progress is not None:
            progress(sum(row.bar for row in rows) / num_bars)
        if any(row.done for row in active):
            going_on = _closed_ranks(active)
            if not going_on:
                return [row.sample for row in rows]
            model.select_rows(going_on)
            active = [active[index] for index in going_on]
        logits_BV = _feed(model, active)


def _closed_ranks(rows: Sequence[_Row]) -> list[int]:
    """Places of the rows that go on. The last ones fill the gaps, so that few have to be moved."""
    num_left = sum(not row.done for row in rows)
    movers = (place for place in range(num_left, len(rows)) if not rows[place].done)
    return [place if not rows[place].done else next(movers) for place in range(num_left)]


def _feed(model: Engine, rows: Sequence[_Row]) -> torch.Tensor:
    """Append what each row has pending, or the first of it; return the logits after it, (B, V).

    Rows of equal length that append equally many tokens are the fast case. So a few given tokens are fed one at a time,
    while the other rows go on drawing; a long run would hold its row up, and is fed at once.
    """
    longest = max(len(row.pending) for row in rows)
    most = longest if longest > _MAX_STEPWISE else min(len(row.pending) for row in rows)
    fed = [row.pending[:most] for row in rows]
    for row in rows:
        row.pending = row.pending[most:]
    counts = [len(ids) for ids in fed]
    ids_BN = torch.tensor([ids + [0] * (max(counts) - len(ids)) for ids in fed])
    try:
        return model.forward(ids_BN.to(model.device), counts)
    except ValueError as error:
        raise InputError(
            f"the music is too long for this model ({error}); cut the prompt or ask for fewer bars"
        ) from None


def _draw(logits_BV: torch.Tensor, rows: Sequence[_Row], config: SamplingConfig) -> None:
    """Draw a legal token for each row that waits for one; it counts with its ln p under the model."""
    logits = logits_BV.float().cpu().numpy()
    below_max = logits - logits.max(axis=-1, keepdims=True)
    log_p = below_max - np.log(np.exp(below_max).sum(axis=-1, keepdims=True))
    for row, log_p_V in zip(rows, log_p, strict=True):
        if not row.pending:
            legal_ids = row.legal().nonzero()[0]
            token_id = int(legal_ids[_pick(log_p_V[legal_ids], config, row.random)])
            row.accept(token_id, float(log_p_V[token_id]))


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
