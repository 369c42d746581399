"""benchmarks/tokenize_corpus.py at a small size: both sides write the same ids, which it checks itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_it_runs_and_prints_a_ratio(repo_root: Path, tmp_path: Path) -> None:
    script = repo_root / "benchmarks" / "tokenize_corpus.py"
    sizes = ["--files", "6", "--bars", "2", "--repeats", "1", "--processes", "1", "--memory", "3"]
    done = subprocess.run(
        [sys.executable, script, *sizes, "--json", tmp_path / "figures.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "miditok's loop" in done.stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["ratio_to_loop"] > 0
    assert figures["peak_mib_3"] > 50
