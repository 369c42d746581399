"""The losses of some tiny GAN iterations; see `test_golden_loss.py`."""

import json
from pathlib import Path

import pytest
import torch

GOLDEN = json.loads(Path(__file__).with_name("gan_losses.json").read_text(encoding="utf-8"))


@pytest.fixture
def one_thread():
    """Fix the order of sums: another order makes a difference of a thousandth by the third iteration."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", GOLDEN)
def test_three_iterations(make_gan_trainer, kind, one_thread):
    task = make_gan_trainer(kind).task
    found = [task.pair.iterate(task.data.train, iteration) for iteration in range(3)]
    losses = {name: [round(figures[name], 5) for figures in found] for name in found[0]}
    print(json.dumps(losses))
    assert losses.keys() == GOLDEN[kind].keys()
    for name, values in losses.items():
        assert values == pytest.approx(GOLDEN[kind][name], rel=1e-2, abs=1e-2), name
