"""MusicXML engraved by verovio: SVG pages, one long page for a screen, and pages collected in a PDF.

PDF is made by CairoSVG and pypdf (extra `pdf`); CairoSVG needs the system library libcairo2.
"""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.svg_text import with_drawn_signs

_OPTIONS = {
    "xmlIdSeed": 1,  # the same score gives the same file
    "pageHeight": 3564,  # A4, slightly reduced
    "pageWidth": 2520,
    "scale": 35,
    "adjustPageHeight": True,
    "footer": "none",
    "smuflTextFont": "none",
    "defaultBottomMargin": 1.5,  # tempos and words keep off the clef and the bracket below them
    "spacingStaff": 10,
    "spacingBracketGroup": 13,
    "topMarginHarm": 2.5,
    "spacingSystem": 8,
    # Verovio measures words in Times; without that font they are up to a fifth wider and need room.
    "lyricSize": 4.0,
    "lyricWordSpace": 3.5,
    "pageMarginLeft": 90,
}
_SPACING = 0.25  # verovio's default `spacingLinear`
_CHORD_SPACING = 0.35  # chord symbols push notes apart, unevenly if these are close
_SPACING_FACTORS = (1.0, 0.93, 0.86, 1.1)  # tried in turn until the last system has more than one bar
_TITLE_SIZE, _CREDIT_SIZE = "170%", "90%"
_HEAD = re.compile(r"<pgHead.*?</pgHead>", re.DOTALL)
_TEMPO = re.compile(r"<tempo (xml:id=\S+ )[^>]*?(tstamp=\S+?)(?: [^>]*)?>(.*?)</tempo>", re.DOTALL)
_BEAM = re.compile(r'class="beam">\s*(?:<polygon [^>]*/>\s*)+<g [^>]*class="(?:note|chord)" color="(#\w+)"')

# A4 in CSS pixels (96 per inch), and the margin around the engraving.
_WIDTH, _HEIGHT, _MARGIN = 794, 1123, 28
_SIZE = re.compile(r'<svg width="(\d+)px" height="(\d+)px"')
_NUMBER = 'font-family="Times, serif" font-size="12px" text-anchor="middle"'
# Viewers draw the thinnest lines a pixel wide, and verovio outlines what it fills.
_STROKES = re.compile(r"(#\w+) ellipse, #\w+ path, #\w+ polygon, #\w+ polyline, #\w+ rect \{stroke:currentColor\}")
# Cairo uses one font for all characters, and few fonts have these.
_PLAIN = str.maketrans({"♭": "b", "♯": "#", "♮": "n", "\u203f": "_"})


def svg_pages(musicxml: str) -> list[str]:
    """Engrave a score.

    Args:
        musicxml: The file's text.

    Returns:
        One SVG document per page, each as wide as A4 and no higher than its content.

    Raises:
        InputError: verovio cannot read the text.
    """
    toolkit = _toolkit(musicxml, _OPTIONS)
    spacing = _CHORD_SPACING if "<harmony" in musicxml else _SPACING
    for factor in (*_SPACING_FACTORS, _SPACING_FACTORS[0]):
        toolkit.setOptions({"spacingLinear": factor * spacing})
        toolkit.redoLayout()
        if not _ends_with_a_lonely_bar(toolkit.renderToSVG(toolkit.getPageCount())):
            break
    return [_finished(toolkit.renderToSVG(page)) for page in range(1, toolkit.getPageCount() + 1)]


class ScreenPage(NamedTuple):
    """A score as one page, and for each note head its id in the page, onset and end in quarter notes."""

    svg: str
    notes: tuple[tuple[str, float, float], ...]


def screen_page(musicxml: str, width_pixels: int, *, scale_percent: int = 40) -> ScreenPage:
    """Engrave a score for a screen: one page of a given width, with the times at which its notes sound.

    Raises:
        InputError: verovio cannot read the text.
    """
    options = {
        "scale": scale_percent,
        "pageWidth": 100 * width_pixels // scale_percent,
        "pageHeight": 60_000,  # verovio's maximum
        "pageMarginLeft": 70,
        "pageMarginRight": 20,
        "xmlIdSeed": 1,  # the same score, the same ids
    }
    toolkit = _toolkit(musicxml, _OPTIONS | options)
    svg = _finished(toolkit.renderToSVG(1))
    onsets: dict[str, float] = {}
    notes: list[tuple[str, float, float]] = []
    for event in toolkit.renderToTimemap({"includeRests": False}):
        at = float(event["qstamp"])
        notes += [(name, onsets.pop(name), at) for name in event.get("off", ()) if name in onsets]
        onsets |= dict.fromkeys(event.get("on", ()), at)
    return ScreenPage(svg, tuple(notes))


