"""Compare every figure of the evaluation with what listeners heard in 500 machine-made chorales.

    python records/js_fakes.py                    the folder ../shared/data/js_fakes, the embedded model
    python records/js_fakes.py --model runs/mine  the likelihood of another model
    python records/refresh.py                     then update the table

JS Fake Chorales (Peracha 2021, CC BY 4.0) are 500 chorales by one model, `midi.zip`, and 4,048 answers of listeners,
`human_answers.json`: for each piece and level of skill (0-5) how many heard it, and how many told that it was a
machine's. For each figure that differs between pieces the record has Spearman's rank correlation, over pieces, with the
share of listeners who told; positive means that a higher figure gives the machine away. Intervals are 95 %, over
pieces. MIDI has no fermatas, so no phrase end but the last is known.

The reliability of the shares bounds any correlation with them: it is the part of their variance between pieces that
the number of answers does not explain. At 0 the listeners' answers do not tell one piece from another.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from symusic.core import ScoreTick, TrackTickList

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.evaluation.bootstrap import Estimate
from descant_modeling.evaluation.cadences import FIGURES, count_cadences
from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, split_chorales
from descant_modeling.evaluation.grading import TERMS, features_of
from descant_modeling.evaluation.rules import RULES, count_rules
from descant_tokenizers.common.files import write_json
from descant_tokenizers.pianoroll.frames import Chorale, chorale_of_harmony
from descant_tokenizers.scores import VOICES, read_score
from descant_tokenizers.scores.voices import pick_voices

RECORDS = Path(__file__).parent
FOLDER = RECORDS.parent.parent / "shared" / "data" / "js_fakes"
SKILLS = {"all": range(6), "skilled": range(3, 6)}
"""Levels of skill of the listeners of each column."""
NUM_RESAMPLES = 2000

Values = npt.NDArray[np.float64]
"""One value per piece; NaN where a figure says nothing about it."""


def main() -> None:
    """Measure, correlate and write the record."""
    options = _options()
    answers: dict[str, Any] = json.loads((options.folder / "human_answers.json").read_text(encoding="utf-8"))
    names = list(answers)[: options.limit]
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(options.folder / "midi.zip").extractall(folder)
        scores = [_four_voices(read_score(Path(folder) / name)) for name in names]
    chorales = [chorale_of_harmony(score, name) for name, score in zip(names, scores, strict=True)]
    figures = {**rates_of_pieces(chorales), **grades_of_pieces(chorales), **likelihoods(options.model, names, scores)}
    counts = {group: answer_counts([answers[name] for name in names], skills) for group, skills in SKILLS.items()}
    facts = {
        "command": f"python records/js_fakes.py --model {options.model}",
        "num_pieces": len(names),
        "answers": {
            group: {
                "heard": int(heard.sum()),
                "told": round(float(told.sum() / heard.sum()), 4),
                "reliability": reliability(told, heard).rounded(),
            }
            for group, (told, heard) in counts.items()
        },
        "rows": [
            {
                "figure": label,
                "num_pieces": int(np.isfinite(values).sum()),
                **{group: spearman(values, shares(*found)).rounded() for group, found in counts.items()},
            }
            for label, values in figures.items()
            if np.nanstd(values) > 0
        ],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, facts)
    print(f"wrote {options.out}")


def rates_of_pieces(chorales: Sequence[Chorale]) -> dict[str, Values]:
    """Return the figures of cadences and the rates of rules of each piece, by label."""
    ranges = ReferenceCorpus(split_chorales("chorales:train"), fermatas=False).ranges
    cadences = [count_cadences(chorale) for chorale in chorales]
    rules = [count_rules(chorale, ranges) for chorale in chorales]
    found = {
        figure.title: shares(*np.array([count[figure.key] for count in cadences], dtype=float).T) for figure in FIGURES
    }
    for rule in RULES:
        counts = np.array([(count.found[rule.key], count.base(rule)) for count in rules], dtype=float)
        found[f"{rule.label}, {rule.sign}"] = shares(*counts.T)
    return {label: values for label, values in found.items() if np.isfinite(values).any()}


def grades_of_pieces(chorales: Sequence[Chorale]) -> dict[str, Values]:
    """Return the grade of each piece, and its terms, by label."""
    grader = ReferenceCorpus(split_chorales("chorales:train"), fermatas=False).grader
    terms = [grader.grade(features_of(chorale)) for chorale in chorales]
    found = {term: np.array([piece[term] for piece in terms]) for term in TERMS}
    grade = np.sum(list(found.values()), axis=0)
    named = {f"grade: {term.replace('_', ' ')}": values for term, values in found.items()}
    return {"grade": grade, "grade without parallels": grade - found["parallels"], **named}


def likelihoods(model: str, names: Sequence[str], scores: Sequence[ScoreTick]) -> dict[str, Values]:
    """Return -ln p of each piece under a model, per voice-16th and per note, for all voices and given the soprano."""
    from descant_modeling.models.checkpoints import load_checkpoint
    from descant_modeling.models.likelihood import score_pieces
    from descant_tokenizers.tokens.encode import encode_score
    from descant_tokenizers.tokens.tasks import Task

    checkpoint = load_checkpoint(model, "cpu")
    pieces = [
        (name, encode_score(checkpoint.vocabulary, score).piece) for name, score in zip(names, scores, strict=True)
    ]
    found = {}
    for task, label in ((Task.CONTINUE, "all voices"), (Task.HARMONIZE, "given the soprano")):
        scored = score_pieces(checkpoint.model, checkpoint.layout, pieces, task).pieces
        assert [piece.name for piece in scored] == list(names)
        nats = np.array([piece.nats for piece in scored])
        found[f"nats per voice-16th, {label}"] = nats / np.array([piece.length for piece in scored])
        found[f"nats per note, {label}"] = nats / np.array([piece.num_notes for piece in scored])
    return found


def answer_counts(answers: Sequence[Mapping[str, Any]], skills: Sequence[int]) -> tuple[Values, Values]:
    """Return, for each piece, how many listeners of some skills told that it is a machine's, and how many heard it."""
    told, heard = (
        np.array([sum(piece[f"skill_{skill}"][key] for skill in skills) for piece in answers], dtype=float)
        for key in ("correct", "responses")
    )
    return told, heard


