"""Samples in files and in notebooks: saved by the suffix, shown as a score with sound."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import FORMATS
from descant_tokenizers.rendering.write import Rendering, write_renderings

if TYPE_CHECKING:
    from descant_modeling.generation.base import Sample

_FORM_OF = {suffix: form for form, suffix in FORMATS.items() if form != "practice"} | {
    ".midi": "midi",
    ".xml": "musicxml",
}


def rendering_of(sample: Sample, title: str = "") -> Rendering:
    """Return a rendering of a sample, with its new notes in blue."""
    added = sample.added
    return Rendering(sample.score, title, is_given=lambda name, note: (name, note.time, note.pitch) not in added)


def save(sample: Sample, path: str | Path, *, force: bool = False) -> list[Path]:
    """Write a sample to a file; the suffix names the format. Further pages of an SVG get numbers.

    Raises:
        InputError: There is no such format, the file exists and `force` is False, or it cannot be written.
    """
    path = Path(path)
    form = _FORM_OF.get(path.suffix.lower())
    if form is None:
        raise InputError(f"{path} has no suffix of a format. Give one of {', '.join(_FORM_OF)}.")
    if path.exists() and not force:
        raise InputError(f"{path} exists. Give another name, or force=True to replace it.")
    (written,) = write_renderings({path: rendering_of(sample, path.stem)}, [form], force=force)
    return written.paths


def html_of(sample: Sample) -> str:
    """Return the engraved pages of a sample and a player for its sound, as HTML that loads nothing."""
    rendering = rendering_of(sample)
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
