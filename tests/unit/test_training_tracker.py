"""Weights & Biases gets what the log gets, and its absence is one sentence."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from accelerate import PartialState

from descant_modeling.training.log import LOG_FILE, RunLog, Tracker
from descant_tokenizers.common.errors import InputError


class Recorder(SimpleNamespace):
    """A stand-in for the package wandb and its run, which keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(settings={}, lines=[], is_finished=False)
        self.config = SimpleNamespace(update=lambda values, **_: self.settings.update(config=values))

    def init(self, **settings: object) -> Recorder:
        self.settings |= settings
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        self.lines.append((step, values))

    def finish(self) -> None:
        self.is_finished = True


def test_the_tracker_gets_what_the_log_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PartialState(cpu=True)
    wandb = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr("descant_modeling.training.log.find_spec", lambda name: name == "wandb")
    tracker = Tracker()
    tracker.begin(tmp_path, {"seed": 3})
    log = RunLog(tmp_path, 10, active=True, quiet=True, tracker=tracker)
    log.record("train", 2, loss=0.5, tokens=7.0)
    log.close()
    assert wandb.lines == [(2, {"train/loss": 0.5, "train/tokens": 7.0})]
    assert (wandb.settings["project"], wandb.settings["name"]) == ("descant", tmp_path.name)
    assert wandb.settings["config"] == {"seed": 3}
    assert wandb.is_finished
    assert json.loads((tmp_path / LOG_FILE).read_text(encoding="utf-8"))["loss"] == 0.5


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
def test_a_missing_package_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"The tracker wandb is not installed\. Install it with pip, or leave"):
        Tracker()
