"""benchmarks/token_orders.py: every order holds the same music as REMI, and positions count its time correctly."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece
from descant_tokenizers.tokens.tasks import Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary


@pytest.fixture
def script(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark."""
    monkeypatch.syspath_prepend(str(repo_root / "benchmarks"))
    return importlib.import_module("token_orders")


def notes_of(vocabulary: Vocabulary, ids: list[int]) -> list[tuple[str, ...]]:
    """Read notes back from any of the orders: who begins when for how long, and the pitches in the same order."""
    where = ""
    told: dict[str, list[tuple[str, ...]]] = {"Program": [], "Duration": [], "Pitch": []}
    for name in (vocabulary.names[i] for i in ids):
        kind = name.partition("_")[0]
        where = name if kind == "Position" else where
        if kind in told:
            told[kind].append((where, name) if kind == "Program" else (name,))
    return [who + length + pitch for who, length, pitch in zip(*told.values(), strict=True)]


@pytest.mark.parametrize("order", ["duration_first", "onset_rhythm_first", "bar_rhythm_first"])
def test_an_order_says_the_same_notes(
    order: str, script: ModuleType, vocabulary: Vocabulary, random_piece: Callable[..., Piece]
) -> None:
    piece = random_piece(np.random.default_rng(3))
    plain = TaskLayout(vocabulary).encode(piece, Task.CONTINUE, piece.voices).ids
    bars = list(script.bars_of(vocabulary, plain[2 + len(piece.voices) : -1]))
    assert len(bars) == len(piece.bars)
    moved = 0
    for bar in bars:
        written = getattr(script, order)(vocabulary, bar)
        assert notes_of(vocabulary, written) == notes_of(vocabulary, bar)
        moved += written != bar
    assert moved


@pytest.mark.parametrize("scheme", ["tsd", "midilike"])
def test_another_scheme_holds_every_note(scheme: str, script: ModuleType, random_piece: Callable[..., Piece]) -> None:
    layout = TaskLayout(Vocabulary(script.build_tokenizer("satb")))
    write, size = script.ROWS[scheme].make_encoder(layout)
    ids = write(random_piece(np.random.default_rng(3)))  # it asserts that no note is lost
    assert ids[0] == script.BOS
    assert ids[-1] == script.EOS
    assert max(ids) < size


def test_positions_count_the_time_of_the_music(script: ModuleType, vocabulary: Vocabulary) -> None:
    quarter = vocabulary.ticks_per_quarter
    four, three = (next(m for m in vocabulary.meter_of.values() if m[:2] == meter) for meter in ((4, 4), (3, 4)))
    bars = (
        GridBar(three, (GridNote(0, 0, 60, quarter), GridNote(quarter, 0, 62, quarter))),
        GridBar(four, (GridNote(2 * quarter, 0, 64, quarter),)),
    )
    ids = TaskLayout(vocabulary).encode(Piece(bars), Task.CONTINUE, (0,)).ids
    places = script.MusicTime(vocabulary)(torch.tensor([ids]))[0].tolist()
    onsets = [place for place, i in zip(places, ids, strict=True) if i in vocabulary.position_of]
    lines = [place for place, i in zip(places, ids, strict=True) if i == vocabulary.bar_id]
    assert lines == [0, 4 * 12]  # four to a 16th, and a bar of 3/4 before the second one
    assert onsets == [0, 4 * 4, 4 * (12 + 8)]
    pitches = [place for place, i in zip(places, ids, strict=True) if i in vocabulary.pitch_of]
    assert pitches == [onset + 0.5 for onset in onsets]
