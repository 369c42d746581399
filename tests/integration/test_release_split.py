"""`--split test` in every command of `descant evaluate`, on a corpus of a few bars: it works, and is announced.

The real test split is measured for a release only, by hand; no test does it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict
from prompts import chorale

from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.corpora.store import read_dataset

ANNOUNCED = "The test split is measured once, for a release. Base no choice on these figures."
SIZES = {"train": 3, "valid": 2, "test": 1}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of six pieces, whose test split holds the shortest one, of three bars."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "songs").mkdir()
    for number in range(6):
        score = chorale(3 + number)
        for track in score.tracks:
            for note in track.notes:
                note.pitch += number % 3 + (note.time // 480 % 4 == number % 4)
        score.dump_midi(folder / "songs" / f"{number}.mid")
    build_dataset(str(folder / "songs"), folder / "built", num_proc=1)
    built = read_dataset(folder / "built")
    rows = sorted((row for split in built.values() for row in split), key=lambda row: row["num_notes"], reverse=True)
    assert len(rows) == sum(SIZES.values())
    features = next(iter(built.values())).features
    splits = {}
    for name, size in SIZES.items():
        taken, rows = rows[:size], rows[size:]
        splits[name] = Dataset.from_list([{**row, "split": name} for row in taken], features=features)
    DatasetDict(splits).save_to_disk(folder / "dataset")
    return folder / "dataset"


@pytest.mark.parametrize("command", ["likelihood", "harmonization", "memorization", "memorization-continue", "report"])
def test_a_model_is_measured_on_test_with_the_remark_about_releases(
    descant: Callable[..., Any], corpus: Path, tiny_checkpoint: Path, tmp_path: Path, command: str
) -> None:
    name, _, task = command.partition("-")
    model = "--models" if name == "report" else "--model"
    options: dict[str, tuple[object, ...]] = {
        "likelihood": (),
        "harmonization": ("--reference", f"{corpus}:train", "--best-of", 1),
        "memorization": ("--train", f"{corpus}:train", "--task", task or "harmonize"),
        "report": ("--reference", f"{corpus}:train", "--out", tmp_path / "report.html", "--shown", 1),
    }
    line = ("evaluate", name, model, tiny_checkpoint, "--corpus", corpus, "--split", "test", *options[name])
    done = descant(*line, "--device", "cpu", "--json")
    assert done.status == 0, done.err
    assert ANNOUNCED in done.err
    facts = json.loads(done.out)
    measured = {
        "likelihood": lambda: facts["num_pieces"],
        "harmonization": lambda: facts["num_sopranos"],
        "memorization": lambda: facts["bach"]["num_pieces"],
        "report": lambda: facts["bach"]["num_pieces"],
    }[name]()
    assert measured == SIZES["test"]


def test_continuing_with_the_gan_is_refused(descant: Callable[..., Any], corpus: Path) -> None:
    source = ("--corpus", corpus, "--split", "valid", "--train", f"{corpus}:train")
    done = descant("evaluate", "memorization", "--model", "gan", "--task", "continue", *source, "--device", "cpu")
    assert (done.status, done.out) == (2, "")
    assert done.err == "error: gan supports only harmonization. Omit --task, or choose another --model.\n"


def test_the_pieces_themselves_are_measured_on_test(descant: Callable[..., Any], corpus: Path) -> None:
    done = descant("evaluate", "chorales", f"{corpus}:test", "--reference", f"{corpus}:train", "--json")
    assert done.status == 0, done.err
    assert ANNOUNCED in done.err
    assert json.loads(done.out)["num_pieces"] == SIZES["test"]


def test_styles_are_compared_on_test(
    descant: Callable[..., Any], corpus: Path, style_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = read_dataset(corpus).map(lambda row: {"corpus": "chorales", "composer": "Johann Sebastian Bach"})
    asked = []

    def load(name: str) -> DatasetDict:
        asked.append(name)
        return dataset if name == "chorales" else DatasetDict({})

    monkeypatch.setattr("descant_modeling.evaluation.likelihood.load_corpus", load)
    done = descant("evaluate", "style", "--model", style_checkpoint, "--split", "test", "--device", "cpu", "--json")
    assert done.status == 0, done.err
    assert ANNOUNCED in done.err
    facts = json.loads(done.out)
    assert asked == ["chorales", "folk"]
    assert [(row["style"], row["num_pieces"]) for row in facts["rows"]] == [("bach", SIZES["test"])]
    assert facts["without_pieces"] == ["folk"]


def test_the_documentation_says_what_the_split_is_for(repo_root: Path) -> None:
    for page in ("docs/evaluation.md", "docs/tutorials/evaluation.md"):
        text = " ".join((repo_root / page).read_text(encoding="utf-8").split())
        assert re.search(r"`test`[^.`]*\bonce\b", text), page
