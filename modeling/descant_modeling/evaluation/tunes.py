"""Harmonizations of tunes that are not chorales: a folder of melodies with their keys and phrase ends.

The folder holds an `index.yaml`, a list of entries. Of an entry, three keys are read: `file`, a score file with one
melody; `key`, such as `D mixolydian`; and `phrase_ends`, the onsets of the last notes of its phrases, in quarter notes
from the beginning of the file. Figures are those of chorales (`cadences`, `rules`), with Bach's chorales beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from symusic.core import ScoreTick

from descant_modeling.evaluation.cadences import (
    FIGURES,
    Share,
    cadence_facts,
    cadence_rates,
    count_cadences,
    figure_text,
)
from descant_modeling.evaluation.corpus_stats import ReferenceCorpus
from descant_modeling.evaluation.harmonizers import Harmonizer
from descant_modeling.evaluation.rules import RULES, count_rules, rate_facts, rates_of
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.chords import parse_chord
from descant_tokenizers.pianoroll.frames import Chorale, chorale_of_harmony
from descant_tokenizers.rendering.rhythm import TimeSignature
from descant_tokenizers.scores import VOICES, bars_of, read_score
from descant_tokenizers.tokens.harmony import PieceKey

INDEX = "index.yaml"
_IS_MAJOR = {
    "major": True,
    "lydian": True,
    "mixolydian": True,
    "minor": False,
    "dorian": False,
    "phrygian": False,
}
_ANY_PITCH = (0, 127)
_PERCENTILE = 95


@dataclass(frozen=True)
class Tune:
    """A melody.

    Attributes:
        name: Stem of its file.
        melody: One track, Soprano.
        key: Its tonic, and the mode of its third.
        phrase_ends: Onsets of the last notes of its phrases, in ticks.
        is_compound: True if three eighths are a beat, as in 6/8.
    """

    name: str
    melody: ScoreTick
    key: PieceKey
    phrase_ends: tuple[int, ...]
    is_compound: bool


def read_tunes(folder: Path) -> list[Tune]:
    """Read the tunes of a folder, in the order of its index.

    Raises:
        InputError: The folder has no readable index, an entry is incomplete, or a file is not a melody.
    """
    path = folder / INDEX
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path} does not exist. Give a folder of tunes with an {INDEX}.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML ({' '.join(str(error).split())}). Correct it.") from None
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path} is not a list of tunes. Write one entry for each file.")
    return [_read_tune(folder, entry, f"Entry {number} of {path}") for number, entry in enumerate(entries, start=1)]


def _read_tune(folder: Path, entry: Any, where: str) -> Tune:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where} is not a mapping. Give it file, key and phrase_ends.")
    if missing := [key for key in ("file", "key", "phrase_ends") if key not in entry]:
        raise InputError(f"{where} has no {missing[0]}. Give it file, key and phrase_ends.")
    path = folder / str(entry["file"])
    ends = entry["phrase_ends"]
    if not isinstance(ends, list) or not all(isinstance(end, int | float) for end in ends):
        raise InputError(f"{where} has the phrase_ends {ends!r}. Give a list of onsets in quarter notes.")
    score = read_score(path)
    melodies = [track for track in score.tracks if track.notes]
    if len(melodies) != 1:
        raise InputError(f"{path} has {len(melodies)} tracks with notes. Give a file with one melody.")
    score.tracks = type(score.tracks)(melodies)
    score.tracks[0].name = VOICES[0]
    bar = bars_of(score)[-1]
    return Tune(
        name=path.stem,
        melody=score,
        key=_key_of(entry["key"], where),
        phrase_ends=tuple(round(end * score.ticks_per_quarter) for end in ends),
        is_compound=TimeSignature(bar.numerator, bar.denominator).is_compound,
    )


def _key_of(name: object, where: str) -> PieceKey:
    tonic, _, mode = str(name).partition(" ")
    try:
        return PieceKey(parse_chord(tonic).root, _IS_MAJOR[mode])
    except (InputError, KeyError):
        raise InputError(f"{where} has the key {name!r}. Write tonic and mode, such as Bb minor.") from None


class TuneHarmony(NamedTuple):
    """A harmonized tune.

    Attributes:
        tune: The tune.
        score: Four tracks.
        chorale: The score in the form to measure.
        seconds: Time spent on generation.
    """

    tune: Tune
    score: ScoreTick
    chorale: Chorale
    seconds: float


def harmonize_tunes(
    harmonizer: Harmonizer,
    tunes: Sequence[Tune],
    *,
    seed: int = 0,
    fermatas: bool = True,
    progress: Callable[[float], None] | None = None,
) -> list[TuneHarmony]:
    """Harmonize every tune once.

    Args:
        harmonizer: The model or baseline.
        tunes: The tunes.
        seed: Seed of the first tune; each later one adds 1.
        fermatas: True to tell the harmonizer where phrases end.
        progress: Called with the share done, 0-1.
    """
    found = []
    for index, tune in enumerate(tunes):
        started = time.monotonic()
        score = harmonizer.harmonize(tune.melody, seed + index, tune.phrase_ends if fermatas else ())
        seconds = time.monotonic() - started
        ends = [end * score.ticks_per_quarter // tune.melody.ticks_per_quarter for end in tune.phrase_ends]
        found.append(TuneHarmony(tune, score, chorale_of_harmony(score, tune.name, ends), seconds))
        if progress is not None:
            progress((index + 1) / len(tunes))
    return found


def tunes_facts(harmonies: Sequence[TuneHarmony], reference: ReferenceCorpus) -> dict[str, Any]:
    """Measure harmonies of tunes, for JSON: all of them, those in simple and compound meters, and each tune.

    The range of the melody is not judged, since it is given.

    Args:
        harmonies: One or more draws.
        reference: Source of the ranges of the lower voices.
    """
    ranges = [_ANY_PITCH, *reference.ranges[1:]]
    counts = [count_cadences(harmony.chorale, harmony.tune.key) for harmony in harmonies]
    groups = {
        "all": harmonies,
        "simple": [harmony for harmony in harmonies if not harmony.tune.is_compound],
        "compound": [harmony for harmony in harmonies if harmony.tune.is_compound],
    }
    seconds = [harmony.seconds for harmony in harmonies]
    return {
        **{name: _group_facts(group, ranges) for name, group in groups.items() if group},
        "seconds": {
            "median": round(float(np.median(seconds)), 3),
            f"percentile_{_PERCENTILE}": round(float(np.percentile(seconds, _PERCENTILE)), 3),
            "longest": round(max(seconds), 3),
        },
        "tunes": _tune_facts(harmonies, counts),
    }


def _group_facts(harmonies: Sequence[TuneHarmony], ranges: Sequence[tuple[int, int]]) -> dict[str, Any]:
    names = [harmony.tune.name for harmony in harmonies]
    counts = [count_cadences(harmony.chorale, harmony.tune.key) for harmony in harmonies]
    rules = [count_rules(harmony.chorale, ranges) for harmony in harmonies]
    return {
        "num_tunes": len(set(names)),
        "cadences": cadence_facts(cadence_rates(names, counts)),
        "rules": rate_facts(rates_of(names, rules)),
    }


def _tune_facts(harmonies: Sequence[TuneHarmony], counts: Sequence[Mapping[str, Share]]) -> dict[str, Any]:
    """Return the figures of each tune, all draws together; None where it says nothing."""
    facts: dict[str, Any] = {}
    for name in dict.fromkeys(harmony.tune.name for harmony in harmonies):
        own = [count for harmony, count in zip(harmonies, counts, strict=True) if harmony.tune.name == name]
        facts[name] = {}
        for figure in FIGURES:
            part, whole = (sum(count[figure.key][index] for count in own) for index in (0, 1))
            facts[name][figure.key] = round(figure.scale * part / whole, 3) if whole else None
    return facts


def tunes_rows(model: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return the rows of a table: all tunes with intervals, then simple and compound meters, then the references.

    Args:
        model: `tunes_facts` of a model.
        references: Facts of each reference (`MeasuredCorpus`), by name.
    """
    groups = [model[name] for name in ("simple", "compound") if name in model]
    others = [*groups, *references.values()]
    numbers = [str(group["num_tunes"]) for group in (model["all"], *groups)]
    rows = [["tunes", *numbers, *("" for _ in references)]]
    for figure in FIGURES:
        values = (_value(other["cadences"][figure.key], figure.unit) for other in others)
        rows.append([figure.title, figure_text(model["all"]["cadences"][figure.key]), *values])
    for rule in RULES:
        values = (f"{other['rules'][rule.key]['value']:.2f}" for other in others)
        found = model["all"]["rules"][rule.key]
        own = f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
        rows.append([f"{rule.label}, {rule.sign}", own, *values])
    seconds = f"{model['seconds'][f'percentile_{_PERCENTILE}']:.1f}"
    rows.append([f"seconds, {_PERCENTILE}th percentile", seconds, *("" for _ in others)])
    return rows


def _value(fact: Mapping[str, Any] | None, unit: str) -> str:
    return "-" if fact is None else f"{fact['value']:.{1 if unit == '%' else 2}f}"
