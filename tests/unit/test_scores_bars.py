from __future__ import annotations

import itertools
import time
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Bar, bars_of, count_bars, last_note_end, with_pickup
from descant_tokenizers.scores.measures import Measure, signature_changes

TPQ = 480


def score_of(end_ticks: int, *signatures: tuple[int, int, int], tpq: int = TPQ) -> ScoreTick:
    score = ScoreTick(tpq)
    track = TrackTick("Melody", 0, False)
    if end_ticks:
        track.notes.append(NoteTick(end_ticks - 1, 1, 60, 80))
    score.tracks.append(track)
    for event in signatures:
        score.time_signatures.append(TimeSignatureTick(*event))
    return score


def test_without_a_signature_a_score_is_in_four_four() -> None:
    bars = bars_of(score_of(1921))
    assert bars == [Bar(1, 0, 1920, 4, 4), Bar(2, 1920, 1920, 4, 4)]
    assert bars[0].end_ticks == 1920


def test_a_score_without_notes_has_no_bars() -> None:
    assert bars_of(score_of(0, (0, 3, 4))) == []
    assert last_note_end(ScoreTick(TPQ)) == 0


def test_a_pickup_is_bar_zero() -> None:
    bars = bars_of(score_of(480 + 1920 + 1, (0, 1, 4), (480, 4, 4)))
    assert [(bar.number, bar.start_ticks, bar.length_ticks) for bar in bars] == [
        (0, 0, 480),
        (1, 480, 1920),
        (2, 2400, 1920),
    ]


def test_a_pickup_may_also_be_a_cut_bar() -> None:
    bars = bars_of(score_of(3000, (0, 4, 4), (960, 4, 4)))
    assert [(bar.number, bar.length_ticks) for bar in bars] == [(0, 960), (1, 1920), (2, 1920)]


@pytest.mark.parametrize("signatures", [[(0, 3, 4), (2880, 4, 4)], [(0, 4, 4), (1920, 3, 4)], [(0, 3, 4)]])
def test_a_first_bar_is_no_pickup_if_it_repeats_or_is_the_longer_one(signatures: list[tuple[int, int, int]]) -> None:
    assert bars_of(score_of(9600, *signatures))[0].number == 1


def test_a_change_in_mid_bar_cuts_the_bar() -> None:
    bars = bars_of(score_of(5760, (0, 4, 4), (2880, 3, 4)))
    assert [(bar.start_ticks, bar.length_ticks) for bar in bars] == [(0, 1920), (1920, 960), (2880, 1440), (4320, 1440)]


def test_of_two_changes_at_once_the_last_one_holds_and_late_ones_are_ignored() -> None:
    bars = bars_of(score_of(1440, (0, 4, 4), (0, 3, 4), (1440, 2, 4)))
    assert bars == [Bar(1, 0, 1440, 3, 4)]


def test_bars_are_counted_without_being_built() -> None:
    score = score_of(2**31 - 1, (0, 1, 64), tpq=16)
    start = time.perf_counter()
    assert count_bars(score) == 2**31 - 1
    assert time.perf_counter() - start < 1


SIGNATURES = st.tuples(st.integers(1, 12), st.sampled_from([1, 2, 4, 8, 16]))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 20_000), SIGNATURES), max_size=5),
    st.integers(1, 20_000),
    st.sampled_from([24, 96, 220, 480]),
)
def test_bars_tile_the_score(events: list[tuple[int, tuple[int, int]]], end_ticks: int, tpq: int) -> None:
    assume(all(4 * tpq * beats % unit == 0 for _, (beats, unit) in events))  # as validated scores have it
    score = score_of(end_ticks, *((tick, *signature) for tick, signature in events), tpq=tpq)
    bars = bars_of(score)
    assert len(bars) == count_bars(score)
    assert bars[0].start_ticks == 0
    assert all(before.end_ticks == bar.start_ticks for before, bar in itertools.pairwise(bars))
    assert [bar.number for bar in bars] == list(range(bars[0].number, bars[0].number + len(bars)))
    assert bars[-1].start_ticks < end_ticks <= bars[-1].end_ticks
    assert {tick for tick, _ in events if tick < end_ticks} <= {bar.start_ticks for bar in bars}


def changes(*measures: tuple[float, int, int]) -> list[tuple[float, int, int]]:
    """Changes under measures given as (quarters, numerator, denominator)."""
    onset = Fraction(0)
    written = []
    for quarters, numerator, denominator in measures:
        written.append(Measure(onset, Fraction(quarters), numerator, denominator))
        onset += Fraction(quarters)
    return [(float(change.onset), change.numerator, change.denominator) for change in signature_changes(written)]


