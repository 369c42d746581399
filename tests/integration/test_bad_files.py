"""Folders of bad files, and files that are repaired."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistakes import MAX_CPU_SECONDS, MAX_EXTRA_BYTES, TABLE, assert_one_sentence, measured, pattern, sentence

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build_dataset


def test_a_dataset_counts_names_and_skips_what_it_cannot_use(
    descant: Callable[..., Any], imported: None, at_home: Path, tmp_path: Path
) -> None:
    entries = [entry for entry in TABLE["files"] if not entry.get("not_in_build")]
    files = tmp_path / "files"
    files.mkdir()
    for name in ("tune.mid", *(entry["file"] for entry in entries)):
        shutil.copy(at_home / name, files / name)
    with measured() as cost:
        done = descant("dataset", "build", files, "--out", tmp_path / "data", "--num-proc", 1, "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert (report["num_files"], report["num_rows"], len(report["skipped"])) == (len(entries) + 1, 1, len(entries))
    for entry in entries:
        assert any(re.search(sentence(entry), reason) for reason in report["skipped"].values()), entry["given"]
    assert cost.cpu_seconds <= MAX_CPU_SECONDS * len(entries)
    assert cost.extra_bytes <= MAX_EXTRA_BYTES


def test_a_dataset_of_nothing_but_bad_files_is_one_sentence(
    descant: Callable[..., Any], at_home: Path, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("empty.mid", "cut.mid"):
        shutil.copy(at_home / name, files / name)
    outcome = descant("dataset", "build", files, "--out", tmp_path / "data", "--num-proc", 1)
    words = (
        r"None of the 2 files of files can be used \(the first: .*cut.mid is damaged or cut off.*\)\. Correct them\."
    )
    assert_one_sentence(*outcome, words)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("entry", TABLE["repaired"], ids=lambda entry: entry["given"])
def test_what_is_repaired_is_said(
    descant: Callable[..., Any], at_home: Path, tmp_path: Path, tiny_checkpoint: Path, entry: dict[str, Any]
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    shutil.copy(at_home / entry["file"], files)
    given = files / entry["file"]
    commands = {
        "generate": f"generate --prompt {given} --model {tiny_checkpoint} --out {tmp_path}/out.mid --formats midi",
        "inspect": f"tokenizer inspect {given}",
        "build": f"dataset build {files} --out {tmp_path}/data --num-proc 1",
    }
    for name in entry["in"]:
        done = descant(*commands[name].split())
        assert done.status == 0, done.err
        assert re.search(pattern(entry["says"]), " ".join(done.out.split())), done.out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_name_that_is_not_utf8_is_kept_or_refused_in_one_sentence(at_home: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"t\xff")
    for target in (tmp_path / f"{name}.mid", tmp_path / name / "tune.mid"):
        target.parent.mkdir(exist_ok=True)
        shutil.copy(at_home / "tune.mid", target)
    command = [sys.executable, "-m", "descant_modeling.cli.main"]
    done = subprocess.run(
        [*command, "render", f"{name}.mid", "--out", f"{name}.musicxml"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"Wrote t\xff.musicxml" in done.stdout
    for wrong in ([name, "--out", "data"], ["x", "--out", name]):
        with pytest.raises(InputError, match=r"^The name of the (output )?folder .* is not UTF-8\. (Rename|Choose)"):
            build_dataset(str(tmp_path / wrong[0]) if wrong[0] == name else "chorales", tmp_path / wrong[2])
