"""Scores as notation (MusicXML, SVG, PDF), as pictures and as sound."""

from typing import Literal, get_args

Layout = Literal["open", "closed"]
"""A staff for each track, or two voices to a staff."""

SoundName = Literal["choir", "organ", "piano", "strings"]

SOUNDS: dict[str, int] = dict(zip(get_args(SoundName), (52, 19, 0, 48), strict=True))
"""General MIDI programs of the sounds that can be chosen."""
