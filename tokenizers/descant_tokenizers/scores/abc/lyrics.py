"""Lyrics (`w:`): syllables, and the notes to which they are sung."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores.abc.text import plain
from descant_tokenizers.scores.abc.voices import Voice
from descant_tokenizers.scores.marks import Lyric

_MAX_SYLLABLE = 120
_PIECE = re.compile(r"(?P<space>\s++)|(?P<sign>[-_*|])|(?P<text>(?:\\.|[^\s\-_*|\\]|\\)++)")
_STANZA = re.compile(r"\d{1,3}[.:)]++")

Syllabic = Literal["single", "begin", "middle", "end"]


def sing(voice: Voice, text: str) -> int:
    """Align a line of lyrics with the notes of a voice; return the number of syllables without a note.

    The line begins with the first note after those of the line before; lines with no music between them are verses.
    A hyphen ends a syllable inside a word, or holds it for a note if a space or hyphen stands before it; `_` holds,
    `*` skips a note, `|` goes to the next bar, `~` is a space, and a number at the beginning counts the verse.
    """
    if len(voice.slots) > voice.lyric_range[1]:
        voice.lyric_range, voice.verse = (voice.lyric_range[1], len(voice.slots)), 0
    voice.verse += 1
    place, end = voice.lyric_range
    bar = voice.slots[place].bar if place < end else 0
    is_inside = voice.verse in voice.open_words  # inside a word: after a hyphen
    is_held = False
    before, stanza = " ", ""
    num_lost = 0
    pieces = list(_PIECE.finditer(text))
    for index, piece in enumerate(pieces):
        kind, value = piece.lastgroup, piece[0]
        if kind == "text":
            if index < 2 and _STANZA.fullmatch(value) and not stanza:
                stanza, before = value + " ", "stanza"
                continue
            joins = _has_hyphen(pieces, index + 1)
            is_held = _is_held(pieces, index + 1)
            if place < end:
                _put(voice, place, Lyric(stanza + _text(value), _syllabic(is_inside, joins), voice.verse, is_held))
            else:
                num_lost += 1
            place, is_inside, stanza = place + 1, joins, ""
        elif value == "|":
            bar += 1
            while place < end and voice.slots[place].bar < bar:
                place += 1
        elif value in "_*" or (value == "-" and before in (" ", "-", "|")):
            if value == "_" and is_held and place < end and not _is_held(pieces, index + 1):
                _put(voice, place, Lyric("", "single", voice.verse))  # the line of the melisma ends here
            place += 1
        before = " " if kind == "space" else value
    (voice.open_words.add if is_inside else voice.open_words.discard)(voice.verse)
    return num_lost


def _has_hyphen(pieces: Sequence[re.Match[str]], index: int) -> bool:
    """Return True if a hyphen stands at a place, perhaps after a space."""
    if index < len(pieces) and pieces[index].lastgroup == "space":
        index += 1
    return index < len(pieces) and pieces[index][0] == "-"


def _is_held(pieces: Sequence[re.Match[str]], index: int) -> bool:
    """Return True if an underscore stands at a place, perhaps after spaces or bars."""
    while index < len(pieces) and (pieces[index].lastgroup == "space" or pieces[index][0] == "|"):
        index += 1
    return index < len(pieces) and pieces[index][0] == "_"


def _syllabic(is_inside: bool, joins: bool) -> Syllabic:
    if is_inside:
        return "middle" if joins else "end"
    return "begin" if joins else "single"


def _text(value: str) -> str:
    return printable(plain(value.replace("\\-", "-").replace("~", " ")), _MAX_SYLLABLE)


def _put(voice: Voice, place: int, lyric: Lyric) -> None:
    """Put a syllable on the notes of a slot; one that is tied to an earlier syllable's note continues its text."""
    own = voice.lyrics.setdefault(id(voice.slots[place].notes[0]), {})
    before = own.get(lyric.verse)
    if before is None or not before.text:
        own[lyric.verse] = lyric
    elif lyric.text:
        own[lyric.verse] = replace(before, text=printable(f"{before.text} {lyric.text}", _MAX_SYLLABLE))
