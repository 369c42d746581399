"""Lines of a grid become notes."""

import numpy as np

from descant_modeling.generation.grid import notes_of_line
from descant_tokenizers.pianoroll.frames import SILENT


def test_a_line_is_cut_where_its_pitch_changes_or_is_struck_again() -> None:
    struck = np.array([False, False, False, True])
    notes = notes_of_line(np.array([60, 60, 62, 62]), struck, [0, 10, 20, 30, 40], 80)
    assert [(note.time, note.duration, note.pitch) for note in notes] == [(0, 20, 60), (20, 10, 62), (30, 10, 62)]


def test_a_line_at_rest_has_no_notes() -> None:
    assert notes_of_line(np.full(3, SILENT), np.zeros(3, bool), [0, 10, 20, 30], 80) == []
