"""`descant evaluate likelihood` on pieces longer than the model's positions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prompts import chorale
from untrained import save_untrained

from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.tokens.vocabulary import Vocabulary

RANGES = ((60, 81), (52, 74), (46, 69), (36, 66))
MAX_TOKENS = 160


@pytest.mark.parametrize("task", ["continue", "harmonize"])
def test_windows_and_pieces_are_reported(
    descant: Callable[..., Any], vocabulary: Vocabulary, tmp_path: Path, task: str
) -> None:
    model = save_untrained(vocabulary, RANGES, tmp_path / "model", max_tokens=MAX_TOKENS)
    (tmp_path / "songs").mkdir()
    for number in range(2):
        chorale(6 + number).dump_midi(tmp_path / "songs" / f"{number}.mid")
    build_dataset(str(tmp_path / "songs"), tmp_path / "data", num_proc=1)
    splits = [path.name for path in (tmp_path / "data").iterdir() if path.is_dir()]
    command = ("evaluate", "likelihood", "--model", model, "--corpus", tmp_path / "data", "--split", splits[0])
    command = (*command, "--task", task, "--limit", 1, "--device", "cpu")
    done = descant(*command, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert facts["window"] == {"tokens": MAX_TOKENS, "overlap": 0.5}
    assert facts["num_pieces"] == facts["num_windowed"] == 1
    ((name, piece),) = facts["pieces"].items()
    assert piece["bits_per_note"] == pytest.approx(piece["nats"] / math.log(2) / piece["num_notes"], abs=1e-3)
    assert facts["bits_per_note"] == piece["bits_per_note"]
    assert sorted(facts["pitch_accuracy"]) == ["alto", "bass", *(["soprano"] if task == "continue" else []), "tenor"]
    shown = descant(*command).out
    assert f"1 scored in windows of {MAX_TOKENS} tokens that overlap by 50 %" in shown
    assert f"easiest {name}" in shown
