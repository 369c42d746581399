"""Several versions of a sample written side by side, of which the likelier ones go on: `SamplingConfig.best_of`.

A mask forbids a token where it stands, and the music pays for it later: a voice that may not move in parallel leaps to
a note that the model finds hardly likely, and what follows is in a place where it never was. Sequential Monte Carlo
takes such steps back (Lew et al. 2023, "Sequential Monte Carlo Steering of Large Language Models using Probabilistic
Programs"): at every quarter the versions are drawn anew, each as often as the probability that the model itself gave
to what its masks let through. A version that was cornered dies out, and one that kept the rules by itself takes its
place. The best version of the last bar is the sample.

Shapes: B rows (all versions of all samples), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.decoding.engine import Engine
from descant_modeling.decoding.sampler import Drawn, OnBar, draw, feed, log_mass
from descant_modeling.decoding.sequences import InfilledNotes, SequenceState
from descant_modeling.decoding.template import Template
from descant_tokenizers.tokens.grammar import Grammar

__all__ = ["resample", "sample_particles"]

_ENOUGH = 0.5  # versions are drawn anew once so few of them count, as a share: drawing costs variety


def sample_particles(
    model: Engine,
    grammar: Grammar,
    templates: Sequence[Template],
    config: SamplingConfig,
    randoms: Sequence[np.random.Generator],
    num_particles: int,
    progress: Callable[[float], None] | None = None,
    on_bar: OnBar | None = None,
) -> list[InfilledNotes]:
    """Fill the empty bars of each template, the best of some versions each; see `sampler.sample_templates`.

    Args:
        model: Engine of one row, empty; it is given rows for all versions of all templates.
        grammar: Grammar over the model's vocabulary.
        templates: What is given and what is empty, for each sample.
        config: Temperature, nucleus and rules.
        randoms: Random numbers of each sample, for all its versions.
        num_particles: Versions of each sample, 2 or more.
        progress: Called with the share of bars written so far, 0-1.
        on_bar: Called whenever all versions have written a bar, with the best ones so far: later they may be others.

    Returns:
        One sample for each template. Its tokens and likelihood are those of the version that was taken.

    Raises:
        InputError: A stream got longer than the model's positions reach.
    """
    assert num_particles > 1, "one version is what sample_templates draws"
    found = [
        _Particles(SequenceState(template, grammar, random, config), num_particles, config.temperature)
        for template, random in zip(templates, randoms, strict=True)
    ]
    model.select_rows([0] * len(found))
    logits_BV = feed(model, [versions.rows[0].pending for versions in found]).repeat_interleave(num_particles, dim=0)
    model.select_rows([index for index in range(len(found)) for _ in range(num_particles)])
    num_bars, num_written = sum(len(template.bars) for template in templates), 0
    active = found
    while active:
        rows = [row for versions in active for row in versions.rows]
        writing = [place for place, is_writing in enumerate(w for v in active for w in v.writing()) if is_writing]
        for place, drawn in zip(writing, draw(logits_BV[writing], [rows[i] for i in writing], config), strict=True):
            active[place // num_particles].accept(place % num_particles, drawn)
        orders = [versions.go_on() for versions in active]
        before, num_written = num_written, sum(versions.bar for versions in found)
        if progress is not None:
            progress(num_written / num_bars)
        if on_bar is not None and num_written > before:
            on_bar([versions.best().sample for versions in found])
        kept = _kept(active, orders, num_particles)
        active = [versions for versions in active if not versions.is_done]
        if active:
            if kept != list(range(len(rows))):
                model.select_rows(kept)
            logits_BV = feed(model, [ids for versions in active for ids in versions.pending()])
    return [versions.best().sample for versions in found]


def _kept(active: Sequence[_Particles], orders: Sequence[Sequence[int]], num_particles: int) -> list[int]:
    """Places of the rows that go on: of each sample that is not done, its versions as they were drawn anew."""
    return [
        place * num_particles + version
        for place, order in enumerate(orders)
        for version in order
        if not active[place].is_done
    ]


def resample(weights_N: npt.NDArray[np.float64], uniform: float) -> list[int]:
    """Draw as many as there are, each as often as its weight says, rounded up or down (systematic resampling).

    Args:
        weights_N: Weights of 0 or more, of any sum above 0.
        uniform: A random number, 0 to below 1.

    Returns:
        Ascending indices.
    """
    reached_N = np.cumsum(weights_N) / weights_N.sum()
    places_N = (uniform + np.arange(len(weights_N))) / len(weights_N)
    return [min(int(place), len(weights_N) - 1) for place in np.searchsorted(reached_N, places_N, side="right")]


class _Particles:
    """The versions of one sample. They wait for one another wherever a quarter begins.

    Attributes:
        rows: The versions.
    """

    def __init__(self, row: SequenceState, number: int, temperature: float) -> None:
        self._temperature = temperature
        self.rows = [row, *(row.copy() for _ in range(number - 1))]
        self._quarter_ticks = row.grammar.vocabulary.ticks_per_quarter
        self._log_weights = np.zeros(number)
        self._meet()

    @property
    def bar(self) -> int:
        """The bar that the last of them is in, as an index into the template's."""
        return min(row.bar for row in self.rows)

    @property
    def is_done(self) -> bool:
        """Whether all have written their last bar."""
        return all(row.done for row in self.rows)

    def best(self) -> SequenceState:
        """The version with the highest weight."""
        return self.rows[int(self._log_weights.argmax())]

    def writing(self) -> list[bool]:
        """Which versions write; those that have reached the next quarter wait for the others."""
        return [row.now_ticks < self._meeting_ticks for row in self.rows]

    def pending(self) -> list[list[int]]:
        """What the model has to see of each version before the next token."""
        return [row.pending if is_writing else [] for row, is_writing in zip(self.rows, self.writing(), strict=True)]

    def accept(self, version: int, drawn: Drawn) -> None:
        """Take a version's drawn token."""
        self.rows[version].accept(drawn.token_id, drawn.log_p)
        self._log_weights[version] += log_mass(drawn, self._temperature)

    def go_on(self) -> list[int]:
        """Once all have reached a quarter, draw anew if few count; return which version stands in each place."""
        order = list(range(len(self.rows)))
        if any(self.writing()):
            return order
        weights = np.exp(self._log_weights - self._log_weights.max())
        if not self.is_done and weights.sum() ** 2 < _ENOUGH * len(order) * (weights**2).sum():
            order = resample(weights, self.rows[0].random.random())
            self.rows = [self.rows[version].copy() for version in order]
            self._log_weights = np.zeros(len(order))
        self._meet()
        return order

    def _meet(self) -> None:
        """Say where they wait next."""
        last_ticks = min(row.now_ticks for row in self.rows)
        self._meeting_ticks = (last_ticks // self._quarter_ticks + 1) * self._quarter_ticks
