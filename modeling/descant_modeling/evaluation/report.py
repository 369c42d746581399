"""Self-contained HTML report about models: tables, plots and music, compared with Bach."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from symusic.core import ScoreTick

from descant_modeling.evaluation.bootstrap import estimate_text
from descant_modeling.evaluation.harmonization import harmonization_rows
from descant_modeling.evaluation.rules import RULES
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import VOICES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BACH = "Bach"
_BACH_COLOR = "#333333"
_COLORS = ("#d55e00", "#009e73", "#0072b2", "#cc79a7", "#e69f00", "#56b4e9")
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { padding: 0.2rem 0.8rem; text-align: right; border-bottom: 1px solid #dde; }
th:first-child, td:first-child { text-align: left; }
td small { color: #667; }
figure { margin: 1rem 0; } figcaption, .note { color: #556; font-size: 0.9em; }
img, svg { max-width: 100%; height: auto; }
"""
_HISTOGRAMS = {
    "note_lengths": "Note lengths, % of notes.",
    "scale_degrees": "Degrees above the tonic, % of 16ths.",
    "intervals": "Steps from note to note, % of steps.",
}


@dataclass(frozen=True)
class ReportSample:
    """A piece to show: its title, and a score of four tracks."""

    title: str
    score: ScoreTick


@dataclass(frozen=True)
class ReportModel:
    """Contents of the page for one model.

    Attributes:
        name: Name of the model.
        harmonization: Facts of its `Harmonization`.
        grades: Grade of each harmony.
        likelihood: `likelihood_facts` by task; empty for models that are not causal.
        samples: Music to show.
    """

    name: str
    harmonization: Mapping[str, Any]
    grades: Sequence[float]
    likelihood: Mapping[str, Mapping[str, Any]]
    samples: Sequence[ReportSample]


@dataclass(frozen=True)
class _Series:
    """A model or Bach in the plots."""

    name: str
    color: str
    facts: Mapping[str, Any]
    grades: Sequence[float]


def report_html(
    title: str,
    models: Sequence[ReportModel],
    bach: Mapping[str, Any],
    grades: Sequence[float],
    originals: Sequence[ReportSample],
) -> str:
    """Return the page, which needs no other files.

    Args:
        title: Heading of the page.
        models: Models to compare.
        bach: Facts of Bach's own pieces (`MeasuredCorpus`).
        grades: Grades of Bach's own pieces.
        originals: Bach's harmonies of the samples' sopranos, in the order of the samples.
    """
    series = [_Series(_BACH, _BACH_COLOR, bach, grades)]
    for index, model in enumerate(models):
        color = _COLORS[index % len(_COLORS)]
        series.append(_Series(model.name, color, model.harmonization, model.grades))
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if any(model.likelihood for model in models):
        parts += ["<h2>Likelihood</h2>", _likelihood_table(models)]
    rows = harmonization_rows({model.name: model.harmonization for model in models}, bach)
    parts += [
        "<h2>Harmonization</h2>",
        _table(("", *(model.name for model in models), _BACH), rows),
        "<p class=note>One harmony of each soprano. /1,000: per 1,000 pitch changes; %: of 16ths. In brackets 95 % "
        "intervals over pieces; for the grade, quartiles. Bach also breaks every rule, so zero is not the goal.</p>",
        _figure(lambda axes: _draw_rules(axes, series), "Rules of voice leading, with 95 % intervals.", 3.8),
        _figure(lambda axes: _draw_grades(axes, series), "Grades of all harmonies; lower is more like Bach."),
    ]
    for key, caption in _HISTOGRAMS.items():
        parts.append(_figure(lambda axes, key=key: _draw_histogram(axes, series, key), caption))  # type: ignore[misc]
    parts.append("<h2>Music</h2>")
    for index, original in enumerate(originals):
        parts.append(_music(f"{original.title}: {_BACH}", original.score))
        parts += [_music(f"{m.samples[index].title}: {m.name}", m.samples[index].score) for m in models]
    page = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>\n{page}\n</html>\n"
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, intervals (`[low, high]`) in small print."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    body = re.sub(r"(\[[^]]*\])", r"<small>\1</small>", body)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _likelihood_table(models: Sequence[ReportModel]) -> str:
    rows = []
    for model in models:
        for task, facts in model.likelihood.items():
            nats, bits = (
                estimate_text({"value": facts[key], **facts["interval"][key]}, 3)
                for key in ("nats_per_voice_16th", "bits_per_note")
            )
            accuracy = " / ".join(f"{share['value']:.0f}" for share in facts["pitch_accuracy"].values()) or "-"
            rows.append([model.name, "all voices" if task == "continue" else "given the soprano", nats, bits, accuracy])
    return _table(("model", "", "nats per voice-16th", "bits per note", "pitches predicted, % by voice"), rows)


def _figure(draw: Callable[[Axes], None], caption: str, height: float = 3.0) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, height), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _draw_rules(axes: Axes, series: Sequence[_Series]) -> None:
    places = np.arange(len(RULES))[::-1]
    for index, one in enumerate(series):
        rates = [one.facts["rules"][rule.key] for rule in RULES]
        values = np.array([rate["value"] for rate in rates])
        errors = np.array([[r["value"] - r["low"], r["high"] - r["value"]] for r in rates]).T
        shifted = places + 0.7 * (0.5 - (index + 0.5) / len(series))
        axes.errorbar(values, shifted, xerr=np.maximum(errors, 0), fmt="o", color=one.color, label=one.name)
    axes.set_yticks(places, [f"{rule.label}, {rule.sign}" for rule in RULES])
    axes.set_xlim(left=0)
    axes.legend(frameon=False)


def _draw_grades(axes: Axes, series: Sequence[_Series]) -> None:
    boxes = axes.boxplot([list(one.grades) for one in series], orientation="horizontal", patch_artist=True)
    for box, one in zip(boxes["boxes"], series, strict=True):
        box.set(facecolor=one.color, alpha=0.5)
    axes.set_yticks(range(1, len(series) + 1), [one.name for one in series])
    axes.set_xlabel("grade")


def _draw_histogram(axes: Axes, series: Sequence[_Series], key: str) -> None:
    names = list(series[0].facts["plain"][key])
    width = 0.8 / len(series)
    for index, one in enumerate(series):
        places = np.arange(len(names)) + (index - (len(series) - 1) / 2) * width
        axes.bar(places, [one.facts["plain"][key][name] for name in names], width, color=one.color, label=one.name)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.legend(frameon=False)


def _music(title: str, score: ScoreTick) -> str:
    """Return sheet music and a folded piano roll of a piece; the given soprano has another color."""
    rendering = Rendering(score, title, is_given=lambda voice, note: voice == VOICES[0])
    try:
        sheet = "".join(_image("svg+xml", page.encode("utf-8"), title) for page in rendering.svg_pages)
    except InputError as error:  # a model may write music that has no notation
        sheet = f"<p class=note>{html.escape(f'{title}: {error}')}</p>"
    (roll,) = rendering.data("png")
    return f"<figure>{sheet}<details><summary>piano roll</summary>{_image('png', roll, title)}</details></figure>"


def _image(kind: str, data: bytes, title: str) -> str:
    """Return an image as a data URL, which keeps the ids and styles of one SVG apart from those of the next."""
    return f'<img alt="{html.escape(title)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
