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
from huggingface_hub import ModelCard
from symusic import Note, Score, TimeSignature, Track

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.models.checkpoints import EMBEDDED, PUBLISHED_FILES, PUBLISHED_WITHOUT_TOKENS

HUB = Path(__file__).resolve().parent.parent / "hub"


EXAMPLE = str(HUB.parents[1] / "examples" / "twinkle.mid")
ALONE = ["generate", "--formats", "midi", "--quiet"]
TINY_RUN = [
    *("--quiet", "--device", "cpu", "max_steps=2", "eval_every=2", "save_every=2", "precision=fp32"),
    *("model.width=16", "model.num_layers=1", "model.num_heads=1", "data.batch_tokens=400"),
    "data.corpora=[somebody/tunes]",
]


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


def _environment(url: str, home: Path, token: str = server.TOKEN) -> dict[str, str]:
    """Environment variables that direct the client to the local server."""
    return {
        **os.environ,
        "HF_ENDPOINT": url,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HOME": str(home / "home"),
        "HF_TOKEN": token,
    }


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path, style_checkpoint: Path) -> Any:
    """Results of every step of one client's session, and its server."""
    sung = ["generate", "--prompt", EXAMPLE, "--formats", "midi", "--quiet"]
    steps = [
        {"name": "interrupted", "argv": ["push", EMBEDDED_DEFAULT, "somebody/half-broken"]},
        {"name": "pushed", "argv": ["push", EMBEDDED_DEFAULT, "somebody/bach", "--json"]},
        {"name": "unet", "argv": ["push", "gan", "somebody/unet", "--json"]},
        {"name": "no longer a unet", "argv": ["push", EMBEDDED_DEFAULT, "somebody/unet", "--update", "--quiet"]},
        {"name": "melodies", "argv": ["push", "midinet", "somebody/midinet", "--json"]},
        {"name": "bands", "argv": ["push", "roll-gan", "somebody/roll-gan", "--json"]},
        {"name": "styles", "argv": ["push", str(style_checkpoint), "somebody/styles", "--json"]},
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
        {"name": "trained", "argv": ["train", *TINY_RUN, "--push-to-hub", "somebody/trained"]},
        {"name": "pulled", "argv": ["find-checkpoint", "somebody/bach"]},
        {"name": "pinned", "argv": ["find-checkpoint", "somebody/unet@{unet}"]},
        {"name": "newest", "argv": ["find-checkpoint", "somebody/unet"]},
        {"name": "by a unet", "argv": [*sung, "--model", "somebody/unet@{unet}", "--out", "unet.mid"]},
        {"name": "in a style", "argv": [*sung, "--model", "somebody/styles", "--style", "folk", "--out", "folk.mid"]},
        {"name": "no such style", "argv": [*sung, "--model", "somebody/styles", "--style", "mozart"]},
        {"name": "a melody", "argv": [*ALONE, "--model", "somebody/midinet", "--bars", "2", "--out", "melody.mid"]},
        {"name": "a band", "argv": [*ALONE, "--model", "somebody/roll-gan", "--out", "band.mid"]},
        {"name": "tokens", "argv": ["open-tokenizer", "somebody/tokens"]},
        {"name": "inspected", "argv": ["tokenizer", "inspect", EXAMPLE, "--tokenizer", "somebody/tokens"]},
        {"name": "inspected with its model", "argv": ["tokenizer", "inspect", EXAMPLE, "--model", "somebody/bach"]},
        {"name": "as a scheme", "argv": ["tokenizer", "inspect", EXAMPLE, "--scheme", "somebody/tokens"]},
        {"name": "no tokenizer", "argv": ["tokenizer", "inspect", EXAMPLE, "--tokenizer", "somebody/nothing"]},
        {"name": "pulled rows", "argv": ["load-corpus", "somebody/tunes"]},
        {"name": "no revision", "argv": ["push", "somebody/bach@nothing", "somebody/copy"]},
        {"name": "no model", "argv": ["push", "somebody/nothing", "somebody/copy"]},
        {"name": "stop", "argv": ["stop-hub"]},
        {"name": "offline", "argv": ["find-checkpoint", "somebody/bach"]},
        {"name": "offline rows", "argv": ["load-corpus", "somebody/tunes"]},
        {"name": "offline pinned", "argv": ["find-checkpoint", "somebody/unet@{unet}"]},
        {"name": "offline tokens", "argv": ["open-tokenizer", "somebody/tokens"]},
        {"name": "offline melody", "argv": [*ALONE, "--model", "somebody/midinet", "--out", "again.mid"]},
        {"name": "offline push", "argv": ["push", EMBEDDED_DEFAULT, "somebody/late"]},
    ]
    folder = tmp_path_factory.mktemp("client")
    (folder / "steps.json").write_text(json.dumps(steps), encoding="utf-8")
    with server.LocalHub() as hub:
        command = [sys.executable, str(HUB / "client.py"), str(folder / "steps.json")]
        environment = _environment(hub.url, folder)
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout.splitlines()[-1]), hub, folder


