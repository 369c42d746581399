"""Lyrics of MIDI files: lyric events, and the text events of karaoke files.

A syllable is an event at the onset of its note. Programs mark the ends of words in one of two ways: by spaces and line
breaks (`sing` `ing `), or by hyphens (`sing-` `ing`).
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
from symusic.core import NoteTick, ScoreTick

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores.encodings import decode_text, likely_encoding
from descant_tokenizers.scores.marks import Lyric, Marks, PartPlace
from descant_tokenizers.scores.midi_events import NOTE_ON, events_of_tracks
from descant_tokenizers.scores.voices import line_of

_TEXT, _NAME, _LYRIC = 0x01, 0x03, 0x05
_KINDS = (_TEXT, _LYRIC)
_NO_TITLE = {
    *("conductor", "control", "tempo", "master", "meta", "midi", "time", "global", "header", "setup", "untitled", "no"),
    *(
        "unnamed",
        "name",
        "new",
        "seq",
        "sequence",
        "track",
        "song",
        "score",
        "staff",
        "part",
        "map",
        "signature",
        "info",
    ),
    *("data", "music", "piano", "grand", "default", "main", "and", "key", "file", "format", "intro", "lyrics", "words"),
}
"""Words of names that programs fill in."""

_MARKERS = (0x06, 0x07)
_MAX_COMPARED = 8  # notes, which tell whether a track of the score is one of the file
_BREAKS = "/\\\r\n"  # of lines and paragraphs
_SPACES = _BREAKS + " \t"
_SYLLABIC: dict[tuple[bool, bool], Literal["single", "begin", "middle", "end"]] = {
    (False, False): "single",
    (False, True): "begin",
    (True, True): "middle",
    (True, False): "end",
}
"""Place in a word, by whether it began before a syllable and goes on after it."""

_MAX_SYLLABLE = 120
_MAX_NAME = 500
_MAX_TEXTS = 50_000  # no song has as many
_LANGUAGES = {"JAPA": "cp932", "RUSS": "cp1251", "POLI": "cp1250", "CZEC": "cp1250", "HUNG": "cp1250", "GREE": "cp1253"}
"""Encodings by the language that a karaoke file declares (`@LRUSS`)."""

_CHARSETS = {"{@LATIN}": "cp1252", "{@JP}": "cp932"}
"""Encodings by the tag in a lyric event (RP-026 of the MIDI Association)."""


class _Event(NamedTuple):
    """A text at a tick."""

    time: int
    text: str


class _Words(NamedTuple):
    """The syllables in a track of the file, and onset and pitch of the notes in it."""

    events: list[_Event]
    notes: frozenset[tuple[int, int]]


def lyrics_of(data: bytes, score: ScoreTick) -> tuple[Marks, list[str]]:
    """Return the lyrics of a MIDI file, and its title: that of a karaoke file, else the name of a track without notes.

    Args:
        data: The bytes of the file.
        score: Its score; the parts of the marks are its tracks.

    Returns:
        The marks, and a sentence if syllables have no note, or if there are other texts in the music.
    """
    tracks, title, num_texts = _texts(data)
    lyrics: dict[PartPlace, tuple[Lyric, ...]] = {}
    verses: Counter[int] = Counter()
    num_lost = 0
    for words in tracks:
        part = _best_part(words, score)
        if part is None:
            num_lost += len(_lyrics(words.events))
            continue
        verses[part] += 1
        onsets = _onsets(score, part)
        times = sorted(onsets)
        taken = set()
        for event, lyric in _lyrics(words.events):
            near = _nearest(times, event.time, score.ticks_per_quarter // 4)
            place = None if near is None else _place(score, part, onsets[near])
            if place is None or place in taken:
                num_lost += 1
            else:
                lyrics[place] = (*lyrics.get(place, ()), replace(lyric, verse=verses[part]))
                taken.add(place)
    lost = [f"{num_lost} syllable{'s' * (num_lost > 1)} without a note left out"] if num_lost else []
    lost += (
        [f"{num_texts:,} text{'s' * (num_texts > 1)} or marker{'s' * (num_texts > 1)} left out"] if num_texts else []
    )
    return Marks(lyrics, title=printable(title, _MAX_SYLLABLE)), lost


def _texts(data: bytes) -> tuple[list[_Words], str, int]:
    """Return the syllables of each track of the file that has any, the title of a karaoke file, and other texts.

    Those at the beginning of the file are about it, and do not count.
    """
    found, notes, num_markers, name = [], [], 0, b""
    for index, track in enumerate(events_of_tracks(data)):
        if index == 0 and not any(status & 0xF0 == NOTE_ON for _, status, *_ in track):
            name = next((data[begin:stop] for _, _, meta, begin, stop in track if meta == _NAME), b"")
        found.append([(time, meta, data[begin:stop]) for time, _, meta, begin, stop in track if meta in _KINDS])
        num_markers += sum(meta in _MARKERS and stop > begin for _, _, meta, begin, stop in track)
        ons = (event for event in track if found[-1] and event[1] & 0xF0 == NOTE_ON)
        notes.append(frozenset((time, data[begin]) for time, _, _, begin, _ in ons))
    contents = [content for events in found for _, _, content in events]
    if len(contents) > _MAX_TEXTS:
        return [], "", len(contents) + num_markers
    encoding = None if all(content.isascii() for content in contents) else _declared(contents)
    if encoding is None and any(not _is_utf8(content) for content in contents):
        encoding = likely_encoding(contents)
    has_lyrics = any(meta == _LYRIC and content.strip() for events in found for _, meta, content in events)
    is_karaoke = any(content[:2] in (b"@K", b"@T", b"@L") or content[:1] == b"\\" for content in contents)
    wanted = _LYRIC if has_lyrics else _TEXT if is_karaoke else None
    tracks, titles = [], []
    others = [content for events in found for time, meta, content in events if time and meta == _TEXT != wanted]
    for events, own in zip(found, notes, strict=True):
        decoded = [(time, meta, decode_text(content, encoding)) for time, meta, content in events]
        titles += [text[2:] for _, meta, text in decoded if meta == _TEXT and text.startswith("@T")]
        texts = [_Event(time, _without_tag(text)) for time, meta, text in decoded if meta == wanted]
        tracks.append(_Words([event for event in texts if not event.text.startswith("@")], own))
    num_others = num_markers + sum(bool(content.strip()) for content in others)
    title = titles[0] if titles else decode_text(name[:_MAX_NAME], likely_encoding([name[:_MAX_NAME]]))
    is_filled_in = set(re.findall(r"[^\W\d_]+", title.lower())) <= _NO_TITLE
    return [words for words in tracks if words.events], "" if is_filled_in else title, num_others


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _declared(contents: Sequence[bytes]) -> str | None:
    for content in contents:
        text = content.decode("latin-1")
        for tag, encoding in _CHARSETS.items():
            if text.startswith(tag):
                return encoding
        if text.startswith("@L") and text[2:6].upper() in _LANGUAGES:
            return _LANGUAGES[text[2:6].upper()]
    return None


def _without_tag(text: str) -> str:
    return next((text[len(tag) :] for tag in _CHARSETS if text.startswith(tag)), text)


def _best_part(words: _Words, score: ScoreTick) -> int | None:
    """Return the track that has the most notes where the syllables are, at most a 16th away.

    Of equals, it is the one with more notes exactly there, then the one beside the words in the file, then a line.
    """
    times_N = np.unique([event.time for event in words.events])
    best, most = None, (0, 0, False, False)
    for index, track in enumerate(score.tracks):
        if track.is_drum or not track.notes:
            continue
        onsets_M = np.unique(track.notes.numpy()["time"])
        after_N = np.searchsorted(onsets_M, times_N).clip(max=len(onsets_M) - 1)
        distances_N = np.minimum(abs(onsets_M[after_N] - times_N), abs(onsets_M[after_N - 1] - times_N))
        near, exact = int((distances_N <= score.ticks_per_quarter // 4).sum()), int((distances_N == 0).sum())
        if near == 0 or (near, exact, True, True) <= most:
            continue
        is_own = all((note.time, note.pitch) in words.notes for note in track.notes[:_MAX_COMPARED])
        found = (near, exact, is_own, line_of(track, score.ticks_per_quarter) is not None)
        if found > most:
            best, most = index, found
    return best


def _onsets(score: ScoreTick, part: int) -> dict[int, NoteTick]:
    """Return the highest note of a track at each onset."""
    return {note.time: note for note in sorted(score.tracks[part].notes, key=lambda note: note.pitch)}


def _nearest(times: Sequence[int], time: int, most: int) -> int | None:
    index = bisect.bisect_left(times, time)
    near = min(times[max(index - 1, 0) : index + 1], key=lambda other: abs(other - time), default=None)
    return near if near is not None and abs(near - time) <= most else None


def _place(score: ScoreTick, part: int, note: NoteTick) -> PartPlace:
    return part, Fraction(note.time, score.ticks_per_quarter), note.pitch


def _lyrics(events: Sequence[_Event]) -> list[tuple[_Event, Lyric]]:
    """Read syllables with their places in words."""
    sung = [event for event in events if event.text.strip(_BREAKS)]
    has_spaces = any(event.text != _plain(event.text) for event in sung)
    syllables: list[tuple[_Event, str]] = []
    continues: list[bool] = []  # the word of each syllable goes on after it
    for event in events:
        text = _plain(event.text)
        if continues and text.startswith("-") and len(text) > 1:
            continues[-1] = True
        elif continues and has_spaces and (not text or event.text[:1] in _SPACES):
            continues[-1] = False
        if text not in ("", "-", "_"):
            syllables.append((event, text.rstrip("-_").lstrip("-") or text))
            continues.append(text.endswith("-") or (has_spaces and event.text[-1:] not in _SPACES))
    if continues:
        continues[-1] = False
    return [
        (event, Lyric(printable(text, _MAX_SYLLABLE), _SYLLABIC[goes_on, follows], 1))
        for (event, text), goes_on, follows in zip(syllables, [False, *continues], continues, strict=False)
    ]


def _plain(text: str) -> str:
    return text.strip(_SPACES)
