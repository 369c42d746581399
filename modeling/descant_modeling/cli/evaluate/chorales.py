"""``descant evaluate chorales``: four-part music from anywhere, measured beside Bach's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.cli.options import AsJson, Quiet

if TYPE_CHECKING:
    from rich.table import Table


def chorales_command(
    sources: Annotated[list[str], typer.Argument(help="Files, folders of files, or a split such as chorales:valid.")],
    reference: Annotated[str, typer.Option(help="Corpus and split to measure by.")] = "chorales:train",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Rules of voice leading, a grade of style and plain statistics of four-part music, beside Bach's."""
    from descant_modeling.cli.evaluate.tables import name_skipped, remark, show, write_json
    from descant_modeling.common.console import progress_bar
    from descant_modeling.evaluation.corpus_stats import Reference, measure
    from descant_modeling.evaluation.data import read_chorales, release_remark
    from descant_tokenizers.corpora.build import split_rows
    from descant_tokenizers.pianoroll.frames import chorale_of_row

    started = time.monotonic()
    for source in sources:
        remark(release_remark(source.rpartition(":")[2]), quiet=quiet)
    with progress_bar("reading", quiet=quiet or as_json) as progress:
        found = read_chorales(sources, lambda done, total: progress(done / total))
    name_skipped(found.skipped, quiet=quiet or as_json)
    fermatas = all(chorale.has_fermatas for chorale in found.chorales)
    bach = Reference([chorale_of_row(row) for row in split_rows(reference)], fermatas=fermatas)
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
        "seconds": round(time.monotonic() - started, 2),
    }
    if as_json:
        write_json(facts)
    else:
        show(*tables(facts))


def tables(facts: dict[str, Any]) -> list[Table]:
    """Set what was measured beside Bach's."""
    from descant_modeling.cli.evaluate.tables import table
    from descant_modeling.evaluation.rules import FRAMES, RULES

    bach = facts["bach"]
    phrases = "phrase ends excused" if facts["fermatas"] else "no fermatas known, on either side"
    columns = (f"{facts['num_pieces']} pieces", "95 %", "Bach", "95 %")
    rules = []
    for rule in RULES:
        own, his = facts["rules"][rule.key], bach["rules"][rule.key]
        cells = [f"{own['value']:.2f}", interval(own), f"{his['value']:.2f}", interval(his)]
        rules.append([rule.label, "%" if rule.unit == FRAMES else "/1,000", *cells])
    note = "/1,000: per 1,000 pitch changes; %: of 16ths"
    made = [table(f"Voice leading ({phrases})", ("rule", "", *columns), rules, note)]
    grades = [["grade (lower is more like Bach)", *_grade_cells(facts["grade"]), *_grade_cells(bach["grade"])]]
    for term, median in facts["grade"]["terms"].items():
        grades.append([f"  {term.replace('_', ' ')}", f"{median:.2f}", "", f"{bach['grade']['terms'][term]:.2f}", ""])
    columns = ("median", "quartiles", "Bach", "quartiles")
    made.append(table("Style", ("", *columns), grades, "each of Bach's pieces is graded by all the others"))
    return [*made, _plain_table(facts["plain"], bach["plain"])]


def interval(estimate: dict[str, float]) -> str:
    """Write the ends of an interval."""
    return f"{estimate['low']:.2f}-{estimate['high']:.2f}"


def _grade_cells(grade: dict[str, Any]) -> list[str]:
    return [f"{grade['median']:.2f}", f"{grade['quartiles']['low']:.2f}-{grade['quartiles']['high']:.2f}"]


def _plain_table(own: dict[str, Any], his: dict[str, Any]) -> Table:
    from descant_modeling.cli.evaluate.tables import table

    rows = [
        ["voices sounding, mean", f"{own['voices_sounding']:.2f}", f"{his['voices_sounding']:.2f}"],
        ["all four sounding, %", f"{own['all_voices_sounding']:.1f}", f"{his['all_voices_sounding']:.1f}"],
        ["empty bars of a voice, %", f"{own['empty_bars']:.2f}", f"{his['empty_bars']:.2f}"],
        ["inside the scale, %", f"{own['in_scale']:.1f}", f"{his['in_scale']:.1f}"],
    ]
    shares = {"note_lengths": "length", "intervals": "step", "scale_degrees": "degree", "pitch_classes": "pitch class"}
    for key, label in shares.items():
        for name, share in own[key].items():
            if share or his[key][name]:
                rows.append([f"{label} {name}, %", f"{share:.1f}", f"{his[key][name]:.1f}"])
    return table("Plain statistics", ("", "here", "Bach"), rows)
