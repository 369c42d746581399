"""The line under the buttons, as HTML: who waits, how far the writing is, how it ended."""

from __future__ import annotations

import html

from descant_modeling.writing import Sketch
from descant_tokenizers.engraving.pictures import VOICE_COLOURS

__all__ = ["failure", "said", "waiting", "writing"]

_ROOM = 2  # semitones above the highest and below the lowest note


def said(sentence: str) -> str:
    """Say something."""
    return _line(f'<span class="dsc-good">{html.escape(sentence)}</span>')


def failure(sentence: str) -> str:
    """Say what was wrong."""
    return f'<div class="dsc-status" role="alert"><span class="dsc-bad">{html.escape(sentence)}</span></div>'


def waiting(num_before: int) -> str:
    """Say how many requests come first."""
    before = "one request is" if num_before == 1 else f"{num_before} requests are"
    return _line(f'<progress aria-label="Waiting"></progress>Waiting: {before} before yours.')


def writing(share: float, sketch: Sketch | None = None) -> str:
    """Say how far the writing is, in music where the model writes bar by bar.

    Args:
        share: Share done, 0-1.
        sketch: The first version so far, if there is something of it.
    """
    percent = round(100 * share)
    bar = f'<progress max="100" value="{percent}" aria-label="Writing"></progress>'
    if sketch is None:
        return _line(f"{bar}Writing, {percent} %")
    num_notes = sum(not note.is_given for note in sketch.notes)
    bars = f"{sketch.num_written} of {sketch.num_bars} bar{'s' * (sketch.num_bars != 1)}"
    return _line(f"{bar}{bars}, {num_notes} note{'s' * (num_notes != 1)} written") + _roll(sketch)


def _line(inside: str) -> str:
    return f'<div class="dsc-status" role="status">{inside}</div>'


def _roll(sketch: Sketch) -> str:
    """Draw what there is as a piano roll: a quarter is ten wide, a semitone one high."""
    if not sketch.notes:
        return ""
    low = min(note.pitch for note in sketch.notes) - _ROOM
    high = max(note.pitch for note in sketch.notes) + _ROOM
    boxes = "".join(
        f'<rect x="{10 * note.onset_quarters:.2f}" y="{high - note.pitch}" height="1" '
        f'width="{max(10 * note.duration_quarters - 0.6, 0.4):.2f}" fill="{VOICE_COLOURS[note.voice]}" '
        f'opacity="{0.4 if note.is_given else 1}"/>'
        for note in sketch.notes
    )
    return (
        f'<svg class="dsc-sketch" viewBox="0 0 {10 * sketch.num_quarters:.2f} {high - low + 1}" '
        f'preserveAspectRatio="none" aria-hidden="true">{boxes}</svg>'
    )
