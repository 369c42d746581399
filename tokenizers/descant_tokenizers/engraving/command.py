"""`descant render`: any score as notation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from descant_tokenizers.errors import InputError

FORMATS = {"musicxml": ".musicxml", "svg": ".svg"}


def render_command(
    file: Annotated[Path, typer.Argument(help="A score: MIDI, MusicXML, ABC or Humdrum.")],
    formats: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(FORMATS)}.")] = "musicxml,svg",
    out: Annotated[
        Path | None, typer.Option(help="Name without a suffix; by default that of the file, in this folder.")
    ] = None,
    staves: Annotated[
        Literal["open", "closed"], typer.Option(help="A staff for each voice, or two voices to a staff.")
    ] = "open",
    given: Annotated[
        str | None, typer.Option(help="Comma-separated tracks that were given; notes of others get a colour.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Write a score as MusicXML and engrave it."""
    wished = list(dict.fromkeys(name.strip().lower() for name in formats.split(",") if name.strip()))
    unknown = [name for name in wished if name not in FORMATS]
    if unknown or not wished:
        raise InputError(f"unknown format '{', '.join(unknown)}'; give one or more of {', '.join(FORMATS)}.")
    stem = out or Path(file.stem)
    for name in wished:
        _check_free(stem.with_name(stem.name + FORMATS[name]), force)

    from descant_tokenizers.engraving.musicxml import to_musicxml
    from descant_tokenizers.engraving.svg import svg_pages, write_svg
    from descant_tokenizers.files import atomic_write
    from descant_tokenizers.scores import read_score

    score = read_score(file)
    names = None if given is None else _given(given, [track.name for track in score.tracks])
    is_given = None if names is None else (lambda track, note: track in names)
    text = to_musicxml(score, title=file.stem, arrangement=staves, is_given=is_given)
    written: list[Path] = []
    if "svg" in wished:  # first what may be refused
        written += write_svg(svg_pages(text), stem.with_name(stem.name + ".svg"), force=force)
    if "musicxml" in wished:
        written.append(stem.with_name(stem.name + ".musicxml"))
        with atomic_write(written[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if not quiet:
        for path in written:
            typer.echo(f"Wrote {path}")


def _given(text: str, tracks: list[str]) -> frozenset[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    found = {track.lower(): track for track in tracks}
    for name in names:
        if name.lower() not in found:
            raise InputError(f"there is no track '{name}' to be given; the tracks are {', '.join(tracks)}.")
    return frozenset(found[name.lower()] for name in names)


def _check_free(path: Path, force: bool) -> None:
    if os.path.lexists(path) and not force:
        raise InputError(f"{path} exists already; add --force to replace it, or choose another --out.")
