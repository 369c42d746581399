"""Generated music in files and in notebooks: saved by the suffix, shown as a score with sound."""

from __future__ import annotations

import base64
from collections.abc import Set as AbstractSet
from pathlib import Path

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import FORMATS
from descant_tokenizers.rendering.write import Rendering, write_renderings

_FORM_OF = {suffix: form for form, suffix in FORMATS.items() if form != "practice"} | {
    ".midi": "midi",
    ".xml": "musicxml",
}

NewNotes = AbstractSet[tuple[str, int, int]]
"""New notes, as `Sample.added` has them."""


def _rendering(score: ScoreTick, added: NewNotes, title: str = "") -> Rendering:
    """Return a rendering with the new notes in blue."""
    return Rendering(score, title, is_given=lambda name, note: (name, note.time, note.pitch) not in added)


def save(score: ScoreTick, added: NewNotes, path: Path, *, force: bool = False) -> list[Path]:
    """Write a score with new notes to a file; the suffix names the format. Further pages of an SVG get numbers.

    Raises:
        InputError: There is no such format, the file exists and `force` is False, or it cannot be written.
    """
    form = _FORM_OF.get(path.suffix.lower())
    if form is None:
        raise InputError(f"{path} has no suffix of a format. Give one of {', '.join(_FORM_OF)}.")
    if path.exists() and not force:
        raise InputError(f"{path} exists. Give another name, or force=True to replace it.")
    (written,) = write_renderings({path: _rendering(score, added, path.stem)}, [form], force=force)
    return written.paths


def html_of(score: ScoreTick, added: NewNotes) -> str:
    """Return the engraved pages of a score and a player for its sound, as HTML that loads nothing."""
    rendering = _rendering(score, added)
    parts = [_element("img", "image/svg+xml", page, "") for page in _data(rendering, "svg")]
    parts += [_element("audio controls", "audio/mpeg", sound, "</audio>") for sound in _data(rendering, "mp3")]
    return "\n".join(f"<div>{part}</div>" for part in parts)


def _data(rendering: Rendering, form: str) -> list[bytes]:
    """Return the files of a format; none if the music cannot be written in it, such as music without notes."""
    try:
        return rendering.data(form)
    except InputError:
        return []


def _element(tag: str, kind: str, data: bytes, end: str) -> str:
    return f'<{tag} src="data:{kind};base64,{base64.b64encode(data).decode()}">{end}'
