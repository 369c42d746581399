"""Scores as notation: spelled, written as MusicXML (music21), engraved as SVG (verovio)."""
