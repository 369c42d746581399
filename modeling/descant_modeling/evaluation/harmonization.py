"""How well a model harmonizes: every soprano of a split, beside Bach's own harmonization of it.

One draw of a model is one piece of luck: with other seeds its figures differ. Several draws are measured together, and
each alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from symusic.core import ScoreTick

from descant_modeling.evaluation.bootstrap import Estimate, by_piece, ratio_interval
from descant_modeling.evaluation.corpus_stats import MeasuredCorpus, Reference, measure
from descant_modeling.evaluation.harmonizers import Harmonizer, melody_of, soprano_is_kept
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, chorale_of_harmony, chorale_of_row
from descant_tokenizers.scores import VOICES

__all__ = ["Draw", "Harmonization", "Harmonized", "harmonize_rows", "measure_harmonies"]

_NUM_LOWER = 3


@dataclass(frozen=True)
class Harmonized:
    """One soprano, harmonized.

    Attributes:
        score: Four tracks.
        chorale: The same, to be measured; phrases end where Bach's do.
        bach: Bach's own piece.
        is_kept: Whether the soprano is Bach's, tick for tick.
    """

    score: ScoreTick
    chorale: Chorale
    bach: Chorale
    is_kept: bool


class Draw(NamedTuple):
    """Every soprano, harmonized once.

    Attributes:
        seed: Same seed, same music.
        harmonies: One a soprano.
        seconds: Time that writing all of them took.
    """

    seed: int
    harmonies: list[Harmonized]
    seconds: float


@dataclass(frozen=True)
class Harmonization:
    """What was measured of a model's harmonies.

    Intervals are over pieces and draws (see `resample`).

    Attributes:
        measured: Rules, grades, plain statistics of all draws.
        soprano_kept: Per cent of the sopranos that came back unchanged.
        accuracy: For each voice that was written, per cent of 16ths at which it sounds what Bach's does.
        bach_outgrades: Per cent of pairs in which Bach's harmony has the better grade; a draw counts half.
        seconds: Time that the model took to write, all draws together.
        draws: What each draw shows alone, for JSON.
    """

    measured: MeasuredCorpus
    soprano_kept: float
    accuracy: dict[str, Estimate]
    bach_outgrades: Estimate
    seconds: float
    draws: list[dict[str, Any]]

    def facts(self) -> dict[str, Any]:
        """Return what goes into JSON."""
        return {
            "soprano_kept": round(self.soprano_kept, 3),
            "bach_outgrades": self.bach_outgrades.rounded(),
            "accuracy": {voice.lower(): share.rounded() for voice, share in self.accuracy.items()},
            **self.measured.facts(),
            "num_draws": self.measured.num_draws,
            "writing_seconds": round(self.seconds, 1),
            "draws": self.draws,
        }


def harmonize_rows(
    harmonizer: Harmonizer,
    rows: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Draw:
    """Harmonize the soprano of every row once.

    Args:
        harmonizer: Who writes.
        rows: Four-part pieces of a dataset.
        seed: Same seed, same music.
        progress: Called with the share done, 0-1.
    """
    done: list[Harmonized] = []
    seconds = 0.0
    for index, row in enumerate(rows):
        own = row_to_score(row)
        melody, bach = melody_of(own), chorale_of_row(row)
        started = time.monotonic()
        score = harmonizer.harmonize(melody, seed + index)
        seconds += time.monotonic() - started
        fermatas = [tick * score.ticks_per_quarter // own.ticks_per_quarter for tick in row["fermatas"]]
        chorale = chorale_of_harmony(score, row["id"], fermatas)
        done.append(Harmonized(score, chorale, bach, soprano_is_kept(melody, score)))
        if progress is not None:
            progress((index + 1) / len(rows))
    return Draw(seed, done, seconds)


def measure_harmonies(draws: Sequence[Draw], reference: Reference) -> Harmonization:
    """Measure harmonies beside a reference and beside Bach's own harmonies of the same sopranos.

    Args:
        draws: One or more, of the same sopranos.
        reference: Whom the pieces are measured by.
    """
    own = measure([harmony.bach for harmony in draws[0].harmonies], reference)
    each = [_measure([draw], reference, own) for draw in draws]
    found = each[0] if len(draws) == 1 else _measure(draws, reference, own)
    return replace(found, draws=[_draw_facts(draw, alone) for draw, alone in zip(draws, each, strict=True)])


def _measure(draws: Sequence[Draw], reference: Reference, own: MeasuredCorpus) -> Harmonization:
    done = [harmony for draw in draws for harmony in draw.harmonies]
    measured = measure([harmony.chorale for harmony in done], reference, num_draws=len(draws))
    his, mine = np.array(own.grades * len(draws)), np.array(measured.grades)
    return Harmonization(
        measured=measured,
        soprano_kept=100 * float(np.mean([harmony.is_kept for harmony in done])),
        accuracy=_accuracy(done, measured.names),
        bach_outgrades=_pairs((his < mine) + 0.5 * (his == mine), measured.names),
        seconds=sum(draw.seconds for draw in draws),
        draws=[],
    )


def _draw_facts(draw: Draw, alone: Harmonization) -> dict[str, Any]:
    """Return the figures of one draw, without intervals."""
    facts = alone.facts()
    return {
        "seed": draw.seed,
        "soprano_kept": facts["soprano_kept"],
        "grade": {key: facts["grade"][key] for key in ("median", "quartiles")},
        "bach_outgrades": facts["bach_outgrades"]["value"],
        "accuracy": {voice: share["value"] for voice, share in facts["accuracy"].items()},
        "rules": {key: rate["value"] for key, rate in facts["rules"].items()},
        "writing_seconds": facts["writing_seconds"],
    }


def _pairs(won: npt.NDArray[np.float64], names: Sequence[str]) -> Estimate:
    return ratio_interval(by_piece(names, won), by_piece(names, np.ones_like(won)), scale=100)


def _accuracy(done: Sequence[Harmonized], names: Sequence[str]) -> dict[str, Estimate]:
    right, total = [], []
    for harmony in done:
        num_frames = min(harmony.bach.num_frames, harmony.chorale.num_frames)
        bach = harmony.bach.pitches_VT[-_NUM_LOWER:]
        equal = (harmony.chorale.pitches_VT[-_NUM_LOWER:, :num_frames] == bach[:, :num_frames]).astype(float)
        sounding = bach != SILENT
        right.append((equal * sounding[:, :num_frames]).sum(axis=1))
        total.append(sounding.sum(axis=1))
    right_NV, total_NV = np.array(right), np.array(total)
    return {
        voice: ratio_interval(by_piece(names, right_NV[:, index]), by_piece(names, total_NV[:, index]), scale=100)
        for index, voice in enumerate(VOICES[-_NUM_LOWER:])
    }
