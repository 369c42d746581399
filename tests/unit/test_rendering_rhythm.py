"""Note values: beats are shown, tuplets are whole, and every time finds one that is near."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from musicxml_scores import START, note, notes, read

from descant_tokenizers.rendering.rhythm import TimeSignature, meant, note_values, snapped, tuplets_of
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores.reading import parse_score

METERS = [
    TimeSignature(4, 4),
    TimeSignature(3, 4),
    TimeSignature(6, 8),
    TimeSignature(2, 2),
    TimeSignature(5, 8),
    TimeSignature(12, 8),
    TimeSignature(4, 2),
    TimeSignature(9, 16),
    TimeSignature(7, 8),
    TimeSignature(13, 8),
]


def lengths(values: object) -> list[str]:
    return [str(value.written) for value in values]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("meter", "start", "end", "notes", "rests"),
    [
        (TimeSignature(4, 4), "0", "4", "4", "4"),
        (TimeSignature(4, 4), "1", "4", "3", "1 2"),
        (TimeSignature(4, 4), "1/2", "3/2", "1", "1/2 1/2"),  # a syncope
        (TimeSignature(4, 4), "3/2", "5/2", "1/2 1/2", "1/2 1/2"),  # hides the middle of the bar
        (TimeSignature(4, 4), "3/4", "7/4", "1/4 3/4", "1/4 1/2 1/4"),
        (TimeSignature(4, 4), "0", "5/2", "2 1/2", "2 1/2"),
        (TimeSignature(3, 4), "0", "2", "2", "1 1"),
        (TimeSignature(6, 8), "0", "3", "3", "3"),
        (TimeSignature(6, 8), "1", "2", "1/2 1/2", "1/2 1/2"),
        (TimeSignature(9, 8), "0", "9/2", "3 3/2", "3/2 3/2 3/2"),
        (TimeSignature(5, 4), "0", "5", "4 1", "1 1 1 1 1"),
        (TimeSignature(4, 2), "2", "8", "6", "2 4"),
        (TimeSignature(7, 8), "1/2", "7/2", "1/2 1 3/2", "1/2 1 3/2"),
        (TimeSignature(7, 8), "0", "2", "2", "1 1"),
        (TimeSignature(7, 8), "1", "3", "1 1", "1 1"),
        (TimeSignature(13, 8), "0", "13/2", "3 3/2 2", "3/2 3/2 3/2 1 1"),
    ],
)
def test_values_show_the_beats(meter: TimeSignature, start: str, end: str, notes: str, rests: str) -> None:
    assert lengths(note_values(meter, Fraction(start), Fraction(end))) == notes.split()
    assert lengths(note_values(meter, Fraction(start), Fraction(end), is_rest=True)) == rests.split()


@pytest.mark.parametrize(
    ("points", "tuplets"),
    [
        ("0 2/5 4/5 6/5 8/5 2", [("0", "2", 5, "2/5")]),
        ("0 3/5 7/10 4/5 9/10 1", [("0", "1", 5, "1/10")]),
        ("0 11/18 2/3 13/18 1", [("0", "1", 9, "1/18")]),
        ("0 1/6 1/3 1/2 2/3 7/8 1", [("0", "1/2", 3, "1/6"), ("1/2", "1/2", 3, "1/24")]),
        ("0 1/3 2/3 1", [("0", "1", 3, "1/3")]),
        ("0 1/6 1/3 1/2 1", [("0", "1/2", 3, "1/6")]),
        ("0 2/3 4/3 2", [("0", "2", 3, "2/3")]),
        ("1 5/3 7/3 3", [("1", "1", 3, "1/3"), ("2", "1", 3, "1/3")]),  # quarter triplets begin on an odd beat
        ("0 1/5 1", [("0", "1", 5, "1/5")]),
        ("0 1/4 1/2 1", []),
        ("0 1/14 1/4 1", [("0", "1/4", 7, "1/28")]),
    ],
)
def test_tuplets_are_found(points: str, tuplets: list[tuple[str, str, int, str]]) -> None:
    found = tuplets_of(TimeSignature(4, 4), {Fraction(point) for point in points.split()})
    assert [(str(each.start), str(each.length), each.actual, str(each.unit)) for each in found] == tuplets


@pytest.mark.parametrize(("parts", "normal"), [(5, 3), (7, 6), (10, 6), (13, 12)])
def test_compound_beats_are_divided_evenly(parts: int, normal: int) -> None:
    beat, meter = Fraction(3, 2), TimeSignature(6, 8)
    (tuplet,) = tuplets_of(meter, {beat + beat * place / parts for place in range(parts)})
    assert (tuplet.start, tuplet.length, tuplet.actual, tuplet.normal) == (beat, beat, parts, normal)


def test_no_value_is_longer_than_a_dotted_breve() -> None:
    assert lengths(note_values(TimeSignature(12, 2), Fraction(0), Fraction(24))) == ["12", "12"]
    assert lengths(note_values(TimeSignature(17, 4), Fraction(0), Fraction(17))) == ["12", "4", "1"]


def test_a_note_into_a_triplet_is_cut_where_it_begins() -> None:
    meter, points = TimeSignature(4, 4), [Fraction(0), Fraction(4, 3), Fraction(5, 3), Fraction(2)]
    values = list(note_values(meter, points[0], points[1], tuplets_of(meter, points)))
    assert [(str(value.start), str(value.written), value.tuplet is not None) for value in values] == [
        ("0", "1", False),
        ("1", "1/2", True),
    ]


@given(st.sampled_from(METERS), st.lists(st.fractions(0, 4, max_denominator=500), min_size=2, max_size=12))
def test_whatever_is_moved_can_be_written_and_fills_its_stretch(meter: TimeSignature, times: list[Fraction]) -> None:
    points = [time for time in times if time <= meter.length]
    moved = snapped(meter, points)
    assert all(abs(moved[point] - point) <= Fraction(1, 6) for point in points)
    places = sorted(set(moved.values()))
    tuplets = tuplets_of(meter, places)
    for start, end in itertools.pairwise(places):
        for is_rest in (False, True):
            values = list(note_values(meter, start, end, tuplets, is_rest=is_rest))
            assert [value.start for value in values][:1] == [start]
            assert sum(value.length for value in values) == end - start
            for value in values:
                top = value.written.numerator // (3 if value.written.numerator % 3 == 0 else 1)
                assert top & (top - 1) == 0, "a plain or dotted value"


def test_what_can_be_written_stays_where_it_is() -> None:
    points = [Fraction(text) for text in ["0", "1/3", "2/3", "1", "5/4", "3/2", "25/16", "2", "11/5"]]
    assert snapped(TimeSignature(4, 4), points) == {point: point for point in points}


def test_times_a_tick_off_are_those_that_were_meant() -> None:
    meant = [Fraction(text) for text in ["0", "1/4", "1/3", "1", "7/4"]]
    played = [point + Fraction(shift, 480) for point, shift in zip(meant, (3, -4, 5, -1, 6), strict=True)]
    moved = snapped(TimeSignature(4, 4), [*played[:2], *played[3:]])
    assert list(moved.values()) == [meant[0], meant[1], meant[3], meant[4]]
    assert list(snapped(TimeSignature(4, 4), [played[2]]).values()) == [meant[2]]


@pytest.mark.parametrize(
    ("numerator", "groups"),
    [
        (5, (2, 3)),
        (7, (2, 2, 3)),
        (8, (3, 3, 2)),
        (10, (3, 3, 2, 2)),
        (13, (3, 3, 3, 2, 2)),
        (6, ()),
        (4, (2, 2)),
        (1, ()),
    ],
)
def test_unequal_beats(numerator: int, groups: tuple[int, ...]) -> None:
    assert TimeSignature(numerator, 8).groups == groups
    assert TimeSignature(numerator, 4).groups == ()


def test_no_tuplet_reaches_beyond_the_bar() -> None:
    cut = Fraction(3)
    assert tuplets_of(TimeSignature(11, 4), {Fraction(2), Fraction(10, 3)}, cut) == []
    with pytest.raises(ValueError, match="No note value reaches"):
        tuplets_of(TimeSignature(4, 4), {Fraction(3) + Fraction(1, 6)}, Fraction(13, 4))


def test_times_that_no_tuplet_reaches_move_to_the_units_of_a_tiny_meter() -> None:
    unit, odd = Fraction(1, 16), Fraction(1, 480)  # a dotted 128th, rounded to ticks
    assert snapped(TimeSignature(2, 64), [odd, unit, unit + 23 * odd]) == {
        odd: 0,
        unit: unit,
        unit + 23 * odd: 2 * unit,
    }


@pytest.mark.parametrize(
    ("upper", "lower", "tuplets"),
    [
        (3, 4, {("3", "2")}),  # in one hand
        (7, 1, {("7", "4")}),
        (14, 1, {("7", "4")}),
        (9, 2, {("9", "8")}),
        (12, 1, {("3", "2")}),
        (7, 6, {("7", "4"), ("3", "2")}),
        (5, 8, {("5", "4")}),
    ],
)
def test_rare_tuplets_and_those_beside_others_are_printed_as_they_are(
    upper: int, lower: int, tuplets: set[tuple[str, str]]
) -> None:
    def voice(number: int, parts: int, octave: int) -> str:
        own = (note("C", 2520 // parts, f"<voice>{number}</voice>", octave=octave) for _ in range(4 * parts))
        return "".join(own)

    start = START.replace("<divisions>4<", "<divisions>2520<")
    back = "<backup><duration>10080</duration></backup>"
    result = read([start + voice(1, upper, 5) + back + voice(2, lower, 4)])
    look = Rendering(result.score, marks=result.marks)
    assert look.remarks == []
    assert set(re.findall(r"<actual-notes>(\d+)</actual-notes>\s*<normal-notes>(\d+)", look.musicxml)) == tuplets
    assert notes(parse_score(Path("again.xml"), look.musicxml.encode())) == notes(result)


def test_ticks_stand_for_the_tuplets_that_they_round() -> None:
    for parts in (7, 9, 11, 13):
        assert [meant(Fraction(round(480 * place / parts), 480), 480) * parts for place in range(30)] == [*range(30)]
    plain = [Fraction(place, parts) for parts in (32, 24, 20, 15) for place in range(parts)]
    assert [meant(place, 480) for place in plain] == plain


def test_no_tuplet_is_finer_than_a_64th() -> None:
    """Five notes in a 64th would be 256th notes; five in a 16th are 64th notes."""
    meter, point = TimeSignature(9, 64), Fraction(1, 80)
    with pytest.raises(ValueError, match="No tuplet reaches"):
        tuplets_of(meter, {point})
    assert snapped(meter, [point]) == {point: 0}
    (tuplet,) = tuplets_of(TimeSignature(4, 16), {Fraction(1, 20)})
    assert tuplet.unit * tuplet.actual / tuplet.normal == Fraction(1, 16)
