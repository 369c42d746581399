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
        ("Glo", "-ri", "-a", "in", "ex", "-cel", "-sis"),
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


def test_voices_in_one_rhythm_have_their_own_words() -> None:
    low = b"".join(text(syllable) + note(48) for syllable in ("one", "two"))
    marks = parse_score(Path("made.mid"), midi(sung("un", "deux"), low), marks=True).marks
    assert [(place, [each.text for each in own]) for place, own in marks.lyrics.items()] == [
        *(((0, 0, 60), ["un"]), ((0, 1, 61), ["deux"])),
        *(((1, 0, 48), ["one"]), ((1, 1, 48), ["two"])),
    ]


def test_two_tracks_of_words_for_one_melody_are_two_verses() -> None:
    words = (text("un") + b"\x60" + text("deux")[1:], text("one") + b"\x60" + text("two")[1:])
    marks = parse_score(Path("made.mid"), midi(*words, note(60) + note(62)), marks=True).marks
    assert [[(each.text, each.verse) for each in own] for own in marks.lyrics.values()] == [
        [("un", 1), ("one", 2)],
        [("deux", 1), ("two", 2)],
    ]


def test_words_may_begin_a_little_early_or_late() -> None:
    late = text("one") + b"\x05" + note(60)[1:] + text("two") + b"\x05" + note(62)[1:]
    result = parse_score(Path("made.mid"), midi(late), marks=True)
    assert [each.text for (each,) in result.marks.lyrics.values()] == ["one", "two"]
    assert result.repairs == []


def test_texts_and_markers_in_the_music_are_counted() -> None:
    data = midi(text("made by hand", 1) + text("A", 6) + note(60) + text("slower", 1) + text("enter", 7) + note(62))
    result = parse_score(Path("made.mid"), data, marks=True)
    assert result.repairs == ["3 texts or markers left out"]
    assert result.marks.lyrics == {}


def test_the_lyrics_are_under_the_notes() -> None:
    read = read_score_report(CASES / "mid_lyrics.mid", marks=True)
    musicxml = Rendering(read.score, marks=read.marks).musicxml
    assert musicxml.count("<lyric ") == 9
    assert "<text>walk</text>" in musicxml


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("We Gather Together", "We Gather Together"),
        ("Été à Noël".encode("cp1252"), "Été à Noël"),
        ("Tempo Track 1", ""),
        ("untitled", ""),
        ("Lyrics", ""),
        ("", ""),
    ],
)
def test_a_first_track_without_notes_has_the_title(name: str | bytes, title: str) -> None:
    titled = midi(text(name, 3), text("Tune", 3) + note(60))
    assert parse_score(Path("made.mid"), titled, marks=True).marks.title == title
    assert parse_score(Path("made.mid"), midi(text(name, 3) + note(60)), marks=True).marks.title == ""
