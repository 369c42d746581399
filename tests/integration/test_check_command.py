"""`descant check`: the table, JSON, files, and what its exit status says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from descant_tokenizers.scores import read_score

CLEAN = """\
X:1
M:4/4
L:1/4
K:C
V:S
c c B c|]
V:A
E F D E|]
V:T clef=treble-8
G A G G|]
V:B clef=bass
C, F, G, C,|]
"""
FAULTY = CLEAN.replace("C, F, G, C,", "C, F, B,, C,")
WARNED = CLEAN.replace("E F D E", "E F D c").replace("c c B c", "c c B B")


@pytest.fixture
def check(descant: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that checks a score in ABC, given as text, in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *arguments: object) -> Any:
        Path("tune.abc").write_text(text)
        return descant("check", "tune.abc", *arguments)

    return run


def test_clean_music_passes(check: Any) -> None:
    assert check(CLEAN) == (0, "tune.abc: 0 errors, 0 warnings\n", "")


def test_a_fault_is_shown_at_its_place(check: Any) -> None:
    found = check(FAULTY)
    assert found.status == 1
    rows = [" ".join(line.split()) for line in found.out.splitlines()]
    assert rows[0] == "tune.abc: 1 error, 0 warnings"
    assert "1 4 parallel octaves soprano B4-C5, bass B2-C3 error" in rows
    sentence = "Two voices must not move in the same direction from one octave or unison to another."
    assert rows[-1] == f"parallel octaves (error): {sentence} Bach: 0.30 per 1,000 pitch changes."


def test_the_level_decides_the_exit_status(check: Any) -> None:
    for level, statuses in {"error": (1, 0), "warning": (1, 1), "none": (0, 0)}.items():
        found = [check(text, "--level", level, "--quiet") for text in (FAULTY, WARNED)]
        assert tuple(each.status for each in found) == statuses, level
        assert [each.out for each in found] == ["", ""]


def test_json_and_files(check: Any) -> None:
    found = check(FAULTY, "--rules", "parallel-octaves", "--out", "marked", "--formats", "musicxml,svg", "--json")
    facts = json.loads(found.out)
    assert (found.status, facts["num_faults"], facts["files"]) == (
        1,
        {"error": 1, "warning": 0},
        ["marked.musicxml", "marked.svg"],
    )
    assert facts["faults"][0]["notes"] == [["B4", "C5"], ["B2", "C3"]]
    assert "parallel octaves S-B" in Path("marked.musicxml").read_text()
    assert check(FAULTY, "--out", "marked").err == (
        "error: marked.musicxml already exists. Add --force to replace it, or choose another --out.\n"
    )


def test_a_file_is_never_replaced_by_its_own_rendering(check: Any, descant: Callable[..., Any]) -> None:
    check(FAULTY, "--out", "marked", "--formats", "musicxml")
    before = Path("marked.musicxml").read_bytes()
    found = descant("check", "marked.musicxml", "--out", "marked", "--force")
    assert found == (2, "", "error: marked.musicxml would be replaced by its own rendering. Choose another --out.\n")
    assert Path("marked.musicxml").read_bytes() == before


def test_repair_writes_the_mended_score(check: Any, hints_checkpoint: Path) -> None:
    arguments = ("--repair", "--voices", "alto,tenor,bass", "--model", hints_checkpoint, "--formats", "midi,musicxml")
    found = check(FAULTY, *arguments)
    assert (found.status, found.err) == (0, "")
    assert "Mended 1 of 1 with 1 new note.\nWrote out/tune-repaired.mid\n" in found.out
    assert check(FAULTY, *arguments, "--quiet").status == 0  # the second one gets a number
    names = ["tune-repaired-2.mid", "tune-repaired-2.musicxml", "tune-repaired.mid", "tune-repaired.musicxml"]
    assert sorted(path.name for path in Path("out").iterdir()) == names
    before, after = read_score("tune.abc"), read_score("out/tune-repaired.mid")
    changed = 0
    for own, new in zip(before.tracks, after.tracks, strict=True):
        factor = after.ticks_per_quarter // before.ticks_per_quarter
        pairs = list(zip(own.notes, new.notes, strict=True))
        assert all((a.time * factor, a.end * factor) == (b.time, b.end) for a, b in pairs)
        changed += sum(a.pitch != b.pitch for a, b in pairs)
    assert changed == 1
    assert [note.pitch for note in after.tracks[0].notes] == [note.pitch for note in before.tracks[0].notes]


def test_repair_leaves_what_lies_in_other_voices(check: Any, hints_checkpoint: Path) -> None:
    found = check(FAULTY, "--repair", "--model", hints_checkpoint, "--json", "--formats", "midi")
    facts = json.loads(found.out)
    assert (found.status, facts["repair"]["num_notes"], len(facts["repair"]["left"])) == (1, 0, 1)
    assert (
        "in soprano and bass.\nTo mend more, add bass to --voices.\n"
        in check(FAULTY, "--repair", "--model", hints_checkpoint, "--formats", "midi").out
    )
    assert check(FAULTY, "--repair", "--level", "none").err == (
        "error: --repair mends faults of a level, and --level is none. Give error or warning.\n"
    )


def test_repair_has_nothing_to_mend_in_clean_music(check: Any, hints_checkpoint: Path) -> None:
    found = check(CLEAN, "--repair", "--model", hints_checkpoint, "--formats", "midi")
    assert (found.status, found.out.splitlines()[1]) == (0, "There is nothing to mend.")


def test_formats_need_a_name(check: Any) -> None:
    expected = "error: --formats is for the score that --out names. Give --out as well.\n"
    assert check(FAULTY, "--formats", "svg") == (2, "", expected)
