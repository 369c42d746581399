"""benchmarks/inject_faults.py, small: 30 faults, each found at its beat and nothing else; some of them repaired."""

from __future__ import annotations

import importlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from descant_modeling.api import load
from descant_modeling.evaluation import repair
from descant_modeling.evaluation.repair import repair_score
from descant_tokenizers.corpora.chorales import chorale_files, read_chorale
from descant_tokenizers.scores import VOICES

NAMES = ("bwv66.6", "bwv123.6", "bwv269", "bwv153.1", "bwv14.5", "bwv77.6")


@pytest.fixture(scope="module")
def found(repo_root: Path) -> tuple[Any, list[Any], list[Any]]:
    """The benchmark, thirty injected faults, and what checking each file found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repo_root / "benchmarks"))
        script = importlib.import_module("inject_faults")
    scores = [(path.stem, read_chorale(path).score) for path in chorale_files() if path.stem in NAMES]
    pieces = [piece for name, score in scores if (piece := script.read_piece(name, score)) is not None]
    injected = script.injections(pieces, 30, random.Random(1))
    known = {piece.name: script.check_file(piece.score, piece.name)[0] for piece in pieces}
    return script, injected, [script.find(injection, known) for injection in injected]


def test_every_fault_is_found_at_its_beat_and_none_elsewhere(found: Any) -> None:
    _, injected, results = found
    assert len(injected) == 30
    assert len({injection.rule for injection in injected}) == 9
    assert [(place is not None, others) for place, others, *_ in results] == [(True, 0)] * 30


def test_a_fault_that_is_not_there_is_not_found(found: Any) -> None:
    script, injected, _ = found
    piece = injected[0].piece
    known = {piece.name: script.check_file(piece.score, piece.name)[0]}
    assert script.find(replace(injected[0], score=piece.score), known)[:2] == (None, 0)


@pytest.mark.parametrize("index", [3, 25])
def test_repairs_change_one_note_of_the_named_voices(found: Any, index: int, hints_checkpoint: Path) -> None:
    script, _, results = found
    place, _, checked, _ = results[index]
    result = repair_score(load(str(hints_checkpoint), "cpu"), checked, [place], VOICES[1:])
    assert (result.mended, result.left, len(result.rewritten)) == ((place,), (), 1)
    scores = (checked.score, result.checked.score)
    before, after = ({(t.name, n.time, n.end, n.pitch) for t in score.tracks for n in t.notes} for score in scores)
    assert len(before - after) == len(after - before) == 1
    assert script._key(place) not in {script._key(other) for other in result.checked.faults}
    assert len(result.checked.faults) == len(checked.faults) - 1


def test_a_fault_of_other_voices_is_left(found: Any, hints_checkpoint: Path) -> None:
    _, injected, results = found
    place, checked = next((p, c) for i, (p, _, c, _) in zip(injected, results, strict=True) if i.voices == (3,))
    result = repair_score(load(str(hints_checkpoint), "cpu"), checked, [place])
    assert (result.mended, result.left, result.rewritten) == ((), (place,), frozenset())
    assert result.summary().splitlines()[0] == "Mended 0 of 1 with 0 new notes."


def test_new_notes_mend_what_no_pitch_can(found: Any, hints_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, injected, results = found
    index = next(i for i, each in enumerate(injected) if each.rule == "parallel_fifths" and {1, 2} & set(each.voices))
    place, _, checked, _ = results[index]
    monkeypatch.setattr(repair._Repairer, "_change_pitch", lambda *_: False)
    result = repair_score(load(str(hints_checkpoint), "cpu"), checked, [place], VOICES[1:])
    scale = result.checked.score.ticks_per_quarter // checked.score.ticks_per_quarter
    before, after = (each.score.tracks[0].notes for each in (checked, result.checked))
    assert [(n.time * scale, n.end * scale, n.pitch) for n in before] == [(n.time, n.end, n.pitch) for n in after]
    if result.mended:  # an untrained model may fail, but never makes an error instead
        assert len(result.checked.worst("error")) < len(checked.worst("error"))
    else:
        assert result.checked.score is checked.score
