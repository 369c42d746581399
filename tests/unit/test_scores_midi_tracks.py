"""MIDI files as programs write them: channels and programs inside a track, RIFF, names in any encoding, odd meters."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from descant_tokenizers.scores import ReadResult, bars_of, pick_melody, read_score_report
from descant_tokenizers.scores.encodings import decode_text
from descant_tokenizers.scores.midi import unwrapped
from descant_tokenizers.scores.reading import parse_score

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"


def note(pitch: int, channel: int = 0, *, delay: int = 0, length: int = 96) -> bytes:
    assert max(delay, length) < 128
    return bytes([delay, 0x90 | channel, pitch, 80, length, 0x80 | channel, pitch, 0])


def program(number: int, channel: int = 0) -> bytes:
    return bytes([0, 0xC0 | channel, number])


def name(text: bytes) -> bytes:
    return bytes([0, 0xFF, 3, len(text)]) + text


def meter(delay: int, beats: int) -> bytes:
    return bytes([delay, 0xFF, 0x58, 4, beats, 2, 24, 8])


def midi(*tracks: bytes, form: int = 1) -> bytes:
    """A file of 96 ticks per quarter."""
    chunks = (b"MTrk" + struct.pack(">I", len(track) + 4) + track + b"\0\xff\x2f\0" for track in tracks)
    return b"MThd" + struct.pack(">IHHH", 6, form, len(tracks), 96) + b"".join(chunks)


def read(data: bytes) -> ReadResult:
    return parse_score(Path("made.mid"), data)


def pitches(result: ReadResult) -> list[list[int]]:
    return [[each.pitch for each in track.notes] for track in result.score.tracks]


def test_programs_that_change_in_a_track_leave_it_one_track() -> None:
    result = read(midi(name(b"Solo") + program(73) + note(60) + note(62) + program(40) + note(64) + note(65), note(40)))
    assert pitches(result) == [[60, 62, 64, 65], [40]]
    assert [track.program for track in result.score.tracks] == [73, 0]
    assert result.repairs == ["track 1 changes its instrument (Flute, Violin); the first one is kept"]


def test_channels_that_change_in_a_track_leave_it_one_track() -> None:
    assert pitches(read(midi(note(60) + note(62, 1) + note(64, 0), note(40)))) == [[60, 62, 64], [40]]
    assert pitches(read(midi(note(60) + note(62, 1) + note(64, 0), form=0))) == [[60, 62, 64]]


def test_percussion_in_a_track_is_a_track_of_its_own() -> None:
    result = read(midi(note(60) + note(36, 9) + note(62), note(40)))
    assert pitches(result) == [[60, 62], [36], [40]]
    assert [track.is_drum for track in result.score.tracks] == [False, True, False]


def test_channels_of_the_only_track_that_sound_together_are_tracks() -> None:
    together = bytes(
        [0, 0x90, 72, 80, 0, 0x91, 60, 80, 0, 0x91, 55, 80, 96, 0x80, 72, 0, 0, 0x81, 60, 0, 0, 0x81, 55, 0]
    )
    running = bytes([0, 0x90, 74, 80, 96, 74, 0])  # note-on of velocity 0 with running status
    data = midi(name(b"Song") + program(73) + program(19, 1) + together + running + program(40) + note(76), form=0)
    result = read(data)
    assert pitches(result) == [[72, 74, 76], [55, 60]]
    assert [track.program for track in result.score.tracks] == [73, 19]
    assert [track.name for track in result.score.tracks] == ["Song", "Song"]
    assert [[each.time for each in track.notes] for track in result.score.tracks] == [[0, 96, 192], [0, 0]]
    assert pitches(read(midi(meter(0, 4), name(b"Song") + together))) == [[72], [55, 60]]


def test_tracks_without_names_are_not_joined() -> None:
    assert pitches(read(midi(note(60), note(62), program(4) + note(64)))) == [[60], [62], [64]]


@pytest.mark.parametrize(("form", "declared"), [(1, 1), (0, 1), (1, 7)])
def test_all_tracks_are_read_whatever_number_is_declared(form: int, declared: int) -> None:
    data = bytearray(midi(note(60), note(64), form=form))
    data[10:12] = declared.to_bytes(2, "big")
    assert pitches(read(bytes(data))) == [[60], [64]]


def test_a_file_of_one_pattern_is_a_file_of_one_track() -> None:
    assert pitches(read(midi(note(60), form=2))) == [[60]]


def test_a_riff_file_holds_a_midi_file() -> None:
    data = midi(note(60))
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"data" + struct.pack("<I", len(data)) + data
    wrapped = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"RMID" + chunks
    assert unwrapped(wrapped) == data
    assert pitches(read(wrapped)) == [[60]]
    assert pitches(read_score_report(CASES / "mid_riff_wrapped.mid"))[0][:3] == [60, 62, 64]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Голос"),
        ("cp1252", "Mélodie à Noël"),
        ("cp1252", "Canção"),
        ("cp1252", "Größe"),
        ("cp1250", "Głos"),
        ("cp1250", "Zpěv"),
        ("cp1251", "Мелодия"),
        ("koi8_r", "Мелодия"),
        ("mac_roman", "Mélodie"),
        ("cp1253", "Μελωδία"),
        ("cp932", "メロディ"),
    ],
)
def test_names_are_decoded(encoding: str, text: str) -> None:
    assert decode_text(text.encode(encoding)) == text
    result = read(midi(name(text.encode(encoding)) + note(60), name(b"Bass") + note(40)))
    assert [track.name for track in result.score.tracks] == [text, "Bass"]


def test_names_of_the_same_length_stay_apart() -> None:
    """symusic makes one and the same text of all names in Cyrillic letters."""
    names = ["Мелодия", "Бас", "Виола"]
    tracks = [name(each.encode("cp1251")) + note(60) for each in names]
    assert [track.name for track in read(midi(*tracks)).score.tracks] == names
    after_16259_ticks = b"\xff\x03" + name(b"caf\xe9")[1:]  # a time that looks like the head of a name
    assert [track.name for track in read(midi(after_16259_ticks + note(60))).score.tracks] == ["café"]


def test_a_declared_encoding_comes_first() -> None:
    assert decode_text("Głos".encode("cp852"), "cp852") == "Głos"


@pytest.mark.parametrize(("delay", "moved"), [(1, 0), (23, 0), (100, 96)])
def test_a_meter_beside_a_bar_line_is_moved_onto_it(delay: int, moved: int) -> None:
    result = read(midi(meter(delay, 3), b"".join(note(60) for _ in range(7))))
    assert [(event.time, event.numerator) for event in result.score.time_signatures] == [(moved, 3)]
    assert result.repairs == [f"the time signature 3/4 at tick {delay} moved to tick {moved}"]


def test_a_later_meter_is_moved_from_the_bar_lines_before_it() -> None:
    result = read(midi(meter(0, 2) + meter(97, 1) + meter(97, 3), b"".join(note(60) for _ in range(8))))
    assert [(event.time, event.numerator) for event in result.score.time_signatures] == [(0, 2), (96, 1), (192, 3)]
    assert len(result.repairs) == 2


def test_a_meter_in_the_middle_of_a_bar_stays() -> None:
    result = read(midi(meter(0, 4) + meter(96, 4), b"".join(note(60) for _ in range(5))))
    assert result.repairs == []
    assert [(bar.number, bar.length_ticks) for bar in bars_of(result.score)] == [(0, 96), (1, 384)]


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.glob("mid_*.mid")))
def test_the_melody_of_each_case_is_found(case: str) -> None:
    result = read_score_report(CASES / case)
    number = {"mid_one_note_engraving_hangs.mid": 1, "mid_upbeat_without_meter.mid": 17}.get(case, 22)
    assert len(pick_melody(result.score).track.notes) == number
    names = {"mid_melody_in_german.mid": "Melodie", "mid_name_latin1.mid": "Mélodie à Noël"}
    if case in names:
        assert pick_melody(result.score).track.name == names[case]


def test_a_track_of_two_programs_is_read_without_importing_miditok(tmp_path: Path) -> None:
    """It would import PyTorch, which takes seconds and most of the memory that a reader may use."""
    path = tmp_path / "two.mid"
    path.write_bytes(midi(program(0) + note(60) + program(40) + note(62)))
    code = (
        "import pathlib, sys; from descant_tokenizers.scores.reading import parse_score\n"
        "path = pathlib.Path(sys.argv[1]); print(parse_score(path, path.read_bytes()).repairs)\n"
        "assert not {'miditok', 'torch'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Violin" in done.stdout


def staff(*voices: tuple[int, ...], length: int = 96) -> bytes:
    """A track of voices in parallel; 0 makes the note before it longer, -1 is a rest."""
    events = []
    for voice in voices:
        for place, pitch in enumerate(voice):
            if pitch > 0:
                end = next((later for later in range(place + 1, len(voice)) if voice[later]), len(voice))
                events += [(place * length, 1, pitch), (end * length, 0, pitch)]
    found, now = b"", 0
    for time, velocity, pitch in sorted(events):
        found += bytes([time - now, 0x90, pitch, 80 * velocity])
        now = time
    return found


HYMN = ((76, 74, 0, 72, 71, 72), (67, 0, 65, 64, 62, 64)), ((60, 59, 0, 57, 55, 55), (48, 0, 50, 48, 43, 48))


@pytest.mark.parametrize("names", [(b"", b""), (b"Piano", b"Piano"), (b"Soprano/Alto", b"Tenor/Bass")])
def test_two_voices_in_each_of_two_tracks_become_four(names: tuple[bytes, bytes]) -> None:
    result = read(
        midi(*(name(own) * bool(own) + program(19) + staff(*pair) for own, pair in zip(names, HYMN, strict=True)))
    )
    assert [track.name for track in result.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert [track.program for track in result.score.tracks] == [19] * 4
    voices = [[pitch for pitch in voice if pitch] for pair in HYMN for voice in pair]
    assert pitches(result) == voices
    (remark,) = result.repairs
    assert remark.endswith("read as Soprano, Alto, Tenor, Bass")


def test_a_note_alone_on_a_staff_of_two_voices_is_a_unison_or_struck_twice() -> None:
    upper = staff((76, 74, 67, 72, 74, 72), (67, 67, -1, 64, 67, 64))
    twice = staff((76, 74, 67, 72, 74, 72), (67, 67, 67, 64, 67, 64))
    for track in (upper, twice):
        assert pitches(read(midi(track, staff(*HYMN[1]))))[:2] == [[76, 74, 67, 72, 74, 72], [67, 67, 67, 64, 67, 64]]


@pytest.mark.parametrize(
    "tracks",
    [
        (staff((72, 74, 76, 77, 79)), staff((48, 50, 52, 53, 55), (55, 57, 59, 60, 62))),  # a melody and a staff
        (staff((76, 74, 72, 71), (72, 71, 69, 67), (67, 67, 65, 62)), staff(*HYMN[1])),  # chords of three notes
        (staff(*HYMN[1]), staff(*HYMN[0])),  # the lower staff first
        (staff(*HYMN[0]), staff(*HYMN[1]), staff((40, 41, 43, 40))),  # a third track
        (staff(*HYMN[0]), note(36, 9) + note(38, 9)),
    ],
)
def test_other_tracks_stay_as_they_are(tracks: tuple[bytes, ...]) -> None:
    assert len(read(midi(*tracks)).score.tracks) == len(tracks)


def test_tracks_named_after_two_voices_are_four_beside_others() -> None:
    extra = name(b"Organ") + staff((60, 62, 64), (48, 50, 52))
    result = read(midi(extra, name(b"S/A") + staff(*HYMN[0]), name(b"T/B") + staff(*HYMN[1])))
    assert [track.name for track in result.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass", "Organ"]


def test_a_track_without_a_name_has_that_of_its_instrument() -> None:
    instrument = bytes([0, 0xFF, 4, 4]) + b"Alto"
    result = read(midi(instrument + note(60), name(b"Soprano") + instrument + note(72), note(48) + instrument))
    assert [track.name for track in result.score.tracks] == ["Alto", "Soprano", ""]
