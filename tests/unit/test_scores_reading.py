"""Reading files, good and bad. Every bad one gives one sentence that names the file, fast and without much memory."""

from __future__ import annotations

import io
import os
import re
import struct
import time
import zipfile
from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits, bars_of, read_score, read_score_report
from descant_tokenizers.scores.music21_reader import fermatas_of, from_music21

DATA = Path(__file__).resolve().parent.parent / "data" / "scores"
END_OF_TRACK = b"\x00\xff\x2f\x00"


def quantity(value: int) -> bytes:
    """A variable-length quantity of a MIDI file."""
    low = [value & 127]
    while value := value >> 7:
        low.append(value & 127 | 128)
    return bytes(reversed(low))


def note(delay: int = 0, pitch: int = 60, duration: int = 480, channel: int = 0) -> bytes:
    return quantity(delay) + bytes([0x90 | channel, pitch, 80]) + quantity(duration) + bytes([0x80 | channel, pitch, 0])


def midi(*events: bytes, division: int = 480, form: int = 1) -> bytes:
    track = b"".join(events) + END_OF_TRACK
    return b"MThd" + struct.pack(">IHHH", 6, form, 1, division) + b"MTrk" + struct.pack(">I", len(track)) + track


def xml_note(quarters: int | str = 4, more: str = "") -> str:
    return f"<note><pitch><step>G</step><octave>4</octave></pitch><duration>{quarters}</duration>{more}</note>"


def xml_start(beats: int | str = 4, more: str = "") -> str:
    return (
        "<attributes><divisions>1</divisions><key><fifths>1</fifths></key>"
        f"<time><beats>{beats}</beats><beat-type>4</beat-type></time>{more}</attributes>"
    )


def xml(*measures: str, doctype: str = "") -> bytes:
    body = "".join(f'<measure number="{number}">{measure}</measure>' for number, measure in enumerate(measures, 1))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{doctype}<score-partwise><part-list><score-part id="P1">'
        f'<part-name>Tune</part-name></score-part></part-list><part id="P1">{body}</part></score-partwise>'
    ).encode()


