"""Scores: symbolic music as `symusic` scores in ticks, read from files, measured in bars and written back.

`from_music21` and `fermatas_of` live in `descant_tokenizers.scores.music21_reader`, which imports music21.
"""

from descant_tokenizers.scores.bars import Bar, bars_of, count_bars, last_note_end

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
"""Names of the four tracks of a four-part score, from high to low."""

__all__ = ["VOICES", "Bar", "bars_of", "count_bars", "last_note_end"]
