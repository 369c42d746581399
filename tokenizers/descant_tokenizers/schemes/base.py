"""What every tokenization scheme offers, whatever its tokens are: from a score to tokens, back, and bar by bar."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Any, Protocol

from symusic.core import ScoreTick

__all__ = ["Scheme", "Step", "Tokens", "bits_per_token"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A score in the tokens of one scheme.

    Attributes:
        num_tokens: What a model reads one after the other. A compound token, or one that BPE merged, counts once.
        sequence: The tokens as their scheme's `decode` and `steps` take them.
        ticks_per_quarter: Unit of the times in `Scheme.steps`.
    """

    num_tokens: int
    sequence: Any
    ticks_per_quarter: int


@dataclass(frozen=True, slots=True)
class Step:
    """One of the tokens that a model reads, with the names of what it consists of.

    Attributes:
        names: One name, such as `Pitch_60`; several for a compound token and for one that BPE merged.
        time_ticks: When the music stands that it tells of, in the ticks of its `Tokens`.
    """

    names: tuple[str, ...]
    time_ticks: int


class Scheme(Protocol):
    """A way to write music in tokens."""

    @property
    def name(self) -> str:
        """What the command line calls it, such as `tsd`; for a tokenizer of a folder, the folder."""

    @property
    def title(self) -> str:
        """Its name in print, such as `TSD`."""

    @property
    def limits(self) -> tuple[str, ...]:
        """What it cannot say, one sentence each."""

    @property
    def vocabulary_sizes(self) -> tuple[int, ...]:
        """Number of different tokens; of compound tokens, one number for each of their places."""

    @property
    def voices(self) -> dict[int, str]:
        """The names of MIDI programs that stand for voices; empty where a program is an instrument."""

    def encode(self, score: ScoreTick) -> Tokens:
        """Write a score in tokens; raises `InputError` where the scheme refuses it. The score is not changed."""

    def decode(self, tokens: Tokens) -> ScoreTick:
        """Read tokens back; raises `InputError` where they cannot be read."""

    def steps(self, tokens: Tokens) -> list[Step]:
        """List the tokens by name; `Tokens.num_tokens` of them."""


def bits_per_token(scheme: Scheme) -> float:
    """Return the length in bits of a token in a code of fixed length: the sum over a compound token's places."""
    return sum(log2(size) for size in scheme.vocabulary_sizes)
