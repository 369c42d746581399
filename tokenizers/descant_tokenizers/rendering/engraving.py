"""Engraving in a process of its own with limits of time and memory: odd scores take music21 and verovio any time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from symusic.core import NoteTick, ScoreTick

from descant_tokenizers.common.bounded import BoundedProcess, LimitExceededError
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from descant_tokenizers.rendering.layers import GivenRule, Notated
    from descant_tokenizers.rendering.verovio import ScreenPage
    from descant_tokenizers.rendering.write import Rendering

MAX_EXTRA_BYTES = 2 * 2**30
"""Memory that engraving may need beyond that of the libraries."""

_MIN_CPU_SECONDS = 10
_NOTES_PER_SECOND = 200  # a fifth of what a slow machine engraves
_BYTES_OF_NOTE = 200  # of MusicXML, at least

Value = TypeVar("Value")

_process = BoundedProcess(
    tuple(f"descant_tokenizers.rendering.{name}" for name in ("musicxml", "verovio", "write")), MAX_EXTRA_BYTES
)


@dataclasses.dataclass(frozen=True)
class GivenNotes:
    """The rule of given notes as a set, which another process can be sent."""

    notes: frozenset[tuple[str, int, int, int]]

    @classmethod
    def of(cls, score: ScoreTick, rule: GivenRule) -> GivenNotes:
        """List the notes of a score for which a rule holds."""
        return cls(frozenset(_place(t.name, n) for t in score.tracks for n in t.notes if rule(t.name, n)))

    def __call__(self, name: str, note: NoteTick) -> bool:
        """Return True if the note is given."""
        return _place(name, note) in self.notes


def _place(name: str, note: NoteTick) -> tuple[str, int, int, int]:
    return name, note.time, note.duration, note.pitch


def start() -> None:
    """Start the process, if it does not run, beside other work: music21 takes seconds to import."""
    _process.start()


def notation(rendering: Rendering) -> Notated:
    """Return what `notate` returns.

    Raises:
        InputError: As for `notate`, or it takes too much time or memory.
    """
    rule = rendering.is_given
    given = None if rule is None else GivenNotes.of(rendering.score, rule)
    bare = dataclasses.replace(rendering, is_given=given, sound=None, muted=())
    return _in_time(sum(len(track.notes) for track in rendering.score.tracks), _notate, bare)


def pages(musicxml: str) -> list[str]:
    """Return what `verovio.svg_pages` returns; raise the same errors as `notation`."""
    from descant_tokenizers.rendering.verovio import svg_pages

    return _in_time(len(musicxml) // _BYTES_OF_NOTE, svg_pages, musicxml)


def screen(musicxml: str, width_pixels: int, scale_percent: int) -> ScreenPage:
    """Return what `verovio.screen_page` returns; raise the same errors as `notation`."""
    from descant_tokenizers.rendering.verovio import screen_page

    return _in_time(len(musicxml) // _BYTES_OF_NOTE, screen_page, musicxml, width_pixels, scale_percent=scale_percent)


def pdf(svg_pages: Sequence[str]) -> bytes:
    """Return what `verovio.pdf_of` returns; raise the same errors as it and as `notation`."""
    from descant_tokenizers.rendering.verovio import pdf_of, why_no_pdf

    if (reason := why_no_pdf()) is not None:
        raise InputError(reason)
    return _in_time(sum(map(len, svg_pages)) // (4 * _BYTES_OF_NOTE), pdf_of, svg_pages)


def _notate(rendering: Rendering) -> Notated:
    from descant_tokenizers.rendering.musicxml import notate  # music21 takes seconds, and only the child needs it

    return notate(rendering)


def _in_time(num_notes: int, function: Callable[..., Value], *args: Any, **options: Any) -> Value:
    try:
        return _process.call(_MIN_CPU_SECONDS + num_notes // _NOTES_PER_SECOND, function, *args, **options)
    except LimitExceededError:
        raise InputError(
            "The score takes too much time or memory to engrave. Cut it shorter, or choose only midi and mp3."
        ) from None
