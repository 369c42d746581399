"""A few seconds of each fuzz campaign; tests/fuzz/run.py says how to run a long one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MAX_EXTRA_MEGABYTES = 800


def _run(repo_root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "tests/fuzz/run.py", *arguments]
    return subprocess.run(command, cwd=repo_root, capture_output=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded and measured as Linux does it")
@pytest.mark.parametrize("kind", ["midi", "musicxml", "abc"])
def test_broken_files_end_in_music_or_in_one_sentence(kind: str, repo_root: Path) -> None:
    done = _run(repo_root, kind, "--seed", "2", "--num", "2000", "--seconds", "4", "--quiet")
    report = json.loads(done.stdout)
    assert report["defects"] == {}
    assert done.returncode == 0, done.stderr
    assert report["inputs"] == sum(report["outcomes"].values()) > 0
    assert report["megabytes_at_peak"] - report["megabytes_after_imports"] < MAX_EXTRA_MEGABYTES


def test_an_input_can_be_had_again(repo_root: Path) -> None:
    first, again, other = (_run(repo_root, "midi", "--show", number).stdout for number in ("7", "7", "8"))
    assert first == again != other
    assert first


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded and measured as Linux does it")
def test_a_hang_a_crash_and_a_traceback_are_found(repo_root: Path, tmp_path: Path) -> None:
    """The campaign around a reader that is really broken: each input does something else."""
    for name in ("run.py", "mutations.py"):
        (tmp_path / name).write_bytes((repo_root / "tests" / "fuzz" / name).read_bytes())
    (tmp_path / "target.py").write_text(
        "import os, time\n"
        "def work(kind, seed, first, last, answers):\n"
        "    answers.send(0)\n"
        "    for index in range(first, last):\n"
        "        if index == 1:\n"
        "            os._exit(9)\n"
        "        while index == 2:\n"
        "            pass\n"
        "        answers.send((index, 'defect' if index == 3 else 'accepted', 'ValueError', 0.0, 0))\n"
    )
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import run; run.HANG_SECONDS = 0.3; "
    script += "import json; print(json.dumps(run.campaign('midi', 5, 1, None, True).facts()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts["outcomes"] == {"accepted": 2, "defect": 3}
    assert "died with exit code 9" in facts["defects"]["1"]
    assert "no answer" in facts["defects"]["2"]
    assert facts["defects"]["3"] == "ValueError"
