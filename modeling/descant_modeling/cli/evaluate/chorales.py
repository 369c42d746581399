"""``descant evaluate chorales``: four-part music from any source, compared with Bach's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.evaluate.common import Output, Reference, table
from descant_modeling.cli.options import AsJson, Quiet

if TYPE_CHECKING:
    from rich.table import Table

_MAX_LISTED = 40  # pieces with a line each; --json has all


def chorales_command(
    sources: Annotated[list[str], typer.Argument(help="Files, folders of files, or a split such as chorales:valid.")],
    reference: Reference = "chorales:train",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare four-part music with Bach's: cadences, rules of voice leading, a grade of style, statistics."""
    from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, measure, read_chorales, split_chorales

    output = Output(*(source.rpartition(":")[2] for source in sources), quiet=quiet, as_json=as_json)
    with output.progress("reading") as progress:
        found = read_chorales(sources, progress)
    output.skipped(found.skipped)
    fermatas = all(chorale.has_fermatas for chorale in found.chorales)
    bach = ReferenceCorpus(split_chorales(reference), fermatas=fermatas)
    chorales = found.chorales if fermatas else [chorale.without_fermatas() for chorale in found.chorales]
    measured = measure(chorales, bach, left_out=sources == [reference])
    facts = {
        "sources": sources,
        "reference": reference,
        "fermatas": fermatas,
        "skipped": found.skipped,
        **measured.facts(),
        "bach": bach.measure().facts(),
        "grades": {name: round(grade, 4) for name, grade in zip(measured.names, measured.grades, strict=True)},
    }
    output.finish(facts, _tables)


def _tables(facts: dict[str, Any]) -> list[Table]:
    return [
        _cadences_table(facts),
        _rules_table(facts),
        _grade_table(facts),
        _statistics_table(facts["plain"], facts["bach"]["plain"]),
        *([_pieces_table(facts["grades"])] if len(facts["grades"]) <= _MAX_LISTED else []),
    ]


def _cadences_table(facts: dict[str, Any]) -> Table:
    from descant_modeling.evaluation.cadences import FIGURES, figure_text

    rows = [
        [figure.title, *(figure_text(side["cadences"][figure.key]) for side in (facts, facts["bach"]))]
        for figure in FIGURES
        if facts["cadences"][figure.key] is not None
    ]
    note = "" if facts["fermatas"] else "fermatas unknown, so only the end of a piece is one of a phrase"
    return table("Cadences and harmony", ("", f"{facts['num_pieces']} pieces", "Bach"), rows, note)


def _rules_table(facts: dict[str, Any]) -> Table:
    from descant_modeling.evaluation.rules import RULES

    phrases = "phrase ends excused" if facts["fermatas"] else "fermatas unknown, so no phrase end is excused"
    rows = []
    for rule in RULES:
        rates = [side["rules"][rule.key] for side in (facts, facts["bach"])]
        cells = (cell for rate in rates for cell in (f"{rate['value']:.2f}", _ends(rate)))
        rows.append([rule.label, rule.sign, *cells])
    columns = ("rule", "", f"{facts['num_pieces']} pieces", "95 %", "Bach", "95 %")
    return table(f"Voice leading ({phrases})", columns, rows, "/1,000: per 1,000 pitch changes; %: of 16ths")


def _grade_table(facts: dict[str, Any]) -> Table:
    here, bach = facts["grade"], facts["bach"]["grade"]
    cells = (cell for grade in (here, bach) for cell in (f"{grade['median']:.2f}", _ends(grade["quartiles"])))
    rows = [["grade (lower is more like Bach)", *cells]]
    for term, median in here["terms"].items():
        rows.append([f"  {term.replace('_', ' ')}", f"{median:.2f}", "", f"{bach['terms'][term]:.2f}", ""])
    columns = ("", "median", "quartiles", "Bach", "quartiles")
    return table("Style", columns, rows, "each of Bach's pieces is graded by all the others")


def _statistics_table(here: dict[str, Any], bach: dict[str, Any]) -> Table:
    figures = {
        "voices_sounding": ("voices sounding, mean", 2),
        "all_voices_sounding": ("all four sounding, %", 1),
        "empty_bars": ("empty bars of a voice, %", 2),
        "in_scale": ("inside the scale, %", 1),
    }
    shares = {"note_lengths": "length", "intervals": "step", "scale_degrees": "degree", "pitch_classes": "pitch class"}
    rows = [[label, f"{here[key]:.{digits}f}", f"{bach[key]:.{digits}f}"] for key, (label, digits) in figures.items()]
    rows += [
        [f"{label} {name}, %", f"{share:.1f}", f"{bach[key][name]:.1f}"]
        for key, label in shares.items()
        for name, share in here[key].items()
        if share or bach[key][name]
    ]
    return table("Statistics", ("", "here", "Bach"), rows)


def _pieces_table(grades: dict[str, float]) -> Table:
    rows = [[name, f"{grade:.2f}"] for name, grade in sorted(grades.items(), key=lambda item: -item[1])]
    return table("Pieces", ("", "grade"), rows, "`descant check FILE` lists the faults of a piece with bar and beat")


def _ends(interval: dict[str, float]) -> str:
    return f"{interval['low']:.2f}-{interval['high']:.2f}"
