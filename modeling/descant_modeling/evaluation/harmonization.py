"""Quality of harmonizations: every soprano of a split is harmonized and compared with Bach's own harmony.

The figures of one draw of a model depend on its seed. Several draws are measured both together and one by one.

Shapes: N harmonies, V = 3 lower voices, T 16ths.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from symusic.core import ScoreTick

from descant_modeling.evaluation.bootstrap import Estimate, by_piece, estimate_text, ratio_interval
from descant_modeling.evaluation.cadences import FIGURES, count_cadences, figure_text
from descant_modeling.evaluation.corpus_stats import MeasuredCorpus, ReferenceCorpus, measure
from descant_modeling.evaluation.grading import grade_pair
from descant_modeling.evaluation.harmonizers import Harmonizer, melody_of, phrase_ends_of, soprano_is_kept
from descant_modeling.evaluation.rules import RULES
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, chorale_of_harmony, chorale_of_row
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.harmony import PieceKey


@dataclass(frozen=True)
class Harmony:
    """One harmonized soprano.

    Attributes:
        score: Four tracks.
        chorale: The score in the form to measure; its phrases end where Bach's do.
        bach: Bach's own harmony of the soprano.
        is_kept: True if the soprano is Bach's, tick for tick.
    """

    score: ScoreTick
    chorale: Chorale
    bach: Chorale
    is_kept: bool


class Draw(NamedTuple):
    """One harmony of every soprano.

    Attributes:
        seed: Seed of the first soprano; each later one adds 1.
        harmonies: One per soprano.
        seconds: Time spent on generation.
    """

    seed: int
    harmonies: list[Harmony]
    seconds: float


@dataclass(frozen=True)
class Harmonization:
    """Measurements of a model's harmonies. Intervals are over pieces and draws (see `bootstrap`).

    Attributes:
        measured: Rules, grades and statistics of all draws.
        last_tonic_as_bach: Of the pieces whose last chord in Bach is the tonic's, percentage of those where it is in
            the harmony (`last_tonic` of `count_cadences`).
        soprano_kept: Percentage of the sopranos that came back unchanged.
        accuracy: For each lower voice, percentage of 16ths at which it sounds the same pitch as Bach's.
        bach_outgrades: Percentage of pairs in which Bach's harmony has the better grade; a tie counts half.
        bach_outgrades_cut: The same with both sides cut to equal length and without parallels (see `grade_pair`).
        seconds: Time spent on generation, all draws together.
        draws: Figures of each draw alone, for JSON.
    """

    measured: MeasuredCorpus
    last_tonic_as_bach: Estimate
    soprano_kept: float
    accuracy: dict[str, Estimate]
    bach_outgrades: Estimate
    bach_outgrades_cut: Estimate
    seconds: float
    draws: list[dict[str, Any]]

    def facts(self) -> dict[str, Any]:
        """Return the measurements for JSON."""
        return {
            "soprano_kept": round(self.soprano_kept, 3),
            "last_tonic_as_bach": self.last_tonic_as_bach.rounded(),
            "bach_outgrades": self.bach_outgrades.rounded(),
            "bach_outgrades_cut": self.bach_outgrades_cut.rounded(),
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
    fermatas: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Draw:
    """Harmonize the soprano of every row once.

    Args:
        harmonizer: The model or baseline.
        rows: Four-part pieces of a dataset.
        seed: Same seed, same music.
        fermatas: True to tell the harmonizer where phrases end.
        progress: Called with the share done, 0-1.
    """
    harmonies: list[Harmony] = []
    seconds = 0.0
    for index, row in enumerate(rows):
        original = row_to_score(row)
        melody = melody_of(original)
        started = time.monotonic()
        score = harmonizer.harmonize(melody, seed + index, phrase_ends_of(melody, row["fermatas"]) if fermatas else ())
        seconds += time.monotonic() - started
        places = [tick * score.ticks_per_quarter // original.ticks_per_quarter for tick in row["fermatas"]]
        chorale = chorale_of_harmony(score, row["id"], places)
        harmonies.append(Harmony(score, chorale, chorale_of_row(row), soprano_is_kept(melody, score)))
        if progress is not None:
            progress((index + 1) / len(rows))
    return Draw(seed, harmonies, seconds)


def measure_harmonies(draws: Sequence[Draw], reference: ReferenceCorpus) -> Harmonization:
    """Measure harmonies against a reference and against Bach's own harmonies of the same sopranos.

    Args:
        draws: One or more draws of the same sopranos.
        reference: Pieces to compare with.
    """
    bach = measure([harmony.bach for harmony in draws[0].harmonies], reference)
    each = [_measure([draw], reference, bach) for draw in draws]
    found = each[0] if len(draws) == 1 else _measure(draws, reference, bach)
    return replace(found, draws=[_draw_facts(draw, alone) for draw, alone in zip(draws, each, strict=True)])


def _measure(draws: Sequence[Draw], reference: ReferenceCorpus, bach: MeasuredCorpus) -> Harmonization:
    harmonies = [harmony for draw in draws for harmony in draw.harmonies]
    keys = [PieceKey(harmony.bach.tonic, harmony.bach.is_major) for harmony in harmonies]
    measured = measure([harmony.chorale for harmony in harmonies], reference, num_draws=len(draws), keys=keys)
    names = measured.names
    cut = [grade_pair(reference.grader, harmony.bach, harmony.chorale) for harmony in harmonies]
    return Harmonization(
        measured=measured,
        last_tonic_as_bach=_last_tonic_as_bach(harmonies, names, keys),
        soprano_kept=100 * float(np.mean([harmony.is_kept for harmony in harmonies])),
        accuracy=_accuracy(harmonies, names),
        bach_outgrades=_wins(names, list(zip(bach.grades * len(draws), measured.grades, strict=True))),
        bach_outgrades_cut=_wins(names, cut),
        seconds=sum(draw.seconds for draw in draws),
        draws=[],
    )


def _draw_facts(draw: Draw, alone: Harmonization) -> dict[str, Any]:
    """Return the figures of one draw, without intervals."""
    facts = alone.facts()
    return {
        "seed": draw.seed,
        "soprano_kept": facts["soprano_kept"],
        "cadences": {key: figure and figure["value"] for key, figure in facts["cadences"].items()},
        "last_tonic_as_bach": facts["last_tonic_as_bach"]["value"],
        "grade": {key: facts["grade"][key] for key in ("median", "quartiles")},
        "bach_outgrades": facts["bach_outgrades"]["value"],
        "bach_outgrades_cut": facts["bach_outgrades_cut"]["value"],
        "accuracy": {voice: share["value"] for voice, share in facts["accuracy"].items()},
        "rules": {key: rate["value"] for key, rate in facts["rules"].items()},
        "writing_seconds": facts["writing_seconds"],
    }


def _wins(names: Sequence[str], pairs: Sequence[tuple[float, float]]) -> Estimate:
    """Return the percentage of pairs of grades in which the first, Bach's, is lower; a tie counts half."""
    bach_N, own_N = np.array(pairs).T
    won_N = (bach_N < own_N) + 0.5 * (bach_N == own_N)
    return ratio_interval(by_piece(names, won_N), by_piece(names, np.ones_like(won_N)), scale=100)


