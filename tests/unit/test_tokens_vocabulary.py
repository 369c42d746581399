"""The vocabulary's ticks: identities that must hold in every meter."""

import pytest


def test_a_beat_holds_the_same_positions_in_every_meter(vocabulary):
    for meter in vocabulary.meter_of.values():
        assert meter.beat_ticks * meter.denominator == 4 * vocabulary.ticks_per_quarter
        assert meter.beat_ticks == 24 * meter.position_ticks
        assert meter.bar_ticks == meter.numerator * meter.beat_ticks


def test_positions_reach_the_end_of_the_longest_bar(vocabulary):
    most = max(meter.bar_ticks // meter.position_ticks for meter in vocabulary.meter_of.values())
    assert sorted(vocabulary.position_of.values()) == list(range(most))


def test_durations_are_whole_ticks_and_invertible(vocabulary):
    for denominator, ticks_of in vocabulary.duration_ticks.items():
        assert len(set(ticks_of.values())) == len(ticks_of) == len(vocabulary.ids("Duration"))
        assert {i: vocabulary.duration_id[denominator][ticks] for i, ticks in ticks_of.items()} == {
            i: i for i in ticks_of
        }


@pytest.mark.parametrize("part", [1, 2, 3, 4, 6, 8])
def test_quarters_divide_into_triplets_and_32nds(vocabulary, part):
    assert vocabulary.ticks_per_quarter // part in vocabulary.duration_id[4]


def test_every_id_has_one_meaning(vocabulary):
    kinds = ["Pitch", "Position", "TimeSig", "Program", "Duration", "Bar"]
    music = [i for kind in kinds for i in vocabulary.ids(kind)]
    special = [vocabulary.names.index(name) for name in vocabulary.tokenizer.special_tokens]
    assert sorted(music + special) == list(range(vocabulary.size))
    assert vocabulary.size == vocabulary.num_base_ids == len(vocabulary.tokenizer)


def test_base_vocabulary_expands_to_itself(vocabulary):
    assert [vocabulary.base_ids(i) for i in range(vocabulary.size)] == [(i,) for i in range(vocabulary.size)]
