"""benchmarks/hymns.py: pitches from MIDI, bars and phrase ends from ABC, and what is left out."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.corpora.rows import make_piece
from descant_tokenizers.scores import bars_of

HYMN = """\
%OHMETRICAL {metrical}
%OHCOMPOSER Nobody (1700-1750)

X: 7
T: A Hymn
C: Music: Nobody, 1740.
C: copyright: public domain.  This score is a part of the Open Hymnal Project
M: 3/4 % time signature
L: 1/4 % default length
V: S1V1 clef=treble
K: C % key signature
[V: S1V1] [Q:1/4=120] E | E F G | (G/A/) !fermata!G E | F3/2 E/ D- | D2
w: 1.~Sing prais- es to our * God, sing at morn- ing *
w: 2.~Now all peo- ple praise * him, and at eve- ning *
[V: S1V2] C | C C C | C C C | C2 B, | B,2
[V: S2V1] G, | G, A, E, | E, !invertedfermata!E, G, | A,2 G, | G,2
[V: S2V2] C, | C, F, C, | C, C, C, | F,,2 G,, | G,,2
[V: S1V1] F | E>E C |]
w: And do not cease.
w: And stay in peace.
[V: S1V2] B, | C2 C |]
[V: S2V1] G, | G,2 E, |]
[V: S2V2] G,, | C,2 C, |]
"""
SOPRANO = [64, 64, 65, 67, 67, 69, 67, 64, 65, 64, 62, 65, 64, 64, 60]
SOPRANO_ONSETS = [0, 1, 2, 3, 4, 4.5, 5, 6, 7, 8.5, 9, 12, 13, 14.5, 15]
# Pitches and lengths in quarters as in the MIDI file: notes under fermatas are twice as long there.
SOPRANO_QUARTERS = [1, 1, 1, 1, 0.5, 0.5, 2, 1, 1.5, 0.5, 3, 1, 1.5, 0.5, 1]
LOWER = (
    ([60, 60, 60, 60, 60, 60, 60, 60, 59, 59, 59, 60, 60], [1, 1, 1, 1, 1, 1, 1, 2, 1, 2, 1, 2, 1]),
    ([55, 55, 57, 52, 52, 52, 55, 57, 55, 55, 55, 55, 52], [1, 1, 1, 1, 1, 2, 1, 2, 1, 2, 1, 2, 1]),
    ([48, 48, 53, 48, 48, 48, 48, 41, 43, 43, 43, 48, 48], [1, 1, 1, 1, 1, 1, 1, 2, 1, 2, 1, 2, 1]),
)
VOICES = tuple(tuple(zip(*voice, strict=True)) for voice in ((SOPRANO, SOPRANO_QUARTERS), *LOWER))
ENDS = [5, 9, 15]


@pytest.fixture
def script(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark."""
    monkeypatch.syspath_prepend(str(repo_root / "benchmarks"))
    return importlib.import_module("hymns")


def midi_of(voices: tuple[tuple[tuple[int, float], ...], ...] = VOICES) -> bytes:
    """Write voices as the MIDI files do: from tick 1 on, each note a tick short."""
    score = ScoreTick(480)
    score.time_signatures.append(TimeSignatureTick(1, 3, 4))
    for voice in voices:
        track = TrackTick("", 0, False)
        now = 1
        for pitch, quarters in voice:
            track.notes.append(NoteTick(now, round(480 * quarters) - 1, pitch, 100))
            now += round(480 * quarters)
        score.tracks.append(track)
    return bytes(score.dumps_midi())


