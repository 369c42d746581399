"""benchmarks/hymns.py: four voices, bars and phrase ends of hymns in ABC, and what is left out."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from descant_tokenizers.corpora.rows import make_piece
from descant_tokenizers.scores import bars_of
from descant_tokenizers.scores.reading import parse_score

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
PITCHES = (
    SOPRANO,
    [60, 60, 60, 60, 60, 60, 60, 60, 59, 59, 59, 60, 60],
    [55, 55, 57, 52, 52, 52, 55, 57, 55, 55, 55, 55, 52],
    [48, 48, 53, 48, 48, 48, 48, 41, 43, 43, 43, 48, 48],
)
ENDS = [5, 9, 15]


@pytest.fixture
def script(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark."""
    monkeypatch.syspath_prepend(str(repo_root / "benchmarks"))
    return importlib.import_module("hymns")


def hymn_of(script: ModuleType, abc: str) -> tuple[str, Any]:
    """Return the name and the hymn of a book with one."""
    ((name, hymn),) = script.hymns_of(abc.encode()).items()
    return name, hymn


def test_a_hymn_is_four_voices_in_bars(script: ModuleType) -> None:
    reading = script.make_reading(*hymn_of(script, HYMN.format(metrical="4 4 4")))
    assert [track.name for track in reading.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    for track, pitches in zip(reading.score.tracks, PITCHES, strict=True):
        assert [note.pitch for note in track.notes] == pitches
    assert [note.time / 480 for note in reading.score.tracks[0].notes] == SOPRANO_ONSETS
    assert {track.end() for track in reading.score.tracks} == {16 * 480}
    assert [(bar.number, bar.length_ticks) for bar in bars_of(reading.score)] == [
        *((0, 480), (1, 1440), (2, 1440), (3, 1440), (4, 1440), (5, 1440))
    ]
    assert (reading.metadata.title, reading.metadata.composer) == ("A Hymn", "Nobody (1700-1750)")
    assert make_piece(reading).is_four_part


@pytest.mark.parametrize("metrical", ["6 4 4", "Irregular", "9 9"])
def test_phrases_end_with_fermatas_and_lines_of_verse(script: ModuleType, metrical: str) -> None:
    reading = script.make_reading(*hymn_of(script, HYMN.format(metrical=metrical)))
    assert [tick / 480 for tick in reading.fermatas_ticks] == ENDS  # God, morning, cease


def test_the_meter_of_the_text_counts_syllables(script: ModuleType) -> None:
    _, hymn = hymn_of(script, HYMN)
    read = parse_score(Path("hymn.abc"), hymn.abc, marks=True)
    notes = script.melody_of(read.score, read.marks)
    assert script.ends_by_meter(notes, "6 4 4") == [6, 10]
    assert script.ends_by_meter(notes, "6 4 5") == []  # too many
    assert script.ends_by_meter(notes, "2 8 4") == []  # within a word
    assert script.ends_by_meter(notes, "Irregular") == []
    assert script.ends_by_capitals(notes) == [10]  # before both And


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("M: 3/4", "M: none", "no time signature"),
        ("[V: S2V2]", "% [V: S2V2]", "not in four voices"),
        ("E>E C |]", "E>E C :|", "repeat signs"),
        ("| C C C | C C C |", "| [CE] [CE] C | C C C |", "chords within a voice"),
        ("copyright: public domain.", "copyright: Words, public domain. Setting: Copyright 2011", "public domain"),
    ],
)
def test_what_cannot_be_used_is_refused(script: ModuleType, old: str, new: str, reason: str) -> None:
    text = HYMN.format(metrical="4 4 4").replace(old, new)
    with pytest.raises(script.UnusableError, match=reason):
        script.make_reading(*hymn_of(script, text))


def test_copies_are_left_out(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HYMN.format(metrical="4 4 4")
    higher = text.replace("X: 7", "X: 8").replace("K: C", "K: C transpose=2")
    broken = text.replace("X: 7", "X: 9").replace("M: 3/4", "M: none")
    left_out: dict[str, str] = {}
    monkeypatch.setattr(script, "load_corpus", lambda name: dict.fromkeys(script.HELD_OUT, ()))
    readings = script.usable_readings(script.hymns_of((text + higher + broken).encode()), left_out)
    assert readings["hymn008"].score.tracks[0].notes[0].pitch == SOPRANO[0] + 2
    script.drop_copies(readings, left_out)
    assert list(readings) == ["hymn007"]
    assert left_out == {"hymn008": "close to an earlier hymn: hymn007 (1.00)", "hymn009": "no time signature"}
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
    path = repo_root.parent / "shared" / "data" / "hymns" / "OpenHymnal.abc"
    if not path.is_file():
        pytest.skip("the file of the Open Hymnal is not here")
    hymns = script.hymns_of(path.read_bytes())
    assert len(hymns) == 287
    some = dict(list(hymns.items())[::12])
    left_out: dict[str, str] = {}
    readings = script.usable_readings(some, left_out)
    assert (len(readings), len(left_out)) == (17, 7)
    for name, reading in readings.items():
        onsets = {note.time for note in reading.score.tracks[0].notes}
        assert set(reading.fermatas_ticks) <= onsets, name
