"""Two trainers compared."""

import torch


def assert_same_state(one, other):
    """Weights, averages, optimizer states and place in the data are equal bit for bit."""
    states = one.task.tensors(), other.task.tensors()
    assert states[0].keys() == states[1].keys()
    assert {name.partition(".")[0] for name in states[0]} >= {"model", "step", "exp_avg", "exp_avg_sq"}
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    places = [vars(t.progress) | {"seconds": 0, "history": 0, "best": 0, "best_step": 0} for t in (one, other)]
    assert places[0] == places[1]
