"""Textbook examples: four voices as pitch names."""

import numpy as np

from descant_tokenizers.pianoroll.frames import SILENT, chorale_of_frames

PITCHES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def midi(name):
    """Return the MIDI pitch of a name such as F#4 or Bb3; SILENT for "-"."""
    if name == "-":
        return SILENT
    return PITCHES[name[0]] + name.count("#") - name[1:].count("b") + 12 * (int(name[-1]) + 1)


def example(soprano, alto, tenor, bass, *, frames=4, **options):
    """Return four voices, given as pitch names separated by spaces; each chord lasts a quarter unless `frames` says."""
    lines = [[midi(name) for name in line.split()] for line in (soprano, alto, tenor, bass)]
    return chorale_of_frames(np.repeat(np.array(lines), frames, axis=1), **options)
