"""Harmonizers and their measurements, on music made for these tests."""

import numpy as np
import pytest
from chorale_examples import midi
from symusic.core import NoteTick, NoteTickList, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.evaluation.bootstrap import by_piece, median_interval, ratio_interval
from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, measure
from descant_modeling.evaluation.harmonization import harmonization_rows, harmonize_rows, measure_harmonies
from descant_modeling.evaluation.harmonizers import (
    BASELINES,
    MarkovVoices,
    NearestSoprano,
    melody_of,
    named_harmonizers,
    open_harmonizer,
    phrase_ends_of,
    soprano_is_kept,
)
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.pianoroll.frames import chorale_of_score
from descant_tokenizers.scores import VOICES

SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


def piece(seed, shift=0):
    """Return a row of two bars of quarters: a soprano of random white keys, and three parallel voices."""
    rng = np.random.default_rng(seed)
    line = [SCALE[index] + shift for index in rng.integers(0, len(SCALE), 8)]
    score = ScoreTick(480)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    for name, below in zip(VOICES, (0, 5, 12, 20), strict=True):
        track = TrackTick(name, 0, False)
        track.notes.extend(NoteTickList(NoteTick(480 * i, 480, p - below, 80) for i, p in enumerate(line)))
        score.tracks.append(track)
    return {"id": f"piece {seed}", "music": score.dumps_midi(), "fermatas": [480], "num_parts": 4}


def chorale(row):
    return chorale_of_score(row_to_score(row), row["id"], row["fermatas"])


class Echo:
    """Give every voice the soprano's notes, or Bach's own voices if they are known."""

    name = "echo"

    def __init__(self, own=None):
        self.own = own or {}

    def harmonize(self, melody, seed, phrase_ends=()):
        score = self.own.get(melody.tracks[0].notes[0].pitch, None)
        if score is None:
            score = melody.copy()
            for name in VOICES[1:]:
                track = melody.tracks[0].copy()
                track.name = name
                score.tracks.append(track)
        return score


@pytest.fixture(scope="module")
def reference():
    return ReferenceCorpus([chorale(piece(seed)) for seed in range(12)])


def notes_of(track):
    return [(note.time, note.duration, note.pitch) for note in track.notes]


def test_the_harmony_of_the_nearest_soprano_is_copied_in_any_key():
    nearest = NearestSoprano([chorale(piece(seed)) for seed in range(6)])
    wanted = row_to_score(piece(3, shift=4))
    found = nearest.harmonize(melody_of(wanted), 0)
    for mine, theirs in zip(found.tracks, wanted.tracks, strict=True):
        assert mine.name == theirs.name
        assert notes_of(mine) == notes_of(theirs)


def test_the_nearest_soprano_holds_its_chord_where_the_melody_differs():
    nearest = NearestSoprano([chorale(piece(seed)) for seed in range(6)])
    wanted = row_to_score(piece(3, shift=4))
    melody = melody_of(wanted)
    melody.tracks[0].notes[4].pitch += 1  # steps that no piece has
    melody.tracks[0].notes[4].duration += 60
    found = nearest.harmonize(melody, 0)
    for mine, theirs in zip(found.tracks[1:], wanted.tracks[1:], strict=True):
        expected = notes_of(theirs)
        expected[4] = (expected[4][0], 540, expected[4][2])
        assert notes_of(mine) == expected


def test_the_seed_matters_to_the_markov_voices_only():
    chorales = [chorale(piece(seed)) for seed in range(6)]
    melody = melody_of(row_to_score(piece(99)))
    nearest, markov = NearestSoprano(chorales), MarkovVoices(chorales)
    assert nearest.harmonize(melody, 1).dumps_midi() == nearest.harmonize(melody, 2).dumps_midi()
    assert markov.harmonize(melody, 1).dumps_midi() == markov.harmonize(melody, 1).dumps_midi()
    assert markov.harmonize(melody, 1).dumps_midi() != markov.harmonize(melody, 2).dumps_midi()
    for found in (nearest.harmonize(melody, 1), markov.harmonize(melody, 1)):
        assert [len(track.notes) for track in found.tracks] == [8, 8, 8, 8]
        assert soprano_is_kept(melody, found)


