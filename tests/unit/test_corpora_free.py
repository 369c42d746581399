"""The published weights were trained on free corpora only."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from descant_tokenizers.corpora import CORPORA, FREE_CORPORA
from descant_tokenizers.corpora.catalogue import TABLE


def test_shipped_weights_and_their_configs_name_free_corpora_only(repo_root: Path) -> None:
    shipped = [path for path in (repo_root / "modeling/descant_modeling/weights").iterdir() if path.is_dir()]
    assert shipped
    for folder in shipped:
        trained_on = _named(json.loads((folder / "descant.json").read_text("utf-8")))
        assert trained_on <= set(FREE_CORPORA), folder.name
        config = repo_root / "configs" / f"{folder.name}.yaml"
        if config.is_file():
            data = yaml.safe_load(config.read_text("utf-8")).get("data", {})
            assert set(data.get("corpora", ())) <= set(FREE_CORPORA), config.name


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
