"""MusicXML engraved as SVG pages by verovio."""

from __future__ import annotations

import re

from descant_tokenizers.errors import InputError

__all__ = ["svg_pages"]

_OPTIONS = {
    "pageHeight": 3564,  # A4, a little smaller than life
    "pageWidth": 2520,
    "scale": 35,
    "adjustPageHeight": True,
    "footer": "none",
    "smuflTextFont": "none",
    "spacingStaff": 10,
    "spacingSystem": 8,
}
_WIDE = {"spacingLinear": 0.4}  # room for chord symbols, which do not push notes apart
# Verovio sets these signs among words in a font of music, which few programs find: any font of words has them, too.
_SIGNS = {
    **dict.fromkeys(("\ue260", "\uea64"), "♭"),
    **dict.fromkeys(("\ue261", "\uea65"), "♮"),
    **dict.fromkeys(("\ue262", "\uea66"), "♯"),
    "\ueca5": "♩",
}
_SIGN_FONTS = "DejaVu Sans,Segoe UI Symbol,Apple Symbols,serif"
_SIGN = re.compile(r'<tspan font-family="[^"]*" font-size="(\d+)px">([' + "".join(_SIGNS) + r"])</tspan>")
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
    import verovio

    toolkit = verovio.toolkit()
    toolkit.setOptions({**_OPTIONS, **(_WIDE if has_chords else {})})
    if not toolkit.loadData(musicxml):
        raise InputError("verovio cannot engrave this score; write another format.")
    return [_with_plain_signs(toolkit.renderToSVG(page)) for page in range(1, toolkit.getPageCount() + 1)]


def _with_plain_signs(page: str) -> str:
    def plain(found: re.Match[str]) -> str:
        size = round(int(found[1]) * _SIGN_SIZE)
        return f'<tspan font-family="{_SIGN_FONTS}" font-size="{size}px">{_SIGNS[found[2]]}</tspan>'

    return _SIGN.sub(plain, page)
