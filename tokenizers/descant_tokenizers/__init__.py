"""Symbolic music from files to token ids: scores, corpora, tokens.

This package never imports torch nor `descant_modeling`; an import-linter contract holds it to that.

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

Tokens that stand for several are learned from pieces; a stream of them says the same:

>>> learned = dt.Vocabulary(dt.train_tokenizer(vocabulary.tokenizer, [piece], vocab_size=560))
>>> shorter = dt.TaskLayout(learned).encode(piece, dt.Task.CONTINUE, piece.voices)
>>> len(shorter.ids) < 0.7 * len(stream.ids), learned.expand(shorter.ids) == stream.ids
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
    from descant_tokenizers.tokens.presets import build_tokenizer, load_tokenizer, open_tokenizer
    from descant_tokenizers.tokens.satb import four_voices
    from descant_tokenizers.tokens.tasks import Task, TaskLayout
    from descant_tokenizers.tokens.train_bpe import train_tokenizer
    from descant_tokenizers.tokens.vocabulary import Vocabulary

__version__ = version("descant")

_PLACES = {
    "InputError": "common.errors",
    "Grammar": "tokens.grammar",
    "Task": "tokens.tasks",
    "TaskLayout": "tokens.tasks",
    "Vocabulary": "tokens.vocabulary",
    "build_dataset": "corpora",
    "build_tokenizer": "tokens.presets",
    "decode_piece": "tokens.encode",
    "encode_score": "tokens.encode",
    "four_voices": "tokens.satb",
    "load_corpus": "corpora",
    "load_tokenizer": "tokens.presets",
    "open_tokenizer": "tokens.presets",
    "read_score": "scores",
    "row_to_score": "corpora",
    "tokenize_dataset": "tokens.dataset",
    "train_tokenizer": "tokens.train_bpe",
    "write_midi": "scores",
}

__all__ = [
    "Grammar",
    "InputError",
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
    """Import what is asked for, and nothing else: datasets and music21 take seconds."""
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
