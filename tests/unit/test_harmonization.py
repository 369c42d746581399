"""Harmonizers and what is measured of them, on music made for the purpose."""

import numpy as np
import pytest
from symusic.core import NoteTick, NoteTickList, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.evaluation.baseline import NearestSoprano
from descant_modeling.evaluation.chorales import Reference
from descant_modeling.evaluation.grid import chorale_of_score
from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
from descant_modeling.evaluation.harmonizers import melody_of, soprano_is_kept
from descant_modeling.evaluation.resample import by_piece
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.scores import VOICES

SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


def piece(seed, shift=0):
    """A row of two bars of quarters: a soprano that wanders on the white keys, and three parallel voices."""
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
    """Gives every voice the soprano's notes, or Bach's own voices if it is told them."""

    name = "echo"

    def __init__(self, own=None):
        self.own = own or {}

    def harmonize(self, melody, seed, num_samples):
        score = self.own.get(melody.tracks[0].notes[0].pitch, None)
        if score is None:
            score = melody.copy()
            for name in VOICES[1:]:
                track = melody.tracks[0].copy()
                track.name = name
                score.tracks.append(track)
        return [score] * num_samples


@pytest.fixture(scope="module")
def reference():
    return Reference([chorale(piece(seed)) for seed in range(12)])


def test_the_baseline_copies_what_stands_under_the_same_tune_in_any_key():
    baseline = NearestSoprano([chorale(piece(seed)) for seed in range(6)])
    wanted = row_to_score(piece(3, shift=4))
    (found,) = baseline.harmonize(melody_of(wanted), 0, 1)
    for mine, theirs in zip(found.tracks, wanted.tracks, strict=True):
        assert mine.name == theirs.name
        assert [(n.time, n.duration, n.pitch) for n in mine.notes] == [
            (n.time, n.duration, n.pitch) for n in theirs.notes
        ]


def test_the_baseline_writes_something_under_a_tune_it_has_never_heard():
    baseline = NearestSoprano([chorale(piece(seed)) for seed in range(6)])
    melody = melody_of(row_to_score(piece(99)))
    one, two = baseline.harmonize(melody, 5, 2)
    assert baseline.harmonize(melody, 5, 1)[0].dumps_midi() == one.dumps_midi()
    assert [len(track.notes) for track in one.tracks] == [8, 8, 8, 8]
    assert soprano_is_kept(melody, one)
    assert soprano_is_kept(melody, two)


def test_a_finer_resolution_keeps_the_soprano_and_a_moved_note_does_not():
    melody = melody_of(row_to_score(piece(1)))
    assert soprano_is_kept(melody, melody.resample(960))
    moved = melody.copy()
    moved.tracks[0].notes[2].pitch += 1
    assert not soprano_is_kept(melody, moved)


def test_bach_against_himself_is_a_draw_and_always_right(reference):
    rows = [piece(seed) for seed in (20, 21)]
    own = {row_to_score(row).tracks[0].notes[0].pitch: row_to_score(row) for row in rows}
    assert len(own) == 2
    done, _ = harmonize_rows(Echo(own), rows)
    facts = measure_harmonies(done, reference).facts()
    assert facts["bach_outgrades"]["value"] == 50
    assert facts["soprano_kept"] == 100
    assert {voice: share["value"] for voice, share in facts["accuracy"].items()} == dict.fromkeys(
        ("alto", "tenor", "bass"), 100
    )


def test_four_unisons_are_worse_and_never_right(reference):
    done, _ = harmonize_rows(Echo(), [piece(seed) for seed in range(20, 24)], num_samples=2)
    assert len(done) == 8
    found = measure_harmonies(done, reference)
    assert found.num_samples == 2
    assert found.measured.rules["parallel_octaves"].value > 100
    assert found.bach_outgrades.value > 50
    assert found.accuracy["Bass"].value == 0
    assert all(harmony.chorale.phrase_ends_T.tolist() == harmony.bach.phrase_ends_T.tolist() for harmony in done)


def test_versions_of_one_piece_are_one_piece():
    assert by_piece(["b", "a", "b"], [1, 2, 4]).tolist() == [2, 5]
