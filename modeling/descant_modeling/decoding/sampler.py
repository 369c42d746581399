"""Constrained sampling: the empty bars of plans filled by a model, several samples side by side.

Given tokens are fed, never generated. Every sampled token is legal in the grammar, so the result always decodes.

Shapes: B samples, N appended tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from descant_modeling.decoding.defaults import TEMPERATURE, TOP_P
from descant_modeling.decoding.leading import LeadingRules, VoiceLeading
from descant_modeling.decoding.plan import EmptyBar, Plan
from descant_modeling.intervals import key_of_notes
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Mask, Rules, State
from descant_tokenizers.tokens.piece import GridNote, GridTempo, read_content
from descant_tokenizers.tokens.vocabulary import TokenTable

#: Versions of a sample, where its voices keep rules.
NUM_VERSIONS = 8
MAX_VERSIONS = 64
_LOWEST_TEMPERATURE = 1e-6  # below it, logits divided by the temperature overflow
_MAX_STEPWISE = 4  # given tokens that are fed one at a time


OnBar: TypeAlias = "Callable[[Sequence[Sample]], None]"
"""Takes the samples as far as they are written."""


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
        allow_leaps: Likewise whether a voice may leap by an augmented interval or over an octave.
        best_of: Versions of each sample that are written side by side, the likelier ones going on at every quarter
            (see `versions`), 1-64; None for `NUM_VERSIONS` where rules of voice leading are kept, else 1.
    """

    temperature: float = TEMPERATURE
    top_p: float = TOP_P
    allow_parallels: bool = False
    allow_leaps: bool = False
    best_of: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature is {self.temperature}: give 0 to 10")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}: give a number above 0, at most 1")
        if self.best_of is not None and not 1 <= self.best_of <= MAX_VERSIONS:
            raise ValueError(f"best_of is {self.best_of}: give 1 to {MAX_VERSIONS}")

    def rules_for(self, table: TokenTable) -> LeadingRules | None:
        """Return the rules of voice leading that are kept in a vocabulary's music, if there are any."""
        has_lines = table.is_four_part and not table.has_learned_tokens
        rules = LeadingRules(parallels=not self.allow_parallels, leaps=not self.allow_leaps)
        return rules if has_lines and (rules.parallels or rules.leaps) else None

    def num_versions(self, table: TokenTable) -> int:
        """Return how many versions of a sample are written; the likeliest tokens are the same in all."""
        if self.temperature == 0:
            return 1
        if self.best_of is not None:
            return self.best_of
        return NUM_VERSIONS if self.rules_for(table) else 1


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


class Row:
    """One sample in the making."""

    def __init__(self, plan: Plan, grammar: Grammar, random: np.random.Generator, config: SamplingConfig) -> None:
        self.plan, self.grammar, self.random = plan, grammar, random
        self.sample = Sample()
        rules = config.rules_for(grammar.table)
        self.leading = _voice_leading(plan, grammar.table.num_voices, rules) if rules else None
        self.busy_ticks = grammar.busy_with(plan.held)
        self.bar = -1
        self.state: State
        self.rules: Rules
        self.pending: list[int]
        self.written: list[int]
        self.inside: list[GridNote]
        self._open_next_bar()

    def copy(self) -> Row:
        """Return another sample in the making that has written the same so far; random numbers are shared."""
        twin = copy(self)
        twin.sample = replace(self.sample, notes=dict(self.sample.notes), tempos=dict(self.sample.tempos))
        twin.leading = None if self.leading is None else self.leading.copy()
        twin.pending, twin.written, twin.inside = list(self.pending), list(self.written), list(self.inside)
        return twin

    @property
    def done(self) -> bool:
        """Whether the last bar is written."""
        return self.bar >= len(self.plan.bars)

    @property
    def now_ticks(self) -> int:
        """The onset that is being written, from the beginning of the piece; `NEVER` behind the last bar."""
        return NEVER if self.done else self.plan.bars[self.bar].start_ticks + max(0, self.state.offset_ticks)

    def legal(self) -> Mask:
        """Return what may be drawn, (V,)."""
        legal = self.grammar.mask(self.state, self.rules)
        if self.state.kind == "Program":
            return self._well_led(legal)
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

    def _well_led(self, legal: Mask) -> Mask:
        """Leave out pitches that voice leading forbids, unless no other is left."""
        if self.leading is None:
            return legal
        onset = self.plan.bars[self.bar].start_ticks + self.state.offset_ticks
        due = (note for note in self.inside if note.offset_ticks == self.state.offset_ticks)
        forbidden = self.leading.forbidden(self.state.voice, onset, due)
        ids = [self.grammar.table.pitch_id[pitch] for pitch in forbidden if pitch in self.grammar.table.pitch_id]
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


def _voice_leading(plan: Plan, num_voices: int, rules: LeadingRules) -> VoiceLeading:
    given = [*(note for _, note in plan.held), *(note for bar in plan.inside for note in bar)]
    key = key_of_notes((note.pitch, note.duration_ticks) for note in given) if rules.leaps else None
    return VoiceLeading(num_voices, plan.held, rules, key)


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
    on_bar: OnBar | None = None,
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
        on_bar: Called whenever a bar was written.

    Returns:
        One sample for each plan.

    Raises:
        InputError: A stream got longer than the model's positions reach.
    """
    rows = [Row(plan, grammar, random, config) for plan, random in zip(plans, randoms, strict=True)]
    if all(plan is plans[0] for plan in plans):
        logits_BV = feed(model, [rows[0].pending]).expand(len(rows), -1)
        model.select_rows([0] * len(rows))
        for row in rows:
            row.pending = []
    else:
        model.select_rows([0] * len(rows))
        logits_BV = _feed_some(model, rows)
    num_bars, num_written = sum(len(plan.bars) for plan in plans), 0
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


def _closed_ranks(rows: Sequence[Row]) -> list[int]:
    """Places of the rows that go on. The last ones fill the gaps, so that few have to be moved."""
    num_left = sum(not row.done for row in rows)
    movers = (place for place in range(num_left, len(rows)) if not rows[place].done)
    return [place if not rows[place].done else next(movers) for place in range(num_left)]


def _feed_some(model: Engine, rows: Sequence[Row]) -> torch.Tensor:
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


def draw(logits_BV: torch.Tensor, rows: Sequence[Row], config: SamplingConfig) -> list[Drawn]:
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