def test_a_markov_voice_goes_only_where_one_went_in_training():
    markov = MarkovVoices([chorale(piece(3))])
    wanted = row_to_score(piece(3))
    pitches = {track.name: {note.pitch for note in track.notes} for track in wanted.tracks}
    for track in markov.harmonize(melody_of(wanted), 0).tracks:
        assert {note.pitch for note in track.notes} <= pitches[track.name]


def test_baseline_is_both_of_them():
    assert named_harmonizers(["chorales", "baseline", "markov"]) == ["chorales", *BASELINES]
    with pytest.raises(InputError, match=r"a/best and b/best are both named best\. Rename or copy one"):
        named_harmonizers(["a/best", "chorales", "b/best"])
    with pytest.raises(InputError, match=r"nearest and markov\. Give one"):
        open_harmonizer("baseline")


def test_a_model_that_does_not_harmonize_is_refused_with_its_own_message(band_checkpoint):
    with pytest.raises(InputError, match=r"midinet writes without a melody\. Give a model that harmonizes"):
        open_harmonizer("midinet")
    with pytest.raises(InputError, match=r"does not write four voices\. Give a model of four voices"):
        open_harmonizer(str(band_checkpoint))


def test_a_finer_resolution_keeps_the_soprano_and_a_moved_note_does_not():
    melody = melody_of(row_to_score(piece(1)))
    assert soprano_is_kept(melody, melody.resample(960))
    moved = melody.copy()
    moved.tracks[0].notes[2].pitch += 1
    assert not soprano_is_kept(melody, moved)


def test_bach_against_himself_is_a_tie_and_always_right(reference):
    rows = [piece(seed) for seed in (20, 21)]
    own = {row_to_score(row).tracks[0].notes[0].pitch: row_to_score(row) for row in rows}
    assert len(own) == 2
    facts = measure_harmonies([harmonize_rows(Echo(own), rows)], reference).facts()
    assert facts["bach_outgrades"]["value"] == facts["bach_outgrades_cut"]["value"] == 50
    assert facts["soprano_kept"] == 100
    assert {voice: share["value"] for voice, share in facts["accuracy"].items()} == dict.fromkeys(
        ("alto", "tenor", "bass"), 100
    )


def test_four_unisons_are_worse_and_never_right(reference):
    draw = harmonize_rows(Echo(), [piece(seed) for seed in range(20, 24)])
    found = measure_harmonies([draw, draw], reference)
    assert found.facts()["num_pieces"] == 4
    assert found.facts()["num_draws"] == 2
    assert found.measured.rules["parallel_octaves"].value > 100
    assert found.bach_outgrades.value > 50
    assert found.bach_outgrades_cut.value > 50
    assert found.accuracy["Bass"].value == 0
    for harmony in draw.harmonies:
        assert harmony.chorale.phrase_ends_T.tolist() == harmony.bach.phrase_ends_T.tolist()


def test_several_draws_are_measured_together_and_each_alone(reference):
    """One draw is Bach himself, the other is four unisons; the seed decides which."""

    class BySeed:
        name = "by-seed"

        def harmonize(self, melody, seed, phrase_ends=()):
            return Echo(own if seed < 100 else {}).harmonize(melody, seed)

    rows = [piece(seed) for seed in (20, 21, 22)]
    own = {row_to_score(row).tracks[0].notes[0].pitch: row_to_score(row) for row in rows}
    draws = [harmonize_rows(BySeed(), rows, seed=seed) for seed in (0, 100)]
    both, good, bad = (measure_harmonies(some, reference).facts() for some in (draws, draws[:1], draws[1:]))
    assert [draw["seed"] for draw in both["draws"]] == [0, 100]
    for alone, draw in zip((good, bad), both["draws"], strict=True):
        assert draw["grade"]["median"] == alone["grade"]["median"]
        assert draw["bach_outgrades"] == alone["bach_outgrades"]["value"]
        assert draw["bach_outgrades_cut"] == alone["bach_outgrades_cut"]["value"]
        assert draw["rules"] == {key: rate["value"] for key, rate in alone["rules"].items()}
        assert draw["accuracy"] == {voice: share["value"] for voice, share in alone["accuracy"].items()}
    assert both["grade"]["median"] == pytest.approx((good["grade"]["median"] + bad["grade"]["median"]) / 2, abs=1e-4)
    for pool in (lambda facts: facts["bach_outgrades"], lambda facts: facts["accuracy"]["alto"]):
        assert pool(both)["value"] == pytest.approx((pool(good)["value"] + pool(bad)["value"]) / 2, abs=1e-4)
    low, high = both["bach_outgrades"]["low"], both["bach_outgrades"]["high"]
    assert low <= both["bach_outgrades"]["value"] <= high


