"""A full disk, a folder that may not be written to, a network that never answers."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mistakes import MAX_WORK_CPU_SECONDS, TABLE, assert_cheap, assert_one_sentence, measured, names_in, sentence


@contextlib.contextmanager
def full_disk(max_bytes: int) -> Iterator[None]:
    """Limit the size of files, so that writing fails in Python, Arrow and Rust alike."""
    import resource  # not on Windows
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("entry", TABLE["full_disk"], ids=lambda entry: entry["given"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    descant: Callable[..., Any],
    imported: None,
    at_home: Path,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: dict[str, Any],
) -> None:
    before = names_in(at_home)
    for module in ("descant_modeling.models.publishing", "descant_tokenizers.corpora.store"):
        monkeypatch.setattr(f"{module}.check_push", lambda *_, **__: None)  # there is a Hub, so to speak
    with measured() as cost, full_disk(entry["bytes"]):
        outcome = descant(*entry["run"].format(model=tiny_checkpoint).split())
    assert_one_sentence(*outcome, f"^error: {sentence(entry)}")
    assert_cheap(cost, MAX_WORK_CPU_SECONDS)
    left = names_in(at_home) - before
    shutil.rmtree(at_home / "runs", ignore_errors=True)
    # A run keeps its log, and the checkpoint before: here there was none.
    expected = (
        {"runs", "runs/tiny", "runs/tiny/log.jsonl", "runs/tiny/run.json"}
        if entry["run"].startswith("train")
        else set()
    )
    assert {name for name in left if "tensorboard" not in name} == expected
    unfinished = [name for name in names_in(tmp_path) if Path(name).name.startswith(("tmp", "."))]
    assert not unfinished


def test_no_space_left_anywhere_else_is_one_sentence(
    descant: Callable[..., Any], at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    outcome = descant("train", "--config", "tiny.yaml", "--quiet", "--device", "cpu")
    shutil.rmtree(at_home / "runs")
    assert_one_sentence(
        *outcome, re.escape("Cannot write runs/tiny/run.json (no space left on device). Free some space.")
    )


def test_a_failure_while_writing_leaves_nothing_behind(
    descant: Callable[..., Any],
    tiny_checkpoint: Path,
    bad_things: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full_disk(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    monkeypatch.chdir(tmp_path)
    outcome = descant("generate", "--prompt", bad_things / "tune.mid", "--model", tiny_checkpoint, "--num-samples", 2)
    assert_one_sentence(*outcome, "no space left on device")
    assert not names_in(tmp_path)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_to(
    descant: Callable[..., Any], tiny_checkpoint: Path, bad_things: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    out = tmp_path / "x.mid"
    outcome = descant("generate", "--prompt", bad_things / "tune.mid", "--model", tiny_checkpoint, "--out", out)
    assert_one_sentence(*outcome, re.escape(f"Cannot write {out} (permission denied)"))


def test_a_network_that_swallows_everything_is_given_up(tmp_path: Path) -> None:
    """Without our timeout, the client would wait forever for a host that accepts connections and never answers."""
    script = "from descant_tokenizers.common.hub import pull_folder; pull_folder('somebody/bach9000')"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {
            "HF_ENDPOINT": address,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_ETAG_TIMEOUT": "1",
            "HF_HOME": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **environment},
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert b"InputError: The model 'somebody/bach9000' could not be fetched from the Hub" in done.stderr
