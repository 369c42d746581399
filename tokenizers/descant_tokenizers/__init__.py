"""Symbolic music from files to token ids: scores, corpora, tokens.

This package imports neither torch nor `descant_modeling`; an import-linter contract enforces it.

>>> import descant_tokenizers as dt
>>> score, how = dt.four_voices(dt.read_score("examples/au-clair-de-la-lune.musicxml"))
>>> vocabulary = dt.Vocabulary(dt.build_tokenizer("satb"))
>>> piece = dt.encode_score(vocabulary, score).piece
>>> len(piece.bars), piece.num_notes
(16, 44)
>>> layout = dt.TaskLayout(vocabulary)
>>> stream = layout.encode(piece, dt.Task.CONTINUE, piece.voices)
>>> [vocabulary.names[i] for i in stream.ids[:5]]
['BOS_None', 'CONTINUE_None', 'Program_40', 'Bar_None', 'TimeSig_4/4']
>>> layout.decode(stream.ids).piece == piece
True

BPE merges are trained on pieces; a merged stream is shorter and holds the same music:

>>> merged = dt.Vocabulary(dt.train_tokenizer(vocabulary.tokenizer, [piece], vocab_size=560))
>>> shorter = dt.TaskLayout(merged).encode(piece, dt.Task.CONTINUE, piece.voices)
>>> len(shorter.ids) < 0.7 * len(stream.ids), merged.expand(shorter.ids) == stream.ids
(True, True)
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descant_tokenizers.common.errors import InputError
    from descant_tokenizers.corpora import build_dataset, load_corpus, row_to_score
    from descant_tokenizers.scores import read_score, write_midi
    from descant_tokenizers.tokens.dataset import tokenize_dataset
    from descant_tokenizers.tokens.encode import decode_piece, encode_score
    from descant_tokenizers.tokens.grammar import Grammar
    from descant_tokenizers.tokens.miditok_grammar import MidiTokGrammar
    from descant_tokenizers.tokens.presets import build_tokenizer, load_tokenizer, open_tokenizer
    from descant_tokenizers.tokens.satb import four_voices
    from descant_tokenizers.tokens.tasks import Task, TaskLayout
    from descant_tokenizers.tokens.train_bpe import train_tokenizer
    from descant_tokenizers.tokens.vocabulary import Vocabulary

__version__ = version("descant")

_MODULES = {
    "common.errors": ["InputError"],
    "corpora": ["build_dataset", "load_corpus", "row_to_score"],
    "scores": ["read_score", "write_midi"],
    "tokens.dataset": ["tokenize_dataset"],
    "tokens.encode": ["decode_piece", "encode_score"],
    "tokens.grammar": ["Grammar"],
    "tokens.miditok_grammar": ["MidiTokGrammar"],
    "tokens.presets": ["build_tokenizer", "load_tokenizer", "open_tokenizer"],
    "tokens.satb": ["four_voices"],
    "tokens.tasks": ["Task", "TaskLayout"],
    "tokens.train_bpe": ["train_tokenizer"],
    "tokens.vocabulary": ["Vocabulary"],
}

__all__ = [
    "Grammar",
    "InputError",
    "MidiTokGrammar",
    "Task",
    "TaskLayout",
    "Vocabulary",
    "__version__",
    "build_dataset",
    "build_tokenizer",
    "decode_piece",
    "encode_score",
    "four_voices",
    "load_corpus",
    "load_tokenizer",
    "open_tokenizer",
    "read_score",
    "row_to_score",
    "tokenize_dataset",
    "train_tokenizer",
    "write_midi",
]


def __getattr__(name: str) -> Any:
    """Import a name at its first use: datasets and music21 take seconds."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, so that they complete."""
    return sorted(__all__)