@pytest.mark.parametrize("told", [True, False])
def test_a_harmonizer_is_told_where_phrases_end_unless_that_is_withheld(told):
    heard = []

    class Listener(Echo):
        def harmonize(self, melody, seed, phrase_ends=()):
            heard.append(tuple(phrase_ends))
            return super().harmonize(melody, seed)

    row = {**piece(1), "fermatas": [480, 1680, 1700]}  # a fermata of another voice stands under the soprano's note
    (harmony,) = harmonize_rows(Listener(), [row], fermatas=told).harmonies
    assert heard == [(480, 1440) if told else ()]
    assert np.flatnonzero(harmony.chorale.phrase_ends_T).tolist() == [8, 16]  # measured in any case


def test_phrase_ends_are_onsets_of_the_melody():
    melody = melody_of(row_to_score(piece(1)))
    assert phrase_ends_of(melody, [0, 479, 480, 3840]) == (0, 480, 3360)
    melody.tracks[0].notes[0].time = 100
    assert phrase_ends_of(melody, [50]) == ()


def test_a_harmony_is_measured_in_the_key_of_the_original(reference):
    """Bach closes in C; the harmony of the same soprano flees to A minor and closes there."""
    bach = (("E5", "D5", "C5"), ("G4", "F4", "E4"), ("C4", "B3", "G3"), ("C3", "G3", "C3"))
    other = (("E5", "D5", "C5"), ("A4", "B4", "A4"), ("C4", "G#3", "E3"), ("A3", "E3", "A2"))
    rows, own = [], {}
    for name, lines in (("bach", bach), ("other", other)):
        score = ScoreTick(480)
        score.time_signatures.append(TimeSignatureTick(0, 4, 4))
        for voice, line in zip(VOICES, lines, strict=True):
            track = TrackTick(voice, 0, False)
            track.notes.extend(NoteTickList(NoteTick(480 * i, 480, midi(p), 80) for i, p in enumerate(line)))
            score.tracks.append(track)
        rows.append({"id": name, "music": score.dumps_midi(), "fermatas": [0], "num_parts": 4})
        own[name] = score
    draw = harmonize_rows(Echo({midi("E5"): own["other"]}), rows[:1])
    facts = measure_harmonies([draw], reference).facts()
    assert facts["cadences"]["last_triad"]["value"] == 100
    assert facts["cadences"]["last_tonic"]["value"] == facts["last_tonic_as_bach"]["value"] == 0
    facts = measure_harmonies([harmonize_rows(Echo({midi("E5"): own["bach"]}), rows[:1])], reference).facts()
    assert facts["cadences"]["last_tonic"]["value"] == facts["last_tonic_as_bach"]["value"] == 100
    shown = {
        row[0]: row[1:] for row in harmonization_rows({"own": facts}, measure([chorale(rows[0])], reference).facts())
    }
    assert shown["ends on a root-position triad, %"] == ["100.0 [100.0, 100.0]"] * 2
    assert shown["... where Bach does, %"] == ["100.0 [100.0, 100.0]", "100"]
    assert shown["leading tones doubled, %"][0].startswith("0.0")


@pytest.mark.parametrize("estimate", ["median", "ratio"])
def test_more_draws_narrow_an_interval_as_far_as_draws_differ_and_not_further(estimate):
    rng = np.random.default_rng(3)
    piece_N1, draw_NE = rng.normal(size=(200, 1)), rng.normal(size=(200, 16))

    def width(values_ND):
        if estimate == "median":
            found = median_interval(values_ND)
        else:
            found = ratio_interval(values_ND.sum(axis=1), np.full(len(values_ND), values_ND.shape[1]))
        return found.high - found.low

    assert width(draw_NE) < 0.4 * width(draw_NE[:, :1])  # only draws differ: sixteen are four times as good as one
    assert width(np.repeat(piece_N1, 16, axis=1)) == pytest.approx(width(piece_N1))  # only pieces differ: no gain


def test_draws_of_one_piece_are_one_piece():
    assert by_piece(["b", "a", "b"], [1, 2, 4]).tolist() == [2, 5]
