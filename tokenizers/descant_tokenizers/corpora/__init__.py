"""Corpora: from files to Hugging Face datasets of one row a piece.

`chorales` is read from music21's installed corpus; any folder of four-part MIDI files is a corpus like it.
"""

from descant_tokenizers.corpora.build import CORPORA, BuildReport, build_dataset, load_corpus
from descant_tokenizers.corpora.rows import Row, row_to_score

__all__ = ["CORPORA", "BuildReport", "Row", "build_dataset", "load_corpus", "row_to_score"]
