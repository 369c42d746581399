"""The smoke configuration, from a corpus to music: train, save, generate, and generate the same again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from descant_tokenizers.scores import VOICES, read_score


@pytest.mark.slow
def test_a_fresh_run_writes_the_same_music_for_the_same_seed(
    descant: Callable[..., Any], repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = descant("train", "--config", repo_root / "configs/smoke.yaml", "--device", "cpu", "--quiet")
    assert trained.status == 0, trained.err
    run = Path("runs/smoke")
    assert (run / "best/model.safetensors").is_file()
    assert (run / "last/model.safetensors").is_file()

    prompt = repo_root / "examples/old-hundredth.mid"
    options = ("--prompt", prompt, "--model", run, "--seed", 4, "--device", "cpu", "--json")
    first, second = (descant("generate", *options, "--out", name) for name in ("a.mid", "b.mid"))
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert json.loads(first.out)["num_notes_written"] == json.loads(second.out)["num_notes_written"]
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()
    assert tuple(track.name for track in read_score("a.mid").tracks) == VOICES