def test_a_checkpoint_arrives_whole(session: Any) -> None:
    results, hub, _ = session
    pushed = json.loads(results["pushed"]["out"])
    files = hub.repos["model", "somebody/bach"].commits[pushed["revision"]]
    assert set(PUBLISHED_FILES) <= set(files) == set(pushed["files"])
    for name in set(PUBLISHED_FILES) - {"README.md"}:
        assert files[name] == (EMBEDDED / EMBEDDED_DEFAULT / name).read_bytes()
    card = files["README.md"].decode()
    assert "--model somebody/bach" in card
    assert "THIS_FOLDER" not in card


@pytest.mark.parametrize(
    ("step", "repo", "embedded"),
    [("unet", "unet", "gan"), ("melodies", "midinet", "midinet"), ("bands", "roll-gan", "roll-gan")],
)
def test_a_model_without_tokens_arrives_whole(session: Any, step: str, repo: str, embedded: str) -> None:
    results, hub, _ = session
    pushed = json.loads(results[step]["out"])
    files = hub.repos["model", f"somebody/{repo}"].commits[pushed["revision"]]
    assert set(PUBLISHED_WITHOUT_TOKENS) <= set(files) == set(pushed["files"])
    assert files["model.safetensors"] == (EMBEDDED / embedded / "model.safetensors").read_bytes()
    assert f"somebody/{repo}" in files["README.md"].decode()


def test_models_of_every_kind_write_by_their_id(session: Any) -> None:
    results, hub, folder = session
    for step in ("by a unet", "in a style", "a melody", "a band", "offline melody"):
        assert results[step] == {"status": 0, "out": "", "err": ""}, step
    names = {name: [track.name for track in Score(folder / f"{name}.mid").tracks] for name in ("unet", "folk", "band")}
    assert names["folk"] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert "Soprano" in names["unet"]
    assert names["band"]
    assert Score(folder / "melody.mid").note_num() > 0
    assert Score(folder / "again.mid").note_num() > 0
    files = hub.repos["model", "somebody/styles"].files("main")
    assert set(PUBLISHED_FILES) <= set(files)
    assert json.loads(files["descant.json"])["layout"]["styles"] == ["bach", "folk"]


def test_what_is_pulled_is_what_was_pushed(session: Any) -> None:
    results, *_ = session
    folder = Path(results["pulled"])
    for name in set(PUBLISHED_FILES) - {"README.md"}:
        assert (folder / name).read_bytes() == (EMBEDDED / EMBEDDED_DEFAULT / name).read_bytes()


def test_a_repository_that_exists_needs_a_word(session: Any) -> None:
    results, hub, _ = session
    assert results["again"]["status"] == 2
    assert "--update" in results["again"]["err"]
    assert results["updated"]["status"] == 0
    assert len(hub.repos["model", "somebody/bach"].commits) == 3  # created, pushed, updated


def test_private_is_private(session: Any) -> None:
    results, hub, _ = session
    assert results["private"] == {"status": 0, "out": "", "err": ""}
    assert hub.repos["model", "somebody/secret"].private
    assert not hub.repos["model", "somebody/bach"].private


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("interrupted", ["failed", "no file there was changed"]),
        ("no token", ["No Hub token", "HF_TOKEN"]),
        ("wrong token", ["token is not valid"]),
        ("wrong name", ["'some body/other' is not a Hub id", "user/name"]),
        ("no user", ["'other' has no user", "user/name"]),
        ("not mine", ["others/bach", "rights"]),
        ("no revision", ["somebody/bach has no revision 'nothing'"]),
        ("no such style", ["The style is 'mozart'", "bach, folk"]),
        ("no model", ["There is no model somebody/nothing"]),
        ("no tokenizer", ["There is no model somebody/nothing", "satb", "gm"]),
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
    results, *_ = session
    assert results["offline"] == results["pulled"]
    assert results["offline rows"] == results["pulled rows"]


