"""Pieces written down as the pitches of every 16th."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Ints, Line, chorale_of_lines


def chorale_of_frames(
    pitches_VT: Ints, name: str = "frames", phrase_ends: Sequence[int] = (), key: str = "C major", bar_16ths: int = 16
) -> Chorale:
    """Make a piece from the pitches of every 16th; a note lasts as long as its pitch does.

    Args:
        pitches_VT: MIDI pitches, `SILENT` for rests.
        name: Its name.
        phrase_ends: 16ths that follow a fermata.
        key: Tonic and mode, such as `"G minor"`.
        bar_16ths: Length of a bar.
    """
    lines = []
    for pitches in pitches_VT:
        starts = np.flatnonzero(np.diff(pitches, prepend=SILENT - 1))
        lengths = np.diff(np.append(starts, len(pitches)))
        sounding = pitches[starts] != SILENT
        lines.append(Line(starts[sounding].astype(float), lengths[sounding].astype(float), pitches[starts][sounding]))
    num_frames = pitches_VT.shape[1]
    bar_lines = np.append(np.arange(0, num_frames, bar_16ths), num_frames).astype(float)
    chorale = chorale_of_lines(name, lines, np.empty(0), bar_lines, key)
    ends = np.isin(np.arange(num_frames), phrase_ends)
    return replace(chorale, pitches_VT=pitches_VT, phrase_ends_T=ends, has_fermatas=bool(phrase_ends))
