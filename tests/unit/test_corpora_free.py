"""The published weights were trained on free corpora only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from datasets import Dataset

from descant_modeling.training.data import stated_licences
from descant_tokenizers.corpora import CORPORA, FREE_CORPORA
from descant_tokenizers.corpora.catalogue import TABLE
from descant_tokenizers.corpora.rights import RIGHTS, is_free


def test_shipped_weights_and_their_configs_name_free_corpora_only(repo_root: Path) -> None:
    shipped = [path for path in (repo_root / "modeling/descant_modeling/weights").iterdir() if path.is_dir()]
    assert shipped
    for folder in shipped:
        trained_on = _named(json.loads((folder / "descant.json").read_text("utf-8")))
        assert trained_on <= set(FREE_CORPORA), folder.name
        config = repo_root / "configs" / f"{folder.name}.yaml"
        if config.is_file():
            data = yaml.safe_load(config.read_text("utf-8")).get("data", {})
            assert set(data.get("corpora", ())) & set(CORPORA) <= set(FREE_CORPORA), config.name


def test_the_rights_of_every_corpus_are_those_of_the_documentation(repo_root: Path) -> None:
    assert set(RIGHTS) == set(CORPORA)
    lines = (repo_root / "docs" / "data.md").read_text("utf-8").splitlines()
    for name, rights in RIGHTS.items():
        (row,) = [line.split(" | ") for line in lines if line.startswith(f"| `{name}` |") and line.count("|") == 6]
        assert row[3:] == [rights.encodings, "yes |" if rights.is_free else "no |"], name


def test_licences_are_recorded_for_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Dataset.from_dict({"licence": ["CC0-1.0", "", "CC0-1.0", "b", "c"]})
    found = stated_licences(
        {"chorales": [rows], "mine": [rows.select([0]), rows], "other": [rows.remove_columns(["licence"])]}
    )
    assert found == {"mine": ["CC0-1.0", "b", "c", "not stated"]}
    assert not is_free("mine", found["mine"])
    monkeypatch.setattr("descant_modeling.training.data.MAX_LICENCES", 1)
    assert stated_licences({"mine": [rows]}) == {"mine": ["CC0-1.0", "3 others"]}
    assert not is_free("mine", ["CC0-1.0", "3 others"])


def _named(said: object) -> set[str]:
    """All names of corpora in a JSON document, as keys or values."""
    if isinstance(said, dict):
        return _named(list(said)) | _named(list(said.values()))
    if isinstance(said, list):
        return {name for item in said for name in _named(item)}
    return {said} & set(CORPORA) if isinstance(said, str) else set()


def test_what_forbids_commerce_or_reserves_rights_is_not_free() -> None:
    assert set(FREE_CORPORA) == {"chorales", "folk"}
    for name in FREE_CORPORA:
        licences = [group.licence for group in TABLE[name].groups] if name in TABLE else []
        assert not any("non-commercial" in licence for licence in licences)
