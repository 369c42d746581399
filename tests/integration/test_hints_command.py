"""A model with hints on the command line: phrases, chords and keys, asked for and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prompts import melody, scale


@pytest.fixture
def generate(
    descant: Callable[..., Any], hints_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A function that runs `descant generate` with the model with hints, in the folder of a tune of four bars."""
    monkeypatch.chdir(tmp_path)
    melody(scale(16, 480)).dump_midi("tune.mid")
    shared = ("--prompt", "tune.mid", "--model", hints_checkpoint, "--formats", "midi", "--out", "x.mid", "--force")
    return lambda *arguments: descant("generate", *shared, *arguments)


def test_the_summary_tells_phrases_and_a_plan_to_copy(generate: Any) -> None:
    outcome = generate("--seed", 1, "--phrases", "3,4", "--chords", "C | F G |  | C")
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert "phrases  bars 3, 4 (as requested)" in lines
    (plan,) = [line.removeprefix("plan     ") for line in lines if line.startswith("plan ")]
    bars = [bar.strip() for bar in plan.strip("|").split("|")]
    assert (bars[0], bars[1], bars[3]) == ("C", "F G", "C")
    assert bars[2]
    again = generate("--seed", 1, "--phrases", "3,4", "--chords", plan, "--num-samples", 2)
    assert again.out.count(plan) == 2


def test_json_has_phrases_and_plans(generate: Any) -> None:
    outcome = generate("--json", "--num-samples", 2, "--harmonic-rhythm", "half-bar", "--key", "G minor")
    facts = json.loads(outcome.out)
    assert (facts["phrases"], facts["phrase_source"]) == ([2, 4], "guessed")
    assert [len(plan) for plan in facts["plans"]] == [4, 4]
    assert facts["chords"] == []
    facts = json.loads(generate("--json", "--phrases", "none", "--task", "infill", "--bars", "2").out)
    assert (facts["phrases"], facts["phrase_source"]) == ([], "")
    facts = json.loads(generate("--json", "--task", "continue", "--bars", "2").out)
    assert (facts["phrases"], facts["phrase_source"], facts["plans"]) == ([], "", [])


def test_one_bar_of_several_chords_is_a_plan_too(generate: Any) -> None:
    melody(scale(4, 480)).dump_midi("tune.mid")
    outcome = generate("--chords", "| C F G C |", "--phrases", "1")
    assert "plan     | C F G C |" in outcome.out.splitlines()
    assert "phrases  bar 1 (as requested)" in outcome.out.splitlines()


def test_fermatas_are_told(
    descant: Callable[..., Any], hints_checkpoint: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tune.abc").write_text("X:1\nL:1/4\nM:4/4\nK:C\nC D E HF | G A B c | c B A HG | F E D C |\n")
    outcome = descant("generate", "--prompt", "tune.abc", "--model", hints_checkpoint, "--formats", "midi")
    assert (outcome.status, outcome.err) == (0, "")
    assert "phrases  bars 1, 3, 4 (fermatas)" in outcome.out.splitlines()


def test_a_model_without_hints_has_no_plan(
    descant: Callable[..., Any], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    melody(scale(16, 480)).dump_midi("tune.mid")
    outcome = descant("generate", "--prompt", "tune.mid", "--model", tiny_checkpoint, "--formats", "midi", "--key", "C")
    assert outcome.status == 0
    assert not any(line.startswith(("plan", "phrases")) for line in outcome.out.splitlines())


BAD = [
    (("--phrases", "two"), "--phrases is 'two'. Give bars in which phrases end, such as 4,8,12, or auto, or none."),
    (("--phrases", "4,"), "--phrases is '4,'. Give bars in which phrases end, such as 4,8,12, or auto, or none."),
    (("--phrases", "5"), "No note of the melody begins in bar 5. Give bars in which phrases end."),
    (("--chords", "C | Q"), "'Q' is not a chord. Write it as in C, F#m, Bb7, Gm7, Cmaj7, Bdim, or C/E with its bass."),
    (("--chords", "C/D"), "The bass of 'C/D' is not in the chord. Name its third, fifth or seventh, or leave it out."),
    (("--chords", "C F G C Am"), "There are chords for 5 bars, but the prompt has 4. Give fewer chords."),
    (("--chords", "C C C C C |"), "Bar 1 has 5 chords, but 4 beats. Give fewer chords."),
    (("--key", "H"), "'H' is not a key. Give one such as G, 'F# minor' or Bb."),
    (
        ("--task", "continue", "--chords", "C"),
        "--phrases, --chords and --harmonic-rhythm are for harmonize and infill. Leave them out.",
    ),
    (
        ("--task", "infill", "--bars", "1", "--phrases", "1"),
        "Phrases belong to a given voice. Leave --phrases out, or choose a voice with --given.",
    ),
]


@pytest.mark.parametrize(("options", "sentence"), BAD)
def test_a_bad_wish_is_one_sentence_and_writes_nothing(generate: Any, options: tuple[str, ...], sentence: str) -> None:
    assert generate(*options) == (2, "", f"error: {sentence}\n")
    assert not Path("x.mid").exists()


def test_an_unknown_harmonic_rhythm_is_refused(generate: Any) -> None:
    outcome = generate("--harmonic-rhythm", "slow")
    assert outcome.status == 2
    assert outcome.err == "error: --harmonic-rhythm is 'slow'. Give one of auto, note, beat, half-bar, bar.\n"
