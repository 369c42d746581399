"""Lyrics of MIDI and karaoke files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import read_score_report
from descant_tokenizers.scores.reading import parse_score

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"


def text(content: str | bytes, kind: int = 5) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return bytes([0, 0xFF, kind, len(data)]) + data


def note(pitch: int) -> bytes:
    return bytes([0, 0x90, pitch, 80, 96, 0x80, pitch, 0])


def midi(*tracks: bytes) -> bytes:
    chunks = (b"MTrk" + struct.pack(">I", len(track) + 4) + track + b"\0\xff\x2f\0" for track in tracks)
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), 96) + b"".join(chunks)


def sung(*syllables: str | bytes) -> bytes:
    return b"".join(text(syllable) + note(60 + place % 5) for place, syllable in enumerate(syllables))


def words(data: bytes) -> list[tuple[int, str, str]]:
    marks = parse_score(Path("made.mid"), data, marks=True).marks
    found = [(int(onset), each) for (_, onset, _), lyrics in sorted(marks.lyrics.items()) for each in lyrics]
    return [(onset, each.text, each.syllabic) for onset, each in found]


@pytest.mark.parametrize(
    "syllables",
    [
        ("Glo", "ri", "a ", "in ", "ex", "cel", "sis"),
        ("Glo-", "ri-", "a", "in", "ex-", "cel-", "sis"),
        ("Glo", "ri", "a", " in", "\rex", "cel", "sis\r\n"),
        ("\\Glo", "ri", "a ", "in ", "/ex", "cel", "sis"),
    ],
)
def test_syllables_and_words(syllables: tuple[str, ...]) -> None:
    assert words(midi(sung(*syllables))) == [
        (0, "Glo", "begin"),
        (1, "ri", "middle"),
        (2, "a", "end"),
        (3, "in", "single"),
        (4, "ex", "begin"),
        (5, "cel", "middle"),
        (6, "sis", "end"),
    ]


def test_syllables_without_a_sign_are_words() -> None:
    assert words(midi(sung("one", "two"))) == [(0, "one", "single"), (1, "two", "single")]


@pytest.mark.parametrize(("encoding", "syllable"), [("utf-8", "Noël"), ("cp1252", "Noël"), ("cp1251", "Голос")])
def test_lyrics_are_decoded(encoding: str, syllable: str) -> None:
    assert words(midi(sung(syllable.encode(encoding)))) == [(0, syllable, "single")]


def test_a_karaoke_file_has_a_title_and_words_on_a_track_of_their_own() -> None:
    line = b"".join((text("\\Ho", 1), b"\x60" + text("ly ", 1)[1:], b"\x60" + text("/night", 1)[1:]))
    head = text("@KMIDI KARAOKE FILE", 1) + text("@LENGL", 1) + text("@TSilent Night", 1)
    result = parse_score(
        Path("song.kar"), midi(head, line, note(48) + note(48), note(67) + note(69) + note(64)), marks=True
    )
    assert result.marks.title == "Silent Night"
    assert [(place, lyrics[0].text) for place, lyrics in result.marks.lyrics.items()] == [
        ((1, 0, 67), "Ho"),
        ((1, 1, 69), "ly"),
        ((1, 2, 64), "night"),
    ]
    assert result.repairs == []


def test_comments_are_no_lyrics() -> None:
    assert words(midi(text("made by hand", 1) + note(60))) == []


def test_syllables_without_a_note_are_counted() -> None:
    result = parse_score(Path("made.mid"), midi(text("a ") + text("b ") + note(60) + text("c")), marks=True)
    assert [each.text for (each,) in result.marks.lyrics.values()] == ["a"]
    assert result.repairs == ["2 syllables without a note left out"]


def test_the_lyrics_are_under_the_notes() -> None:
    read = read_score_report(CASES / "mid_lyrics.mid", marks=True)
    musicxml = Rendering(read.score, marks=read.marks).musicxml
    assert musicxml.count("<lyric ") == 9
    assert "<text>walk</text>" in musicxml
