"""`descant dataset build --engine datatrove`: the rows of the plain build, in tasks that run once."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path

import pytest
from datasets import load_from_disk
from symusic.core import NoteTick, ScoreTick, TrackTick

import descant_tokenizers.corpora
from descant_tokenizers.common.errors import InputError

needs_datatrove = pytest.mark.skipif(
    importlib.util.find_spec("datatrove") is None, reason="datatrove is not installed (extra `scale`)"
)
NUM_SONGS = 11


@pytest.fixture
def songs(tmp_path, monkeypatch):
    """A folder of MIDI files: good ones, a duplicate, and one that is not MIDI. The test has its own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "songs"
    folder.mkdir()
    for number in range(NUM_SONGS):
        rng, score = random.Random(number), ScoreTick(480)
        for name, lowest in (("Soprano", 62), ("Alto", 57), ("Tenor", 50), ("Bass", 42)):
            track = TrackTick(name, 0, False)
            track.notes.extend([NoteTick(480 * beat, 480, lowest + rng.randrange(12), 80) for beat in range(12)])
            score.tracks.append(track)
        score.dump_midi(folder / f"{number:02}.mid")
    (folder / "copy.mid").write_bytes((folder / "03.mid").read_bytes())
    (folder / "garbage.mid").write_bytes(b"no music here")
    return folder


def rows(folder: Path) -> dict[str, list[dict[str, object]]]:
    return {split: data.to_list() for split, data in load_from_disk(str(folder)).items()}


@needs_datatrove
def test_the_rows_are_those_of_the_plain_build(descant, songs, tmp_path):
    plain = descant("dataset", "build", songs, "--out", tmp_path / "plain", "--num-proc", 1, "--json")
    assert plain.status == 0, plain.err
    outcome = descant(
        "dataset", "build", songs, "--out", tmp_path / "datatrove", "--engine", "datatrove", "--tasks", 3,
        "--num-proc", 2, "--json",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert rows(tmp_path / "datatrove") == rows(tmp_path / "plain")
    assert (tmp_path / "datatrove" / "report.json").read_bytes() == (tmp_path / "plain" / "report.json").read_bytes()
    assert json.loads(outcome.out)["num_rows"] == NUM_SONGS
    assert not (tmp_path / "datatrove.work").exists()


@needs_datatrove
def test_a_finished_task_is_not_done_again(songs, tmp_path):
    from descant_tokenizers.corpora import datatrove as backend

    work, out = tmp_path / "work", tmp_path / "out"
    cluster = backend.Cluster(workers=1, tasks=4)
    backend.build(str(songs), out, cluster, work=work, quiet=True)
    first, expected = {path.name: path.stat().st_mtime_ns for path in (work / "outcomes").iterdir()}, rows(out)
    assert len(first) == 4
    (work / "completions" / "00002").unlink()  # as if it had been killed
    backend.build(str(songs), out, backend.Cluster(workers=1), work=work, quiet=True, force=True)
    again = {path.name: path.stat().st_mtime_ns for path in (work / "outcomes").iterdir()}
    assert [name for name in sorted(first) if first[name] != again[name]] == ["00002.jsonl"]
    assert rows(out) == expected

    (songs / "another.mid").write_bytes((songs / "05.mid").read_bytes())
    with pytest.raises(InputError, match=r"work belongs to another build .* 4 tasks"):
        backend.build(str(songs), tmp_path / "more", cluster, work=work, quiet=True)


@needs_datatrove
def test_a_failed_task_is_one_sentence_and_leaves_no_dataset(songs, tmp_path, monkeypatch):
    from descant_tokenizers.corpora import datatrove as backend

    def fail(reader, key):
        raise RuntimeError("the node went down")

    monkeypatch.setattr(backend, "read_one", fail)
    with pytest.raises(InputError, match=r"A task failed \(RuntimeError: the node went down\)"):
        backend.build(str(songs), tmp_path / "out", backend.Cluster(workers=1, tasks=2), quiet=True)
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    backend.build(str(songs), tmp_path / "out", backend.Cluster(workers=1), quiet=True)
    assert sum(map(len, rows(tmp_path / "out").values())) == NUM_SONGS


@needs_datatrove
def test_slurm_gets_the_tasks_and_the_same_command_collects_them(songs, tmp_path, monkeypatch):
    """Without Slurm itself: an `sbatch` that keeps the script, and the tasks run one by one."""
    import dill

    from descant_tokenizers.corpora import datatrove as backend

    scripts = tmp_path / "bin"
    scripts.mkdir()
    for name, lines in {
        "sbatch": f'for last; do :; done\ncat "$last" >> "{tmp_path}/sent"\necho Submitted batch job 7\n',
        "scontrol": "echo here\n",  # the names of the nodes
    }.items():
        (scripts / name).write_text(f"#!/bin/sh\n{lines}")
        (scripts / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(scripts), prepend=":")
    work, cluster = tmp_path / "work", backend.Cluster("slurm", tasks=2, partition="cpu", time="01:00:00")
    assert backend.build(str(songs), tmp_path / "out", cluster, work=work, quiet=True) is None
    assert not (tmp_path / "out").exists()
    sent = (tmp_path / "sent").read_text()
    assert "#SBATCH --partition=cpu" in sent
    assert "#SBATCH --time=01:00:00" in sent

    monkeypatch.setenv("SLURM_NODELIST", "here")
    with (work / "executor.pik").open("rb") as file:
        executor = dill.load(file)
    for rank in range(2):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(rank))
        executor.run()
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    report = backend.build(str(songs), tmp_path / "out", cluster, work=work, quiet=True)
    assert report is not None
    assert report.num_rows == NUM_SONGS


def test_without_datatrove_it_says_what_to_install(descant, songs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datatrove.executor", None)
    monkeypatch.delitem(sys.modules, "descant_tokenizers.corpora.datatrove", raising=False)
    monkeypatch.delattr(descant_tokenizers.corpora, "datatrove", raising=False)
    outcome = descant("dataset", "build", songs, "--out", tmp_path / "out", "--engine", "datatrove")
    assert outcome.status == 2
    assert "pip install -c constraints.txt -e '.[scale]'" in outcome.err


MISTAKES = [
    (("--tasks", 3, "--job-time", "1:00:00"), "The plain build takes no --tasks, --job-time. Add --engine datatrove"),
    (("--engine", "datatrove", "--partition", "cpu"), "are options of Slurm. Add --executor slurm, or omit them"),
    (("--engine", "datatrove", "--tasks", 0), "--tasks is 0. Give 1 or more"),
    (("--engine", "datatrove", "--executor", "slurm"), "Give --partition"),
    (("--engine", "datatrove", "--executor", "slurm", "--partition", "cpu"), "no sbatch on this machine"),
]


@needs_datatrove
@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_a_mistake_is_one_sentence(descant, songs, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = descant("dataset", "build", songs, "--out", tmp_path / "out", *arguments)
    assert outcome.status == 2
    assert message in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["songs"]
