"""Tunes that are not chorales: their folder, and what is measured of their harmonies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from chorale_examples import example
from symusic.core import NoteTick, TrackTick

from descant_modeling.evaluation.cadences import FIGURES
from descant_modeling.evaluation.corpus_stats import ReferenceCorpus
from descant_modeling.evaluation.tunes import harmonize_tunes, read_tunes, tunes_facts, tunes_rows
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.harmony import PieceKey

FORTY = Path(__file__).resolve().parent.parent / "data" / "tunes"
JIG = "X:1\nM:6/8\nL:1/8\nK:G\nG3 B3|d3 G3|]\n"
MARCH = "X:1\nM:4/4\nL:1/4\nK:Am\nA c e A|]\n"
INDEX = """
- {file: jig.abc, key: G major, phrase_ends: [1.5, 4.5], tags: [x]}
- {file: march.abc, key: A dorian, phrase_ends: [3]}
"""


@pytest.fixture
def folder(tmp_path):
    for name, text in {"jig.abc": JIG, "march.abc": MARCH, "index.yaml": INDEX}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


class Drone:
    """Hold the first note of the melody, two octaves down, in the bass; rest in the inner voices."""

    name = "drone"

    def __init__(self):
        self.heard = []

    def harmonize(self, melody, seed, phrase_ends=()):
        self.heard.append((seed, tuple(phrase_ends)))
        score = melody.copy()
        notes = score.tracks[0].notes
        bass = TrackTick(VOICES[3], 0, False)
        bass.notes.append(NoteTick(0, max(note.end for note in notes), notes[0].pitch - 24, 80))
        score.tracks.append(bass)
        return score


@pytest.fixture
def reference():
    return ReferenceCorpus([example("B4 C5", "D4 E4", "G3 G3", "G3 C3", phrase_ends=[4])])


def test_a_folder_is_read_in_the_order_of_its_index(folder):
    jig, march = read_tunes(folder)
    assert (jig.name, jig.key, jig.is_compound) == ("jig", PieceKey(7, True), True)
    assert (march.name, march.key, march.is_compound) == ("march", PieceKey(9, False), False)
    assert [track.name for track in jig.melody.tracks] == ["Soprano"]
    quarter = jig.melody.ticks_per_quarter
    assert jig.phrase_ends == (1.5 * quarter, 4.5 * quarter)


def test_the_forty_tunes_can_be_read():
    tunes = read_tunes(FORTY)
    assert len(tunes) == 40
    assert sum(tune.is_compound for tune in tunes) == 14
    for tune in tunes:
        onsets = {note.time for note in tune.melody.tracks[0].notes}
        assert set(tune.phrase_ends) <= onsets, tune.name
        assert max(tune.phrase_ends) == max(onsets), tune.name


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (None, "does not exist. Give a folder of tunes with an index.yaml."),
        ("a: [", "cannot be read as YAML"),
        ("{}", "is not a list of tunes. Write one entry for each file."),
        ("[]", "is not a list of tunes."),
        ("- jig.abc", "Entry 1 of .* is not a mapping. Give it file, key and phrase_ends."),
        ("- {file: jig.abc, key: G major}", "Entry 1 of .* has no phrase_ends. Give it"),
        ("- {file: jig.abc, key: G, phrase_ends: [1]}", "has the key 'G'. Write tonic and mode, such as Bb minor."),
        ("- {file: jig.abc, key: H major, phrase_ends: [1]}", "has the key 'H major'. Write tonic and mode"),
        ("- {file: jig.abc, key: G major, phrase_ends: 4}", "has the phrase_ends 4. Give a list of onsets"),
        ("- {file: none.abc, key: G major, phrase_ends: [1]}", "There is no file .*none.abc"),
        ("- {file: two.abc, key: G major, phrase_ends: [1]}", "has 2 tracks with notes. Give a file with one melody."),
    ],
)
def test_a_wrong_index_is_refused(folder, index, message):
    (folder / "two.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\nV:1\nC D E F|]\nV:2\nC D E F|]\n", encoding="utf-8")
    (folder / "index.yaml").unlink()
    if index is not None:
        (folder / "index.yaml").write_text(index, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_tunes(folder)


@pytest.mark.parametrize("told", [True, False])
def test_the_model_is_told_where_phrases_end_unless_that_is_withheld(folder, told):
    tunes, drone = read_tunes(folder), Drone()
    jig, march = harmonize_tunes(drone, tunes, seed=5, fermatas=told)
    assert drone.heard == [(5, tunes[0].phrase_ends if told else ()), (6, tunes[1].phrase_ends if told else ())]
    assert np.flatnonzero(jig.chorale.phrase_ends_T).tolist() == [12]
    assert march.chorale.has_fermatas


def test_figures_are_those_of_simple_and_compound_meters_and_of_each_tune(folder, reference):
    tunes = read_tunes(folder)
    draws = [harmony for seed in (0, 1) for harmony in harmonize_tunes(Drone(), tunes, seed=seed)]
    facts = tunes_facts(draws, reference)
    assert [facts[group]["num_tunes"] for group in ("all", "simple", "compound")] == [2, 1, 1]
    assert facts["compound"]["cadences"]["last_tonic"]["value"] == 100  # octaves of G, in the key of the index
    assert facts["all"]["cadences"]["lower_silent"]["value"] == pytest.approx(200 / 3, abs=1e-4)
    assert facts["compound"]["cadences"]["lower_onsets"]["value"] == pytest.approx(1 / 12, abs=1e-4)  # four beats
    assert facts["simple"]["cadences"]["lower_onsets"]["value"] == pytest.approx(1 / 12, abs=1e-4)
    assert list(facts["tunes"]) == ["jig", "march"]
    assert facts["tunes"]["march"]["lower_silent"] == pytest.approx(66.667)
    assert facts["tunes"]["march"]["sevenths_resolved"] is None
    assert facts["seconds"]["median"] <= facts["seconds"]["percentile_95"] <= facts["seconds"]["longest"]
    bach = reference.measure().facts()
    rows = {row[0]: row[1:] for row in tunes_rows(facts, {"chorales:train": bach})}
    assert rows["tunes"] == ["2", "1", "1", ""]
    assert rows["ends on that of the tonic, %"][2:] == ["100.0", "100.0"]
    assert rows["sevenths resolved, %"] == ["-", "-", "-", "-"]
    assert len(rows) == 1 + len(FIGURES) + len(bach["rules"]) + 1


def test_the_range_of_the_melody_is_not_judged(folder, reference):
    """The march goes above the reference's soprano; its bass is in and out of the reference's range."""
    harmonies = harmonize_tunes(Drone(), read_tunes(folder)[1:])
    assert harmonies[0].chorale.pitches_VT[0].max() > reference.ranges[0][1]
    bass = int(harmonies[0].chorale.pitches_VT[3].min())
    for low, share in ((bass, 0), (bass + 1, 100)):
        reference.ranges[3] = (low, 127)
        assert tunes_facts(harmonies, reference)["all"]["rules"]["range"]["value"] == share