def _toolkit(musicxml: str, options: dict[str, Any]) -> Any:
    import verovio

    verovio.enableLog(verovio.LOG_ERROR)  # users cannot act on its warnings about tight pages
    toolkit = verovio.toolkit(False)
    # verovio finds its fonts only in the thread that imported it.
    toolkit.setResourcePath(str(Path(verovio.__file__).parent / "data"))
    toolkit.setOptions(options)
    is_read = toolkit.loadData(musicxml)
    if is_read and ("<harmony" in musicxml or "<credit " in musicxml):
        is_read = toolkit.loadData(_rearranged(toolkit.getMEI()))
    if not is_read:
        raise InputError("The score cannot be engraved by verovio. Choose another format.")
    return toolkit


def _rearranged(mei: str) -> str:
    """Return verovio's own form of a score with a large title, and with tempos above the chord symbols."""
    head = _HEAD.search(mei)
    if head is not None:
        large = head[0].replace('valign="top"', f'valign="top" fontsize="{_TITLE_SIZE}"')
        mei = mei.replace(head[0], large.replace('valign="bottom"', f'valign="bottom" fontsize="{_CREDIT_SIZE}"'))
    return _TEMPO.sub(_above_chords, mei.replace("<harm ", '<harm n="1" ')) if "<harm " in mei else mei


def _above_chords(tempo: re.Match[str]) -> str:
    """Make a second line of chord symbols of the tempos, which verovio would set below the first."""
    name, time, text = tempo.groups()
    return f'<harm {name}n="2" place="above" staff="1" {time}><rend fontweight="bold">{text}</rend></harm>'


def _ends_with_a_lonely_bar(page: str) -> bool:
    """Return True if the last of several systems on the page has one bar."""
    systems = page.split('class="system"')[1:]
    return len(systems) > 1 and systems[-1].count('class="measure"') == 1


def _finished(page: str) -> str:
    """Draw the signs of texts, and color beams like their first note: verovio leaves them black."""
    page = with_drawn_signs(page)
    return _BEAM.sub(
        lambda found: found[0].replace("<polygon ", f'<polygon color="{found[1]}" fill="{found[1]}" '), page
    )


def why_no_pdf() -> str | None:
    """Return an error message if this machine lacks something for PDF, else None."""
    if any(importlib.util.find_spec(name) is None for name in ("cairosvg", "pypdf")):
        return "PDF needs cairosvg and pypdf. Run pip install -c constraints.txt -e '.[pdf]'."
    try:
        import cairosvg  # noqa: F401 - it looks for libcairo when it is imported
    except OSError:
        return "PDF needs the library libcairo2, which is not installed. Install it, or choose svg."
    return None


def pdf_of(pages: Sequence[str]) -> bytes:
    """Put the pages of `svg_pages` on sheets of A4.

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
    for number, page in enumerate(pages, start=1):
        thin = _STROKES.sub(r"\1 path, \1 polyline {stroke:currentColor} defs path {stroke:none}", page)
        sheet = cairosvg.svg2pdf(bytestring=_on_a4(thin.translate(_PLAIN), number).encode("utf-8"))
        writer.append(PdfReader(io.BytesIO(sheet)))
    writer.metadata = {"/Producer": "Descant"}  # instead of the time
    for page_object in writer.pages:
        page_object.compress_content_streams()
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


def _on_a4(page: str, number: int) -> str:
    """Place an SVG page on one of A4, as wide as the margins allow; from the second on, its number stands below."""
    found = _SIZE.search(page)
    assert found is not None, "verovio writes the sizes of its pages"
    width, height = int(found[1]), int(found[2])
    scale = min((_WIDTH - 2 * _MARGIN) / width, (_HEIGHT - 2 * _MARGIN) / height)
    inner = page[page.index("<svg") :]
    below = (
        f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - _MARGIN / 2:.0f}" {_NUMBER}>{number}</text>' if number > 1 else ""
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}px" height="{_HEIGHT}px">'
        f'<g transform="translate({_MARGIN},{_MARGIN}) scale({scale:.5f})">{inner}</g>{below}</svg>'
    )
