"""Damaged models and training states."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistakes import assert_one_sentence


def test_a_pickle_is_never_run(descant: Callable[..., Any], at_home: Path) -> None:
    for name in ("pickled", "pickle-inside"):
        assert descant("generate", "--prompt", "tune.mid", "--model", name).status == 2
    assert not (at_home / "pickle-was-run").exists()


@pytest.mark.parametrize("damage", ["cut", "missing", "other model"])
def test_a_damaged_training_state_is_one_sentence(
    descant: Callable[..., Any], at_home: Path, tmp_path: Path, damage: str
) -> None:
    done = descant("train", "--config", "tiny.yaml", f"out_dir={tmp_path}/runs", "--quiet", "--device", "cpu")
    assert done.status == 0, done.err
    state = tmp_path / "runs" / "tiny" / "last" / "training_state.safetensors"
    if damage == "missing":
        state.unlink()
    elif damage == "cut":
        state.write_bytes(state.read_bytes()[:1000])
    else:
        shutil.copy(at_home / "no-tokenizer" / "model.safetensors", state)
    outcome = descant("train", "--resume", tmp_path / "runs" / "tiny", "max_steps=4", "--quiet", "--device", "cpu")
    assert_one_sentence(*outcome, "tiny/last cannot be resumed .*[.] Start a new run")


def test_the_state_of_a_run_is_json_before_its_first_evaluation(
    descant: Callable[..., Any], at_home: Path, tmp_path: Path
) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    done = descant(
        "train", "--config", "tiny.yaml", f"out_dir={tmp_path}", "eval_every=9", "--quiet", "--device", "cpu"
    )
    assert done.status == 0, done.err
    for name in ("last/training_state.json", "summary.json", "last/descant.json"):
        json.loads((tmp_path / "tiny" / name).read_text(), parse_constant=refuse)
