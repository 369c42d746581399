"""Sequential Monte Carlo: several particles of a sample side by side, resampled by likelihood (`best_of`).

A mask only forbids the next token, and the music pays for it later: a voice that may not move in parallel leaps to a
note that the model finds unlikely, and what follows is unlike anything in training. Sequential Monte Carlo takes such
steps back (Lew et al. 2023, "Sequential Monte Carlo Steering of Large Language Models using Probabilistic Programs"):
at every quarter the particles are resampled, in proportion to the probability that the model itself gave to the tokens
their masks allowed. A particle that was cornered dies out, and one that kept the rules unforced takes its place. The
particle with the highest weight after the last bar is the sample.

In a layout with hints, weights also say how sure the model was of its pitches and chords. Drawing each at a low
temperature prefers what is likely now, whatever it leads to; weighting a particle with the sums of p^(1 / temperature)
that were divided by prefers music that is likely as a whole: cadences that were prepared, sevenths that resolve. The
mean of these logarithms so far is subtracted from each, or particles with fewer notes would win.

Particles that have written the same so far, as where all notes are fixed, share a row of the engine.

Shapes: B particles of all samples, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from descant_modeling.decoding.config import GenerationConfig, OnProgress
from descant_modeling.decoding.engine import Engine
from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.sampler import Logits, OnBar, draw, feed, log_masses, one_for_each
from descant_modeling.decoding.sequences import SequenceState, TokenKind
from descant_modeling.decoding.template import Template
from descant_modeling.decoding.voice_leading import leading_rules
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.vocabulary import Vocabulary

__all__ = ["NUM_PARTICLES", "num_particles", "resample", "sample_particles"]

#: Particles of a sample where rules of voice leading are kept.
NUM_PARTICLES = 8
_MIN_EFFECTIVE_SHARE = 0.5  # of the particles, below which they are resampled: resampling costs variety


def num_particles(config: GenerationConfig, vocabulary: Vocabulary) -> int:
    """Return the number of particles of each sample; at temperature 0 all would be the same."""
    if config.temperature == 0:
        return 1
    if config.best_of is not None:
        return config.best_of
    return NUM_PARTICLES if leading_rules(config, vocabulary) else 1


def sample_particles(
    model: Engine,
    grammar: Grammar,
    templates: Sequence[Template],
    config: GenerationConfig,
    randoms: Sequence[np.random.Generator],
    num_particles: int,
    progress: OnProgress | None = None,
    on_bar: OnBar | None = None,
) -> list[InfilledNotes]:
    """Write the target bars of each sample: the best of `num_particles` (2 or more) particles.

    Arguments and errors are those of `sampler.sample_templates`. All particles of a sample share its random stream.
    `on_bar` gets the best particles once all have written a bar; others may win later. Tokens and likelihood of a
    sample are those of its particle.
    """
    assert num_particles > 1, "a single particle is what sample_templates samples"
    populations = [
        _Population(SequenceState(template, grammar, random, config), num_particles)
        for template, random in zip(one_for_each(templates, len(randoms)), randoms, strict=True)
    ]
    pending = [row.pending for each in populations for row in each.rows]
    logits_BV, shared = _feed_shared(model, [0] * len(pending), pending)
    num_bars, num_written = sum(len(each.rows[0].template.bars) for each in populations), 0
    active = populations
    while active:
        rows = [row for each in active for row in each.rows]
        writing = [place for place, is_writing in enumerate(w for each in active for w in each.writing()) if is_writing]
        drawn = draw(logits_BV[writing], [rows[place] for place in writing], config)
        masses = (masses_B.tolist() for masses_B in log_masses(drawn))
        for place, token_id, log_p, legal, every in zip(writing, drawn.token_ids, drawn.log_p, *masses, strict=True):
            active[place // num_particles].accept(place % num_particles, token_id, log_p, legal, every)
        orders = [each.go_on() for each in active]
        before, num_written = num_written, sum(each.bar for each in populations)
        if progress is not None:
            progress(num_written / num_bars)
        if on_bar is not None and num_written > before:
            on_bar([each.best().sample for each in populations])
        shared = [
            shared[place * num_particles + particle]
            for place, order in enumerate(orders)
            for particle in order
            if not active[place].is_done
        ]
        active = [each for each in active if not each.is_done]
        if active:
            logits_BV, shared = _feed_shared(model, shared, [ids for each in active for ids in each.pending()])
    return [each.best().sample for each in populations]


def _feed_shared(model: Engine, shared: Sequence[int], ids: Sequence[Sequence[int]]) -> tuple[Logits, list[int]]:
    """Append tokens to particles; the same tokens in the same row are computed once.

    Args:
        model: The engine.
        shared: The row of each particle.
        ids: What to append to each.

    Returns:
        The logits of each particle, (B, V), and its row from now on.
    """
    keys = [(row, tuple(own)) for row, own in zip(shared, ids, strict=True)]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    kept = [row for row, _ in places]
    if kept != list(range(len(model.lengths))):
        model.select_rows(kept)
    rows = [places[key] for key in keys]
    return feed(model, [own for _, own in places])[rows], rows


def resample(weights_N: npt.NDArray[np.float64], uniform: float) -> list[int]:
    """Draw N of N indices, each as often as its weight says, rounded up or down (systematic resampling).

    Args:
        weights_N: Weights of 0 or more, of any sum above 0.
        uniform: A random number, 0 to below 1.

    Returns:
        Ascending indices.
    """
    reached_N = np.cumsum(weights_N) / weights_N.sum()
    places_N = (uniform + np.arange(len(weights_N))) / len(weights_N)
    return [min(int(place), len(weights_N) - 1) for place in np.searchsorted(reached_N, places_N, side="right")]


class _Population:
    """The particles of one sample, `rows`, which wait for one another at every quarter."""

    def __init__(self, row: SequenceState, number: int) -> None:
        self.rows = [row, *(row.copy() for _ in range(number - 1))]
        self._quarter_ticks = row.grammar.vocabulary.ticks_per_quarter
        self._log_weights = np.zeros(number)
        self._sureness: dict[TokenKind, tuple[int, float]] = {}  # number and mean of the log masses of a kind
        self._set_meeting()

    @property
    def bar(self) -> int:
        """The bar of the slowest particle, as an index into the template's bars."""
        return min(row.bar for row in self.rows)

    @property
    def is_done(self) -> bool:
        """True if all have written their last bar."""
        return all(row.done for row in self.rows)

    def best(self) -> SequenceState:
        """Return the particle with the highest weight, of those that lead best to what follows."""
        faults = np.array([row.join_faults() if row.done else 0 for row in self.rows])
        return self.rows[int(np.where(faults == faults.min(), self._log_weights, -np.inf).argmax())]

    def writing(self) -> list[bool]:
        """Return True for each particle that goes on, False for those that wait at the next quarter."""
        return [row.now_ticks < self._meeting_ticks for row in self.rows]

    def pending(self) -> list[list[int]]:
        """Return the tokens of each particle to feed to the model next."""
        return [row.pending if is_writing else [] for row, is_writing in zip(self.rows, self.writing(), strict=True)]

    def accept(self, particle: int, token_id: int, log_p: float, log_legal: float, log_all: float) -> None:
        """Append a particle's sampled token, chosen from tokens with these masses (see `log_masses`)."""
        row = self.rows[particle]
        self._log_weights[particle] += log_legal - log_all
        if (kind := row.kind) in ("chord", "pitch"):  # by rhythm, particles with few notes would win
            number, mean = self._sureness.get(kind, (0, 0.0))
            mean += (log_all - mean) / (number + 1)
            self._sureness[kind] = number + 1, mean
            self._log_weights[particle] += log_all - mean
        row.accept(token_id, log_p)

    def go_on(self) -> list[int]:
        """Once all wait, resample if few have most of the weight; return the former place of each particle."""
        order = list(range(len(self.rows)))
        if any(self.writing()):
            return order
        weights = np.exp(self._log_weights - self._log_weights.max())
        if not self.is_done and weights.sum() ** 2 < _MIN_EFFECTIVE_SHARE * len(order) * (weights**2).sum():
            order = resample(weights, self.rows[0].random.random())
            self.rows = [self.rows[particle].copy() for particle in order]
            self._log_weights = np.zeros(len(order))
        self._set_meeting()
        return order

    def _set_meeting(self) -> None:
        """Choose the quarter at which they wait next."""
        last_ticks = min(row.now_ticks for row in self.rows)
        self._meeting_ticks = (last_ticks // self._quarter_ticks + 1) * self._quarter_ticks
