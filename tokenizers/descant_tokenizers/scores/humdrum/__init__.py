"""Humdrum: **kern and the words, dynamics and reference records beside it.

`tokens` reads what stands in a spine, `parser` goes through the lines and spines, `reader` makes a score.
"""
