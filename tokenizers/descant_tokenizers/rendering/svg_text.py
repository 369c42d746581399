"""Text of engraved pages that every program shows alike: signs of verovio's music font as paths, stacked figures.

Verovio leaves both to fonts, which few programs have. Widths are those of Times, which verovio measures with.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

_STYLES = {"tempo": "Times-bold", "reh": "Times-bold", "ending": "Times-bold", "dir": "Times-italic"}
"""Fonts of classes of text; the others are in Times."""
_FONT = "Leipzig"
_EM = 1000  # units of the music font
_BEARING = 40  # in 2048ths of the size
_SIZE = 0.85  # of a sign, relative to the size that verovio gives it
_FIGURE_SIZE, _RAISED, _LOWERED = 0.65, 0.4, -0.15  # relative to the size of the text
_WHOLE_NOTE, _DOT = "\ueca2", "\uecb7"  # of a tempo; verovio writes a space before the dot
_SUPERSCRIPTS, _SUBSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉"
_DIGITS = str.maketrans(_SUPERSCRIPTS + _SUBSCRIPTS, "0123456789" * 2)
_TEXT = re.compile(r'(class="(\w+)"[^>]*>\s*)(<text x="(-?\d+)" y="(-?\d+)"(?: [^>]*[^/>])?>)(.*?</text>)', re.DOTALL)
_LEAF = re.compile(r'<tspan (?:font-family="[^"]*" )?font-size="(\d+)px">([^<]*)</tspan>')
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|\w+);")
_RUN = re.compile(rf"([\ue000-\uf8ff]+)|([{_SUPERSCRIPTS}][{_SUBSCRIPTS}]?)")


def stacked_figures(numeral: str) -> str:
    """Return a Roman numeral with its figures raised, and the second one lowered: `iiø⁶₅` for `iiø65`."""

    def raised(found: re.Match[str]) -> str:
        first, *second = (int(digit) for digit in found[0])
        return _SUPERSCRIPTS[first] + "".join(_SUBSCRIPTS[digit] for digit in second)

    return re.sub(r"\d{1,2}", raised, numeral).replace("o", "°")


def with_drawn_signs(page: str) -> str:
    """Replace signs of the music font in the texts of an SVG page by paths, and raised digits by smaller ones."""
    return _TEXT.sub(_drawn, page) if _RUN.search(page) else page


def _drawn(found: re.Match[str]) -> str:
    before, kind, opened, x, y, inside = found.groups()
    if _RUN.search(inside) is None:
        return found[0]
    text = _Text(int(x), int(y), _STYLES.get(kind, "Times"))
    return before + opened + _LEAF.sub(lambda leaf: text.leaf(int(leaf[1]), leaf[2]), inside) + "".join(text.paths)


class _Text:
    """A line of text from left to right: where the next character stands."""

    def __init__(self, x: float, y: float, font: str) -> None:
        self.paths: list[str] = []
        self._x, self._left, self._y, self._font = x, x, y, font
        self._shift = 0.0  # left out of the text, for a sign
        self._raised = 0.0

    def leaf(self, size: int, text: str) -> str:
        """Return the elements for one element of text."""
        parts, at = [], 0
        text = text.replace(f" {_DOT}", _DOT)
        for found in _RUN.finditer(text):
            parts.append(self._words(text[at : found.start()], size))
            parts.append(self._signs(found[1], size) if found[1] else self._figures(found[2], size))
            at = found.end()
        return "".join([*parts, self._words(text[at:], size)])

    def _words(self, text: str, size: float, *, back: float = 0.0, raised: float = 0.0) -> str:
        blank = len(text) - len(text.lstrip())
        if blank and (self._shift or not text.strip()):  # programs drop spaces at the start of an element
            self._skip(_width(self._font, " ") * size * blank)
            text = text.lstrip()
        if not text:
            return ""
        moves = {"dx": self._shift - back, "dy": self._raised - raised}
        self._x += _width(self._font, text) * size - back
        self._shift, self._raised = 0.0, raised
        moved = "".join(f' {name}="{value:.0f}"' for name, value in moves.items() if round(value))
        return f'<tspan font-size="{size:.0f}px"{moved}>{text}</tspan>'

    def _skip(self, width: float) -> None:
        """Leave out a stretch of the line."""
        self._x, self._shift = self._x + width, self._shift + width

    def _signs(self, signs: str, size: float) -> str:
        for sign in signs:
            if _WHOLE_NOTE <= sign < _DOT and self._x > self._left:  # after words such as Andante
                self._skip(_width(self._font, " ") * size)
            path, width = _glyph(sign)
            scale = size * _SIZE / _EM
            move = f"translate({self._x:.0f},{self._y}) scale({scale:.3f},{-scale:.3f})"
            self.paths.append(f'<path style="stroke:none" transform="{move}" d="{path}" />')
            self._skip(width * scale)
        return ""

    def _figures(self, figures: str, size: float) -> str:
        digits, small = figures.translate(_DIGITS), size * _FIGURE_SIZE
        parts = self._words(digits[0], small, raised=size * _RAISED)
        if len(digits) > 1:
            back = _width(self._font, digits[0]) * small
            parts += self._words(digits[1], small, back=back, raised=size * _LOWERED)
        return parts


def _width(font: str, text: str) -> float:
    """Return the width of a text relative to its size."""
    widths = _widths(font)
    return sum(widths.get(character, widths["n"]) for character in _ENTITY.sub("&", text))


@functools.cache
def _widths(font: str) -> dict[str, float]:
    root = ElementTree.parse(_data() / "text" / f"{font}.xml").getroot()
    em = float(root.attrib["units-per-em"])
    return {chr(int(each.attrib["c"], 16)): _advance(each.attrib) / em for each in root}


def _advance(box: Mapping[str, str]) -> float:
    """Return the advance of a character; where verovio does not state it, about that of its ink."""
    return float(box.get("h-a-x") or float(box["x"]) + float(box["w"]) + _BEARING)


@functools.cache
def _glyph(sign: str) -> tuple[str, float]:
    """Return the outline of a sign of the music font, y upward, and its width."""
    code = f"{ord(sign):04X}"
    path = ElementTree.parse(_data() / _FONT / f"{code}.xml").getroot().find("path")
    fonts = ElementTree.parse(_data() / f"{_FONT}.xml").getroot()
    width = next(float(each.attrib["h-a-x"]) for each in fonts if each.attrib.get("c") == code)
    return ("" if path is None else path.attrib["d"]), width


def _data() -> Path:
    import verovio

    return Path(verovio.__file__).parent / "data"
