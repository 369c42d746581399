"""Devices and CPU threads."""

import pytest
import torch

from descant_modeling.common import devices
from descant_modeling.common.devices import use_cores
from descant_modeling.training import run as runs
from descant_tokenizers.common.errors import InputError

ACCELERATE = {"ACCELERATE_MIXED_PRECISION": "no"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("environment", "wished", "expected"),
    [
        ({"OMP_NUM_THREADS": "1"}, None, None),  # the user's own wish
        ({"OMP_NUM_THREADS": "1", **ACCELERATE}, None, 6),
        ({"OMP_NUM_THREADS": "3", **ACCELERATE}, None, None),
        ({"OMP_NUM_THREADS": "1", **TORCHRUN}, None, 3),
        ({"OMP_NUM_THREADS": "1", **TORCHRUN, "LOCAL_WORLD_SIZE": "8"}, None, 1),
        ({"OMP_NUM_THREADS": "1", **ACCELERATE}, 4, 4),
    ],
)
def test_a_launcher_s_single_thread_becomes_a_share_of_the_cores(monkeypatch, environment, wished, expected):
    for name in ("OMP_NUM_THREADS", *ACCELERATE, *TORCHRUN):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(devices, "available_cores", lambda: 6)
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    use_cores(wished)
    assert threads == ([] if expected is None else [expected])


def test_no_threads_are_refused():
    with pytest.raises(InputError, match="--threads is 0"):
        use_cores(0)


def test_speed_is_measured_once_a_process(monkeypatch):
    # Two runs in one process must find the same precision, also if other work slows down one of the measurements.
    runs.bf16_is_faster.cache_clear()
    seconds = iter([0.0, 1.0] * 4 + [0.0, 9.0] * 4 + [0.0, 9.0] * 4 + [0.0, 1.0] * 4)
    monkeypatch.setattr(runs.time, "perf_counter", lambda: next(seconds))
    assert runs.bf16_is_faster()
    assert runs.bf16_is_faster()
    runs.bf16_is_faster.cache_clear()
