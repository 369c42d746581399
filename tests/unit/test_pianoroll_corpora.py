"""Notes to piano rolls and back, and the windows that the GAN learns from."""

import numpy as np
import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.splits import canonical_splits
from descant_tokenizers.pianoroll.rolls import count_lost, even_edges, notes_of_roll, roll_of_notes
from descant_tokenizers.pianoroll.stored import build_corpus, read_corpus
from descant_tokenizers.pianoroll.windows import windows_of

STEP = 120
EDGES = even_edges(32, STEP)


def spans(notes):
    return [(note.time, note.end, note.pitch) for note in notes]


def test_music_on_the_grid_comes_back_as_it_was():
    rng = np.random.default_rng(3)
    roll = rng.random((32, 128)) < 0.1
    notes = notes_of_roll(roll, EDGES)
    assert np.array_equal(roll_of_notes(notes, EDGES), roll)
    assert spans(notes_of_roll(roll_of_notes(notes, EDGES), EDGES)) == spans(notes)
    assert len(notes) > 100


def test_only_repeated_notes_merge():
    notes = [
        NoteTick(0, 240, 60, 80),
        NoteTick(240, 240, 60, 80),
        NoteTick(480, 120, 62, 80),
        NoteTick(720, 120, 62, 80),
    ]
    found = notes_of_roll(roll_of_notes(notes, EDGES), EDGES)
    assert spans(found) == [(0, 480, 60), (480, 600, 62), (720, 840, 62)]
    lost = count_lost(notes, STEP)
    assert (lost.num_notes, lost.merged, lost.off_grid) == (4, 1, 0)
    assert count_lost([NoteTick(0, 130, 60, 80)], STEP).off_grid == 1


def test_a_cell_sounds_if_its_step_begins_inside_the_note():
    roll = roll_of_notes([NoteTick(-50, 51, 60, 80), NoteTick(60, 200, 61, 80), NoteTick(3700, 999, 62, 80)], EDGES)
    assert np.flatnonzero(roll[:, 60]).tolist() == [0]
    assert np.flatnonzero(roll[:, 61]).tolist() == [1, 2]
    assert np.flatnonzero(roll[:, 62]).tolist() == [31]


@pytest.fixture(scope="module")
def rolls(tmp_path_factory):
    out = tmp_path_factory.mktemp("rolls") / "dataset"
    dataset, report = build_corpus("chorales-rolls", out)
    return dataset, report, out


@pytest.mark.slow  # reads the chorales where they were never read
def test_there_are_as_many_windows_as_the_article_has(rolls):
    dataset, report, out = rolls
    assert report.splits == {"train": 229, "valid": 64}
    assert report.second_windows == 229 - len(set(dataset["train"]["piece"]))
    again = read_corpus(out, "chorales-rolls")
    arrays = again["train"].with_format("numpy")["roll"][:]
    assert arrays.shape == (229, 32, 128, 4)
    assert set(np.unique(arrays)) == {-1, 1}
    bars = (arrays > 0).reshape(229, 2, 16 * 128, 4)
    assert bars.any(2).all(), "a bar of a voice is empty"
    assert (arrays[..., 0] > 0).sum((1, 2)).max() <= 32, "a voice sounds twice"


@pytest.mark.slow  # reads the chorales where they were never read
def test_no_window_is_of_a_piece_that_is_never_trained_on(rolls):
    dataset, _, _ = rolls
    split_of = {name.removesuffix(".mxl"): split for name, split in canonical_splits().items()}
    assert {split_of[piece] for piece in dataset["train"]["piece"]} == {"train"}
    assert {split_of[piece] for piece in dataset["valid"]["piece"]} == {"valid"}


@pytest.mark.slow  # reads the chorales where they were never read
def test_the_music_of_a_row_is_its_roll(rolls):
    row = rolls[0]["train"][5]
    score = ScoreTick.from_midi(row["music"])
    edges = even_edges(32, score.ticks_per_quarter // 4)
    for voice, track in enumerate(score.tracks):
        expected = np.asarray(row["roll"])[..., voice] > 0
        assert np.array_equal(roll_of_notes(track.notes, edges), expected)


def test_windows_are_full_bars_of_four_four_in_which_all_sing():
    score = ScoreTick(480)
    score.time_signatures.extend([TimeSignatureTick(0, 1, 4), TimeSignatureTick(480, 4, 4)])
    for pitch in (70, 60, 50, 40):
        track = TrackTick(str(pitch), 0, False)
        begin = 480 + (1920 if pitch == 60 else 0)  # the second voice is silent in bar 1
        track.notes.extend([NoteTick(tick, 480, pitch, 80) for tick in range(begin, 480 + 6 * 1920, 480)])
        score.tracks.append(track)
    row = {"time_signature": "4/4", "music": score.dumps_midi()}
    assert [(w.first_bar, w.start_ticks) for w in windows_of(row)] == [(2, 2400), (4, 6240)]
    assert windows_of({**row, "time_signature": "3/4"}) == []


def test_a_folder_without_rolls_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is not a dataset of chorales-rolls\. Make one"):
        read_corpus(tmp_path, "chorales-rolls")
