"""Train merged tokens (see bpe.py) on a corpus of pieces.

BPE (Sennrich et al. 2016; for music Fradet et al. 2023, "Byte Pair Encoding for Symbolic Music") repeatedly joins the
most frequent pair of tokens; Unigram (Kudo 2018) keeps, of many runs, those that make the corpus most likely. Both are
trained by Hugging Face's `tokenizers`. miditok's own `train` is not used, because it cannot split at onsets, only at
bars or at beats, which it marks with extra tokens, and because it gives Unigram's base tokens new ids.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from miditok import REMI
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.tokens.bpe import SubwordMerges, boundary_ids, opening_ids
from descant_tokenizers.tokens.piece import Piece, PitchTable, piece_ids, pitch_table, survey_pitches
from descant_tokenizers.tokens.vocabulary import Vocabulary

SubwordModel = Literal["BPE", "Unigram"]
MAX_VOCAB_SIZE = 1 << 16
MIN_FREQUENCY = 2  # a run of tokens that occurs only once in the corpus is not worth an id
MAX_NOTES = 5_000_000  # more notes change little, but take time and memory
_DIGITS = 6  # of Unigram's scores: few enough that every library reads back the number that was written


def train_tokenizer(
    tokenizer: REMI,
    pieces: Sequence[Piece],
    vocab_size: int,
    model: SubwordModel = "BPE",
    *,
    show_progress: bool = False,
) -> REMI:
    """Train merges on pieces, in all transpositions, whole and split as tasks split them.

    Pieces are read one by one, as the library takes them: memory holds the distinct onsets of at most `MAX_NOTES`
    notes, whatever the size of the corpus; of a larger one, evenly spaced pieces and transpositions are taken.

    BPE is deterministic; Unigram's training is not fully reproducible (huggingface/tokenizers issue 668).

    Args:
        tokenizer: An untrained tokenizer of a preset; it is not changed.
        pieces: The music.
        vocab_size: Number of ids, base tokens included; the result has fewer if the corpus is too small.
        model: The algorithm.
        show_progress: Show progress bars on stderr, if that is a terminal.

    Returns:
        A tokenizer whose base tokens have the same ids.

    Raises:
        InputError: The vocabulary size is out of range, or there are no notes.
    """
    vocabulary = Vocabulary(tokenizer)
    check_vocab_size(vocabulary, vocab_size)
    table = pitch_table(pieces)
    if not table.num_notes_N.any():
        raise InputError("There are no notes to train on. Give a corpus with notes in its train split.")
    merges = SubwordMerges(tokenizer)
    base = [merges.text([i]) for i in range(vocabulary.num_base_ids)]
    backend, trainer = _backend(model, vocab_size=vocab_size, initial_alphabet=base, show_progress=show_progress)
    backend.pre_tokenizer = _pre_tokenizer(merges.text(boundary_ids(tokenizer)), merges.text(opening_ids(tokenizer)))
    examples = _transposed(table, vocabulary)
    streams = (
        [merges.text(piece_ids(vocabulary, part)) for part in _parts(piece.transpose(shift, vocabulary.drum_voice))]
        for index, group in groupby(examples, key=lambda example: example[0])
        for piece in (pieces[index],)
        for _, shift in group
    )
    backend.train_from_iterator(streams, trainer, length=len(examples))
    return _with_model(tokenizer, _in_base_order(json.loads(backend.to_str()), base))


def check_vocab_size(vocabulary: Vocabulary, vocab_size: int) -> None:
    """Raise `InputError` if a vocabulary size is not larger than the base vocabulary, or too large."""
    if not vocabulary.num_base_ids < vocab_size <= MAX_VOCAB_SIZE:
        raise InputError(
            f"The vocabulary size is {vocab_size}. Give more than the {vocabulary.num_base_ids} tokens of the preset, "
            f"at most {MAX_VOCAB_SIZE}."
        )


def _backend(model: SubwordModel, **options: Any) -> tuple[Tokenizer, Any]:
    if model == "BPE":
        return Tokenizer(models.BPE()), trainers.BpeTrainer(min_frequency=MIN_FREQUENCY, special_tokens=[], **options)
    return Tokenizer(models.Unigram()), trainers.UnigramTrainer(special_tokens=[], **options)


def _pre_tokenizer(boundaries: str, openings: str) -> pre_tokenizers.PreTokenizer:
    """Split around every boundary, and before every opening."""

    def one_of(characters: str) -> Regex:
        return Regex("[" + "".join(f"\\x{{{ord(character):x}}}" for character in characters) + "]")

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(one_of(boundaries), "isolated"),
            pre_tokenizers.Split(one_of(openings), "merged_with_next"),
        ]
    )


def _transposed(table: PitchTable, vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """Return each piece with each of its transpositions; only every n-th if they have more than `MAX_NOTES` notes."""
    _, shifts = survey_pitches(table, vocabulary)
    number_N = shifts.highest_N.astype(np.int64) - shifts.lowest_N + 1
    num_notes = int((table.num_notes_N * number_N).sum())
    end_N = number_N.cumsum()
    chosen = np.arange(0, end_N[-1], max(1, math.ceil(num_notes / MAX_NOTES)))
    piece = np.searchsorted(end_N, chosen, side="right")
    shift = shifts.lowest_N[piece] + chosen - (end_N - number_N)[piece]
    return list(zip(piece.tolist(), shift.tolist(), strict=True))


def _parts(piece: Piece) -> Iterator[Piece]:
    """Yield a piece, then its first voice and its other voices, as tasks split them."""
    yield piece
    if len(piece.voices) > 1:
        yield piece.keep_voices(piece.voices[:1])
        yield piece.keep_voices(piece.voices[1:])


def _in_base_order(params: dict[str, Any], base: list[str]) -> dict[str, Any]:
    """Give base tokens the ids that they have without a model, and merged tokens the next ids."""
    model = params["model"]
    known = frozenset(base)
    if model["type"] == "BPE":
        merged = [piece for piece in sorted(model["vocab"], key=model["vocab"].__getitem__) if piece not in known]
        model["vocab"] = {piece: i for i, piece in enumerate([*base, *merged])}
    else:
        scores = {piece: round(score, _DIGITS) for piece, score in model["vocab"]}
        lowest = min(scores.values())
        merged = sorted(scores.keys() - known, key=lambda piece: (-scores[piece], piece))
        model["vocab"] = [[piece, scores.get(piece, lowest)] for piece in (*base, *merged)]
    return params


def _with_model(tokenizer: REMI, params: dict[str, Any]) -> REMI:
    """Return a tokenizer with a model, as miditok loads it from its own file."""
    values = tokenizer.to_dict()
    values["_vocab_base"] = tokenizer.vocab
    values["_model"] = json.dumps(params)
    values["_vocab_base_byte_to_token"] = tokenizer._vocab_base_byte_to_token
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, TOKENIZER_FILE)
        path.write_text(json.dumps(values), encoding="utf-8")
        return REMI(params=path)
