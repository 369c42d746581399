"""A model ready to write, and everything that is bad."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from descant_modeling.api import Model

pytest.register_assert_rewrite("mistakes", "prompts")  # of tests/support, so that their assertions tell what they saw


@pytest.fixture(scope="session")
def writer(tiny_checkpoint: Path) -> Model:
    """The untrained model of four voices, ready to write."""
    from descant_modeling.api import load

    return load(str(tiny_checkpoint), "cpu")


@pytest.fixture(scope="session")
def guided(hints_checkpoint: Path) -> Model:
    """The untrained model with hints, ready to write."""
    from descant_modeling.api import load

    return load(str(hints_checkpoint), "cpu")


@pytest.fixture(scope="session")
def bad_things(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A folder of everything that the table of mistakes names."""
    from bad_things import make_bad_things

    folder = tmp_path_factory.mktemp("bad")
    make_bad_things(folder, tiny_checkpoint)
    return folder


@pytest.fixture
def at_home(bad_things: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of bad things as the working folder, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("descant_tokenizers.scores.reading.open", _open, raising=False)
    monkeypatch.chdir(bad_things)
    return bad_things


def _open(path: Path, *arguments: Any, **options: Any) -> Any:
    """Refuse one file, which the superuser and Windows would let us read."""
    if Path(path).name == "locked.mid":
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return open(path, *arguments, **options)


@pytest.fixture(scope="session")
def imported(tiny_checkpoint: Path) -> None:
    """All that the commands import, with matplotlib's fonts: what is measured is the commands themselves."""
    import datasets  # noqa: F401
    import onnxruntime  # noqa: F401
    from matplotlib.figure import Figure
    from miditok import REMI  # noqa: F401

    import descant_tokenizers.comparison.compare
    import descant_tokenizers.rendering.audio
    import descant_tokenizers.rendering.pianoroll  # noqa: F401
    from descant_modeling.models.checkpoints import load_checkpoint

    Figure(layout="constrained").savefig(io.BytesIO())
    load_checkpoint(str(tiny_checkpoint))
