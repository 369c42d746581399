"""Scores and takes as what a browser or another program shows, plays and downloads, one at a time."""

from __future__ import annotations

import html
import io
import json
import re
import threading
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, unescape

from descant_modeling.app.jobs import Check, no_check
from descant_modeling.app.language import ENGLISH, Language
from descant_modeling.app.sessions import Clock, Take, details
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import DEFAULT_FORMATS, practice_file
from descant_tokenizers.rendering import PracticeOptions, Sounds, engraving
from descant_tokenizers.rendering.audio import render_stems
from descant_tokenizers.rendering.practice import at_tempo, practice_tracks
from descant_tokenizers.rendering.write import Rendering

_MIN_WIDTH, _PHONE_WIDTH, _MAX_WIDTH = 280, 560, 1600

_WORDS = re.compile(r"(<(?:part-name|part-abbreviation|words|credit-words)\b[^>]*>)([^<]+)")  # of MusicXML

_one_engraving = threading.Lock()  # the wait for it counts, and one process engraves
_one_synthesis = threading.Lock()


def engraved(
    rendering: Rendering, width_pixels: int, say: Language = ENGLISH, check: Check = no_check
) -> dict[str, Any]:
    """Engrave a score for a page of some width, with the names of its parts and its words in a language.

    Returns:
        `svg`, and `notes`: the id in the SVG, the onset and the end (seconds) of each note head.
    """
    with _one_engraving:
        check()
        width = min(max(width_pixels, _MIN_WIDTH), _MAX_WIDTH)
        page = engraving.screen(
            _translated(rendering.musicxml, say), width, scale_percent=32 if width < _PHONE_WIDTH else 40
        )
    seconds, unit = Clock(rendering.score).seconds, rendering.score.ticks_per_quarter
    return {
        "svg": page.svg,
        "notes": [(name, seconds(start * unit), seconds(end * unit)) for name, start, end in page.notes],
    }


def _translated(musicxml: str, say: Language) -> str:
    """Return MusicXML with the names of its parts and its words in a language, line by line: two voices of a staff."""

    def words(found: re.Match[str]) -> str:
        return found[1] + "\n".join(escape(say.filled(line)) for line in unescape(found[2]).split("\n"))

    return _WORDS.sub(words, musicxml)


def stems_of(take: Take, tempo_percent: float = 100.0, check: Check = no_check) -> dict[str, bytes]:
    """Return the sound of each voice as FLAC, all of the same length, at their loudness in the mix."""
    percent = PracticeOptions(tempo_percent=tempo_percent).tempo_percent
    with _one_synthesis:  # the page requests all voices of a take at the same time
        check()
        if percent not in take.stems:
            stems, rate = render_stems(at_tempo(take.score, percent))
            import soundfile

            encoded = {}
            for name, samples in stems.items():
                check()
                file = io.BytesIO()
                soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
                encoded[name] = file.getvalue()
            take.stems.clear()
            take.stems[percent] = encoded
        return dict(take.stems[percent])  # another take may push it out


def print_page(take: Take, staves: str, say: Language = ENGLISH, check: Check = no_check) -> str:
    """Return the sheet music of a take as a web page that opens the browser's print dialog."""
    with _one_engraving:
        check()
        pages = engraving.pages(_translated(take.renderings.get(staves, take.renderings["open"]).musicxml, say))
    return (
        f'<!DOCTYPE html><meta charset="utf-8"><title>{html.escape(say.filled(take.title))}</title>'
        "<style>@page { size: A4; margin: 12mm; } body { margin: 0; } "
        "body > svg { width: 100%; height: auto; break-after: page; }</style>"
        f"{''.join(page[page.index('<svg') :] for page in pages)}<script>onload = () => print();</script>"
    )


def practice_zip(take: Take, options: PracticeOptions, sound: Sounds, check: Check = no_check) -> bytes:
    """Return the practice tracks of a take."""
    with _one_synthesis:
        check()
        tracks = practice_tracks(take.score, options, sound=sound)
    data, name = io.BytesIO(), Path(f"take-{take.number}.mid")
    with zipfile.ZipFile(data, "w") as archive:  # MP3 does not get smaller
        for voice, track in tracks.items():
            archive.writestr(practice_file(name, voice).name, track)
    return data.getvalue()


def files_of(
    rendering: Rendering, name: Path, formats: Collection[str], check: Check = no_check
) -> tuple[dict[str, dict[str, bytes]], dict[str, str]]:
    """Return a score in some formats.

    Returns:
        The contents of the files by format and name, and why other formats were left out.
    """
    files: dict[str, dict[str, bytes]] = {}
    left_out: dict[str, str] = {}
    for form in formats:
        check()
        try:
            with _one_engraving:
                contents = rendering.data(form)
        except InputError as error:
            left_out[form] = str(error)
            continue
        paths = rendering.files(name, form, len(contents))
        files[form] = {path.name: content for path, content in zip(paths, contents, strict=True)}
    return files, left_out


def zip_of(takes: Sequence[Take], check: Check = no_check) -> bytes:
    """Return takes in every format in which they can be written, and how they were made."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for take in takes:
            rendering, name = replace(take.renderings["open"]), Path(f"take-{take.number}")  # not kept
            for files in files_of(rendering, name, DEFAULT_FORMATS, check)[0].values():
                for file, content in files.items():
                    archive.writestr(file, content)
        facts = [
            {"file": f"take-{take.number}.mid", "title": take.title, "made": take.made}
            | take.settings
            | {"remarks": list(take.remarks), "rules": details(take)["rules"]}
            for take in takes
        ]
        archive.writestr("takes.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return data.getvalue()
