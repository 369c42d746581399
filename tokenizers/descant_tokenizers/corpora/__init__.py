"""Corpora: from files to Hugging Face datasets of one row per piece.

Some are read from music21's installed corpus; any folder of score files is a corpus like them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from descant_tokenizers.corpora.rights import FREE_CORPORA
from descant_tokenizers.corpora.rows import Row, row_to_score
from descant_tokenizers.corpora.workers import reading_bar, silence_datasets

if TYPE_CHECKING:
    from descant_tokenizers.corpora.build import CORPORA, BuildReport, build_dataset, load_corpus

__all__ = [
    "CORPORA",
    "FREE_CORPORA",
    "BuildReport",
    "Row",
    "build_dataset",
    "load_corpus",
    "reading_bar",
    "row_to_score",
    "silence_datasets",
]


def __getattr__(name: str) -> Any:
    """Import what needs datasets (two seconds) on first use; worker processes do not need it."""
    if name in ("CORPORA", "BuildReport", "build_dataset", "load_corpus"):
        from descant_tokenizers.corpora import build

        return getattr(build, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
