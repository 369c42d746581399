"""Presets, and the tokenizer files of checkpoint folders."""

import json

import pytest
from miditok import REMI

from descant_modeling.models.transformer import ModelConfig, build_model
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.kinds import FOUR_PART, kind_of
from descant_tokenizers.tokens.presets import SPECIAL_TOKENS, VOICE_PROGRAMS, build_tokenizer, load_tokenizer


@pytest.mark.parametrize("architecture", ["rotary", "gpt2"])
def test_model_and_tokenizer_have_one_size(vocabulary, architecture):
    config = ModelConfig(architecture=architecture, width=16, num_layers=1, num_heads=2, max_tokens=64)
    model = build_model(config, vocabulary.size, bos=1, eos=2, pad=0)
    assert model.config.vocab_size == len(build_tokenizer("satb")) == model.get_input_embeddings().num_embeddings
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_the_special_tokens_come_first_in_their_order(vocabulary):
    assert vocabulary.names[: len(SPECIAL_TOKENS)] == [f"{name}_None" for name in SPECIAL_TOKENS]


def test_voices_are_programs_from_high_to_low(vocabulary):
    programs = [int(vocabulary.values[vocabulary.voice_id[rank]]) for rank in range(vocabulary.num_voices)]
    assert programs == [VOICE_PROGRAMS[name] for name in VOICES]


def test_sbat_names_the_bass_behind_the_soprano(outer_first, tmp_path):
    assert kind_of(outer_first) is FOUR_PART
    assert outer_first.voices == ("Soprano", "Bass", "Alto", "Tenor")
    assert [outer_first.voice_name(rank) for rank in range(4)] == list(outer_first.voices)
    outer_first.tokenizer.save(tmp_path / "tokenizer.json")  # as a set of programs, so that their order could get lost
    assert load_tokenizer(tmp_path).vocab == outer_first.tokenizer.vocab


def test_an_unknown_preset_is_named():
    with pytest.raises(InputError, match=r"'piano' is not a tokenizer preset\. Choose one of satb"):
        build_tokenizer("piano")


def test_a_saved_tokenizer_is_the_same(vocabulary, tmp_path):
    vocabulary.tokenizer.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path).vocab == vocabulary.tokenizer.vocab


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '"text"', json.dumps({"version": "1.0", "model": {"type": "BPE"}}), "\x00\xff"]
)
def test_a_file_that_is_no_miditok_tokenizer_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match="is not a REMI tokenizer of Descant"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_without_the_task_tokens_is_refused(tmp_path):
    REMI().save(tmp_path / "tokenizer.json")
    with pytest.raises(InputError, match="it has no token SEP"):
        load_tokenizer(tmp_path)
