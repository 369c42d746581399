"""A few seconds of each fuzz campaign; tests/fuzz/run.py says how to run a long one."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from descant_modeling.app.reading import FileReader
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits

MAX_EXTRA_MEGABYTES = 500
NUM_INPUTS = 1000
NUM_ENGRAVED = 24

#: Families that once took more than linear time or memory, and one that never did of each format.
TELLING = [
    *("midi-note", "midi-text-5", "midi-track-with-a-latin-name"),
    *("musicxml-note", "musicxml-note-of-its-own-staff", "musicxml-degree-alter", "musicxml-sum-of-beats"),
    *("musicxml-divisions", "musicxml-ending-stop", "musicxml-metronome-after-words", "musicxml-timewise-parts"),
    "musicxml-tied-chord-note",
    *("abc-music-note", "abc-music-field-continued", "abc-music-music-after-an-empty-line"),
    *("humdrum-note", "humdrum-spines", "humdrum-wide-text", "humdrum-template"),
]


def _run(repo_root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "tests/fuzz/run.py", *arguments]
    return subprocess.run(command, cwd=repo_root, capture_output=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded and measured as Linux does it")
def test_broken_files_end_in_music_or_in_one_sentence(repo_root: Path) -> None:
    """Inputs of six kinds take turns in one process, which is started again when it dies."""
    done = _run(repo_root, "sample", "--seed", "2", "--num", str(NUM_INPUTS), "--quiet")
    report = json.loads(done.stdout)
    assert report["defects"] == {}
    assert done.returncode == 0, done.stderr
    assert report["inputs"] == sum(report["outcomes"].values()) == NUM_INPUTS
    assert min(report["outcomes"][outcome] for outcome in ("accepted", "refused")) > NUM_INPUTS / 10
    assert report["megabytes_at_peak"] - report["megabytes_after_imports"] < MAX_EXTRA_MEGABYTES


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded and measured as Linux does it")
def test_odd_files_are_engraved_or_refused(repo_root: Path) -> None:
    done = _run(repo_root, "engraving", "--seed", "5", "--num", str(NUM_ENGRAVED), "--quiet")
    report = json.loads(done.stdout)
    assert report["defects"] == {}
    assert report["outcomes"]["accepted"] > NUM_ENGRAVED / 2


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded and measured as Linux does it")
def test_a_megabyte_of_one_construct_is_read_in_five_seconds(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is read as the page does it, in a process that is ended after 5 s of CPU time or 500 MB."""
    monkeypatch.syspath_prepend(str(repo_root / "tests" / "fuzz"))
    from families import FAMILIES

    reader, errors = FileReader(), {}
    for name in TELLING:
        with contextlib.suppress(InputError):
            try:
                reader.parse(Path(f"file{FAMILIES[name].suffix}"), FAMILIES[name].make(), Limits(), marks=True)
            finally:
                errors[name] = str(sys.exc_info()[1])
    assert [name for name, error in errors.items() if "too much time or memory" in error] == []
    assert len(errors) == len(TELLING)


def test_generations_keep_their_promises(repo_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tests/fuzz/generations.py", "--num", "6", "--seconds", "8"],
        cwd=repo_root,
        capture_output=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["defects"] == {}
    assert done.returncode == 0, done.stderr


def test_an_input_can_be_had_again(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "tests" / "fuzz"))
    import mutations

    shown = _run(repo_root, "sample", "--show", "7").stdout  # of another process
    again, other = (mutations.make("sample", 1, number, ()) for number in (7, 8))
    assert shown == again != other
    assert shown


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
