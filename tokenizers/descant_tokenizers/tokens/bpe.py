"""Merged tokens, which a BPE or Unigram model adds to a base vocabulary.

A merged token represents a run of base tokens of *one* onset in one bar: it never holds `Bar`, `TimeSig` or a special
token, and `Position` only as its first part. So bars, separators and the borders between context and target are token
boundaries in every segmentation, and a bar can be infilled, given or scored separately. These limits are part of the
model's own file (its pre-tokenizer), so miditok alone produces the same segmentation.

Base tokens have the same ids in `tokenizer.vocab` and `tokenizer.vocab_model`, and merged tokens follow. A tokenizer
trained by miditok is refused: its tokens cross bars, and with Unigram its base tokens have two ids each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miditok import MusicTokenizer


class SubwordMerges:
    """The merged tokens of a miditok tokenizer with one vocabulary; none if it was never trained.

    Attributes:
        expansions: The base ids that each id represents.

    Raises:
        ValueError: It was not trained by Descant: its merges cross bars, or base tokens have two ids.
    """

    def __init__(self, tokenizer: MusicTokenizer) -> None:
        self._model = tokenizer._model  # None until it is trained
        vocabulary: dict[str, int] = tokenizer.vocab
        self._names = sorted(vocabulary, key=vocabulary.__getitem__)
        self._characters: list[str] = [tokenizer._vocab_base_id_to_byte[i] for i in range(len(vocabulary))]
        id_of = {character: i for i, character in enumerate(self._characters)}
        merges: dict[str, int] = {} if self._model is None else self._model.get_vocab()
        if any(merges.get(character, i) != i for character, i in id_of.items()):
            raise ValueError("its base tokens have other ids in its trained vocabulary")
        boundaries, openings = set(boundary_ids(tokenizer)), set(opening_ids(tokenizer))
        self.expansions: list[tuple[int, ...]] = [(i,) for i in range(len(vocabulary))]
        for merge in sorted(merges.keys() - id_of.keys(), key=merges.__getitem__):
            if merges[merge] != len(self.expansions) or any(character not in id_of for character in merge):
                raise ValueError("its merged tokens do not follow its base tokens")
            self.expansions.append(tuple(id_of[character] for character in merge))
            if boundaries.intersection(self.expansions[-1]) or openings.intersection(self.expansions[-1][1:]):
                raise ValueError("its merged tokens reach across onsets or bars")

    def merge(self, base_ids: Sequence[int]) -> list[int]:
        """Return the canonical segmentation of base ids, the one that a model is trained on.

        Each onset is segmented separately, so the result for a stream is that of its parts, one after the other.
        """
        if self._model is None:
            return list(base_ids)
        ids: list[int] = self._model.encode(self.text(base_ids)).ids
        return ids

    def text(self, base_ids: Sequence[int]) -> str:
        """Return base ids in the form that `tokenizers` reads: one character each, chosen by miditok."""
        return "".join([self._characters[i] for i in base_ids])

    def sha256(self) -> str:
        """Return a hash of every id's meaning and the segmentation, the same for any release of the libraries."""
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
    """Return the base ids that are never part of a merged token: bars, time signatures, special tokens."""
    special = set(tokenizer.special_tokens)
    return [i for name, i in tokenizer.vocab.items() if name in special or name.startswith(("Bar_", "TimeSig_"))]


def opening_ids(tokenizer: MusicTokenizer) -> list[int]:
    """Return the base ids that can only begin a merged token: positions."""
    return [i for name, i in tokenizer.vocab.items() if name.startswith("Position_")]
