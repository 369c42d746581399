"""Symbolic music from files to token ids: scores, corpora, tokens.

This package never imports torch nor `descant_modeling`; an import-linter contract holds it to that.
"""

from importlib.metadata import version

__version__ = version("descant")

__all__ = ["__version__"]
