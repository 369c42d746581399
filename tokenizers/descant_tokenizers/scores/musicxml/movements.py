"""The movements of a work that one MusicXML file holds: each begins to count its measures again."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from descant_tokenizers.scores.musicxml.container import decoded, unpacked
from descant_tokenizers.scores.preflight import check_musicxml
from descant_tokenizers.scores.validation import Limits

_PART = re.compile(r"<part\s[^>]*>(.*?)</part>", re.DOTALL)
_MEASURE = re.compile(r"<measure(?=[\s>])([^>]*)>")
_NUMBER = re.compile(r"\bnumber\s*=\s*[\"']([^\"']*)[\"']")
_CARRIED = ("divisions", "key", "time", "transpose")  # attributes that hold until they change


def movement_starts(path: Path, data: bytes, limits: Limits) -> list[int]:
    """Return the index of the measure with which each movement of a partwise MusicXML file begins.

    A movement begins where the first part counts from 1 again, or from 0 for a pickup.

    Raises:
        InputError: The file is damaged.
    """
    part = _PART.search(decoded(path, unpacked(path, data, limits.max_bytes)))
    found = [_NUMBER.search(measure) for measure in _MEASURE.findall(part[1])] if part else []
    return [0, *restarts([number[1] if number else "" for number in found])]


def restarts(numbers: Sequence[str]) -> Iterator[int]:
    """Yield the indices of the measures that count from 1 again, or from 0; some have no number, or one such as X1."""
    before = 0
    for index, text in enumerate(numbers):
        if text.isascii() and text.isdecimal():
            number = int(text[:6])
            if number <= 1 and before > number:
                yield index
            before = number


def split_movements(path: Path, data: bytes, limits: Limits) -> tuple[bytes, ...]:
    """Return a MusicXML file for each movement of a file; keys, time signatures and the like are carried over.

    Raises:
        InputError: The file is damaged.
    """
    starts = movement_starts(path, data, limits)
    if len(starts) < 2:
        return (data,)
    text = decoded(path, unpacked(path, data, limits.max_bytes))
    check_musicxml(path, text, limits)
    root = ElementTree.fromstring(text)
    parts = {part: part.findall("measure") for part in root.findall("part")}
    found = []
    for start, stop in pairwise([*starts, None]):
        for part, measures in parts.items():
            part[:] = _opened(measures, start or 0, stop)
        found.append(ElementTree.tostring(root, "utf-8", xml_declaration=True))
    return tuple(found)


def _opened(measures: Sequence[Element], start: int, stop: int | None) -> list[Element]:
    """Return some measures, the first of which states what the measures before them did."""
    inside = list(measures[start:stop])
    state: dict[str, Element] = {}
    for measure in measures[:start]:
        for attributes in measure.findall("attributes"):
            state |= {child.tag: child for child in attributes if child.tag in _CARRIED}
    if state and inside:
        opening = Element("attributes")
        opening.extend(state[tag] for tag in _CARRIED if tag in state)
        first = copy.copy(inside[0])
        first.insert(0, opening)
        inside[0] = first
    return inside
