"""What a model card says, to people and to the Hub."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from symusic.core import ScoreTick

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.evaluation.cards import card_of as embedded_card
from descant_modeling.evaluation.cards import measured, measured_rolls
from descant_modeling.gan.checkpoints import BUILDERS, WORDINGS, gan_card, load_gan
from descant_modeling.models.checkpoints import EMBEDDED, CheckpointMeta, embedded_models, load_checkpoint
from descant_modeling.models.networks import NetworkMeta
from descant_modeling.models.publishing import (
    FREE_WEIGHTS,
    NO_RULES,
    OTHER_WEIGHTS,
    PLACEHOLDER,
    RULES,
    TESTED,
    MeasuredFigure,
    model_card,
)
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_tokenizers.tokens.tasks import LayoutConfig

FACTS = {"seed": 1, "splits": ["train"], "valid_nats_per_voice_16th": 0.51234}
META = CheckpointMeta(LayoutConfig(), "", {"chorales": "abc"}, ((60, 81), (52, 74), (46, 69), (36, 66)), FACTS)
FIFTHS = MeasuredFigure(
    "parallel_fifths", "parallel fifths, per 1,000", 0.25, 0.54, "descant evaluate harmonization --json"
)


def card_of(vocabulary, *measured):
    model = build_model(ModelConfig(width=16, num_layers=1, num_heads=1), vocabulary.size, bos=1, eos=2, pad=0)
    return ModelCard(model_card(model, META, vocabulary, measured))


def test_measured_figures_stand_in_the_text_and_in_the_model_index(vocabulary):
    card = card_of(vocabulary, FIFTHS)
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found == {"nats_per_voice_16th": 0.5123, "parallel_fifths": 0.25}
    assert "| parallel fifths, per 1,000 | 0.25 | 0.54 |" in card.text
    assert card.text.count("- `descant evaluate harmonization --json`") == 1


def test_figures_of_the_test_split_stand_apart(vocabulary):
    tested = replace(FIFTHS, key="grade", split="test", command="descant evaluate harmonization --split test --json")
    card = card_of(vocabulary, FIFTHS, tested)
    assert [result.dataset_split for result in card.data.eval_results] == ["valid", "valid", "test"]
    valid, test = card.text.split(TESTED)
    assert "| on valid |" in valid
    assert "--split test" not in valid
    assert "| on test |" in test
    assert "- `descant evaluate harmonization --split test --json`" in test


def test_a_card_without_measurements_has_no_table(vocabulary):
    card = card_of(vocabulary)
    assert [result.metric_type for result in card.data.eval_results] == ["nats_per_voice_16th"]
    assert "| on valid |" not in card.text


def test_a_card_says_whether_rules_are_enforced(vocabulary, merged_vocabulary, gm_vocabulary):
    assert RULES in card_of(vocabulary).text
    for other in (merged_vocabulary, gm_vocabulary):
        assert NO_RULES in card_of(other).text


def test_the_embedded_card_quotes_the_newest_records(repo_root: Path):
    records = (path.parent for path in (repo_root / "records").glob("*_evaluation/harmonization.json"))
    checkpoint = load_checkpoint(EMBEDDED_DEFAULT)
    facts = checkpoint.meta.training
    assert facts["evaluation"] == f"records/{max(records).name}"
    folders = [repo_root / facts[key] for key in ("evaluation", "test") if key in facts]
    figures = [figure for folder in folders for figure in measured(folder, EMBEDDED_DEFAULT)]
    card = model_card(checkpoint.model, checkpoint.meta, checkpoint.vocabulary, figures)
    assert (EMBEDDED / EMBEDDED_DEFAULT / "README.md").read_text(encoding="utf-8") == card


SECTIONS = ("Use", "Intended use", "Training data", "License", "Quality", "Limits", "Run")


def test_a_card_says_what_the_model_is_for(vocabulary):
    text = card_of(vocabulary).text
    for section in SECTIONS:
        assert f"\n## {section}\n" in text


@pytest.mark.parametrize(
    ("corpora", "stated", "line", "is_free"),
    [
        (("chorales",), {}, "Rights in the music: public domain; in the files: no rights statement.", True),
        (("chorales", "folk"), {}, "in the files: freely contributed; the transcriber is named.", True),
        (("chorales", "essen"), {}, "in the files: non-commercial use only.", False),
        (("mine",), {"mine": ["CC0-1.0"]}, "- mine: Licenses that its rows state: CC0-1.0.", True),
        (("mine",), {"mine": ["CC0-1.0", "all rights reserved"]}, "state: CC0-1.0; all rights reserved.", False),
        (("mine",), {"mine": ["public domain?"]}, "state: public domain?.", False),
        (("chorales", "mine"), {}, "- mine: See the licence column of the dataset.", False),
    ],
)
def test_a_card_tells_the_licences_of_data_and_weights(vocabulary, corpora, stated, line, is_free):
    model = build_model(ModelConfig(width=16, num_layers=1, num_heads=1), vocabulary.size, bos=1, eos=2, pad=0)
    facts = FACTS | {"licences": stated}
    meta = replace(META, corpora=dict.fromkeys(corpora, "abc"), training=facts)
    card = ModelCard(model_card(model, meta, vocabulary))
    assert line in card.text
    assert (FREE_WEIGHTS if is_free else OTHER_WEIGHTS) in card.text
    assert card.data.license == ("apache-2.0" if is_free else "other")
    assert "- licences:" not in card.text


def test_embedded_weights_may_be_used_freely_and_their_cards_are_up_to_date(repo_root: Path):
    for name in embedded_models():
        text = (EMBEDDED / name / "README.md").read_text(encoding="utf-8")
        assert text == embedded_card(name, repo_root), f"{name}: run python records/cards.py"
        assert ModelCard(text).data.license == "apache-2.0", name
        assert FREE_WEIGHTS in text
        assert "public domain" in text or "CC0-1.0" in text


# GANs


def gan_meta(objective, corpora, **metrics):
    ranges = ((55, 80),) if objective == "midinet" else ((60, 81), (52, 74), (46, 69), (36, 66))
    return NetworkMeta(corpora, ranges, {"seed": 1, "metrics": metrics}, objective)


@pytest.mark.parametrize("objective", BUILDERS)
def test_a_gans_card_says_the_same_and_loads_as_it_says(objective, repo_root: Path, tmp_path, monkeypatch):
    card = ModelCard(gan_card(gan_meta(objective, {"chorales-rolls": "0"}, in_scale=(0.91234, 0.95))))
    assert "{" not in card.text
    for section in SECTIONS:
        assert f"\n## {section}\n" in card.text
    assert (card.data.license, card.data.model_name) == ("apache-2.0", WORDINGS[objective].title)
    assert {"music", "gan", "piano-roll"} <= set(card.data.tags)
    (result,) = card.data.eval_results
    assert (result.dataset_name, result.dataset_split) == ("chorales-rolls", "valid")
    assert (result.metric_type, result.metric_value) == ("in_scale", 0.9123)
    assert "| share in one scale | 0.912 | 0.950 |" in card.text
    assert f"- `accelerate launch train.py --config configs/{objective}.yaml`" in card.text

    (lines,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(repo_root / "examples" / "ode-to-joy.mid", "melody.mid")
    exec(lines.replace(PLACEHOLDER, objective), {})
    (written,) = {path.name for path in tmp_path.iterdir()} - {"melody.mid"}
    assert ScoreTick.from_file(tmp_path / written).note_num() > 8


def test_a_gan_of_a_folder_or_without_metrics_says_so():
    folder = ModelCard(gan_card(gan_meta("gan", {"data/mine": "0"}, in_scale=(0.9, 0.9))))
    assert folder.data.license == "other"
    assert "- data/mine: See the licence column of the dataset." in folder.text
    assert OTHER_WEIGHTS in folder.text
    bare = ModelCard(gan_card(gan_meta("gan", {"chorales-rolls": "0"})))
    assert "\nNot measured.\n" in bare.text
    assert not bare.data.eval_results


@pytest.mark.parametrize("name", BUILDERS)
def test_the_embedded_gans_quote_the_records_that_they_name(name, repo_root: Path):
    gan = load_gan(name)
    figures = measured_rolls(gan.meta.training, name, repo_root)
    text = (EMBEDDED / name / "README.md").read_text(encoding="utf-8")
    assert text == gan_card(gan.meta, figures)
    found = {result.metric_type: result.metric_value for result in ModelCard(text).data.eval_results}
    record = json.loads((repo_root / gan.meta.training["record"] / "metrics.json").read_text(encoding="utf-8"))
    part = record.get("bars", record.get("rolls"))
    assert part["iteration"] == gan.meta.training["step"]
    assert {key: found[key] for key in part["written"]} == part["written"]
    about = {result.metric_type: result.dataset_name for result in ModelCard(text).data.eval_results}
    assert about.get("grade") == ("chorales" if name == "gan" else None)