FULL = (4, 4, 4)


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ([FULL, FULL, (3, 4, 4)], [(0, 4, 4)]),  # a short last measure needs nothing
        ([(3, 4, 4)], [(0, 4, 4)]),  # nor does an only one
        ([(1, 4, 4), FULL, (3, 4, 4)], [(0, 1, 4), (1, 4, 4)]),
        ([(0.5, 4, 4), FULL], [(0, 1, 8), (0.5, 4, 4)]),
        ([(0.5, 6, 8), (3, 6, 8)], [(0, 1, 8), (0.5, 6, 8)]),
        ([(1.5, 6, 8), (3, 6, 8)], [(0, 3, 8), (1.5, 6, 8)]),
        ([(0.75, 4, 4), FULL], [(0, 3, 16), (0.75, 4, 4)]),
        ([(1, 3, 2), (6, 3, 2)], [(0, 1, 4), (1, 3, 2)]),
        ([FULL, (3, 4, 4), (1, 4, 4), FULL], [(0, 4, 4)]),  # a bar split at a repeat sign
        ([FULL, (2, 4, 4), (1, 4, 4), (1, 4, 4), FULL], [(0, 4, 4)]),
        ([FULL, (3, 4, 4), (1, 3, 4), (3, 3, 4)], [(0, 4, 4), (8, 3, 4)]),  # split where the meter changes
        ([FULL, (2, 3, 4), (1, 4, 4), FULL], [(0, 4, 4), (4, 3, 4), (7, 4, 4)]),
        ([(1, 4, 4), (3, 4, 4), (1, 4, 4), FULL], [(0, 1, 4), (1, 4, 4)]),  # a pickup is never joined
        ([FULL, (3, 4, 4), FULL, FULL], [(0, 4, 4), (4, 3, 4), (7, 4, 4)]),  # irregular, then restated
        ([FULL, (3, 4, 4), (3, 3, 4)], [(0, 4, 4), (4, 3, 4)]),
        ([FULL, (3, 4, 4), (2, 4, 4), (2, 4, 4), FULL], [(0, 4, 4), (4, 3, 4), (7, 4, 4)]),
        ([FULL, (10, 4, 4), FULL], [(0, 4, 4), (12, 2, 4), (14, 4, 4)]),  # cut into full bars and what is left
        ([FULL, (0, 4, 4), FULL], [(0, 4, 4)]),
        ([FULL, (10, 4, 4)], [(0, 4, 4)]),
        ([], []),
    ],
)
def test_signatures_put_the_bar_lines_where_they_are_meant(
    measures: list[tuple[float, int, int]], expected: list[tuple[float, int, int]]
) -> None:
    assert changes(*measures) == expected


def test_a_length_that_no_signature_has_is_cut_by_restating() -> None:
    third = Fraction(1, 3)
    measures = [Measure(Fraction(0), 4 + third, 4, 4), Measure(4 + third, Fraction(4), 4, 4)]
    found = [(change.onset, change.numerator) for change in signature_changes(measures)]
    assert found == [(0, 4), (4, 4), (4 + third, 4)]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from([(4, 4), (3, 4), (6, 8), (2, 2)])), min_size=1))
def test_every_measure_but_the_joined_starts_a_bar(written: list[tuple[int, tuple[int, int]]]) -> None:
    onset, measures = Fraction(0), []
    for sixteenths, signature in written:
        measures.append(Measure(onset, Fraction(sixteenths, 4), *signature))
        onset += Fraction(sixteenths, 4)
    events = [(int(change.onset * TPQ), change.numerator, change.denominator) for change in signature_changes(measures)]
    starts = {bar.start_ticks for bar in bars_of(score_of(int(onset * TPQ), *events))}
    for before, measure in itertools.pairwise(measures):
        is_short = before.length < before.nominal or measure.length < measure.nominal
        assert measure.onset * TPQ in starts or is_short


@pytest.mark.parametrize(("beats", "ticks"), [(1, 480), ("1/2", 240), (1.5, 720), ("0.25", 120)])
def test_a_pickup_can_be_stated(beats: float | str, ticks: int) -> None:
    score = score_of(8 * 480, (0, 3, 4), (4800, 2, 4))
    bars = bars_of(with_pickup(score, beats))
    assert [(bar.number, bar.start_ticks) for bar in bars[:3]] == [(0, 0), (1, ticks), (2, ticks + 1440)]
    assert [event.time for event in score.time_signatures] == [0, 4800]


def test_a_pickup_counts_in_units_of_the_meter() -> None:
    assert bars_of(with_pickup(score_of(4000, (0, 6, 8)), 1))[0].length_ticks == 240
    assert bars_of(with_pickup(score_of(4000), 1))[1].length_ticks == 1920


@pytest.mark.parametrize(
    ("beats", "message"),
    [
        (0, "The pickup is 0 beats. Give more than 0 and less than 4."),
        (4, "The pickup is 4 beats. Give more than 0 and less than 4."),
        ("one", "The pickup is 'one'. Give a number"),
        ("1/3", "which no note value has"),
    ],
)
def test_an_impossible_pickup_is_refused(beats: float | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_pickup(score_of(4000), beats)


def test_a_second_pickup_is_refused() -> None:
    with pytest.raises(InputError, match="already begins with a pickup"):
        with_pickup(score_of(4000, (0, 1, 4), (480, 4, 4)), 1)
