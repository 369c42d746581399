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
    ("environment", "requested", "expected"),
    [
        ({"OMP_NUM_THREADS": "1"}, None, None),  # set by the user
        ({"OMP_NUM_THREADS": "1", **ACCELERATE}, None, 6),
        ({"OMP_NUM_THREADS": "3", **ACCELERATE}, None, None),
        ({"OMP_NUM_THREADS": "1", **TORCHRUN}, None, 3),
        ({"OMP_NUM_THREADS": "1", **TORCHRUN, "LOCAL_WORLD_SIZE": "8"}, None, 1),
        ({"OMP_NUM_THREADS": "1", **ACCELERATE}, 4, 4),
    ],
)
def test_a_launcher_s_single_thread_becomes_a_share_of_the_cores(monkeypatch, environment, requested, expected):
    for name in ("OMP_NUM_THREADS", *ACCELERATE, *TORCHRUN):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(devices, "available_cores", lambda: 6)
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    use_cores(requested)
    assert threads == ([] if expected is None else [expected])


def test_no_threads_are_refused():
    with pytest.raises(InputError, match="--threads is 0"):
        use_cores(0)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, False),
        ({"neon": True}, False),
    ],
)
def test_bf16_is_for_cpus_that_have_units_for_it(monkeypatch, flags, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert runs.has_bf16_units() is expected


def test_torch_names_the_bf16_units_of_this_cpu():
    flags = torch.cpu.get_capabilities()
    assert flags["architecture"] != "x86_64" or {"avx512_bf16", "amx_bf16"} <= set(flags)