def mxl(**entries: bytes) -> bytes:
    """A zip file; double underscores in names stand for slashes, single ones for dots."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return buffer.getvalue()


def container(path: str) -> bytes:
    return f'<container><rootfiles><rootfile full-path="{path}"/></rootfiles></container>'.encode()


ABC = b"X:1\nM:4/4\nL:1/4\nK:G\n"
FIRST_BAR = xml_start() + xml_note()
METER = b"\x00\xff\x58\x04"

BAD = {
    "empty.mid": (b"", "is empty"),
    "text.mid": (b"this is no music at all", "is not a MIDI file despite its name"),
    "stub.mid": (b"MThd\0\0", "is not a MIDI file, or is cut off"),
    "header.mid": (midi(note())[:14], "holds no notes"),
    "cut.mid": (midi(note(), note(), note())[:-10], "is damaged or cut off"),
    "chunk.mid": (midi(note())[:20], "is damaged or cut off"),
    "silent.mid": (midi(), "holds no notes"),
    "zero.mid": (midi(note(duration=0)), "holds no notes"),
    "drums.mid": (midi(note(channel=9)), "holds only percussion"),
    "film.mid": (midi(note(), division=0xE250), "counts time in film frames"),
    "timeless.mid": (midi(note(), division=0), "resolution of 0 ticks"),
    "patterns.mid": (midi(note(), form=2) + midi(note())[14:], "independent patterns"),
    "far.mid": (midi(note(2**27)), "has notes outside ticks 0 to 67,108,864"),
    "overflow.mid": (midi(*[note(2**28 - 1)] * 9), "has notes outside ticks 0 to 67,108,864"),
    "bars.mid": (midi(note(2**22)), "holds 2,185 bars, more than the limit of 2,000"),
    "tiny-bars.mid": (midi(METER + b"\1\6\x18\x08", note(2**20)), "bars, more than the limit of 2,000"),
    "beatless.mid": (midi(METER + b"\0\2\x18\x08", note()), "has the time signature 0/4"),
    "unit.mid": (midi(METER + b"\4\x1f\x18\x08", note()), "has the time signature 4/2^31"),
    "unit-32.mid": (midi(METER + b"\4\x20\x18\x08", note()), "has the time signature 4/2^32"),
    "unit-255.mid": (midi(METER + b"\4\xff\x18\x08", note()), "has the time signature 4/2^255"),
    "controllers.mid": (midi(note(), *[b"\1\xb0\x40\x7f"] * 500_001), "holds over 500,000 MIDI events"),
    "finer.mid": (midi(METER + b"\1\6\x18\x08", note(), division=7), "cannot express it"),
    "crowd.mid": (midi(*[note(duration=1)] * 50_001), "holds 50,001 notes, more than the limit of 50,000"),
    "tempos.mid": (midi(*[b"\1\xff\x51\x03\x07\xa1\x20"] * 50_001, note()), "tempo and signature events"),
    "long.mid": (midi(*[b"\0\xff\x01\x7f" + b"x" * 127] * 40_000), "bytes, more than the limit of 4,194,304"),
    "web.xml": (b"<!doctype html><html><body>Not found</body></html>", "is not well-formed XML"),
    "cut.musicxml": (xml(FIRST_BAR)[:-30], "is not well-formed XML"),
    "other.xml": (b"<?xml version='1.0'?><svg/>", "its root is <svg>"),
    "laughs.xml": (xml(FIRST_BAR, doctype='<!DOCTYPE a [<!ENTITY a "b">]>'), "declares XML entities"),
    "deep.xml": (b"<a>" * 500_000, "nests too deep"),
    "silent.xml": (xml(xml_start()), "holds no notes"),
    "partless.xml": (b"<score-partwise/>", "holds no notes"),
    "measures.xml": (xml(*["<note/>"] * 2_001), "holds 2,001 bars"),
    "crowd.xml": (xml("<note/>" * 50_001), "holds 50,001 notes"),
    "beats.xml": (xml(xml_start(10**8) + xml_note()), "time signature with the number 100,000,000"),
    "split-beats.xml": (xml(xml_start("1&#48;&#48;&#48;") + xml_note()), "time signature with the number 1,000"),
    "unplayed-beats.xml": (
        xml(
            xml_start() + '<barline location="left"><repeat direction="forward"/></barline>' + xml_note(),
            '<barline location="left"><ending number="3" type="start"/></barline>'
            + xml_note()
            + '<barline location="right"><ending number="1" type="stop"/><repeat direction="backward"/></barline>',
            "<attributes><time><beats>2</beats><beat-type>99999999</beat-type></time></attributes>"
            + '<barline location="left"><ending number="2" type="start"/></barline>'
            + xml_note()
            + '<barline location="right"><ending number="2" type="stop"/></barline>',
        ),
        "has the time signature 2/99999999",
    ),
    "encoding.xml": (b"<?xml version='1.0' encoding='UTG-8'?><a/>", "is XML in an unknown encoding"),
    "sharps.xml": (xml(FIRST_BAR.replace("<fifths>1", "<fifths>999")), "has the fifths 999, more than the limit of 14"),
    "flats.xml": (xml(FIRST_BAR.replace("<fifths>1", "<fifths>-99999999999")), "has the fifths 99,999,999,999"),
    "transposed.xml": (
        xml(xml_start(more="<transpose><chromatic>-999</chromatic></transpose>") + xml_note()),
        "has the chromatic 999, more than the limit of 72",
    ),
    "ending.xml": (xml('<barline><ending number="1-99999999" type="start"/></barline>'), "numbers an ending above 99"),
    "forever.xml": (xml(xml_start() + xml_note(10**9)), "lasts 1,000,000,000 quarter notes"),
    "long-chord.xml": (
        xml(xml_start() + xml_note() + xml_note(10**8).replace("<note>", "<note><chord/>")),
        "lasts 100,000,000 quarter notes",
    ),
    "far-tempo.xml": (
        xml(xml_start() + f'<direction><offset>{10**8}</offset><sound tempo="90"/></direction>' + xml_note()),
        "lasts 100,000,000 quarter notes",
    ),
    "later.xml": (xml(xml_start() + xml_note(200_000)), "has notes outside ticks"),
    "high.xml": (xml(xml_start() + xml_note().replace("4</o", "40</o")), "beyond the range of MIDI"),
    "divisions.xml": (xml(FIRST_BAR.replace("<divisions>1", "<divisions>0")), "cannot be read as MusicXML"),
    "binary.xml": (bytes(range(256)), "is not a MusicXML file"),
    "cut.mxl": (mxl(a_xml=xml(FIRST_BAR))[:-30], "is a damaged .mxl file"),
    "offset.mxl": (mxl(a_xml=xml(FIRST_BAR))[:-6] + b"\xff\0\0\x09\0\0", "is a damaged .mxl file"),
    "bomb.mxl": (mxl(a_xml=b" " * 30_000_000), "unpacks to more than 4,194,304 bytes"),
    "lost.mxl": (mxl(**{"META-INF__container_xml": container("b.xml"), "a_xml": b"<a/>"}), "is not MusicXML"),
    "photos.mxl": (mxl(a_png=b""), "is a zip file without MusicXML"),
    "words.abc": (b"Dear diary,\n", "cannot be read as ABC"),
    "silent.abc": (ABC, "holds no notes"),
    "two.abc": (ABC + b"GABc|\n\nX:2\nT:Next\nK:C\nCDEF|\n", "holds 2 tunes: 1, 2 'Next'. Choose one with --tune"),
    "forever.abc": (ABC + b"A1000000000|B|\n", "has the note length A1000000000 in line 5, which cannot be read"),
    "beats.abc": (b"X:1\nM:99999/4\nL:1/4\nK:G\nG|A|\n", "time signature with the number 99,999"),
    "crowd.abc": (ABC + (b"G" * 100 + b"|") * 501, "holds 50,001 notes"),
    "rests.abc": (ABC + b"G4|Z4001|A4|\n", "holds 4,001 bars, more than the limit of 4,000"),
    "long.abc": (ABC + b"G99999|" * 3, "lasts over 139,810 quarter notes (line 5)"),
    "long.krn": (b"**kern\n" + b"000c\n" * 5_000 + b"*-\n", "lasts over 139,810 quarter notes"),
    "again.abc": (ABC + b"|:" * 3_000 + b"GABc" + b":" * 6_000 + b"|\n", "repeats music more than 5,000 times"),
    "passes.abc": (ABC + b"|:" + b"GABc|" * 90 + b"[1-99 GABc:|\n", "has over 4,000 bars when its repeats are played"),
    "parts.abc": (ABC.replace(b"K:", b"P:(A99B99)99\nK:") + b"P:A\nGABc|\n", "plays over 2,000 parts (P: in line 4)"),
    "voices.abc": (ABC + b"".join(b"[V:%d]GABc|\n" % n for n in range(65)), "has more than 64 voices"),
    "high.abc": (ABC + b"GABc|g''''''4|\n", "holds the pitch g''''''4 in line 5, beyond the range of MIDI"),
    "growth.abc": (ABC.replace(b"K:", b"m:G=GGGGGGGG\nm:GG=%b\nK:" % (b"GGGG" * 99)) + b"G" * 40_000, "by its macros"),
    "words.krn": (b"Dear diary,\n", "cannot be read as Humdrum"),
    "beats.krn": (b"**kern\n*M99999999/4\n=1\n4d\n=2\n4e\n*-\n", "time signature with the number 99,999,999"),
    "transposed.krn": (b"**kern\n*Trd-1c-99999\n*M2/4\n=1\n2d\n*-\n", "has the transposition 99,999"),
    "crowd.krn": (b"**kern\n" + b"4d\n" * 50_001 + b"*-\n", "holds 50,001 notes"),
    "high.krn": (
        b"**kern\n*M4/4\n4c\n4cccccccc\n*-\n",
        "holds the pitch 4cccccccc in line 4, beyond the range of MIDI",
    ),
    "low.krn": (b"**kern\n*M4/4\n4CCCCCC 4c\n*-\n", "holds the pitch 4CCCCCC 4c in line 3, beyond the range of MIDI"),
    "words.txt": (b"Dear diary,\n", "has an unknown format. Give one of .mid"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_sentence_with_its_name(name: str, tmp_path: Path) -> None:
    data, expected = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        read_score(path)
    assert time.process_time() - start < 10  # typically a few milliseconds; music21 without a preflight: minutes
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message


def test_what_is_no_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no file .*\. Check the name"):
        read_score(tmp_path / "missing.mid")
    with pytest.raises(InputError, match=r"is a folder\. Give a file \(\.mid"):
        read_score(tmp_path)
    with pytest.raises(InputError, match="Cannot read"):
        read_score(tmp_path / ("x" * 5_000))
    with pytest.raises(InputError, match="embedded null"):
        read_score("a\0b.mid")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no device files")
def test_devices_are_not_read() -> None:
    with pytest.raises(InputError, match="is a device or a pipe"):
        read_score("/dev/zero")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tune.mid"
    path.write_bytes(midi(note()))
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        read_score(path)


def test_limits_must_let_something_pass() -> None:
    with pytest.raises(ValueError, match="max_bars is 0"):
        Limits(max_bars=0)


def test_limits_are_the_callers(tmp_path: Path) -> None:
    path = tmp_path / "tune.mid"
    path.write_bytes(midi(note(), note()))
    assert read_score(path, Limits(max_notes=2)).note_num() == 2
    with pytest.raises(InputError, match="holds 2 notes, more than the limit of 1"):
        read_score(path, Limits(max_notes=1))


@pytest.mark.parametrize("suffix", [".mid", ".MIDI", ".xml", ".abc", ".dat", ""])
def test_the_content_tells_the_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"tune{suffix}"
    path.write_bytes(midi(note()))
    assert read_score(path).note_num() == 1
    path.write_bytes(xml(FIRST_BAR))
    assert read_score(path).tracks[0].name == "Tune"


def test_midi_events_survive_and_performance_data_does_not(tmp_path: Path) -> None:
    path = tmp_path / "tune.mid"
    meter, key, tempo = METER + b"\3\2\x18\x08", b"\0\xff\x59\2\xfd\1", b"\0\xff\x51\3\7\xa1\x21"
    pedal, name = b"\0\xb0\x40\x7f", b"\0\xff\3\6Melody"
    path.write_bytes(midi(name, meter, key, tempo, pedal, note(), division=96))
    score = read_score(path)
    assert score.ticks_per_quarter == 96
    assert score.tracks[0].name == "Melody"
    assert not score.tracks[0].controls
    assert not score.tracks[0].pedals
    assert [(event.numerator, event.denominator) for event in score.time_signatures] == [(3, 4)]
    assert [(event.key, event.tonality) for event in score.key_signatures] == [(-3, 1)]
    assert [event.mspq for event in score.tempos] == [500_001]


@pytest.mark.parametrize(
    "data",
    [
        xml(FIRST_BAR),
        xml(FIRST_BAR, doctype='<!DOCTYPE score-partwise PUBLIC "-//X" "http://www.musicxml.org/dtds/partwise.dtd">'),
        b"\xef\xbb\xbf" + xml(FIRST_BAR),
        xml(FIRST_BAR).decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        xml(FIRST_BAR).decode().replace("UTF-8", "ISO-8859-1").replace("Tune", "Tüne").encode("latin-1"),
        mxl(a_xml=xml(FIRST_BAR)),
        mxl(**{"META-INF__container_xml": container("b.xml"), "a_xml": b"<a/>", "b_xml": xml(FIRST_BAR)}),
    ],
    ids=["plain", "doctype", "bom", "utf-16", "latin-1", "mxl", "mxl with container"],
)
def test_musicxml_comes_in_many_wrappings(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tune.musicxml"
    path.write_bytes(data)
    result = read_score_report(path)
    assert result.repairs == []
    assert [(note.time, note.duration, note.pitch) for note in result.score.tracks[0].notes] == [(0, 1920, 67)]
    assert [(event.key, event.tonality) for event in result.score.key_signatures] == [(1, 0)]


def test_transposing_instruments_sound_at_pitch(tmp_path: Path) -> None:
    path = tmp_path / "clarinet.xml"
    transpose = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    path.write_bytes(xml(xml_start(more=transpose) + xml_note()))
    score = read_score(path)
    assert score.tracks[0].notes[0].pitch == 65
    assert score.key_signatures[0].key == -1


def test_grace_notes_and_chord_symbols_are_dropped_and_chords_kept(tmp_path: Path) -> None:
    grace = xml_note(0).replace("<note>", "<note><grace/>").replace("<duration>0</duration>", "")
    chord = xml_note().replace("<note>", "<note><chord/>").replace("<step>G", "<step>B")
    harmony = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    path = tmp_path / "tune.xml"
    path.write_bytes(xml(xml_start() + harmony + grace + xml_note() + chord))
    assert [(note.time, note.duration, note.pitch) for note in read_score(path).tracks[0].notes] == [
        (0, 1920, 67),
        (0, 1920, 71),
    ]


def test_many_chord_symbols_take_no_time(tmp_path: Path) -> None:
    harmony = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    path = tmp_path / "lead-sheet.xml"
    path.write_bytes(xml(xml_start() + harmony * 5_000 + '<harmony print-frame="no"/>' + xml_note()))
    started = time.process_time()
    assert read_score(path).note_num() == 1
    assert time.process_time() - started < 2  # music21 took 8 seconds


def test_ties_are_merged_through_chords_and_bars(tmp_path: Path) -> None:
    path = tmp_path / "tune.xml"
    start, on, stop = '<tie type="start"/>', '<tie type="stop"/><tie type="start"/>', '<tie type="stop"/>'
    loose = xml_note(4, stop)
    path.write_bytes(xml(xml_start() + xml_note(4, start), xml_note(4, on), xml_note(4, stop), loose))
    assert [(note.time, note.duration) for note in read_score(path).tracks[0].notes] == [(0, 5760), (5760, 1920)]


def test_a_tie_in_a_chord_binds_its_own_note_only(tmp_path: Path) -> None:
    path = tmp_path / "chords.krn"
    path.write_bytes(b"**kern\n*M4/4\n=1\n[2c 2e\n2c] 2e\n*-\n")
    notes = sorted((note.pitch, note.time, note.duration) for note in read_score(path).tracks[0].notes)
    assert notes == [(60, 0, 1920), (64, 0, 960), (64, 960, 960)]


def test_humdrum_keeps_names_pickup_key_tempo_and_changes() -> None:
    score = read_score(DATA / "pickup.krn")
    assert [track.name for track in score.tracks] == ["Soprano", "Bass"]
    assert [(event.time, event.numerator, event.denominator) for event in score.time_signatures] == [
        (0, 1, 4),
        (480, 3, 4),
        (3360, 2, 4),
    ]
    assert [(event.key, event.tonality) for event in score.key_signatures] == [(1, 0)]
    assert [event.mspq for event in score.tempos] == [625_000]
    assert [bar.number for bar in bars_of(score)] == [0, 1, 2, 3]
    assert [(note.time, note.duration, note.pitch) for note in score.tracks[0].notes] == [
        (0, 480, 67),
        (480, 480, 69),
        (960, 480, 71),
        (1440, 1440, 72),
        (2880, 480, 71),
        (3360, 960, 67),
    ]


def test_abc_keeps_voices_pickup_minor_key_and_tempo() -> None:
    score = read_score_report(DATA / "two-voices.abc", unfold=False).score
    assert len(score.tracks) == 2
    assert [(bar.number, bar.length_ticks) for bar in bars_of(score)] == [(0, 480), (1, 1920), (2, 1920), (3, 1920)]
    assert [(event.key, event.tonality) for event in score.key_signatures] == [(-1, 1)]
    assert [round(event.qpm) for event in score.tempos] == [72]


def test_what_music21_skips_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tune.krn"
    path.write_bytes(b"**kern\n*M2/4\n=1\n4d\n4zz\n=2\n2e\n*-\n")
    result = read_score_report(path)
    assert result.score.note_num() == 2
    assert len(result.repairs) == 1
    assert "4zz" in result.repairs[0]


def test_fermatas_count_at_the_onset_of_the_whole_note() -> None:
    from music21 import converter, expressions

    source = converter.parseData((DATA / "pickup.krn").read_text(), format="humdrum")
    tied = source.parts[0].measure(2).notes.first()
    tied.expressions.append(expressions.Fermata())
    assert fermatas_of(source) == [1440, 3360]


@pytest.mark.parametrize(
    ("piece", "signatures", "num_fermatas"),
    [
        ("bwv269", [(0, 1, 4), (480, 3, 4)], None),  # bars split at phrase ends are joined
        ("bwv4.8", [(0, 1, 4), (480, 4, 4), (6240, 3, 4), (7680, 4, 4)], 6),  # one truly irregular bar
        ("bwv304", [(0, 4, 4), (15360, 1, 4), (15840, 3, 4)], None),  # a pickup to a new meter
    ],
)
def test_chorales_have_the_bars_that_are_meant(
    piece: str, signatures: list[tuple[int, int, int]], num_fermatas: int | None
) -> None:
    from music21 import corpus

    source = corpus.parse(f"bach/{piece}", forceSource=True)
    score = from_music21(source)
    assert [(event.time, event.numerator, event.denominator) for event in score.time_signatures] == signatures
    assert num_fermatas in (None, len(fermatas_of(source)))
    assert [track.name for track in score.tracks][:1] == ["Soprano"]
