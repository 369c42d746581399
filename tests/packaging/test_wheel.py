"""A wheel built from this tree carries the data and the weights, and works away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import symusic

from descant_tokenizers.scores import VOICES

PACKAGES = ("tokenizers/descant_tokenizers", "modeling/descant_modeling")
NO_NETWORK = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}


@pytest.fixture(scope="session")
def wheel(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built offline."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(repo_root)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("descant-*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds the wheel, the tests' own dependencies, and no checkout."""
    home = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A folder named in a .pth file joins the path, but the .pth files inside it (the editable checkout) are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def _package_files(repo_root: Path) -> dict[str, int]:
    """Size in bytes of each file of the packages, by its name inside a wheel."""
    files = [file for package in PACKAGES for file in (repo_root / package).rglob("*") if file.is_file()]
    sources = [file for file in files if "__pycache__" not in file.parts]
    return {file.relative_to(repo_root).as_posix().split("/", 1)[1]: file.stat().st_size for file in sources}


def test_wheel_holds_the_packages_and_nothing_else(wheel: Path, repo_root: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.is_dir()}
    packaged = {name: size for name, size in held.items() if ".dist-info/" not in name}
    tunes = [file for file in (repo_root / "examples").iterdir() if file.suffix in (".mid", ".abc", ".musicxml")]
    examples = {f"descant_modeling/app/examples/{file.name}": file.stat().st_size for file in tunes}
    assert len(examples) >= 7
    assert packaged == _package_files(repo_root) | examples
    for needed in (
        "descant_tokenizers/py.typed",
        "descant_modeling/py.typed",
        "descant_tokenizers/corpora/data/jsb_splits.json",
        "descant_modeling/app/assets/page.js",
        "descant_modeling/evaluation/data/reference_rates.json",
    ):
        assert needed in packaged
    assert any(name.endswith("/licenses/LICENSE") for name in held)


def test_wheel_imports_away_from_the_checkout(installed: Path, repo_root: Path, tmp_path: Path) -> None:
    story = (
        "import descant_modeling, descant_tokenizers, tokenizers, transformers\n"
        "print(descant_modeling.__file__, descant_tokenizers.__file__, descant_tokenizers.__version__, sep='\\n')"
    )
    command = [str(installed), "-I", "-c", story]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modeling, tokenizers, version = done.stdout.splitlines()
    for file in (modeling, tokenizers):
        assert Path(file).is_relative_to(installed.parent.parent)
        assert not Path(file).is_relative_to(repo_root)
    assert version


@pytest.mark.slow
def test_wheel_harmonizes_with_no_network(installed: Path, repo_root: Path, tmp_path: Path) -> None:
    if not (repo_root / "modeling/descant_modeling/weights").is_dir():
        pytest.skip("this tree has no embedded weights")
    shutil.copy(repo_root / "examples/ode-to-joy.mid", tmp_path / "tune.mid")
    command = [str(installed), "-I", "-m", "descant_modeling.cli.main", "generate", "--prompt", "tune.mid", "--json"]
    environment = os.environ | NO_NETWORK | {"HF_HOME": str(tmp_path / "empty-cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    (written,) = json.loads(line)["outputs"]
    score = symusic.Score(tmp_path / written)
    assert tuple(track.name for track in score.tracks) == VOICES
    assert all(track.notes for track in score.tracks)


@pytest.mark.slow
def test_wheel_offers_the_examples_on_its_page(installed: Path, tmp_path: Path) -> None:
    story = "from descant_modeling.app.service import Service, example_files\n"
    story += "service = Service([])\nsession = service.sessions.of('x')\n"
    story += "print([service.open_example(session, title)['editable'] for title in example_files()])"
    command = [str(installed), "-I", "-c", story]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([True] * 7)
