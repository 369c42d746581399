"""MusicXML engraved as SVG pages by verovio."""

from __future__ import annotations

import os
from pathlib import Path

from descant_tokenizers.errors import InputError
from descant_tokenizers.files import atomic_write

__all__ = ["svg_pages", "write_svg"]

_OPTIONS = {"scale": 40, "pageHeight": 2970, "pageWidth": 2100, "adjustPageHeight": True, "footer": "none"}


def svg_pages(musicxml: str) -> list[str]:
    """Engrave a score.

    Args:
        musicxml: The file's text.

    Returns:
        One SVG document a page.

    Raises:
        InputError: verovio cannot read it.
    """
    import verovio

    toolkit = verovio.toolkit()
    toolkit.setOptions(_OPTIONS)
    if not toolkit.loadData(musicxml):
        raise InputError("verovio cannot engrave this score; write another format.")
    return [toolkit.renderToSVG(page) for page in range(1, toolkit.getPageCount() + 1)]


def write_svg(pages: list[str], path: Path, *, force: bool = False) -> list[Path]:
    """Write pages to `x.svg`, `x-page2.svg`, ...

    Args:
        pages: What `svg_pages` returned.
        path: Name of the first page.
        force: Replace files that exist.

    Returns:
        The names.

    Raises:
        InputError: A file is there already, or cannot be written.
    """
    names = [path, *(path.with_name(f"{path.stem}-page{n}{path.suffix}") for n in range(2, len(pages) + 1))]
    taken = [name for name in names if os.path.lexists(name)]
    if taken and not force:
        raise InputError(f"{taken[0]} exists already; add --force to replace it, or choose another --out.")
    for name, text in zip(names, pages, strict=True):
        with atomic_write(name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return names
