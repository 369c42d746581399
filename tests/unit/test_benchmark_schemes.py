"""Rows of a recorded comparison of schemes are measured again one by one."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError


def test_a_row_is_added_at_its_place(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "benchmarks"))
    schemes = importlib.import_module("schemes")

    music = tmp_path / "music"
    music.mkdir()
    shutil.copy(repo_root / "examples" / "twinkle.mid", music)
    record = schemes.measure("music", str(music), ["remi", "octuple"])
    found = schemes.with_rows(record, str(music), ["beat"])
    assert [row["name"] for row in found["schemes"]] == ["remi", "beat", "octuple"]
    assert found["schemes"][0] == record["schemes"][0]
    assert "beat; the others are of `git`" in found["note"]
    shutil.copy(repo_root / "examples" / "ode-to-joy.mid", music)
    with pytest.raises(InputError, match="is not the music of the record"):
        schemes.with_rows(record, str(music), ["beat"])
