"""Versions as score, sound and files."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from descant_modeling.app.jobs import Check, no_check
from descant_modeling.app.versions import Clock, Version, details
from descant_tokenizers.engraving.rendering import Rendering
from descant_tokenizers.engraving.sound import has_sound, render_stems
from descant_tokenizers.engraving.svg import svg_column
from descant_tokenizers.errors import InputError
from descant_tokenizers.outputs import file_of

__all__ = ["engraved", "rendering_of", "stems_of", "zip_of"]

_MIN_WIDTH, _PHONE_WIDTH, _MAX_WIDTH = 280, 560, 1600
_FORMATS = ("midi", "musicxml", "svg", "png")
_one_at_a_time = threading.Lock()  # music21 keeps state of its own


def rendering_of(version: Version, *, is_closed: bool = False) -> Rendering:
    """Return a version as notation, picture and sound; a closed score has two staves, where there are four voices."""
    return Rendering(
        version.score,
        title=version.title,
        caption=f"{version.title}: {version.name.lower()}",
        is_given=version.is_given,
        arrangement="closed" if is_closed and version.is_four_part else "open",
    )


def engraved(rendering: Rendering, width_pixels: int, check: Check = no_check) -> dict[str, Any]:
    """Engrave a score for a page of some width.

    Args:
        rendering: The score.
        width_pixels: Room on the page; held within sensible bounds.
        check: Ends it once there is no time left.

    Returns:
        `svg`, and `notes`: for each note its id in the SVG, and when it is played (seconds).

    Raises:
        InputError: It cannot be engraved.
    """
    with _one_at_a_time:
        check()
        width = min(max(width_pixels, _MIN_WIDTH), _MAX_WIDTH)
        column = svg_column(rendering.musicxml, width, scale_percent=32 if width < _PHONE_WIDTH else 40)
    clock, unit = Clock(rendering.score), rendering.score.ticks_per_quarter
    notes = [
        (name, round(clock.seconds(start * unit), 4), round(clock.seconds(end * unit), 4))
        for name, start, end in column.notes
    ]
    return {"svg": column.svg, "notes": notes}


def stems_of(version: Version, check: Check = no_check) -> dict[str, bytes]:
    """Return each voice's sound as a FLAC file, all of one length and loud as they are together.

    Args:
        version: Whose.
        check: Ends it once there is no time left.

    Raises:
        InputError: The extra `sound` is not installed.
    """
    check()
    stems, rate = render_stems(version.score)
    import soundfile

    encoded = {}
    for name, samples in stems.items():
        check()
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
        encoded[name] = file.getvalue()
    return encoded


def zip_of(versions: Sequence[Version], check: Check = no_check) -> bytes:
    """Return all that there is of some versions: MIDI, MusicXML, SVG, piano roll, sound, and how they were made.

    Args:
        versions: Which.
        check: Ends it once there is no time left.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for version in versions:
            rendering = rendering_of(version)
            name = Path(f"version-{version.number}")
            for form in (*_FORMATS, *(["mp3"] if has_sound() else [])):
                check()
                _add(archive, rendering, name, form)
        facts = [_facts(version) for version in versions]
        archive.writestr("versions.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return packed.getvalue()


def _add(archive: zipfile.ZipFile, rendering: Rendering, name: Path, form: str) -> None:
    """Add the files of one format; what a score cannot be written in is left out, the other formats are there."""
    try:
        with _one_at_a_time:
            pages = rendering.data(form)
    except InputError:
        return
    suffix = file_of(name, form).suffix
    for number, data in enumerate(pages, start=1):
        archive.writestr(f"{name}{f'-page{number}' if number > 1 else ''}{suffix}", data)


def _facts(version: Version) -> dict[str, Any]:
    return {
        "file": f"version-{version.number}.mid",
        "title": version.title,
        "made": version.made,
        **version.settings,
        "remarks": list(version.remarks),
        "rules": details(version)["rules"],
    }
