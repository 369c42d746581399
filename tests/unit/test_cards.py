"""What a model card says, to people and to the Hub."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from descant_modeling.cards import NO_RULES, RULES, Measured, model_card
from descant_modeling.checkpoints import EMBEDDED, EMBEDDED_DEFAULT, CheckpointMeta, load_checkpoint
from descant_modeling.config import ModelConfig
from descant_modeling.models import build_model
from descant_tokenizers.tokens.layout import LayoutConfig

FACTS = {"seed": 1, "splits": ["train"], "valid_nats_per_voice_16th": 0.51234}
META = CheckpointMeta(LayoutConfig(), "", {"chorales": "abc"}, ((60, 81), (52, 74), (46, 69), (36, 66)), FACTS)
FIFTHS = Measured("parallel_fifths", "parallel fifths, per 1,000", 0.25, 0.54, "descant evaluate harmonization --json")


def card_of(table, *measured):
    model = build_model(ModelConfig(width=16, num_layers=1, num_heads=1), table.size, bos=1, eos=2, pad=0)
    return ModelCard(model_card(model, META, table, measured))


def test_measured_figures_stand_in_the_text_and_in_the_model_index(table):
    card = card_of(table, FIFTHS)
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found == {"nats_per_voice_16th": 0.5123, "parallel_fifths": 0.25}
    assert "| parallel fifths, per 1,000 | 0.25 | 0.54 |" in card.text
    assert card.text.count("- `descant evaluate harmonization --json`") == 1


def test_a_card_without_measurements_has_no_table(table):
    card = card_of(table)
    assert [result.metric_type for result in card.data.eval_results] == ["nats_per_voice_16th"]
    assert "| on valid |" not in card.text


def test_a_card_says_whether_rules_are_enforced(table, learned_table, gm_table):
    assert RULES in card_of(table).text
    for other in (learned_table, gm_table):
        assert NO_RULES in card_of(other).text


def test_the_embedded_card_quotes_the_newest_records(repo_root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import embed

    records = (path.parent for path in (repo_root / "records").glob("*_evaluation/harmonization.json"))
    checkpoint = load_checkpoint(EMBEDDED_DEFAULT)
    figures = embed.measured(max(records), EMBEDDED_DEFAULT)
    card = model_card(checkpoint.model, checkpoint.meta, checkpoint.table, figures)
    assert (EMBEDDED / EMBEDDED_DEFAULT / "README.md").read_text(encoding="utf-8") == card


def test_a_card_says_what_the_model_is_for(table):
    text = card_of(table).text
    for section in ("Use", "Intended use", "Training data", "Quality", "Limits", "Run"):
        assert f"\n## {section}\n" in text