def shares(parts: Values, wholes: Values) -> Values:
    """Return parts of wholes; NaN where the whole is 0."""
    found: Values = np.where(wholes > 0, parts / np.maximum(wholes, 1), np.nan)
    return found


def spearman(values: Values, told: Values) -> Estimate:
    """Return the rank correlation of two values over the pieces that have both, with a 95 % interval."""
    both = np.isfinite(values) & np.isfinite(told)
    pairs = np.stack([values[both], told[both]])
    drawn = np.random.default_rng(0).integers(pairs.shape[1], size=(NUM_RESAMPLES, pairs.shape[1]))
    low, high = np.percentile([_rank_correlation(pairs[:, places]) for places in drawn], (2.5, 97.5))
    return Estimate(_rank_correlation(pairs), float(low), float(high))


def reliability(told: Values, heard: Values) -> Estimate:
    """Return the part of the variance of shares between pieces that chance does not explain, with a 95 % interval.

    Pieces with fewer than two answers do not count. By chance alone the estimate is 0, and can be below it.
    """
    counts = np.stack([told, heard])[:, heard > 1]
    drawn = np.random.default_rng(0).integers(counts.shape[1], size=(NUM_RESAMPLES, counts.shape[1]))
    low, high = np.percentile([_reliability(counts[:, places]) for places in drawn], (2.5, 97.5))
    return Estimate(_reliability(counts), float(low), float(high))


def _reliability(counts: Values) -> float:
    found = counts[0] / counts[1]
    return float(1 - np.mean(found * (1 - found) / (counts[1] - 1)) / np.var(found))


def _rank_correlation(pairs: Values) -> float:
    first, second = (_ranks(values) for values in pairs)
    scale = np.sqrt(np.sum(first**2) * np.sum(second**2))
    return float(first @ second / scale) if scale > 0 else 0.0


def _ranks(values: Values) -> Values:
    """Return ranks around 0; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Values = (last - (counts - 1) / 2)[place]
    ranks -= ranks.mean()
    return ranks


def _four_voices(score: ScoreTick) -> ScoreTick:
    """Return a score with four tracks, named after the voices."""
    tracks = pick_voices(score, VOICES).tracks
    named = score.copy()
    named.tracks = TrackTickList([tracks[voice] for voice in VOICES])
    for voice, track in zip(VOICES, named.tracks, strict=True):
        track.name = voice
    return named


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder with midi.zip and human_answers.json")
    parser.add_argument("--model", default=EMBEDDED_DEFAULT, help="model whose likelihood is compared")
    parser.add_argument("--limit", type=int, help="use only the first pieces")
    parser.add_argument("--out", type=Path, default=RECORDS / "2026-11-29_js-fakes" / "correlations.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
