"""`train.py` as a process: killed, stopped, spread over two processes, given nonsense."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_modeling.objectives import prepare_run
from descant_modeling.training.run import RunOptions
from descant_tokenizers.corpora import build_dataset

NUM_PIECES = 20
TIMEOUT_SECONDS = 500


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A dataset of short four-part pieces, built from MIDI files."""
    folder = tmp_path_factory.mktemp("songs")
    rng = random.Random(1)
    for number in range(NUM_PIECES):
        score = ScoreTick(480)
        for name, lowest in (("Soprano", 62), ("Alto", 57), ("Tenor", 50), ("Bass", 42)):
            track = TrackTick(name, 0, False)
            track.notes.extend([NoteTick(480 * beat, 480, lowest + rng.randrange(12), 80) for beat in range(12)])
            score.tracks.append(track)
        score.dump_midi(folder / f"{number}.mid")
    out = folder.parent / "dataset"
    build_dataset(str(folder), out, num_proc=1)
    return out


@pytest.fixture
def config(dataset, tmp_path):
    """The YAML file of a tiny run in `tmp_path/runs`."""
    values = {
        "name": "tiny",
        "out_dir": str(tmp_path / "runs"),
        "max_steps": 8,
        "eval_every": 100,
        "save_every": 2,
        "log_every": 1,
        "precision": "fp32",
        "model": {"width": 16, "num_layers": 1, "num_heads": 2, "dropout": 0.0, "max_tokens": 512},
        "data": {"corpora": [str(dataset)], "batch_tokens": 600},
        "optimizer": {"name": "muon", "learning_rate": 0.01, "warmup_steps": 2},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def start(repo_root):
    """A function that starts `train.py` on one thread of a CPU, through any launcher; what still runs is killed."""
    running = []

    def launch(*arguments, launcher=(), script="train.py"):
        command = [sys.executable, *launcher, str(repo_root / script), *map(str, arguments)]
        environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        running.append(
            subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                # A shell's background jobs ignore SIGINT, and so would their children.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
        )
        return running[-1]

    yield launch
    for process in running:
        process.kill()
        process.wait()


def finish(process):
    """Wait for the end; return the exit status and what was printed."""
    out, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.returncode, out


def losses(run, name="loss"):
    """The losses of a run by step, all that were logged for it."""
    log = run / "log.jsonl"
    text = log.read_text() if log.exists() else ""
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    found = {}
    for line in lines:
        if line["kind"] == "train":
            found.setdefault(line["step"], []).append(line[name])
    return found


def wait_for_step(process, run, step, name="loss"):
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while max(losses(run, name), default=0) < step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def saved_step(run):
    return json.loads((run / "last" / "training_state.json").read_text())["progress"]["step"]


@pytest.fixture
def resume(descant):
    """A function that resumes a run in this process up to a step; nothing is printed."""

    def train(run, max_steps):
        options = ("--quiet", "--device", "cpu", "--threads", 1)
        assert descant("train", "--resume", run, f"max_steps={max_steps}", *options) == (0, "", "")

    return train


def test_kill_9_loses_at_most_the_steps_since_the_last_checkpoint(start, resume, config, tmp_path):
    run = tmp_path / "runs" / "tiny"
    process = start("--config", config, "--quiet", "max_steps=100000")
    wait_for_step(process, run, 7)
    process.kill()
    finish(process)
    before, resumed_at = losses(run), saved_step(run)
    assert max(before) - resumed_at <= 2, "save_every is 2"

    resume(run, max(before) + 4)
    after = losses(run)
    assert list(after) == list(range(1, max(before) + 5))
    assert all(len(values) == 1 for values in after.values()), "steps that were done again are logged once"
    # The first step after the checkpoint sees the same batch, weights and dropout; later ones another learning rate.
    assert all(after[step] == before[step] for step in before if step <= resumed_at + 1)
    assert saved_step(run) == max(before) + 4
    assert {path.name for path in run.iterdir() if path.is_dir()} == {"best", "last", "tensorboard"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gan", "roll-gan", "midinet"])
def test_a_gan_that_is_killed_goes_on_bit_for_bit(start, resume, gan_values, tmp_path, kind):
    values = gan_values(kind) | {"max_steps": 100000, "save_every": 4, "eval_every": 1000}
    config, run = tmp_path / "tiny.yaml", tmp_path / "runs" / kind
    config.write_text(yaml.safe_dump(values))
    process = start("--config", config, "--quiet")
    wait_for_step(process, run, 6, "generator")
    process.kill()
    finish(process)
    before, resumed_at = losses(run, "generator"), saved_step(run)
    assert max(before) - resumed_at <= 4, "save_every is 4"
    resume(run, max(before) + 2)
    after = losses(run, "generator")
    assert list(after) == list(range(1, max(before) + 3))
    assert {step: after[step] for step in before} == before, "steps that were done again give other losses"
    assert saved_step(run) == max(before) + 2


def test_ctrl_c_saves_the_step_it_fell_into(start, config, tmp_path):
    run = tmp_path / "runs" / "tiny"
    process = start("--config", config, "max_steps=100000", "save_every=100000")
    wait_for_step(process, run, 3)
    process.send_signal(signal.SIGINT)
    status, out = finish(process)
    assert status == 130
    assert "Traceback" not in out
    assert saved_step(run) == max(losses(run)) >= 3
    assert f"Stopped and saved at step {saved_step(run)}" in " ".join(out.split())


def accelerate(repo_root, name, *arguments):
    """The launcher of a file of configs/accelerate."""
    file = repo_root / "configs" / "accelerate" / f"{name}.yaml"
    return ("-m", "accelerate.commands.launch", "--config_file", str(file), *arguments)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


#: Batches of a run of one or two processes that takes the same steps.
SHARED = ("data.micro_batches=2", "data.batch_tokens=300")


def assert_same_losses(one, two):
    """A run of two processes has the losses of a run of one, but for rounding."""
    assert [json.loads((run / "run.json").read_text())["num_processes"] for run in (one, two)] == [1, 2]
    assert list(losses(one)) == list(losses(two)) == list(range(1, 9))
    assert all(losses(two)[step] == pytest.approx(values, abs=1e-5) for step, values in losses(one).items())


def test_two_nodes_give_the_loss_of_one_process(start, config, tmp_path, repo_root):
    """The launch files as they are, on gloo; the two nodes are two launches that meet on loopback."""
    node = ("--main_process_port", free_port(), "--monitor_interval", "0.1")
    launchers = {
        "one": [accelerate(repo_root, "one-process")],
        "nodes": [accelerate(repo_root, "nodes", "--machine_rank", rank, *node) for rank in ("0", "1")],
    }
    for name, processes in launchers.items():
        started = [start("--config", config, "--quiet", *SHARED, f"name={name}", launcher=each) for each in processes]
        for process in started:
            status, out = finish(process)
            assert status == 0, out
    runs = tmp_path / "runs"
    assert sorted(path.name for path in runs.iterdir()) == sorted(launchers)
    assert_same_losses(runs / "one", runs / "nodes")


@pytest.mark.slow
def test_two_processes_train_as_one(start, config, gan_values, tmp_path, repo_root):
    """Both hold the same state after each step: a run that goes on with the first one's is the run in one go.

    Losses of a Transformer, and of the roll GAN's critic, do not depend on how batches are dealt out: those of two
    processes are those of one. (MidiNet's critic has batch norm.)
    """
    kinds, runs = ("roll-gan", "midinet"), tmp_path / "runs"
    planned = []
    for kind in kinds:
        gan, cut = tmp_path / f"{kind}.yaml", runs / f"{kind}-cut"
        gan.write_text(yaml.safe_dump(gan_values(kind) | {"max_steps": 4}))
        planned += [
            {"config": str(gan), "overrides": [f"name={kind}-whole"]},
            {"config": str(gan), "overrides": [f"name={cut.name}", "max_steps=2"]},
            {"resume": str(cut), "overrides": ["max_steps=4"]},
        ]
    one_step = ["max_steps=1", "eval_every=9", "optimizer.critic_steps=3"]
    alike = {"roll-gan": (tmp_path / "roll-gan.yaml", one_step), "transformer": (config, SHARED)}
    for name, (file, overrides) in alike.items():
        planned.append({"config": str(file), "overrides": [f"name={name}-two", *overrides]})
    (tmp_path / "runs.json").write_text(json.dumps(planned))
    launcher = accelerate(repo_root, "ddp", "--num_processes", "2", "--main_process_port", free_port())
    status, out = finish(start(tmp_path / "runs.json", launcher=launcher, script="tests/support/train_several.py"))
    assert status == 0, out

    for kind in kinds:
        whole, cut = runs / f"{kind}-whole", runs / f"{kind}-cut"
        one, other = (load_file(run / "last" / "training_state.safetensors") for run in (whole, cut))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert list(losses(whole, "generator")) == [1, 2, 3, 4]
        assert losses(whole, "generator") == losses(cut, "generator")
        assert json.loads((whole / "run.json").read_text())["num_processes"] == 2

    for name, (file, overrides) in alike.items():
        trainer = prepare_run(file, RunOptions((f"name={name}-one", *overrides), device="cpu", threads=1, quiet=True))
        trainer.train()
        trainer.log.close()
    assert_same_losses(runs / "transformer-one", runs / "transformer-two")
    for name in ("critic", "wasserstein", "penalty"):
        alone, shared = (losses(runs / f"roll-gan-{number}", name)[1] for number in ("one", "two"))
        assert shared == pytest.approx(alone, rel=1e-4), name


def test_the_benchmark_compares_with_transformers(config, repo_root):
    command = [sys.executable, repo_root / "benchmarks" / "train.py", "--config", config, "--steps", "2"]
    done = subprocess.run(
        [*command, "--repeats", "1", "--device", "cpu", "--threads", "1", "--clock", "cpu"],
        capture_output=True,
        text=True,
        check=True,
        cwd=config.parent,
    )
    header, ours, theirs, ratio, peak = done.stdout.splitlines()
    assert header.endswith("fp32, cpu, 1 CPU threads")
    speeds = [float(line.split()[1].replace(",", "")) for line in (ours, theirs)]
    assert float(ratio.split()[1]) == pytest.approx(speeds[0] / speeds[1], abs=0.02)
    assert peak.startswith("matmul peak")


@pytest.fixture
def mistake(descant, config):
    """A function that runs `descant train` on the tiny configuration and returns its one sentence."""

    def run(*arguments, with_config=True):
        outcome = descant(
            "train", *(("--config", config) if with_config else ()), *arguments, "--quiet", "--device", "cpu"
        )
        assert outcome.status == 2
        lines = outcome.err.strip().splitlines()
        assert len(lines) == 1, outcome.err
        assert not (config.parent / "runs").exists(), "something was left behind"
        return lines[0]

    return run


MISTAKES = [
    ("model.depth=3", "model.depth is not a key. Choose from architecture"),
    ("max_steps=soon", "max_steps is 'soon'. Give a whole number"),
    ("data.corpora=[no-such-corpus]", "Unknown corpus 'no-such-corpus'"),
    ("data.splits=[test]", "Give splits other than valid, test and held_out"),
    ("data.splits=[extra]", "There is no piece in splits extra"),
    ("data.tokenizer=/no/such/folder", "has no tokenizer.json"),
    ("init_from=no-such-model", "Unknown model 'no-such-model'"),
    ("out_dir=/dev/null/runs", "The run folder /dev/null/runs/tiny cannot be made"),
]


@pytest.mark.parametrize(("override", "message"), MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(mistake, override, message):
    assert message in mistake(override)


def test_resuming_what_is_no_run_is_a_mistake(mistake, tmp_path):
    assert "has no checkpoint to resume from" in mistake("--resume", tmp_path, with_config=False)
    assert "Override 'seed=3' is not possible, since a resumed run keeps its configuration" in mistake(
        "--resume", tmp_path, "seed=3", with_config=False
    )


def test_a_run_folder_that_exists_gets_a_number_and_everything_is_in_it(descant, config):
    for _ in range(2):
        outcome = descant("train", "--config", config, "max_steps=2", "eval_every=2", "--quiet", "--device", "cpu")
        assert outcome.status == 0, outcome.err
    runs = Path(config.parent, "runs")
    assert sorted(path.name for path in runs.iterdir()) == ["tiny", "tiny-2"]
    for run in runs.iterdir():
        names = {path.name for path in run.iterdir()}
        assert {"best", "last", "log.jsonl", "run.json", "summary.json", "tensorboard"} <= names
        header = json.loads((run / "run.json").read_text())
        assert header["config"]["optimizer"]["learning_rate"] == 0.01
        assert header["corpora"]
        assert header["padding_share"] < 0.3
    first, second = (losses(run) for run in runs.iterdir())
    assert first == second


def test_compiled_graphs_are_kept_in_the_folder_of_all_caches(tmp_path):
    script = (
        "from typer.testing import CliRunner\n"
        "from descant_modeling.cli.main import app\n"
        "assert CliRunner().invoke(app, ['train', '--config', 'missing.yaml']).exit_code != 0\n"
        "from torch._inductor.runtime.cache_dir_utils import cache_dir\n"
        "print(cache_dir())\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "TORCHINDUCTOR_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "descant" / "compiled")]
