"""MusicXML engraved as SVG pages by verovio.

Engraved pages as one PDF, by CairoSVG and pypdf (extra `pdf`); CairoSVG needs the system's libcairo2.
"""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant_tokenizers.common.errors import InputError

__all__ = ["SIGN_FONTS", "Column", "pdf_of", "svg_column", "svg_pages", "why_no_pdf"]

_OPTIONS = {
    "pageHeight": 3564,  # A4, a little smaller than life
    "pageWidth": 2520,
    "scale": 35,
    "adjustPageHeight": True,
    "footer": "none",
    "smuflTextFont": "none",
    "spacingStaff": 10,
    "spacingSystem": 8,
    # Verovio measures words in Times. Where that is missing they are drawn up to a fifth wider, and need room.
    "lyricSize": 4.0,
    "lyricWordSpace": 3.5,
    "pageMarginLeft": 90,
}
_SPACING = 0.25  # verovio's own, in its `spacingLinear`
_CHORD_SPACING = 0.45  # room for chord symbols, which do not push notes apart
_TRIES = (1.0, 0.93, 0.86, 1.1)  # spacings, of which the first is taken that leaves no bar alone at the end
# Verovio sets these signs among words in a font of music, which few programs find: any font of words has them, too.
_SIGNS = {
    **dict.fromkeys(("\ue260", "\uea64"), "♭"),
    **dict.fromkeys(("\ue261", "\uea65"), "♮"),
    **dict.fromkeys(("\ue262", "\uea66"), "♯"),
    **dict.fromkeys(("\ue264", "\uea63"), "♭♭"),
    **dict.fromkeys(("\ue263", "\uea67"), "♯♯"),
    "\ueca5": "♩",
}
SIGN_FONTS = "DejaVu Sans,Segoe UI Symbol,Apple Symbols,serif"
_SIGN = re.compile(r'<tspan font-family="[^"]*" font-size="(\d+)px">([' + "".join(_SIGNS) + r"])</tspan>")
_BEAM = re.compile(r'class="beam">\s*(?:<polygon [^>]*/>\s*)+<g [^>]*class="(?:note|chord)" color="(#\w+)"')
_SIGN_SIZE = 0.6  # of verovio's, which fits to its font


def svg_pages(musicxml: str, *, has_chords: bool = False) -> list[str]:
    """Engrave a score.

    Args:
        musicxml: The file's text.
        has_chords: Give chord symbols room.

    Returns:
        One SVG document a page, each as wide as A4 and no higher than what it holds.

    Raises:
        InputError: verovio cannot read it.
    """
    toolkit = _loaded(musicxml, _OPTIONS)
    pages: list[str] = []
    for factor in _TRIES:
        toolkit.setOptions({"spacingLinear": factor * (_CHORD_SPACING if has_chords else _SPACING)})
        toolkit.redoLayout()
        found = [toolkit.renderToSVG(page) for page in range(1, toolkit.getPageCount() + 1)]
        pages = pages or found
        if not _ends_with_a_lonely_bar(found[-1]):
            pages = found
            break
    return [_with_coloured_beams(_with_plain_signs(page)) for page in pages]


@dataclass(frozen=True)
class Column:
    """A score as one page, however long.

    Attributes:
        svg: The page.
        notes: For each note its id in the page, its onset and its end in quarter notes. A tied note has one for each
            of its heads.
    """

    svg: str
    notes: tuple[tuple[str, float, float], ...]


def svg_column(musicxml: str, width_pixels: int, *, scale_percent: int = 40) -> Column:
    """Engrave a score for a screen: one page of a given width, and when each note of it sounds.

    Args:
        musicxml: The file's text.
        width_pixels: Width of the page.
        scale_percent: Size of the notes.

    Raises:
        InputError: verovio cannot read it.
    """
    own = {
        "scale": scale_percent,
        "pageWidth": 100 * width_pixels // scale_percent,
        "pageHeight": 60_000,  # the most that verovio takes
        "pageMarginLeft": 70,
        "pageMarginRight": 20,
        "xmlIdSeed": 1,  # the same score, the same ids
    }
    toolkit = _loaded(musicxml, _OPTIONS | own)
    svg = _with_coloured_beams(_with_plain_signs(toolkit.renderToSVG(1)))
    begun: dict[str, float] = {}
    notes: list[tuple[str, float, float]] = []
    for event in toolkit.renderToTimemap({"includeRests": False}):
        at = float(event["qstamp"])
        notes += [(name, begun.pop(name), at) for name in event.get("off", ()) if name in begun]
        begun |= dict.fromkeys(event.get("on", ()), at)
    return Column(svg, tuple(notes))


def _loaded(musicxml: str, options: dict[str, Any]) -> Any:
    import verovio

    verovio.enableLog(verovio.LOG_ERROR)  # a page that is a little tight is nobody's mistake
    toolkit = verovio.toolkit(False)
    # verovio knows its fonts only in the thread that imported it.
    toolkit.setResourcePath(str(Path(verovio.__file__).parent / "data"))
    toolkit.setOptions(options)
    if not toolkit.loadData(musicxml):
        raise InputError("verovio cannot engrave this score; write another format.")
    return toolkit


def _ends_with_a_lonely_bar(page: str) -> bool:
    """Whether the last system has one bar, and there is another system on the page that it could stand in."""
    systems = page.split('class="system"')[1:]
    return len(systems) > 1 and systems[-1].count('class="measure"') == 1


def _with_plain_signs(page: str) -> str:
    def plain(found: re.Match[str]) -> str:
        size = round(int(found[1]) * _SIGN_SIZE)
        return f'<tspan font-family="{SIGN_FONTS}" font-size="{size}px">{_SIGNS[found[2]]}</tspan>'

    return _SIGN.sub(plain, page)


def _with_coloured_beams(page: str) -> str:
    """Give beams the colour of their first note: verovio leaves them black."""
    return _BEAM.sub(lambda found: found[0].replace("<polygon ", f'<polygon fill="{found[1]}" '), page)


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
