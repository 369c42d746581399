"""The two source roots never shadow Hugging Face's `tokenizers` (tokenizers/README.md tells the story)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Modules of the standard library and of our dependencies that a script at the root would hide.
SHADOWING_NAMES = ("datasets", "evaluate", "tokenize", "tokenizers", "transformers", "torch", "types")


@pytest.mark.parametrize("source_root", ["tokenizers", "modeling"])
def test_source_root_is_no_package(repo_root: Path, source_root: str) -> None:
    assert (repo_root / source_root).is_dir()
    assert not list((repo_root / source_root).glob("__init__.*"))


@pytest.mark.parametrize("package", ["tokenizers/descant_tokenizers", "modeling/descant_modeling"])
def test_package_says_that_it_is_typed(repo_root: Path, package: str) -> None:
    assert (repo_root / package / "__init__.py").is_file()
    assert (repo_root / package / "py.typed").is_file()


@pytest.mark.parametrize("name", SHADOWING_NAMES)
def test_no_script_shadows_a_library(repo_root: Path, name: str) -> None:
    assert not (repo_root / f"{name}.py").exists()


def test_tokenizers_is_hugging_faces_from_the_root(repo_root: Path) -> None:
    # `python -c` puts the working folder first on the path, as `python train.py` does with the script's folder.
    story = (
        "import sys; assert sys.path[0] == ''\n"
        "import descant_tokenizers, tokenizers, transformers\n"
        "from tokenizers import Tokenizer\n"
        "print(tokenizers.__file__); print(descant_tokenizers.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", story], cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs, ours = (Path(line) for line in done.stdout.split("\n")[:2])
    assert "site-packages" in theirs.parts
    assert ours.is_relative_to(repo_root / "tokenizers")
