"""A model that has learned nothing, and the command line without a new process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from descant_tokenizers.tokens.vocabulary import TokenTable

RANGES = ((60, 81), (52, 74), (46, 69), (36, 66))


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def tiny_checkpoint(table: TokenTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of a tiny untrained model: what it writes is legal, but no music."""
    import torch

    from descant_modeling.checkpoints import CheckpointMeta, save_checkpoint
    from descant_modeling.config import ModelConfig
    from descant_modeling.models import build_model
    from descant_tokenizers.tokens.layout import LayoutConfig, TaskLayout

    layout = TaskLayout(table, LayoutConfig())
    torch.manual_seed(0)
    config = ModelConfig(width=16, num_layers=1, num_heads=2)
    model = build_model(config, table.size, bos=layout.bos, eos=layout.eos, pad=table.special("PAD"))
    folder = tmp_path_factory.mktemp("tiny")
    save_checkpoint(folder, model, table.tokenizer, CheckpointMeta(layout.config, "", voice_ranges=RANGES), "tiny\n")
    return folder


@pytest.fixture
def descant(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """A function that runs the `descant` command in this process."""
    from descant_modeling.cli import main

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["descant", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capfd.readouterr())

    return run