def test_a_hymn_has_the_pitches_of_its_midi_file_in_the_bars_of_its_abc(script: ModuleType) -> None:
    hymn = script.read_hymnal(HYMN.format(metrical="4 4 4"))[7]
    reading = script.make_reading(hymn, midi_of())
    assert [track.name for track in reading.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    for track, voice in zip(reading.score.tracks, VOICES, strict=True):
        assert [note.pitch for note in track.notes] == [pitch for pitch, _ in voice]
    assert [note.time / 480 for note in reading.score.tracks[0].notes] == SOPRANO_ONSETS
    assert {track.end() for track in reading.score.tracks} == {16 * 480}
    assert [(bar.number, bar.length_ticks) for bar in bars_of(reading.score)] == [
        *((0, 480), (1, 1440), (2, 1440), (3, 1440), (4, 1440), (5, 1440))
    ]
    assert (reading.metadata.title, reading.metadata.composer) == ("A Hymn", "Nobody (1700-1750)")
    assert make_piece(reading).is_four_part


@pytest.mark.parametrize("metrical", ["6 4 4", "Irregular", "9 9"])
def test_phrases_end_with_fermatas_and_lines_of_verse(script: ModuleType, metrical: str) -> None:
    notes = script.read_voices(script.read_hymnal(HYMN.format(metrical=metrical))[7])[0].notes
    assert [notes[index].onset for index in script.phrase_ends(notes, metrical)] == ENDS  # God, morning, cease


def test_the_meter_of_the_text_counts_syllables(script: ModuleType) -> None:
    notes = script.read_voices(script.read_hymnal(HYMN)[7])[0].notes
    assert script.ends_by_meter(notes, "6 4 4") == [6, 10]
    assert script.ends_by_meter(notes, "6 4 5") == []  # too many
    assert script.ends_by_meter(notes, "2 8 4") == []  # within a word
    assert script.ends_by_meter(notes, "Irregular") == []
    assert script.ends_by_capitals(notes) == [10]  # before both And


def test_files_that_differ_are_refused(script: ModuleType) -> None:
    hymn = script.read_hymnal(HYMN.format(metrical="4 4 4"))[7]
    for wrong in ((VOICES[0][:-1], *VOICES[1:]), (((64, 2), *VOICES[0][1:]), *VOICES[1:])):
        with pytest.raises(script.UnusableError, match="differ"):
            script.make_reading(hymn, midi_of(wrong))
    with pytest.raises(script.UnusableError, match="four voices"):
        script.make_reading(hymn, midi_of(VOICES[:3]))
    no_meter = script.read_hymnal(HYMN.format(metrical="4").replace("M: 3/4", "M: none"))[7]
    with pytest.raises(script.UnusableError, match="no time signature"):
        script.make_reading(no_meter, midi_of())


def test_protected_settings_and_copies_are_left_out(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HYMN.format(metrical="4 4 4")
    protected = text.replace("copyright: public domain.", "copyright: Words, public domain. Setting: Copyright 2011")
    higher = tuple(tuple((pitch + 2, quarters) for pitch, quarters in voice) for voice in VOICES)
    with zipfile.ZipFile(tmp_path / "midi.zip", "w") as archive:
        for name, voices in (("hymn007", VOICES), ("hymn008", higher), ("hymn009", VOICES)):
            archive.writestr(f"{name}.mid", midi_of(voices))
    book = text + text.replace("X: 7", "X: 8") + protected.replace("X: 7", "X: 9") + text.replace("X: 7", "X: 10")
    left_out: dict[str, str] = {}
    monkeypatch.setattr(script, "load_corpus", lambda name: dict.fromkeys(script.HELD_OUT, ()))
    with zipfile.ZipFile(tmp_path / "midi.zip") as archive:
        readings = script.usable_readings(script.read_hymnal(book), archive, left_out)
    script.drop_copies(readings, left_out)
    assert list(readings) == ["hymn007"]
    assert left_out == {
        "hymn008": "close to an earlier hymn: hymn007 (1.00)",
        "hymn009": "setting not in the public domain",
        "hymn010": "no MIDI file",
    }
    facts = script.write(readings, left_out, tmp_path / "hymns")
    assert facts["hymns"] == 1
    (row,) = importlib.import_module("datasets").load_from_disk(tmp_path / "hymns")["train"]
    assert [tick / 480 for tick in row["fermatas"]] == ENDS
    assert (row["id"], row["corpus"], row["time_signature"], row["num_parts"]) == ("hymn007", "hymns", "3/4", 4)


def test_the_similarity_is_that_of_both_outer_voices(script: ModuleType) -> None:
    one, other = ([2, 2, 1, -5], [5, -7, 2]), ([2, 2, 1, -5], [1, 1, 1])
    assert script.similarity(one, one, 0.9) == 1.0
    assert script.similarity(one, other, 0.4) == 0.5
    assert script.similarity(one, other, 0.6) == 0.0


def test_most_hymns_of_the_open_hymnal_can_be_read(script: ModuleType, repo_root: Path) -> None:
    folder = repo_root.parent / "shared" / "data" / "hymns"
    if not folder.is_dir():
        pytest.skip("the files of the Open Hymnal are not here")
    hymns = script.read_hymnal((folder / "OpenHymnal.abc").read_text(encoding="utf-8", errors="replace"))
    left_out: dict[str, str] = {}
    with zipfile.ZipFile(folder / "open_hymnal_midi.zip") as archive:
        readings = script.usable_readings(hymns, archive, left_out)
    assert (len(hymns), len(readings), len(left_out)) == (287, 245, 42)
    for key, reading in readings.items():
        onsets = {note.time for note in reading.score.tracks[0].notes}
        assert set(reading.fermatas_ticks) <= onsets, key
