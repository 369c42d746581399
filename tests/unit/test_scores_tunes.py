"""The forty tunes of tests/data/tunes are what their index says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from descant_tokenizers.scores import bars_of, read_score_report

FOLDER = Path(__file__).resolve().parent.parent / "data" / "tunes"
TUNES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "index.yaml").read_text(encoding="utf-8"))
LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SCALES = {
    "major": {0, 2, 4, 5, 7, 9, 11},
    "minor": {0, 2, 3, 5, 7, 8, 9, 10, 11},
    "dorian": {0, 2, 3, 5, 7, 9, 10},
    "phrygian": {0, 1, 3, 5, 7, 8, 10},
    "mixolydian": {0, 2, 4, 5, 7, 9, 10},
}
ABC_MODES = {"major": "", "minor": "m", "dorian": "dor", "phrygian": "phr", "mixolydian": "mix"}
COMPOUND = ("6/8", "9/8", "12/8")
MEASURED_TAGS = ("upbeat", "rests", "long notes", "wide range", "narrow range")


def pitch_class(name: str) -> int:
    return (LETTERS[name[0]] + name.count("#") - name.count("b", 1)) % 12


def abc_field(text: str, letter: str) -> str:
    return next(line[2:] for line in text.splitlines() if line.startswith(f"{letter}:"))


def test_there_are_forty_tunes() -> None:
    assert len(TUNES) == 40
    assert [tune["file"] for tune in TUNES] == sorted(path.name for path in FOLDER.glob("*.abc"))
    assert len({tune["title"] for tune in TUNES}) == 40


def test_the_tunes_differ_in_kind_meter_and_mode() -> None:
    meters = Counter(tune["meter"] for tune in TUNES)
    assert set(meters) == {"2/2", "2/4", "3/4", "4/4", "5/4", "3/8", "6/8", "9/8", "12/8"}
    assert sum(meters[meter] for meter in COMPOUND) >= 10
    assert {tune["mode"] for tune in TUNES} == set(SCALES)
    assert {"jig", "slip jig", "reel", "hornpipe", "waltz", "march", "ragtime", "spiritual"} <= {
        tune["kind"] for tune in TUNES
    }
    tags = Counter(tag for tune in TUNES for tag in tune["tags"])
    assert set(tags) == {"pentatonic", "chromatic", "modulating", "syncopated", *MEASURED_TAGS}
    assert all(count >= 2 for count in tags.values())


@pytest.mark.parametrize("tune", TUNES, ids=lambda tune: tune["file"])
def test_a_tune_is_what_the_index_says(tune: dict[str, Any]) -> None:
    text = (FOLDER / tune["file"]).read_text(encoding="utf-8")
    result = read_score_report(FOLDER / tune["file"])
    assert result.repairs == []
    (track,) = result.score.tracks
    quarter = result.score.ticks_per_quarter
    assert (abc_field(text, "T"), abc_field(text, "C")) == (tune["title"], tune["composer"])

    # Bars: full but for the pickup and the last one, which make up one bar.
    bars = bars_of(result.score)
    numerator, denominator = map(int, tune["meter"].split("/"))
    full = 4 * quarter * numerator // denominator
    assert 8 <= tune["bars"] <= 24
    assert abc_field(text, "M") == tune["meter"]
    assert bars[0].number == (0 if tune["pickup"] else 1)
    assert bars[-1].number == tune["bars"]
    lengths = [bar.length_ticks for bar in bars]
    assert lengths == [tune["pickup"] * quarter] * bool(tune["pickup"]) + [full] * tune["bars"]
    assert all((bar.numerator, bar.denominator) == (numerator, denominator) for bar in bars if bar.number)

    # Notes: one at a time, to the end of the last bar.
    notes = sorted(track.notes, key=lambda note: note.time)
    ends = [note.time + note.duration for note in notes]
    assert all(end <= note.time for end, note in zip(ends, notes[1:], strict=False))
    last_rest = bars[-1].end_ticks - tune["pickup"] * quarter - ends[-1]
    assert 0 <= last_rest < full

    # Tags: those that follow from the notes.
    span = max(note.pitch for note in notes) - min(note.pitch for note in notes)
    has_tag = {
        "upbeat": tune["pickup"] > 0,
        "rests": any(end < note.time for end, note in zip(ends, notes[1:], strict=False)),
        "long notes": max(note.duration for note in notes) >= full,
        "wide range": span >= 19,
        "narrow range": span <= 9,
    }
    assert {tag for tag, has in has_tag.items() if has} == set(tune["tags"]) & set(MEASURED_TAGS)

    # Phrases: one to a line, each ending with a note, the last one with the last note.
    onsets = [note.time / quarter for note in notes]
    lines = [line for line in text.splitlines() if line[1:2] != ":"]
    assert len(tune["phrase_ends"]) == len(lines)
    assert tune["phrase_ends"] == sorted(set(tune["phrase_ends"]))
    assert set(tune["phrase_ends"]) <= set(onsets)
    assert tune["phrase_ends"][-1] == onsets[-1]


@pytest.mark.parametrize("tune", TUNES, ids=lambda tune: tune["file"])
def test_a_tune_is_in_its_key(tune: dict[str, Any]) -> None:
    score = read_score_report(FOLDER / tune["file"]).score
    text = (FOLDER / tune["file"]).read_text(encoding="utf-8")
    assert tune["key"] == f"{tune['tonic']} {tune['mode']}"
    assert abc_field(text, "K") == tune["tonic"] + ABC_MODES[tune["mode"]]
    pitches = [note.pitch for note in sorted(score.tracks[0].notes, key=lambda note: note.time)]
    assert pitches[-1] % 12 == pitch_class(tune.get("ends_on", tune["tonic"]))
    degrees = {(pitch - pitch_class(tune["tonic"])) % 12 for pitch in pitches}
    tags = set(tune["tags"])
    assert bool(degrees - SCALES[tune["mode"]]) == bool(tags & {"chromatic", "modulating"})
    assert (len(degrees) <= 5 and "narrow range" not in tags) == ("pentatonic" in tags)
