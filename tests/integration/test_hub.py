"""Push and pull with the real client against a local server that speaks the Hub's API."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from datasets import load_dataset
from symusic import Note, Score, TimeSignature, Track

from descant_modeling.checkpoints import EMBEDDED, EMBEDDED_DEFAULT, PUBLISHED_FILES, PUBLISHED_WITHOUT_TOKENS

HUB = Path(__file__).resolve().parent.parent / "hub"


def _import(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"local_hub_{name}", HUB / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


server = _import("server")


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of four short four-part pieces."""
    from descant_tokenizers.corpora import build_dataset

    folder = tmp_path_factory.mktemp("midis")
    for index in range(4):
        score = Score(480)
        score.time_signatures.append(TimeSignature(0, 4, 4))
        for name, pitch in (("Soprano", 72), ("Alto", 67), ("Tenor", 60), ("Bass", 48)):
            track = Track(name, 0, False)
            for beat in range(8):
                track.notes.append(Note(beat * 480, 480, pitch + beat * (index + 1) % 5, 80))
            score.tracks.append(track)
        score.dump_midi(folder / f"tune-{index}.mid")
    out = tmp_path_factory.mktemp("built") / "dataset"
    build_dataset(str(folder), out, licence="CC0-1.0", num_proc=1)
    return out


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path) -> Any:
    """What every step of one client's session gave, and the server behind it."""
    steps = [
        {"name": "interrupted", "argv": ["push", EMBEDDED_DEFAULT, "somebody/half-broken"]},
        {"name": "pushed", "argv": ["push", EMBEDDED_DEFAULT, "somebody/bach", "--json"]},
        {"name": "unet", "argv": ["push", "gan", "somebody/unet", "--json"]},
        {"name": "again", "argv": ["push", EMBEDDED_DEFAULT, "somebody/bach"]},
        {"name": "updated", "argv": ["push", EMBEDDED_DEFAULT, "somebody/bach", "--update"]},
        {"name": "private", "argv": ["push", EMBEDDED_DEFAULT, "somebody/secret", "--private", "--quiet"]},
        {"name": "no token", "argv": ["push", EMBEDDED_DEFAULT, "somebody/other"], "env": {"HF_TOKEN": ""}},
        {"name": "wrong token", "argv": ["push", EMBEDDED_DEFAULT, "somebody/other"], "env": {"HF_TOKEN": "hf_no"}},
        {"name": "wrong name", "argv": ["push", EMBEDDED_DEFAULT, "some body/other"]},
        {"name": "no user", "argv": ["push", EMBEDDED_DEFAULT, "other"]},
        {"name": "not mine", "argv": ["push", EMBEDDED_DEFAULT, "others/bach"]},
        {"name": "tokenizer", "argv": ["tokenizer", "push", str(EMBEDDED / EMBEDDED_DEFAULT), "somebody/tokens"]},
        {"name": "dataset", "argv": ["dataset", "push", str(dataset_folder), "somebody/tunes"]},
        {"name": "pulled", "argv": ["find-checkpoint", "somebody/bach"]},
        {"name": "pulled rows", "argv": ["load-corpus", "somebody/tunes"]},
        {"name": "no revision", "argv": ["push", "somebody/bach@nothing", "somebody/copy"]},
        {"name": "no model", "argv": ["push", "somebody/nothing", "somebody/copy"]},
        {"name": "stop", "argv": ["stop-hub"]},
        {"name": "offline", "argv": ["find-checkpoint", "somebody/bach"]},
        {"name": "offline rows", "argv": ["load-corpus", "somebody/tunes"]},
        {"name": "offline push", "argv": ["push", EMBEDDED_DEFAULT, "somebody/late"]},
    ]
    folder = tmp_path_factory.mktemp("client")
    (folder / "steps.json").write_text(json.dumps(steps), encoding="utf-8")
    with server.LocalHub() as hub:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HOME": str(folder / "home"),
            "HF_TOKEN": server.TOKEN,
        }
        command = [sys.executable, str(HUB / "client.py"), str(folder / "steps.json")]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout.splitlines()[-1]), hub


