"""A plain installation, without torch, makes music; what it lacks is named in one message."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
import symusic
from packaging.requirements import Requirement

from descant_tokenizers.common.errors import EXTRAS, missing_extra
from descant_tokenizers.scores import VOICES

MAX_MEGABYTES = 650
BLOCKED = (*EXTRAS, "pandas", "sympy", "dill", "multiprocess")
BLOCK = f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r}))\n"


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing can be imported that only an extra installs."""
    (tmp_path / "sitecustomize.py").write_text(BLOCK, encoding="utf-8")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def _descant(plain: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "descant_modeling.cli.main", *map(str, arguments)]
    return subprocess.run(command, env=plain, capture_output=True, text=True, check=False)


def test_a_melody_is_harmonized_engraved_and_heard(repo_root: Path, plain: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out" / "tune.mid"
    done = _descant(plain, "generate", "--prompt", repo_root / "examples" / "twinkle.mid", "--best-of", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    assert tuple(track.name for track in symusic.Score(out).tracks) == VOICES
    assert {file.suffix for file in out.parent.iterdir()} == {".mid", ".musicxml", ".svg", ".png", ".mp3"}


@pytest.mark.parametrize(
    "arguments", [("doctor",), ("tokenizer", "inspect", "twinkle.mid"), ("render", "twinkle.mid", "--out", "out.mid")]
)
def test_what_needs_no_extra_runs(
    repo_root: Path, plain: dict[str, str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    paths = {"twinkle.mid": repo_root / "examples" / "twinkle.mid", "out.mid": tmp_path / "out.mid"}
    done = _descant(plain, *(paths.get(argument, argument) for argument in arguments))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "module", "extra"),
    [
        (("train", "--config", "configs/smoke.yaml"), "", "train"),
        (("dataset", "build", "examples", "--out", "OUT"), "", "train"),
        (("generate", "--prompt", "examples/twinkle.mid", "--model", "gan", "--out", "OUT.mid"), "torch", "train"),
        (("generate", "--prompt", "examples/twinkle.mid", "--engine", "torch", "--out", "OUT.mid"), "torch", "train"),
        (("app", "--no-browser", "--port", "0"), "", "app"),
        (("serve",), "", "app"),
    ],
)
def test_what_needs_an_extra_says_which(
    repo_root: Path, plain: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], module: str, extra: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "descant_modeling.cli.main"]
        + [argument.replace("OUT", str(tmp_path / "out")) for argument in arguments],
        cwd=repo_root,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: This needs {module}")
    assert line.endswith(f"Run pip install -c constraints.txt -e '.[{extra}]'.")
    assert not list(tmp_path.glob("out*"))


def test_extras_bring_what_they_are_named_for(repo_root: Path) -> None:
    extras = tomllib.loads((repo_root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for library, extra in EXTRAS.items():
        assert library in {Requirement(line).name for line in extras[extra]}, library
    for extra in set(EXTRAS.values()):
        assert set(extras[extra]) <= set(extras["dev"])


def test_the_page_offers_the_models_that_can_run(plain: dict[str, str]) -> None:
    story = "from descant_modeling.app.service import Service; print(sorted(Service().generators))"
    done = subprocess.run([sys.executable, "-c", story], env=plain, capture_output=True, text=True, check=False)
    assert done.stdout == "['chorales', 'quartets', 'songs', 'style-free']\n", done.stderr


def test_other_missing_modules_are_bugs() -> None:
    with pytest.raises(ModuleNotFoundError):
        missing_extra(ModuleNotFoundError("No module named 'nonsense'", name="nonsense"))


def _installed_by(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Distributions that an installation of these requirements brings, by name, as they are in this environment."""
    found: dict[tuple[str, frozenset[str]], Distribution] = {}
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        extras = wanted.extras or {""}
        if (wanted.name, frozenset(extras)) not in found:
            installed = found[wanted.name, frozenset(extras)] = distribution(wanted.name)
            further = [Requirement(line) for line in installed.requires or ()]
            waiting += [r for r in further if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)]
    return {installed.name: installed for installed in found.values()}


def _num_bytes(files: Iterable[os.PathLike[str]]) -> int:
    return sum(os.stat(file).st_size for file in files if os.path.isfile(file))


def test_a_plain_environment_is_small(repo_root: Path) -> None:
    """The packages' own files, compiled modules included, are counted here, where larger extras are beside them."""
    project = tomllib.loads((repo_root / "pyproject.toml").read_text("utf-8"))["project"]
    distributions = _installed_by([*project["dependencies"], "pip"])
    assert len(distributions) > len(project["dependencies"])
    assert set(distributions).isdisjoint({"torch", "transformers", "datasets", "pandas", "gradio"})
    size = sum(_num_bytes(map(d.locate_file, d.files or ())) for d in distributions.values())
    size += sum(_num_bytes((repo_root / root).rglob("*")) for root in ("tokenizers", "modeling"))
    print(f"a plain environment takes {size / 1e6:.0f} MB")
    assert 0.5 * MAX_MEGABYTES * 1e6 < size <= MAX_MEGABYTES * 1e6
