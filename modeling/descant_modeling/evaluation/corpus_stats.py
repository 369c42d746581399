"""Four-part music from files, folders and corpora, measured against a reference such as Bach.

The measurements are cadences, rules of voice leading, a grade of style and statistics. Statistics are shares of what
sounds: silence has no pitch, and an empty bar is one in which nothing sounds.

Shapes: V = 4 voices from high to low, T 16ths, N pieces, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from descant_modeling.evaluation.bootstrap import Estimate, median_interval
from descant_modeling.evaluation.cadences import cadence_facts, cadence_rates, count_cadences
from descant_modeling.evaluation.grading import TERMS, Grader, features_of
from descant_modeling.evaluation.rules import count_rules, rate_facts, rates_of, voice_ranges
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.corpora.files import file_path, score_files
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Floats, Ints, chorale_of_row, chorale_of_score
from descant_tokenizers.scores import SUFFIXES, read_score
from descant_tokenizers.scores.key import MAJOR_SCALE, PITCH_NAMES
from descant_tokenizers.tokens.harmony import PieceKey

_DEGREES = ("1", "b2", "2", "b3", "3", "4", "#4", "5", "b6", "6", "b7", "7")
_LENGTHS = {
    1: "16th",
    2: "eighth",
    3: "dotted eighth",
    4: "quarter",
    6: "dotted quarter",
    8: "half",
    12: "dotted half",
    16: "whole",
}
_INTERVALS = (
    *("unison", "minor 2nd", "major 2nd", "minor 3rd", "major 3rd", "4th", "tritone", "5th"),
    *("minor 6th", "major 6th", "minor 7th", "major 7th", "octave"),
)
_MINOR_SCALES = (0, 2, 3, 5, 7, 8, 9, 10, 11)  # natural, harmonic and melodic together
_SHARE_DIGITS = 3
_GRADE_DIGITS = 4

Histogram = dict[str, float]


class FoundChorales(NamedTuple):
    """Four-part pieces, and the reason why each other file was skipped, by path."""

    chorales: list[Chorale]
    skipped: dict[str, str]


def split_chorales(source: str) -> list[Chorale]:
    """Return the four-part pieces of a split such as `chorales:valid`.

    Raises:
        InputError: The corpus or the split does not exist, or has no four-part piece.
    """
    return [chorale_of_row(row) for row in split_rows(source)]


def read_chorales(sources: Sequence[str], progress: Callable[[float], None] | None = None) -> FoundChorales:
    """Read four-part music.

    Args:
        sources: Files (MIDI, MusicXML, ABC, Humdrum), folders of such files (the first of those that differ only in
            their suffix; the others are skipped), splits of corpora (`chorales:valid`).
        progress: Called with the share of the files read, 0-1.

    Raises:
        InputError: A source does not exist, or none of them holds a four-part piece.
    """
    found = FoundChorales([], {})
    files: list[Path] = []
    repeated: dict[str, str] = {}
    for source in sources:
        path = Path(source)
        if path.exists():
            files += _once_each(path, repeated) if path.is_dir() else [path]
        elif ":" in source:
            found.chorales.extend(split_chorales(source))
        else:
            raise InputError(f"{source} does not exist. Give files, folders, or a split such as chorales:valid.")
    for index, path in enumerate(files):
        try:
            found.chorales.append(chorale_of_score(read_score(path), str(path)))
        except InputError as error:
            found.skipped[str(path)] = str(error)
        if progress is not None:
            progress((index + 1) / len(files))
    if not found.chorales:
        reason = next(iter(found.skipped.values()), f"Give files that end in {', '.join(SUFFIXES)}.")
        raise InputError(f"{', '.join(sources)} holds no four-part piece. {reason}")
    found.skipped.update(repeated)
    return found


def _once_each(folder: Path, repeated: dict[str, str]) -> Iterable[Path]:
    """Return a folder's files, the first of those that differ only in their suffix: one piece in several formats.

    Args:
        folder: The folder.
        repeated: Gets the reason for each of the others, by path.
    """
    found: dict[Path, Path] = {}
    for file in (file_path(folder, file) for file in score_files(folder)):
        first = found.setdefault(file.with_suffix(""), file)
        if first != file:
            repeated[str(file)] = f"{first.name} has the same name and is measured. Rename one to measure both."
    return found.values()


@dataclass(frozen=True)
class CorpusStatistics:
    """Percentages, pooled over pieces.

    Attributes:
        pitch_classes: Of the sounding 16ths of all voices.
        scale_degrees: The same, above the tonic of each piece's estimated key.
        intervals: Of the steps from note to note within a voice, rising and falling together.
        note_lengths: Of the notes; lengths without a name are "other".
        voices_sounding: Mean number of voices that sound at a 16th.
        all_voices_sounding: 16ths at which all four voices sound.
        empty_bars: Bars of single voices in which nothing sounds.
        in_scale: Sounding 16ths inside the scale of the estimated key (minor: all three forms together).
    """

    pitch_classes: Histogram
    scale_degrees: Histogram
    intervals: Histogram
    note_lengths: Histogram
    voices_sounding: float
    all_voices_sounding: float
    empty_bars: float
    in_scale: float


def corpus_statistics(chorales: Sequence[Chorale]) -> CorpusStatistics:
    """Compute the statistics of one or more pieces."""
    degrees = [(c.pitches_VT[c.pitches_VT != SILENT] - c.tonic) % 12 for c in chorales]
    scales = [MAJOR_SCALE if c.is_major else _MINOR_SCALES for c in chorales]
    in_scale = [np.isin(found, scale) for found, scale in zip(degrees, scales, strict=True)]
    sounding = np.concatenate([(c.pitches_VT != SILENT).sum(axis=0) for c in chorales])
    pitches = np.concatenate([c.pitches_VT[c.pitches_VT != SILENT] for c in chorales])
    leaps = np.concatenate([np.abs(np.diff(line.pitches)) for c in chorales for line in c.lines])
    lengths = np.concatenate([line.lengths_16ths for c in chorales for line in c.lines])
    return CorpusStatistics(
        pitch_classes=_shares(pitches % 12, PITCH_NAMES),
        scale_degrees=_shares(np.concatenate(degrees), _DEGREES),
        intervals=_shares(np.minimum(leaps, len(_INTERVALS)), (*_INTERVALS, "wider")),
        note_lengths=_length_shares(lengths),
        voices_sounding=round(float(sounding.mean()), _SHARE_DIGITS),
        all_voices_sounding=_percent(sounding == 4),
        empty_bars=_percent(np.concatenate([_empty_bars(c) for c in chorales])),
        in_scale=_percent(np.concatenate(in_scale)),
    )


def _empty_bars(chorale: Chorale) -> npt.NDArray[np.bool_]:
    """Return a flag for each voice and bar, flattened: True if nothing sounds."""
    sounding = np.concatenate([np.zeros((4, 1)), np.cumsum(chorale.pitches_VT != SILENT, axis=1)], axis=1)
    bar_lines = np.unique(np.clip(np.ceil(chorale.bar_lines_16ths).astype(int), 0, chorale.num_frames))
    return np.ravel(np.diff(sounding[:, bar_lines], axis=1) == 0)


def _length_shares(lengths: Floats) -> Histogram:
    rounded = np.round(lengths, 3)
    shares = {name: _percent(rounded == value) for value, name in _LENGTHS.items()}
    return shares | {"other": round(100 - sum(shares.values()), _SHARE_DIGITS)}


def _shares(values: Ints, names: Sequence[str]) -> Histogram:
    counts = np.bincount(values, minlength=len(names)).tolist()
    total = max(sum(counts), 1)
    return {name: round(100 * n / total, _SHARE_DIGITS) for name, n in zip(names, counts, strict=True)}


def _percent(flags: npt.NDArray[np.bool_]) -> float:
    return round(100 * float(flags.mean()), _SHARE_DIGITS) if flags.size else 0.0


@dataclass(frozen=True)
class MeasuredCorpus:
    """Measurements of a set of pieces.

    Attributes:
        names: The pieces; for several draws, all pieces of the first, then all of the next.
        cadences: Figures of cadences and harmony, by key, with intervals over pieces.
        rules: Rate of each rule, by key, with an interval over pieces.
        grades: Grade of each piece.
        terms: Values of each term of the grade, one per piece.
        statistics: Statistics, pooled over pieces.
        num_draws: How many times each piece occurs.
    """

    names: list[str]
    cadences: dict[str, Estimate]
    rules: dict[str, Estimate]
    grades: list[float]
    terms: dict[str, list[float]]
    statistics: CorpusStatistics
    num_draws: int = 1

    def by_draw(self, values: Sequence[float]) -> Floats:
        """Arrange one value per name as (N, D)."""
        return np.asarray(values, dtype=float).reshape(self.num_draws, -1).T

    def facts(self) -> dict[str, Any]:
        """Return the measurements for JSON; medians and quartiles of several draws are means over the draws."""
        grades_ND = self.by_draw(self.grades)
        low, middle, high = np.quantile(grades_ND, (0.25, 0.5, 0.75), axis=0).mean(axis=1).tolist()
        terms = {term: float(np.median(self.by_draw(self.terms[term]), axis=0).mean()) for term in TERMS}
        return {
            "num_pieces": len(grades_ND),
            "cadences": cadence_facts(self.cadences),
            "rules": rate_facts(self.rules),
            "grade": {
                "median": round(middle, _GRADE_DIGITS),
                "quartiles": {"low": round(low, _GRADE_DIGITS), "high": round(high, _GRADE_DIGITS)},
                "median_interval": median_interval(grades_ND).rounded(),
                "terms": {term: round(value, _GRADE_DIGITS) for term, value in terms.items()},
            },
            "plain": asdict(self.statistics),
        }


class ReferenceCorpus:
    """Pieces to measure other music against, such as Bach's.

    Args:
        chorales: One or more pieces.
        fermatas: True if phrase ends are known; False to compare with MIDI files, which have no fermatas.
    """

    def __init__(self, chorales: Sequence[Chorale], *, fermatas: bool = True) -> None:
        self.chorales = [c if fermatas else c.without_fermatas() for c in chorales]
        self.ranges = voice_ranges(self.chorales)
        self.grader = Grader([features_of(chorale) for chorale in self.chorales])

    def measure(self) -> MeasuredCorpus:
        """Measure the reference itself; each piece is graded by all the others."""
        return measure(self.chorales, self, left_out=True)


def measure(
    chorales: Sequence[Chorale],
    reference: ReferenceCorpus,
    *,
    left_out: bool = False,
    num_draws: int = 1,
    keys: Sequence[PieceKey | None] | None = None,
) -> MeasuredCorpus:
    """Measure pieces against a reference.

    Args:
        chorales: One or more pieces; for several draws, all pieces of the first, then all of the next, in the same
            order.
        reference: Source of the ranges and distributions to compare with.
        left_out: True if the pieces belong to the reference; each is then graded by all the others.
        num_draws: How many times each piece occurs.
        keys: Key of each piece for the figures of cadences; by default the one estimated from its notes.
    """
    names = [chorale.name for chorale in chorales]
    assert names == names[: len(names) // num_draws] * num_draws, "every draw holds the same pieces"
    terms = [reference.grader.grade(features_of(chorale), left_out=left_out) for chorale in chorales]
    return MeasuredCorpus(
        names=names,
        cadences=cadence_rates(names, list(map(count_cadences, chorales, keys or [None] * len(chorales)))),
        rules=rates_of(names, [count_rules(chorale, reference.ranges) for chorale in chorales]),
        grades=[sum(piece.values()) for piece in terms],
        terms={term: [piece[term] for piece in terms] for term in TERMS},
        statistics=corpus_statistics(chorales),
        num_draws=num_draws,
    )