def _last_tonic_as_bach(harmonies: Sequence[Harmony], names: Sequence[str], keys: Sequence[PieceKey]) -> Estimate:
    (bach_N, own_N) = (
        np.array([count_cadences(piece, key)["last_tonic"].part for piece, key in zip(pieces, keys, strict=True)])
        for pieces in ([harmony.bach for harmony in harmonies], [harmony.chorale for harmony in harmonies])
    )
    return ratio_interval(by_piece(names, bach_N * own_N), by_piece(names, bach_N), scale=100)


def _accuracy(harmonies: Sequence[Harmony], names: Sequence[str]) -> dict[str, Estimate]:
    lower = VOICES[1:]
    right, total = [], []
    for harmony in harmonies:
        num_frames = min(harmony.bach.num_frames, harmony.chorale.num_frames)
        bach_VT = harmony.bach.pitches_VT[1:]
        sounding_VT = bach_VT != SILENT
        equal_VT = harmony.chorale.pitches_VT[1:, :num_frames] == bach_VT[:, :num_frames]
        right.append((equal_VT & sounding_VT[:, :num_frames]).sum(axis=1))
        total.append(sounding_VT.sum(axis=1))
    right_NV, total_NV = np.array(right), np.array(total)
    return {
        voice: ratio_interval(by_piece(names, right_NV[:, index]), by_piece(names, total_NV[:, index]), scale=100)
        for index, voice in enumerate(lower)
    }


def harmonization_rows(models: Mapping[str, Mapping[str, Any]], bach: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of a table with a column for each model and a last one for Bach.

    Args:
        models: Facts of each model's harmonization.
        bach: Facts of Bach's own harmonies of the same sopranos.
    """
    columns = [*models.values(), bach]
    grades = [column["grade"] for column in columns]
    has_draws = any(model["num_draws"] > 1 for model in models.values())
    rows = [["soprano kept, %", *(f"{model['soprano_kept']:.1f}" for model in models.values()), "100.0"]]
    for figure in FIGURES:
        rows.append([figure.title, *(figure_text(column["cadences"][figure.key]) for column in columns)])
        if figure.key == "last_tonic":
            own = (estimate_text(model["last_tonic_as_bach"], 1) for model in models.values())
            rows.append(["... where Bach does, %", *own, "100"])
    for rule in RULES:
        rows.append([f"{rule.label}, {rule.sign}", *(estimate_text(column["rules"][rule.key]) for column in columns)])
    rows.append(["grade, median", *(estimate_text({"value": g["median"], **g["quartiles"]}) for g in grades)])
    intervals = (grade["median_interval"] for grade in grades)
    rows.append(["grade, 95 %", *(f"[{found['low']:.2f}, {found['high']:.2f}]" for found in intervals)])
    rows.append(["Bach outgrades, % of pairs", *(estimate_text(m["bach_outgrades"]) for m in models.values()), "50"])
    fair = (estimate_text(model["bach_outgrades_cut"]) for model in models.values())
    rows.append(["... cut to equal length, no parallels", *fair, "50"])
    if has_draws:
        medians = [[draw["grade"]["median"] for draw in model["draws"]] for model in models.values()]
        pairs = [[draw["bach_outgrades"] for draw in model["draws"]] for model in models.values()]
        for label, values in (("grade", medians), ("pairs", pairs)):
            ends = (f"{min(found):.2f}, {max(found):.2f}" for found in values)
            rows.append([f"{label}, best and worst draw", *ends, ""])
    for voice in (name.lower() for name in VOICES[1:]):
        shares = (estimate_text(model["accuracy"][voice]) for model in models.values())
        rows.append([f"{voice} as in Bach, % of 16ths", *shares, "100"])
    seconds = (f"{model['writing_seconds']:.0f}" for model in models.values())
    rows.append([f"seconds to write{', all draws' if has_draws else ''}", *seconds, ""])
    return rows
