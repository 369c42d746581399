"""`tools/try_cuda.sh` says in one sentence why it cannot be run here; what it does on a GPU is tested nowhere."""

import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no bash")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((sys.executable,), "PyTorch finds no CUDA GPU here. Run this on a machine that has one."),
        (("/no/such/python",), "There is no /no/such/python. Run make train, or give a Python."),
        (("one", "two"), "tools/try_cuda.sh takes one argument, a Python. Omit the others."),
    ],
    ids=["no GPU", "no Python", "two arguments"],
)
def test_without_a_gpu_one_sentence_says_so(repo_root, arguments, sentence):
    if arguments == (sys.executable,) and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = subprocess.run(
        ["bash", repo_root / "tools" / "try_cuda.sh", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {sentence}\n")
