"""One self-contained page about some models: tables, plots and music to look at, Bach beside all of it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from symusic.core import ScoreTick

from descant_modeling.evaluation.rules import FRAMES, RULES
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import VOICES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ReportModel", "ReportSample", "report_html"]

BACH = "Bach"
_COLOURS = ("#d55e00", "#009e73", "#0072b2", "#cc79a7", "#e69f00", "#56b4e9")
_BACH_COLOUR = "#333333"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { padding: 0.2rem 0.8rem; text-align: right; border-bottom: 1px solid #dde; }
th:first-child, td:first-child { text-align: left; }
td small { color: #667; }
figure { margin: 1rem 0; } figcaption, .note { color: #556; font-size: 0.9em; }
img, svg { max-width: 100%; height: auto; }
"""


@dataclass(frozen=True)
class ReportSample:
    """One piece to look at.

    Attributes:
        title: What it is.
        score: Four tracks.
    """

    title: str
    score: ScoreTick


@dataclass(frozen=True)
class ReportModel:
    """What the page says about one model.

    Attributes:
        name: What to call it.
        harmonization: Facts of `harmonization.Harmonization`.
        grades: Grade of each harmony.
        likelihood: Facts of each task; empty for what is no causal model.
        samples: Music to look at.
    """

    name: str
    harmonization: Mapping[str, Any]
    grades: Sequence[float]
    likelihood: Mapping[str, Mapping[str, Any]]
    samples: Sequence[ReportSample]


