"""The line under the page's buttons, as HTML: messages, progress, and the first take while it is written."""

from __future__ import annotations

import html

from descant_modeling.app.language import ENGLISH, Language
from descant_modeling.decoding.config import Sketch
from descant_tokenizers.rendering.pianoroll import VOICE_COLORS

_SKETCH_MARGIN = 2  # semitones above the highest and below the lowest note


def message_line(message: str) -> str:
    """Show a message."""
    return _line(f'<span class="dsc-good">{html.escape(message)}</span>')


def error_line(message: str) -> str:
    """Show an error message."""
    return f'<div class="dsc-status" role="alert"><span class="dsc-bad">{html.escape(message)}</span></div>'


def waiting_line(num_before: int, say: Language = ENGLISH) -> str:
    """Show how many requests come first."""
    is_one = num_before == 1
    line = say(
        "Waiting: one request is before yours." if is_one else "Waiting: {} requests are before yours.", num_before
    )
    return _line(f'<progress aria-label="{say("Waiting")}"></progress>{line}')


def progress_line(share: float, sketch: Sketch | None = None, say: Language = ENGLISH) -> str:
    """Show the share done, 0-1, and the first take so far if the model writes bar by bar."""
    percent = round(100 * share)
    bar = f'<progress max="100" value="{percent}" aria-label="{say("Writing")}"></progress>'
    if sketch is None:
        return _line(bar + say("Writing, {} %", percent))
    num_notes = sum(not note.is_given for note in sketch.notes)
    bars = say("{} of {} bar" if sketch.num_bars == 1 else "{} of {} bars", sketch.num_written, sketch.num_bars)
    notes = say("{} note written" if num_notes == 1 else "{} notes written", num_notes)
    return _line(f"{bar}{bars}, {notes}") + _piano_roll(sketch)


def _line(content: str) -> str:
    return f'<div class="dsc-status" role="status">{content}</div>'


def _piano_roll(sketch: Sketch) -> str:
    """Draw a sketch: a quarter is ten wide, a semitone one high."""
    if not sketch.notes:
        return ""
    low = min(note.pitch for note in sketch.notes) - _SKETCH_MARGIN
    high = max(note.pitch for note in sketch.notes) + _SKETCH_MARGIN
    boxes = "".join(
        f'<rect x="{10 * note.onset_quarters:.2f}" y="{high - note.pitch}" height="1" '
        f'width="{max(10 * note.duration_quarters - 0.6, 0.4):.2f}" fill="{VOICE_COLORS[note.voice]}" '
        f'opacity="{0.4 if note.is_given else 1}"/>'
        for note in sketch.notes
    )
    return (
        f'<svg class="dsc-sketch" viewBox="0 0 {10 * sketch.num_quarters:.2f} {high - low + 1}" '
        f'preserveAspectRatio="none" aria-hidden="true">{boxes}</svg>'
    )
