"""The Python API: its examples run, and it is what the commands call."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import descant_modeling
import descant_tokenizers
from descant_modeling.api import load, load_generator
from descant_modeling.app.service import Service
from descant_modeling.cli.evaluate.common import load_harmonizer
from descant_modeling.decoding.config import EngineName, GenerationConfig
from descant_modeling.decoding.engine.onnx_engine import OnnxModel
from descant_modeling.decoding.engine.torch_engine import TorchModel
from descant_modeling.evaluation.harmonizers import causal_generator
from descant_modeling.generation.base import Request
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import read_score

DOCUMENTED = ("descant_tokenizers", "descant_tokenizers.rendering.write", "descant_modeling.api")


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_run(name: str, repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo_root)
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 3
    assert found.failed == 0


def test_the_page_runs(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(repo_root / "examples")
    monkeypatch.chdir(tmp_path)
    page = (repo_root / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) >= 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), names)
    assert (tmp_path / "harmony.mid").stat().st_size > 100


@pytest.mark.parametrize("package", [descant_tokenizers, descant_modeling], ids=lambda package: package.__name__)
def test_every_public_name_is_there(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_options_arrive(repo_root: Path) -> None:
    tune = repo_root / "examples" / "ode-to-joy.mid"
    result = load(device="cpu").infill(tune, bars=(2, 2), seed=4, num_samples=2, temperature=0.0, sound="organ")
    assert len(result.samples) == 2
    config = GenerationConfig(temperature=0.0, num_samples=2, seed=4, sound="organ")
    expected = load_generator().generate(Request("infill", read_score(tune), bars=(2, 2)), config)
    assert [s.score.dumps_midi() for s in result.samples] == [s.score.dumps_midi() for s in expected.samples]
    assert result.samples[0].given | result.samples[0].added
    assert not result.samples[0].given & result.samples[0].added


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -1.0}, "temperature is -1"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"num_samples": 0}, "num_samples is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"sound": "kazoo"}, "kazoo"),
        ({"write": ["piano"]}, "multitrack models"),
        ({"loudness": 3}, "no option 'loudness'. Choose from num_samples, seed"),
    ],
)
def test_options_out_of_range_are_one_sentence(options: dict[str, object], words: str, repo_root: Path) -> None:
    with pytest.raises(InputError, match=words):
        load(device="cpu").harmonize(repo_root / "examples" / "ode-to-joy.mid", **options)  # type: ignore[arg-type]


def test_messages_name_arguments_of_python(repo_root: Path) -> None:
    with pytest.raises(InputError, match=r"Choose with track one of 1 'Melody'\.$"):
        load().harmonize(repo_root / "examples" / "ode-to-joy.mid", track=9)


def test_both_engines_write_music_and_the_same_seed_gives_the_same(repo_root: Path) -> None:
    tune = repo_root / "examples" / "twinkle.mid"
    options = {"bars": (2, 2), "seed": 4, "best_of": 1}
    for engine in ("onnx", "torch"):
        model = load(device="cpu", engine=engine)
        first, again = (model.infill(tune, **options).score.dumps_midi() for _ in range(2))
        assert first == again
    assert isinstance(load(engine="auto", device="cpu").generator.model, OnnxModel)
    assert isinstance(load(engine="torch", device="cpu").generator.model, TorchModel)


@pytest.mark.parametrize(("engine", "kind"), [("onnx", OnnxModel), ("torch", TorchModel)])
def test_the_page_and_the_evaluations_take_an_engine(tiny_checkpoint: Path, engine: EngineName, kind: type) -> None:
    (generator,) = Service([str(tiny_checkpoint)], engine=engine).generators.values()
    harmonizer = load_harmonizer(str(tiny_checkpoint), None, engine)
    assert isinstance(generator.model, kind)
    assert isinstance(causal_generator(harmonizer).model, kind)
    with pytest.raises(InputError, match="Give auto, onnx or torch"):
        load_harmonizer(str(tiny_checkpoint), None, "jax")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tensorflow"}, "The engine is 'tensorflow'. Give auto, onnx or torch."),
        ({"engine": "onnx", "device": "cuda"}, "runs on the CPU, not on cuda"),
        ({"engine": "onnx", "model": "gan"}, "this model is none"),
    ],
)
def test_an_engine_that_cannot_run_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(**options)
