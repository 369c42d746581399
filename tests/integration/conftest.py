"""A model that has learned nothing, and the command line without a new process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
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


def save_untrained(table: TokenTable, ranges: Sequence[tuple[int, int]], folder: Path, **values: object) -> Path:
    """Save a tiny untrained model: what it writes is legal, but no music."""
    import torch

    from descant_modeling.checkpoints import CheckpointMeta, save_checkpoint
    from descant_modeling.config import ModelConfig
    from descant_modeling.models import build_model
    from descant_tokenizers.tokens.layout import LayoutConfig, TaskLayout

    layout = TaskLayout(table, LayoutConfig())
    torch.manual_seed(0)
    config = ModelConfig(**{"width": 16, "num_layers": 1, "num_heads": 2, **values})
    model = build_model(config, table.size, bos=layout.bos, eos=layout.eos, pad=table.special("PAD"))
    meta = CheckpointMeta(layout.config, "", voice_ranges=tuple(ranges))
    save_checkpoint(folder, model, table.tokenizer, meta, "tiny\n")
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(table: TokenTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of an untrained model of four voices."""
    return save_untrained(table, RANGES, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session", params=["rotary", "gpt2"])
def band_checkpoint(
    gm_table: TokenTable, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """A checkpoint folder of an untrained model that has heard piano, bass, violin and drums, and holds few bars."""
    heard = {0: (36, 84), 33: (28, 50), 40: (55, 90), -1: (35, 51)}
    ranges = [heard.get(program, (127, 0)) for program in gm_table.programs]
    folder = tmp_path_factory.mktemp("band")
    return save_untrained(gm_table, ranges, folder, architecture=request.param, max_tokens=640)


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
