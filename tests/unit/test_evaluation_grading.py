"""The grade of style, statistics and bootstrap intervals, by hand."""

import numpy as np
import pytest

from descant_modeling.evaluation.bootstrap import median_interval, ratio_interval
from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, corpus_statistics, measure
from descant_modeling.evaluation.grading import QUALITIES, TERMS, Grader, chord_qualities, features_of, grade_pair
from descant_tokenizers.pianoroll.frames import SILENT, chorale_of_frames

CADENCE = np.repeat(np.array([[72, 72, 71, 72], [64, 65, 62, 64], [55, 57, 55, 55], [48, 53, 43, 48]]), 4, axis=1)


def walk(seed, step=2, num_frames=64):
    """Return four voices that walk at random."""
    rng = np.random.default_rng(seed)
    moves = rng.integers(-step, step + 1, size=(4, num_frames // 4)).cumsum(axis=1)
    return chorale_of_frames(np.repeat(np.array([[72], [64], [57], [48]]) + moves, 4, axis=1), f"walk {seed}")


def test_chords_are_named_in_any_key_and_inversion():
    names = [list(QUALITIES)[quality] for quality in chord_qualities(chorale_of_frames(CADENCE))]
    assert names == ["major", "major", "major", "major"]
    seventh = chorale_of_frames(np.array([[65], [62], [59], [55]]))  # g7
    assert list(QUALITIES)[chord_qualities(seventh)[0]] == "dominant seventh"
    assert chord_qualities(chorale_of_frames(np.array([[65], [64], [63], [62]])))[0] == len(QUALITIES)


def test_a_held_chord_counts_once_and_silence_is_not_a_chord():
    assert len(chord_qualities(chorale_of_frames(np.repeat([[72], [64], [55], [48]], 9, axis=1)))) == 1
    chorale = chorale_of_frames(np.full((4, 3), SILENT)[:, :1] + np.array([[61], [1], [1], [1]]))
    assert len(chord_qualities(chorale)) == 1


def test_features_by_hand():
    features = features_of(chorale_of_frames(CADENCE)).histograms
    assert features["scale_degrees"][0] == 4 * (3 + 0 + 0 + 2)  # C in the soprano three times, in the bass twice
    assert features["note_lengths"].nonzero()[0].tolist() == [8, 16]  # quarters, and halves where a pitch stays
    assert features["soprano_intervals"].nonzero()[0].tolist() == [24 - 1, 24 + 1]
    assert features["repeated_sequences"].sum() == 0


def test_notes_that_recur_are_a_repeated_sequence():
    soprano = np.repeat([72, 74, 76, 79, 72, 74, 76, 81], 2)
    piece = chorale_of_frames(np.stack([soprano, np.full(16, 64), np.full(16, 55), np.full(16, 48)]))
    assert features_of(piece).histograms["repeated_sequences"].nonzero()[0].tolist() == [3]  # c d e, twice


def test_a_piece_equal_to_its_reference_has_grade_zero():
    features = features_of(walk(1))
    assert Grader([features, features]).grade(features) == pytest.approx(dict.fromkeys(TERMS, 0.0))


def test_distances_are_over_ranks():
    reference, piece = features_of(chorale_of_frames(CADENCE)), features_of(chorale_of_frames(CADENCE))
    reference.histograms["scale_degrees"][:] = 0
    reference.histograms["scale_degrees"][[7, 0, 4]] = [2, 1, 1]
    piece.histograms["scale_degrees"][:] = 0
    piece.histograms["scale_degrees"][0] = 10  # all at rank 1; the reference has 1/2, 1/4, 1/4 at ranks 0, 1, 2
    assert Grader([reference]).grade(piece)["scale_degrees"] == pytest.approx(0.5 + 0.25)
    piece.histograms["scale_degrees"][:] = 0
    piece.histograms["scale_degrees"][[1, 2]] = 5  # never in the reference: one category after its three
    assert Grader([reference]).grade(piece)["scale_degrees"] == pytest.approx(0.5 + 0.75 + 1)


def test_parallels_are_scaled_by_the_rate_of_the_reference():
    fifths = chorale_of_frames(np.repeat([[76, 77], [67, 69], [60, 60], [48, 50]], 4, axis=1))
    octaves = chorale_of_frames(np.repeat([[72, 74], [67, 65], [64, 57], [48, 50]], 4, axis=1))
    reference = [features_of(fifths), features_of(octaves)]
    found = features_of(octaves)
    share = reference[1].num_changes and 1 / found.num_changes / (2 / sum(f.num_changes for f in reference))
    assert Grader(reference).grade(found)["parallels"] == pytest.approx(0.5 * share)
    assert Grader(reference).grade(features_of(chorale_of_frames(CADENCE)))["parallels"] == 0


def test_a_pair_is_graded_at_equal_length_and_without_parallels():
    grader = Grader([features_of(walk(seed)) for seed in range(5)])
    long, short = walk(7, num_frames=96), walk(8, num_frames=48)
    terms = [grader.grade(features_of(piece)) for piece in (long.cut(48), short)]
    expected = [sum(term.values()) - term["parallels"] for term in terms]
    assert grade_pair(grader, long, short) == pytest.approx(tuple(expected))
    assert grade_pair(grader, long, short) != pytest.approx(
        tuple(sum(grader.grade(features_of(piece)).values()) for piece in (long, short))
    )
    assert grade_pair(grader, long, long.cut(48))[0] == grade_pair(grader, long, long.cut(48))[1]


def test_a_cut_piece_ends_where_it_is_cut():
    piece = chorale_of_frames(np.repeat(CADENCE, 4, axis=1), phrase_ends=[16, 40])
    cut = piece.cut(20)
    assert cut.pitches_VT.tolist() == piece.pitches_VT[:, :20].tolist()
    assert cut.phrase_ends_T.nonzero()[0].tolist() == [16]
    assert cut.lines[1].onsets_16ths.tolist() == [0, 16]
    assert cut.lines[1].lengths_16ths.tolist() == [16, 4]
    assert (cut.bar_lines_16ths.tolist(), cut.beats.onsets_16ths.tolist()) == ([0, 16, 20], [0, 4, 8, 12, 16])
    assert (cut.tonic, cut.is_major) == (piece.tonic, piece.is_major)
    assert piece.cut(piece.num_frames) is piece


def test_a_left_out_piece_is_graded_by_the_others():
    pieces = [features_of(walk(seed)) for seed in range(5)]
    alone = Grader(pieces[1:]).grade(pieces[0])
    assert Grader(pieces).grade(pieces[0], left_out=True) == pytest.approx(alone)


def test_modes_are_kept_apart():
    major = features_of(chorale_of_frames(CADENCE))
    minor = features_of(chorale_of_frames(CADENCE, key="A minor"))
    assert Grader([major, minor]).grade(major)["scale_degrees"] == 0


def test_wilder_music_grades_worse():
    reference = ReferenceCorpus([walk(seed) for seed in range(20)])
    tame, wild = (measure([walk(seed, step) for seed in range(50, 60)], reference) for step in (2, 9))
    assert np.median(tame.grades) < np.median(wild.grades)
    assert reference.measure().names == [f"walk {seed}" for seed in range(20)]


def test_statistics_by_hand():
    pitches = CADENCE.copy()
    pitches[1, :8] = SILENT  # the alto enters in the second of two bars
    facts = corpus_statistics([chorale_of_frames(pitches, bar_16ths=8)])
    assert facts.voices_sounding == 3.5
    assert facts.all_voices_sounding == 50
    assert facts.empty_bars == 12.5  # one of eight bars of single voices
    assert facts.in_scale == 100
    assert sum(facts.pitch_classes.values()) == pytest.approx(100, abs=0.01)
    assert facts.note_lengths["half"] == pytest.approx(100 * 2 / 12, abs=0.01)


def test_intervals_contain_the_figure_and_narrow_with_more_pieces():
    few, many = (ratio_interval(np.tile([1, 2, 3], n), np.full(3 * n, 10), scale=100) for n in (3, 300))
    assert few.value == many.value == pytest.approx(20)
    assert few.low < many.low < 20 < many.high < few.high
    assert ratio_interval([1, 0], [1, 1], scale=100).value == 50
    assert median_interval([1, 2, 9]).value == 2


def test_equal_pieces_have_an_interval_of_width_zero():
    estimate = ratio_interval([2, 2, 2], [4, 4, 4])
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)
