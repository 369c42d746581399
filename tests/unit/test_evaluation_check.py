"""Faults at their places: bars, beats, names of notes, levels, repeats, and how the score shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from descant_modeling.evaluation.check import CheckedScore, check_facts, check_score, level_of, rules_named
from descant_modeling.evaluation.rules import RULES, count_rules, find_faults
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, chorale_of_frames
from descant_tokenizers.scores import read_score_report

RANGES = [(60, 81), (52, 74), (46, 69), (36, 66)]
HEAD = "X:1\nT:Faults\nM:{meter}\nL:1/4\nK:{key}\n"
PARTS = ("S", "A", "T clef=treble-8", "B clef=bass")


def checked(
    tmp_path: Path, voices: Sequence[str], meter: str = "4/4", key: str = "C", rules: Sequence[str] = ()
) -> CheckedScore:
    """The faults of four voices in ABC."""
    path = tmp_path / "faults.abc"
    text = HEAD.format(meter=meter, key=key)
    path.write_text(text + "".join(f"V:{name}\n{line}\n" for name, line in zip(PARTS, voices, strict=True)))
    return check_score(read_score_report(path, marks=True, unfold=False), path.name, rules)


def found(score: CheckedScore) -> list[tuple[str, str, str]]:
    return [
        (str(place.start), place.label, "; ".join("-".join(names) for names in place.notes)) for place in score.faults
    ]


def test_counts_are_sums_of_faults() -> None:
    random = np.random.default_rng(7)
    for _ in range(30):
        pitches = np.cumsum(random.integers(-4, 5, (4, 40)), axis=1) + np.array([[72], [65], [58], [50]])
        pitches[random.random(pitches.shape) < 0.1] = SILENT
        chorale = chorale_of_frames(pitches, phrase_ends=[16])
        counts, faults = count_rules(chorale, RANGES), find_faults(chorale, RANGES)
        for rule in RULES:
            own = [fault for fault in faults if fault.rule == rule.key]
            frames = {frame for fault in own for frame in range(fault.begin, fault.end)}
            is_motion = rule.unit == "per 1,000 pitch changes"
            assert counts.found[rule.key] == (len(own) if is_motion else len(frames))
            for fault in own:
                assert fault.pitches == tuple(pitches[list(fault.voices), fault.begin])
                assert fault.before == (tuple(pitches[list(fault.voices), fault.begin - 1]) if is_motion else ())


def test_a_fault_has_bar_beat_voices_and_notes(tmp_path: Path) -> None:
    # Alto and bass: G-C, then A-D half a beat before the third beat of bar 2.
    voices = ("e e e e|e f/ e/ e2|]", "G G G G|G A/ G/ G2|]", "c c c c|c c c2|]", "C, C, C, C,|C, D,/ C,/ C,2|]")
    score = checked(tmp_path, voices, rules=["parallel_fifths"])
    assert found(score) == [
        ("2:2", "parallel fifths A-B", "G4-A4; C3-D3"),
        ("2:2.5", "parallel fifths A-B", "A4-G4; D3-C3"),
    ]
    facts = check_facts(score)
    assert facts["num_faults"] == {"error": 2, "warning": 0}
    first = facts["faults"][0]
    assert (first["bar"], first["beat"], first["voices"], first["level"]) == (2, 2.0, ["Alto", "Bass"], "error")
    assert first["bach"] == {"value": 0.66, "unit": "per 1,000 pitch changes"}


def test_beats_of_a_pickup_are_counted_back_from_its_end(tmp_path: Path) -> None:
    voices = ("e|f f f f|]", "G|A A A A|]", "c|c c c c|]", "C,|D, D, D, D,|]")
    assert found(checked(tmp_path, voices, rules=["parallel_fifths"]))[0][0] == "1:1"
    voices = ("d e|f f f f|]", "F G|F F F F|]", "A c|c c c c|]", "B,, C,|F, F, F, F,|]")
    score = checked(tmp_path, voices, rules=["spacing", "parallel_fifths"])
    assert [place for place, *_ in found(score)] == []
    voices = ("d e|f f f f|]", "F G|F F F F|]", "A c|c c c c|]", "B,, C,,|F, F, F, F,|]")
    assert found(checked(tmp_path, voices, rules=["range", "wide_leaps"])) == [
        ("1:1", "leap over an octave B", "C2-F3")
    ]
    low = checked(tmp_path, ("d e|f4|]", "F G|F4|]", "A c|c4|]", "C, B,,,|F,4|]"), rules=["range"])
    assert found(low) == [("0:4", "out of range B", "B1")]


def test_a_compound_meter_counts_dotted_quarters(tmp_path: Path) -> None:
    voices = ("e3/2 f3/2|]", "G3/2 A3/2|]", "c3/2 c3/2|]", "C,3/2 D,3/2|]")
    assert found(checked(tmp_path, voices, meter="6/8", rules=["parallel_fifths"]))[0][0] == "1:2"


def test_notes_are_named_as_they_are_written(tmp_path: Path) -> None:
    # Written as a diminished seventh, found in E minor as an augmented leap by its sound only.
    voices = ("b b b b|]", "e ^d e2|]", "G F G2|]", "E, B,, E,2|]")
    voices = (voices[0], "_e G e2|]", *voices[2:])
    names = [notes for _, _, notes in found(checked(tmp_path, voices, key="Em"))]
    assert any("Eb" in notes for notes in names)
    assert not any("D#" in notes for notes in names)


def test_a_fault_of_chords_lasts(tmp_path: Path) -> None:
    score = checked(
        tmp_path, ("c2 c2|c2 e2|]", "E2 E2|G2 G2|]", "C2 g2|a2 C2|]", "C,2 C,2|F,2 C,2|]"), rules=["crossing"]
    )
    (place,) = score.faults
    assert (str(place.start), str(place.end), place.label) == ("1:3", "2:3", "crossing A-T")
    assert place.notes == (("E4",), ("G4",))


def test_levels_follow_bach() -> None:
    levels = {rule.key: level_of(rule) for rule in RULES}
    warnings = {key for key, level in levels.items() if level == "warning"}
    assert warnings == {"hidden_perfect", "overlap", "crossing", "spacing"}


def test_worst_is_a_level_or_worse(tmp_path: Path) -> None:
    score = checked(tmp_path, ("c d|]", "A B|]", "E F|]", "C, D,|]"))
    assert {place.level for place in score.worst("error")} == {"error"}
    assert score.worst("warning") == score.faults
    assert len(score.worst("error")) < len(score.faults)


def test_names_of_rules_have_hyphens_or_not() -> None:
    assert rules_named(["parallel-fifths", " Wide leaps"]) == ("parallel_fifths", "wide_leaps")
    with pytest.raises(InputError, match=r"^There is no rule 'fifths'\. Choose from parallel-fifths, "):
        rules_named(["fifths"])


def test_a_second_ending_is_not_compared_with_the_first(tmp_path: Path) -> None:
    voices = [f"|: {a}4 |1 {b}4 :|2 {c}4 |]" for a, b, c in (("c", "c", "d"), ("G", "G", "A"), ("E", "E", "F"))]
    bass = "|: C,4 |1 C,4 :|2 D,4 |]"
    assert found(checked(tmp_path, (*voices, bass), rules=["parallel_octaves"])) == []
    plain = [voice.replace("|1", "|").replace(":|2", "|").replace("|:", "|") for voice in (*voices, bass)]
    assert found(checked(tmp_path, plain, rules=["parallel_octaves"]))[0][0] == "3:1"


def test_the_score_shows_its_faults(tmp_path: Path) -> None:
    score = checked(tmp_path, ("e e f e|]", "G G A G|]", "c c c c|]", "C, C, D, C,|]"), rules=["parallel_fifths"])
    rendering = score.rendering()
    assert rendering.marked == {
        (voice, Fraction(onset), pitch)
        for voice, pitches in (("Alto", (67, 69, 67)), ("Bass", (48, 50, 48)))
        for onset, pitch in zip((1, 2, 3), pitches, strict=True)
    }
    text = rendering.musicxml
    assert len(re.findall(r'<note color="#C1121F"', text)) == 6
    assert re.findall(r'<words[^>]*color="#C1121F"[^>]*>(.*?)</words>', text) == ["parallel fifths A-B"] * 2
    assert "#C1121F" in rendering.svg_pages[0]


def test_three_voices_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "three.abc"
    path.write_text(HEAD.format(meter="4/4", key="C") + "V:1\nc4|]\nV:2\nG4|]\nV:3\nC,4|]\n")
    with pytest.raises(InputError, match=r"^three\.abc is not in four parts\. It has 3 tracks\. Give each "):
        check_score(read_score_report(path, marks=True, unfold=False), path.name)