def test_a_checkpoint_arrives_whole(session: Any) -> None:
    results, hub = session
    pushed = json.loads(results["pushed"]["out"])
    files = hub.repos["model", "somebody/bach"].commits[pushed["revision"]]
    assert set(PUBLISHED_FILES) <= set(files) == set(pushed["files"])
    for name in set(PUBLISHED_FILES) - {"README.md"}:
        assert files[name] == (EMBEDDED / EMBEDDED_DEFAULT / name).read_bytes()
    card = files["README.md"].decode()
    assert "--model somebody/bach" in card
    assert "THIS_FOLDER" not in card


def test_a_model_without_tokens_arrives_whole(session: Any) -> None:
    results, hub = session
    pushed = json.loads(results["unet"]["out"])
    files = hub.repos["model", "somebody/unet"].commits[pushed["revision"]]
    assert set(PUBLISHED_WITHOUT_TOKENS) <= set(files) == set(pushed["files"])


def test_what_is_pulled_is_what_was_pushed(session: Any) -> None:
    results, _ = session
    folder = Path(results["pulled"])
    for name in set(PUBLISHED_FILES) - {"README.md"}:
        assert (folder / name).read_bytes() == (EMBEDDED / EMBEDDED_DEFAULT / name).read_bytes()


def test_a_repository_that_exists_needs_a_word(session: Any) -> None:
    results, hub = session
    assert results["again"]["status"] == 2
    assert "--update" in results["again"]["err"]
    assert results["updated"]["status"] == 0
    assert len(hub.repos["model", "somebody/bach"].commits) == 3  # created, pushed, updated


def test_private_is_private(session: Any) -> None:
    results, hub = session
    assert results["private"] == {"status": 0, "out": "", "err": ""}
    assert hub.repos["model", "somebody/secret"].private
    assert not hub.repos["model", "somebody/bach"].private


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("interrupted", ["failed", "no file there was changed"]),
        ("no token", ["no Hub token", "HF_TOKEN"]),
        ("wrong token", ["token is not valid"]),
        ("wrong name", ["'some body/other' is no Hub id", "user/name"]),
        ("no user", ["'other' has no user", "user/name"]),
        ("not mine", ["others/bach", "rights"]),
        ("no revision", ["somebody/bach has no revision 'nothing'"]),
        ("no model", ["there is no model somebody/nothing"]),
        ("offline push", ["cannot be reached"]),
    ],
)
def test_what_goes_wrong_is_one_sentence(session: Any, step: str, words: list[str]) -> None:
    result = session[0][step]
    assert result["status"] == 2
    (line,) = result["err"].strip().splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


def test_an_interrupted_upload_leaves_no_file(session: Any) -> None:
    files = session[1].repos["model", "somebody/half-broken"].files("main")
    assert set(files) == {".gitattributes"}


def test_it_works_offline_after_the_first_time(session: Any) -> None:
    results, _ = session
    assert results["offline"] == results["pulled"]
    assert results["offline rows"] == results["pulled rows"]


def test_a_tokenizer_arrives_alone(session: Any) -> None:
    files = session[1].repos["model", "somebody/tokens"].files("main")
    assert files["tokenizer.json"] == (EMBEDDED / EMBEDDED_DEFAULT / "tokenizer.json").read_bytes()
    assert 'from_pretrained("somebody/tokens")' in files["README.md"].decode()
    assert "model.safetensors" not in files


def test_a_dataset_arrives_as_parquet_that_datasets_reads_alone(session: Any, tmp_path: Path) -> None:
    results, hub = session
    files = hub.repos["dataset", "somebody/tunes"].files("main")
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    dataset = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert {split: list(rows["id"]) for split, rows in dataset.items()} == results["pulled rows"]
    assert sum(len(rows) for rows in dataset.values()) == 4
    assert "CC0-1.0" in files["README.md"].decode()
