"""benchmarks/train.py at a small size, ours in two processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


def test_two_processes_and_their_rival_train_in_turns(repo_root: Path) -> None:
    script = repo_root / "benchmarks" / "train.py"
    small = ["--config", repo_root / "configs" / "smoke.yaml", "--steps", "1", "--repeats", "1", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, script, *small, "--processes", "2", "compile=false", "precision=fp32"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"^(\w+) +([\d.,]+)", done.stdout, re.MULTILINE)
    figures = {name: float(value.replace(",", "")) for name, value in printed}
    assert figures["ratio"] == pytest.approx(figures["ours"] / figures["transformers"], rel=0.05)
    assert "2 processes of one thread" in done.stdout
