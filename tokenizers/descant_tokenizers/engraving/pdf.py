"""Engraved pages as one PDF, by CairoSVG and pypdf (extra `pdf`); CairoSVG needs the system's libcairo2."""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Sequence

from descant_tokenizers.engraving.svg import SIGN_FONTS
from descant_tokenizers.errors import InputError

__all__ = ["pdf_of", "why_no_pdf"]

# A4 in CSS pixels (96 an inch), and the margin around what is engraved.
_WIDTH, _HEIGHT, _MARGIN = 794, 1123, 28
_SIZE = re.compile(r'<svg width="(\d+)px" height="(\d+)px"')
# Cairo takes one font for all letters, and few fonts have these.
_IN_WORDS = str.maketrans({"♩": "quarter", "♭": "b", "♯": "#", "♮": "n"})


def why_no_pdf() -> str | None:
    """Say in one sentence what a PDF needs and this machine lacks; None if nothing."""
    if any(importlib.util.find_spec(name) is None for name in ("cairosvg", "pypdf")):
        return "PDF needs cairosvg and pypdf; pip install 'descant[pdf]'."
    try:
        import cairosvg  # noqa: F401 - it looks for libcairo when it is imported
    except OSError:
        return "PDF needs the library libcairo2, which this machine lacks; install it, or write svg."
    return None


def pdf_of(pages: Sequence[str]) -> bytes:
    """Put SVG pages on sheets of A4.

    Args:
        pages: What `svg_pages` returns.

    Returns:
        A PDF file; the same pages give the same bytes.

    Raises:
        InputError: CairoSVG, pypdf or libcairo2 is missing.
    """
    if (reason := why_no_pdf()) is not None:
        raise InputError(reason)
    import cairosvg
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    for page in pages:
        sheet = cairosvg.svg2pdf(bytestring=_on_a4(_in_words(page)).encode("utf-8"))
        writer.append(PdfReader(io.BytesIO(sheet)))
    writer.metadata = {"/Producer": "Descant"}  # in place of the time
    for page_object in writer.pages:
        page_object.compress_content_streams()
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


def _in_words(page: str) -> str:
    return page.replace(f' font-family="{SIGN_FONTS}"', "").translate(_IN_WORDS)


def _on_a4(page: str) -> str:
    """Put a page inside one of A4, as wide as the margins let it be."""
    found = _SIZE.search(page)
    assert found is not None, "verovio writes its pages' sizes"
    width, height = int(found[1]), int(found[2])
    scale = min((_WIDTH - 2 * _MARGIN) / width, (_HEIGHT - 2 * _MARGIN) / height)
    inner = page[page.index("<svg") :]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}px" height="{_HEIGHT}px">'
        f'<g transform="translate({_MARGIN},{_MARGIN}) scale({scale:.5f})">{inner}</g></svg>'
    )
