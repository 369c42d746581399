"""Around the music: zip files, RIFF and MacBinary files, encodings and namespaces."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.midi import unwrapped
from descant_tokenizers.scores.reading import parse_score

TEXT = (
    '<?xml version="1.0" encoding="UTF-8"?><score-partwise><part-list><score-part id="P1"><part-name>Flöte</part-name>'
    '</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions></attributes><note>'
    "<pitch><step>C</step><octave>5</octave></pitch><duration>4</duration></note></measure></part></score-partwise>"
)
CONTAINER = '<container><rootfiles><rootfile full-path="{}"/><rootfile full-path="b.xml"/></rootfiles></container>'
MIDI = b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\x0c\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0"


def name_of(data: bytes) -> str:
    (track,) = parse_score(Path("made.xml"), data).score.tracks
    assert [note.pitch for note in track.notes] == [72]
    return track.name


def zipped(**entries: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return target.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("declared", ["UTF-8", "UTF-16"])
def test_the_bytes_say_whether_xml_is_utf_8_or_16(encoding: str, declared: str) -> None:
    assert name_of(TEXT.replace("UTF-8", declared).encode(encoding)) == "Flöte"


@pytest.mark.parametrize("declared", ["windows-1252", "ISO-8859-1", "UTF-8"])
def test_other_encodings_are_those_declared_or_the_likeliest(declared: str) -> None:
    assert name_of(TEXT.replace("UTF-8", declared).encode("latin-1")) == "Flöte"


def test_blank_lines_may_stand_before_the_declaration() -> None:
    assert name_of(b"\n  " + TEXT.encode()) == "Flöte"


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(InputError, match="unknown encoding"):
        name_of(TEXT.replace("UTF-8", "x-none").encode("latin-1"))


@pytest.mark.parametrize("space", [' xmlns="http://www.musicxml.org/ns"', ' xmlns:m="http://www.musicxml.org/ns"'])
def test_a_namespace_changes_nothing(space: str) -> None:
    assert name_of(TEXT.replace("<score-partwise", "<score-partwise" + space).encode()) == "Flöte"


@pytest.mark.parametrize(
    "entries",
    [
        {"song.musicxml": TEXT},
        {"SONG.XML": TEXT},
        {"__MACOSX/._song.xml": "junk", "song.xml": TEXT},
        {"META-INF/container.xml": CONTAINER.format("gone.xml"), "b.xml": TEXT},
        {"META-INF/container.xml": CONTAINER.format("a.pdf"), "a.pdf": "%PDF", "b.xml": TEXT},
    ],
)
def test_the_score_in_a_zip_file_is_found(entries: dict[str, str]) -> None:
    assert name_of(zipped(**entries)) == "Flöte"


def riff(*chunks: tuple[bytes, bytes], padding: bytes = b"\0", size: int | None = None) -> bytes:
    body = b"RMID"
    for name, content in chunks:
        length = len(content) if size is None else size
        body += struct.pack("<4sI", name, length) + content + padding * (len(content) % 2)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


@pytest.mark.parametrize(
    "data",
    [
        riff((b"LIST", b"INFOabc"), (b"data", MIDI)),
        riff((b"LIST", b"INFOabc"), (b"data", MIDI), padding=b""),
        riff((b"data", MIDI), size=0),
        riff((b"data", MIDI), size=2**32 - 1),
        b"\0" * 128 + MIDI,
        MIDI[:7] + b"\x08" + MIDI[8:14] + b"\0\0" + MIDI[14:],
    ],
)
def test_the_midi_file_inside_another_is_found(data: bytes) -> None:
    assert unwrapped(data) == MIDI
    assert [note.pitch for track in parse_score(Path("made.rmi"), data).score.tracks for note in track.notes] == [60]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_cannot_be_bounded_is_refused(method: int) -> None:
    """LZMA makes 60 MB of 9 kB, and zipfile unpacks all of it to return the first byte."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr("a.xml", TEXT + " " * 6 * 10**7)
    assert len(target.getvalue()) < 10_000
    with pytest.raises(
        InputError, match=r"^song\.mxl is packed in a way that \.mxl files are not\. Export it again\.$"
    ):
        parse_score(Path("song.mxl"), target.getvalue())
