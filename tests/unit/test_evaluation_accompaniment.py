"""Figures of parts written to a leading part."""

from __future__ import annotations

import pytest
from small_ensembles import song
from symusic.core import NoteTick, ScoreTick

from descant_modeling.evaluation.accompaniment import (
    Accompanied,
    accompanied,
    borrowed,
    chosen_rows,
    figure_counts,
    first_bars,
    lead_alone,
    measured,
    memorized,
    run_steps,
)
from descant_modeling.evaluation.memorization import RunIndex
from descant_tokenizers.scores.ensembles import SONG


def piece(score: ScoreTick | None = None, key: str = "C major") -> Accompanied:
    return accompanied("song", key, song() if score is None else score, SONG)


def test_counts_of_a_song_that_is_written_out():
    counts = figure_counts(piece(), SONG.staves)
    # four bars of 3/4 and a pickup: C, B, Bb, A in the tune over C E G, with C, B, Bb, A below
    assert counts["agreement"] == (4, 4)
    assert counts["notes"] == (4 * 7, 5)
    assert counts["silent_bars"] == (1, 5)
    assert counts["within_tenth"] == (12, 12)
    assert counts["repeated_rhythm"] == (3, 3)
    assert counts["repeated_notes"] == (0, 3)
    assert counts["tonic_end"] == (True, 1)  # C E G, after the left hand has ended


def test_a_wrong_note_a_wide_hand_and_a_bass_on_the_tonic_are_seen():
    score = song(1)
    score.tracks[0].notes[1].pitch = 73  # C sharp over C E G
    score.tracks[1].notes.append(NoteTick(480 + 480, 240, 79, 60))  # C4 and G5: more than a tenth
    counts = figure_counts(piece(score), SONG.staves)
    assert counts["agreement"] == (0, 1)
    assert counts["within_tenth"] == (2, 3)
    assert counts["tonic_end"] == (True, 1)


def test_the_last_bass_note_is_that_of_the_last_chord_even_if_the_voice_sounds_longer():
    score = song(1)
    score.tracks[2].notes[0].duration = 480
    score.tracks[1].notes[3].pitch = 48  # of the last chord: C, E, G above it have ended before the tune has
    assert figure_counts(piece(score), SONG.staves)["tonic_end"] == (True, 1)
    score.tracks[1].notes[3].pitch = 47
    assert figure_counts(piece(score), SONG.staves)["tonic_end"] == (False, 1)


def test_what_begins_after_the_leading_part_does_not_count():
    score = song()
    before = figure_counts(piece(score), SONG.staves)
    score.tracks[2].notes.append(NoteTick(480 + 4 * 1440, 480, 36, 60))
    assert figure_counts(piece(score), SONG.staves) == before


def test_chord_changes_are_counted_once_for_each_new_chord():
    score = song(2)
    score.tracks[2].notes[1].pitch = 45
    score.tracks[2].notes[1].duration = 1440
    for note in score.tracks[1].notes:
        if note.time >= 480 + 1440:
            note.pitch = {60: 60, 64: 64, 67: 69}[note.pitch]
    score.tracks[0].notes[4].pitch = 72  # A minor from the second bar on
    for index, pitch in ((5, 76), (6, 72)):
        score.tracks[0].notes[index].pitch = pitch
    for index, pitch in ((2, 76), (3, 72)):
        score.tracks[0].notes[index].pitch = pitch
    assert figure_counts(piece(score))["chord_changes"] == (1, 3)


def test_a_new_rhythm_is_counted_at_sections_and_elsewhere():
    score = song(6)  # a pickup, then the left hand alternates between two lengths; onsets are the same in each bar
    counts = figure_counts(piece(score), SONG.staves)
    assert (counts["new_at_sections"], counts["new_inside"]) == ((0, 0), (1, 6))
    tune = score.tracks[0].notes
    del tune[11:13]  # the fourth bar has one note, so a section begins with the fifth
    assert figure_counts(piece(score), SONG.staves)["new_at_sections"] == (0, 1)
    for note in score.tracks[1].notes:
        if note.time >= 480 + 4 * 1440:
            note.time += 120
    counts = figure_counts(piece(score), SONG.staves)
    assert (counts["new_at_sections"], counts["new_inside"]) == ((1, 1), (1, 5))


def test_figures_have_intervals_over_pieces():
    facts = measured([piece(), piece(song(2))], SONG.staves)
    assert facts["num_pieces"] == 2
    assert facts["notes"]["value"] == pytest.approx((28 + 14) / (5 + 3), abs=1e-4)
    assert facts["notes"]["low"] <= facts["notes"]["value"] <= facts["notes"]["high"]
    assert facts["lowest"]["value"] == (45 + 47) / 2
    assert measured([piece()])["within_tenth"] is None


def test_borrowed_parts_are_moved_to_the_tonic_and_repeated():
    other = Accompanied("other", 2, *list(vars(piece(song(2))).values())[2:])
    found = borrowed(piece(), [other])
    assert found is not None
    left = found.others["Left hand"]
    assert [note.pitch for note in left] == [46, 45, 46, 45]
    assert [note.time for note in left] == [480, 1920, 480 + 2880, 1920 + 2880]
    waltz = song()
    waltz.time_signatures[1].numerator = 4
    assert borrowed(piece(waltz), [other]) is None


def test_a_transposed_copy_shares_its_whole_run_with_training():
    score = song()
    known = RunIndex([run_steps(piece(score))])
    for track in score.tracks:
        track.shift_pitch(5, inplace=True)
    assert memorized([piece(score)], known)["longest"] == 12
    score.tracks[2].notes[2].pitch += 1
    assert memorized([piece(score)], known)["longest"] < 12


def test_rows_are_short_pieces_with_a_leading_part_one_of_each_work_first():
    def row(name: str, title: str, score: ScoreTick) -> dict:
        return {"id": name, "composer": "X", "title": title, "music": score.dumps_midi()}

    silent = song()
    silent.tracks.pop(0)
    rows = [row("a", "W: 1", song(3)), row("b", "W: 2", song(3)), row("c", "V", song(3)), row("d", "U", song(9))]
    found = chosen_rows([*rows, row("e", "T", silent)], SONG, 5, None)
    assert [each["id"] for each in found] == ["a", "c", "b"]
    assert len(chosen_rows(rows, SONG, 5, 1)) == 1
    movements = [row(str(n), f"Quartet No. {n // 2}, movement {n % 2 + 1}", song(3)) for n in range(4)]
    assert [each["id"] for each in chosen_rows(movements, SONG, 5, None)] == ["0", "2", "1", "3"]
    assert [each["id"] for each in chosen_rows(rows, SONG, 99, None, 2)] == ["a", "c", "d", "b"]
    assert [track.name for track in lead_alone(song(), SONG).tracks] == ["Voice"]


def test_the_first_bars_end_at_a_bar_line():
    score = song()
    score.tracks[0].notes[6].duration = 2000  # from the second bar into the fourth
    part = first_bars(score, 2)
    assert max(note.end for track in part.tracks for note in track.notes) == 480 + 2 * 1440
    assert len(part.tracks[0].notes) == 7
    assert first_bars(score, None).note_num() == score.note_num()
