"""Learned tokens: what a BPE or Unigram model adds to a base vocabulary.

A learned token stands for a run of base tokens that belong to *one* onset of one bar: it never holds `Bar`, `TimeSig`
or a special token, and `Position` only as its first. So bars, separators and the places where given and written tokens
meet are token boundaries in every segmentation, and a bar can be filled, given or scored by itself. The limits are
part of the model's own file (its pre-tokenizer), so miditok alone segments a stream as we do.

Base tokens keep their ids: those of `tokenizer.vocab` and of `tokenizer.vocab_model` are the same, learned ones follow.
A tokenizer that miditok itself trained is refused: its tokens cross bars, and with Unigram its base tokens have two
ids each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miditok import MusicTokenizer

#: Types of base tokens, beside the special ones, that are never part of a learned token.
BOUNDARY_TYPES = ("Bar", "TimeSig")
#: Type of base tokens that a learned token can only begin with.
OPENING_TYPE = "Position"


class SubwordMerges:
    """The learned part of a miditok tokenizer's vocabulary; empty if it was never trained.

    Args:
        tokenizer: A tokenizer with one vocabulary.

    Raises:
        ValueError: Its learned tokens are none of ours: they cross bars, or base tokens have two ids.
    """

    def __init__(self, tokenizer: MusicTokenizer) -> None:
        self._model = tokenizer._model  # None until it is trained
        vocabulary: dict[str, int] = tokenizer.vocab
        self._names = sorted(vocabulary, key=vocabulary.__getitem__)
        self._characters: list[str] = [tokenizer._vocab_base_id_to_byte[i] for i in range(len(vocabulary))]
        id_of = {character: i for i, character in enumerate(self._characters)}
        pieces: dict[str, int] = {} if self._model is None else self._model.get_vocab()
        if any(pieces.get(character, i) != i for character, i in id_of.items()):
            raise ValueError("its base tokens have other ids in its learned vocabulary")
        boundaries, openings = set(boundary_ids(tokenizer)), set(opening_ids(tokenizer))
        self.expansions: list[tuple[int, ...]] = [(i,) for i in range(len(vocabulary))]
        for piece in sorted(pieces.keys() - id_of.keys(), key=pieces.__getitem__):
            if pieces[piece] != len(self.expansions) or any(character not in id_of for character in piece):
                raise ValueError("its learned tokens do not follow its base tokens")
            self.expansions.append(tuple(id_of[character] for character in piece))
            if boundaries.intersection(self.expansions[-1]) or openings.intersection(self.expansions[-1][1:]):
                raise ValueError("its learned tokens reach across onsets or bars")

    def merge(self, base_ids: Sequence[int]) -> list[int]:
        """Return the canonical segmentation of base ids, the one that a model is trained on.

        Each onset is segmented by itself, so the result for a stream is that of its parts, one after the other.
        """
        if self._model is None:
            return list(base_ids)
        ids: list[int] = self._model.encode(self.text(base_ids)).ids
        return ids

    def text(self, base_ids: Sequence[int]) -> str:
        """Return base ids as the library for learned tokens reads them: a character each, which is miditok's."""
        return "".join([self._characters[i] for i in base_ids])

    def sha256(self) -> str:
        """Hash of what every id means, and of how streams are segmented; the same for any release of the libraries."""
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(json.dumps(line).encode() + b"\n")
        return digest.hexdigest()

    def _lines(self) -> Iterator[Any]:
        yield from self._names
        if self._model is None:
            return
        yield from self.expansions[len(self._names) :]
        model = json.loads(self._model.to_str())["model"]
        yield model["type"]
        if model["type"] == "Unigram":
            yield from (score for _, score in model["vocab"])
            return
        for merge in model["merges"]:  # in order of rank; older releases write "a b" for ["a", "b"]
            yield merge.split(" ") if isinstance(merge, str) else merge


def boundary_ids(tokenizer: MusicTokenizer) -> list[int]:
    """Return the base ids that are no part of any learned token: bars, time signatures, special tokens."""
    special = set(tokenizer.special_tokens)
    return [i for name, i in tokenizer.vocab.items() if name in special or _type(name) in BOUNDARY_TYPES]


def opening_ids(tokenizer: MusicTokenizer) -> list[int]:
    """Return the base ids that a learned token can only begin with: positions."""
    return [i for name, i in tokenizer.vocab.items() if _type(name) == OPENING_TYPE]


def _type(name: str) -> str:
    return name.split("_", 1)[0]
