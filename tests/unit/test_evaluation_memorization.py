"""Runs of notes that two sets of pieces share, compared with an exhaustive search."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descant_modeling.cli.evaluate.memorization import memorization_command, verdict
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.evaluation.memorization import ALL_VOICES, Excess, RunIndex, TrainingRuns, excesses, runs_facts
from descant_modeling.models.checkpoints import find_checkpoint, read_meta
from descant_tokenizers.pianoroll.frames import SILENT, chorale_of_frames

SEQUENCES = st.lists(st.integers(0, 2), max_size=14)


def by_trying(known, sequence):
    runs = {tuple(s[i:j]) for s in known for i in range(len(s)) for j in range(i + 1, len(s) + 1)}
    found = [j - i for i in range(len(sequence)) for j in range(i + 1, len(sequence) + 1)]
    starts = [(i, i + n) for n in set(found) for i in range(len(sequence) - n + 1)]
    return max((j - i for i, j in starts if tuple(sequence[i:j]) in runs), default=0)


@given(st.lists(SEQUENCES, max_size=4), SEQUENCES)
def test_the_index_agrees_with_an_exhaustive_search(known, sequence):
    assert RunIndex(known).longest_run(sequence) == by_trying(known, sequence)


def piece(soprano, *, shift=0, bass=None):
    lines = [soprano, np.array(soprano) - 5, np.array(soprano) - 12, bass or np.array(soprano) - 20]
    return chorale_of_frames(np.repeat(np.array([np.array(line) + shift for line in lines]), 4, axis=1))


def test_a_transposed_run_is_found():
    memory = TrainingRuns.of([piece([60, 62, 64, 65, 67, 69, 71, 72])])
    runs = memory.longest_runs(piece([81, 64, 65, 67, 69, 60], shift=3))
    assert runs["Soprano"] == 4  # e f g a
    assert runs[ALL_VOICES] == 4


def test_all_four_voices_must_agree():
    memory = TrainingRuns.of([piece([60, 62, 64, 65, 67, 69])])
    runs = memory.longest_runs(piece([60, 62, 64, 65, 67, 69], bass=[40, 42, 44, 40, 47, 49]))
    assert (runs["Soprano"], runs["Bass"], runs[ALL_VOICES]) == (6, 3, 3)


def test_another_rhythm_is_another_run():
    slow = chorale_of_frames(np.repeat(np.array([[60, 62, 64], [55, 57, 59], [48, 50, 52], [40, 42, 44]]), 8, axis=1))
    assert max(TrainingRuns.of([slow]).longest_runs(piece([60, 62, 64])).values()) == 0


def test_runs_do_not_cross_from_one_training_piece_to_the_next():
    memory = TrainingRuns.of([piece([60, 62, 64]), piece([65, 67, 69])])
    assert memory.longest_runs(piece([60, 62, 64, 65, 67, 69]))["Soprano"] == 3


def test_a_voice_is_compared_with_the_same_voice():
    memory = TrainingRuns.of([piece([60, 62, 64, 67], bass=[40, 41, 39, 46])])
    assert memory.longest_runs(piece([60, 61, 59, 66]))["Soprano"] == 0


def test_rests_are_not_notes():
    silent = chorale_of_frames(np.array([[60] * 8, [55] * 8, [SILENT] * 8, [40] * 8]))
    assert TrainingRuns.of([silent]).longest_runs(silent)["Tenor"] == 0


def test_facts():
    facts = runs_facts([{"Alto": n, ALL_VOICES: 1} for n in (2, 4, 9)])
    assert (facts["alto"]["median"], facts["alto"]["longest"]) == (4, 9)
    assert facts["alto"]["percentile_95"] == pytest.approx(8.5)
    assert facts["all_four"]["longest"] == 1


def test_excesses_name_where_a_model_copies_more_than_bach():
    bach = runs_facts([{"Alto": n, ALL_VOICES: 3} for n in (4, 6, 8)])
    same = runs_facts([{"Alto": n, ALL_VOICES: 3} for n in (4, 6, 8)])
    assert excesses(same, bach) == []
    assert excesses(runs_facts([{"Alto": 5, ALL_VOICES: 2}] * 3), bach) == []
    longer = runs_facts([{"Alto": n, ALL_VOICES: 3} for n in (4, 6, 9)])
    assert [(found.voice, found.figure) for found in excesses(longer, bach)] == [
        ("alto", "percentile_95"),
        ("alto", "longest"),
    ]
    often = runs_facts([{"Alto": 4, ALL_VOICES: n} for n in (3, 4, 4)])
    assert Excess("all_four", "median", 4, 3) in excesses(often, bach)


def test_the_verdict_is_a_sentence():
    assert "no more than Bach" in verdict({"longer_than_bach": []})
    excess = {"voice": "all_four", "figure": "percentile_95", "samples": 46.75, "bach": 8.0}
    assert verdict({"longer_than_bach": [excess]}) == (
        "It copies more than Bach repeats himself (his figures in brackets): all four, 95th percentile 46.75 (8)."
    )


def test_samples_are_compared_with_all_chorales_that_the_default_model_was_trained_on():
    default = inspect.signature(memorization_command).parameters["train"].default
    splits = read_meta(find_checkpoint(EMBEDDED_DEFAULT)).training["splits"]
    assert default.split(",") == [f"chorales:{split}" for split in splits] == ["chorales:train", "chorales:extra"]