def report_html(
    title: str,
    models: Sequence[ReportModel],
    bach: Mapping[str, Any],
    grades: Sequence[float],
    own: Sequence[ReportSample],
) -> str:
    """Write the page.

    Args:
        title: Its heading.
        models: What was measured.
        bach: Facts of Bach's own pieces (`chorales.Measured`).
        grades: Their grades.
        own: Bach's harmonies of the samples' sopranos, in the same order.

    Returns:
        HTML that needs no other file.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if any(model.likelihood for model in models):
        parts += ["<h2>Likelihood</h2>", _likelihood_table(models)]
    parts += [
        "<h2>Harmonization</h2>",
        _harmonization_table(models, bach),
        "<p class=note>One harmony of each soprano. /1,000: per 1,000 pitch changes; %: of 16ths. In brackets 95 % "
        "intervals over pieces, of the grade quartiles. Bach breaks each rule too; zero is not the aim.</p>",
        _figure(lambda axes: _draw_rules(axes, models, bach), "Rules of voice leading, with 95 % intervals.", 3.8),
        _figure(lambda axes: _draw_grades(axes, models, grades), "Grades of all harmonies; lower is more like Bach."),
    ]
    captions = {
        "note_lengths": "Lengths of notes, % of notes.",
        "scale_degrees": "Degrees above the tonic, % of 16ths.",
        "intervals": "Steps from note to note, % of steps.",
    }
    for key, caption in captions.items():
        parts.append(_figure(lambda axes, key=key: _draw_histogram(axes, models, bach, key), caption))  # type: ignore[misc]
    parts.append("<h2>Music</h2>")
    for index, sample in enumerate(own):
        parts.append(_music(f"{sample.title}: {BACH}", sample.score))
        parts += [_music(f"{m.samples[index].title}: {m.name}", m.samples[index].score) for m in models]
    page = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>\n{page}\n</html>\n"
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _estimate(value: Mapping[str, float], digits: int = 2) -> str:
    low, high = f"{value['low']:.{digits}f}", f"{value['high']:.{digits}f}"
    return f"{value['value']:.{digits}f} <small>[{low}, {high}]</small>"


def _likelihood_table(models: Sequence[ReportModel]) -> str:
    rows = []
    for model in models:
        for task, facts in model.likelihood.items():
            nats = {"value": facts["nats_per_voice_16th"], **facts["interval"]["nats_per_voice_16th"]}
            what = "all voices" if task == "continue" else "given the soprano"
            accuracy = " / ".join(f"{share['value']:.0f}" for share in facts["pitch_accuracy"].values()) or "-"
            bits = {"value": facts["bits_per_note"], **facts["interval"]["bits_per_note"]}
            rows.append([html.escape(model.name), what, _estimate(nats, 3), _estimate(bits, 3), accuracy])
    return _table(("model", "", "nats per voice-16th", "bits per note", "pitches foreseen, % by voice"), rows)


def _harmonization_table(models: Sequence[ReportModel], bach: Mapping[str, Any]) -> str:
    facts = [model.harmonization for model in models]
    rows = [["soprano kept, %", *(f"{f['soprano_kept']:.1f}" for f in facts), "100.0"]]
    for rule in RULES:
        unit = "%" if rule.unit == FRAMES else "/1,000"
        cells = [_estimate(f["rules"][rule.key]) for f in (*facts, bach)]
        rows.append([html.escape(f"{rule.label}, {unit}"), *cells])
    grades = [{"value": f["grade"]["median"], **f["grade"]["quartiles"]} for f in (*facts, bach)]
    rows.append(["grade, median", *(_estimate(grade) for grade in grades)])
    rows.append(["Bach outgrades, % of pairs", *(_estimate(f["bach_outgrades"], 1) for f in facts), "50"])
    for voice in VOICES[1:]:
        cells = [_estimate(f["accuracy"][voice.lower()], 1) for f in facts]
        rows.append([f"{voice.lower()} sounds what Bach's does, %", *cells, "100"])
    rows.append(["seconds to write", *(f"{f['writing_seconds']:.0f}" for f in facts), ""])
    return _table(("", *(model.name for model in models), BACH), rows)


def _figure(draw: Callable[[Axes], None], caption: str, height: float = 3.0) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, height), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return f"<figure>{_svg(figure)}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _colours(models: Sequence[ReportModel]) -> list[str]:
    return [_COLOURS[index % len(_COLOURS)] for index in range(len(models))]


def _draw_rules(axes: Axes, models: Sequence[ReportModel], bach: Mapping[str, Any]) -> None:
    sets = [(BACH, _BACH_COLOUR, bach)]
    sets += [(m.name, c, m.harmonization) for m, c in zip(models, _colours(models), strict=True)]
    places = np.arange(len(RULES))
    for index, (name, colour, facts) in enumerate(sets):
        rates = [facts["rules"][rule.key] for rule in RULES]
        values = np.array([rate["value"] for rate in rates])
        errors = np.array([[r["value"] - r["low"], r["high"] - r["value"]] for r in rates]).T
        offset = 0.5 - (index + 0.5) / len(sets)
        axes.errorbar(
            values, places[::-1] + 0.7 * offset, xerr=np.maximum(errors, 0), fmt="o", color=colour, label=name
        )
    axes.set_yticks(places[::-1], [f"{r.label}, {'%' if r.unit == FRAMES else '/1,000'}" for r in RULES])
    axes.set_xlim(left=0)
    axes.legend(frameon=False)


def _draw_grades(axes: Axes, models: Sequence[ReportModel], grades: Sequence[float]) -> None:
    names = [BACH, *(model.name for model in models)]
    boxes = axes.boxplot([list(grades), *(list(m.grades) for m in models)], orientation="horizontal", patch_artist=True)
    for box, colour in zip(boxes["boxes"], [_BACH_COLOUR, *_colours(models)], strict=True):
        box.set(facecolor=colour, alpha=0.5)
    axes.set_yticks(range(1, len(names) + 1), names)
    axes.set_xlabel("grade")


def _draw_histogram(axes: Axes, models: Sequence[ReportModel], bach: Mapping[str, Any], key: str) -> None:
    sets = [(BACH, _BACH_COLOUR, bach["plain"][key])]
    sets += [(m.name, c, m.harmonization["plain"][key]) for m, c in zip(models, _colours(models), strict=True)]
    names = list(bach["plain"][key])
    width = 0.8 / len(sets)
    for index, (name, colour, shares) in enumerate(sets):
        places = np.arange(len(names)) + (index - (len(sets) - 1) / 2) * width
        axes.bar(places, [shares[n] for n in names], width, color=colour, label=name)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.legend(frameon=False)


def _music(title: str, score: ScoreTick) -> str:
    """A piece engraved, and as a piano roll to be unfolded; the soprano, which was given, in another colour."""
    rendering = Rendering(score, title, is_given=lambda voice, note: voice == VOICES[0])
    try:
        pages = rendering.svg_pages
    except InputError as error:  # what a model wrote may be no music that can be written down
        sheet = f"<p class=note>{html.escape(f'{title}: {error}')}</p>"
    else:
        sheet = "".join(_image("svg+xml", page.encode("utf-8"), title) for page in pages)
    (roll,) = rendering.data("png")
    folded = f"<details><summary>as a piano roll</summary>{_image('png', roll, title)}</details>"
    return f"<figure>{sheet}{folded}</figure>"


def _image(kind: str, data: bytes, title: str) -> str:
    """An image inside the page: as such its ids and styles are its own, too."""
    return f'<img alt="{html.escape(title)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