def test_a_revision_stays_what_it_was(session: Any) -> None:
    results, *_ = session
    pinned, newest = Path(results["pinned"]), Path(results["newest"])
    assert (pinned / "model.safetensors").read_bytes() == (EMBEDDED / "gan" / "model.safetensors").read_bytes()
    assert not (pinned / "tokenizer.json").exists()
    expected = (EMBEDDED / EMBEDDED_DEFAULT / "model.safetensors").read_bytes()
    assert (newest / "model.safetensors").read_bytes() == expected
    assert results["offline pinned"] == results["pinned"]


def test_training_on_a_dataset_of_the_hub_pushes_its_best_checkpoint(session: Any) -> None:
    results, hub, _ = session
    assert results["trained"]["status"] == 0, results["trained"]["err"]
    _, files = hub.repos["model", "somebody/trained"].commits.values()
    assert set(PUBLISHED_FILES) | {".gitattributes"} == set(files)
    card = ModelCard(files["README.md"].decode())
    assert card.data.license == "apache-2.0"  # every row of the dataset is CC0-1.0
    assert 'from_pretrained("somebody/trained")' in card.text
    assert "somebody/tunes" in card.text


def test_a_tokenizer_is_found_by_its_id_wherever_a_folder_is(session: Any) -> None:
    results, *_ = session
    assert results["tokens"] == results["offline tokens"] == 740
    for name in ("inspected", "inspected with its model", "as a scheme"):
        assert results[name]["status"] == 0, results[name]["err"]
        assert "Pitch_62" in results[name]["out"]


def test_a_tokenizer_arrives_alone(session: Any) -> None:
    files = session[1].repos["model", "somebody/tokens"].files("main")
    assert files["tokenizer.json"] == (EMBEDDED / EMBEDDED_DEFAULT / "tokenizer.json").read_bytes()
    assert 'from_pretrained("somebody/tokens")' in files["README.md"].decode()
    assert "model.safetensors" not in files


def test_a_dataset_arrives_as_parquet_that_datasets_reads_alone(session: Any, tmp_path: Path) -> None:
    results, hub, _ = session
    files = hub.repos["dataset", "somebody/tunes"].files("main")
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    dataset = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert {split: list(rows["id"]) for split, rows in dataset.items()} == results["pulled rows"]
    assert sum(len(rows) for rows in dataset.values()) == 4
    assert "CC0-1.0" in files["README.md"].decode()


def _try_hub(environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    script = HUB.parents[1] / "tools" / "try_hub.py"
    command = [sys.executable, str(script)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)


def test_the_script_for_the_real_hub_runs_against_ours_and_leaves_nothing(tmp_path: Path) -> None:
    with server.LocalHub() as hub:
        done = _try_hub(_environment(hub.url, tmp_path), tmp_path)
        left, log = dict(hub.repos), list(hub.log)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "everything came back unchanged"
    assert left == {}
    assert sum(line.startswith("DELETE") for line in log) == 3


def test_the_script_for_the_real_hub_cleans_up_after_a_failure(tmp_path: Path) -> None:
    with server.LocalHub() as hub:
        hub.is_damaging = True
        done = _try_hub(_environment(hub.url, tmp_path), tmp_path)
        left, log = dict(hub.repos), list(hub.log)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: The check 'pulled")
    assert left == {}
    assert sum(line.startswith("POST /api/repos/create") for line in log) == 1


def test_the_script_for_the_real_hub_needs_a_token(tmp_path: Path) -> None:
    with server.LocalHub() as hub:
        done = _try_hub(_environment(hub.url, tmp_path, token=""), tmp_path)
        assert hub.log == []
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line == "error: No Hub token is set. Run `hf auth login` or set HF_TOKEN, then push again."
