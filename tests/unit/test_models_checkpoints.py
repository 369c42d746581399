"""Checkpoint folders: written whole, loaded with and without our code, refused in one sentence."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.numpy import load_file, save_file

from descant_modeling.models.checkpoints import (
    CheckpointMeta,
    find_checkpoint,
    load_checkpoint,
    load_model,
    read_meta,
    recover_folder,
    replace_folder,
    save_checkpoint,
)
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.piece import NO_PITCH
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.tasks import LayoutConfig
from descant_tokenizers.tokens.vocabulary import Vocabulary

RANGES = ((60, 81), (36, 66), (52, 74), (46, 69))


@pytest.fixture(scope="module", params=["rotary", "gpt2"])
def saved(request, vocabulary, tmp_path_factory):
    """A checkpoint folder of a tiny model, and the model."""
    torch.manual_seed(1)
    config = ModelConfig(architecture=request.param, width=16, num_layers=1, num_heads=2, max_tokens=64)
    model = build_model(config, vocabulary.size, bos=1, eos=2, pad=0)
    meta = CheckpointMeta(LayoutConfig(None), "", {"chorales": "abc"}, RANGES, {"step": 3}, ("3/4", "4/4"))
    folder = tmp_path_factory.mktemp(request.param)
    save_checkpoint(folder, model, vocabulary.tokenizer, meta, "# Card\n")
    return folder, model


LOADING = """
import sys
from miditok import REMI
from transformers import AutoModelForCausalLM
for folder in sys.argv[1:]:
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = REMI.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.tie_word_embeddings
    assert tokenizer["BOS_None"] == model.config.bos_token_id == model.generation_config.bos_token_id
assert not [name for name in sys.modules if name.startswith("descant")]
"""


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(saved[0], tmp_path / "model")


def test_a_checkpoint_comes_back(saved, vocabulary):
    folder, model = saved
    checkpoint = load_checkpoint(str(folder))
    assert type(checkpoint.model) is type(model)
    assert all(torch.equal(a, b) for a, b in zip(checkpoint.model.parameters(), model.parameters(), strict=True))
    assert not checkpoint.model.training
    assert checkpoint.vocabulary.names == vocabulary.names
    assert checkpoint.layout.config == LayoutConfig(None)
    assert checkpoint.meta.voice_ranges == RANGES
    assert checkpoint.meta.training == {"step": 3}
    assert checkpoint.meta.meters == ("3/4", "4/4")


def test_a_voice_without_notes_has_a_range_too(folder):
    meta = json.loads((folder / "descant.json").read_text())
    (folder / "descant.json").write_text(json.dumps(meta | {"voice_ranges": [*RANGES[:3], NO_PITCH]}))
    assert load_checkpoint(str(folder)).meta.voice_ranges == (*RANGES[:3], NO_PITCH)


def test_the_folder_is_what_the_hub_holds(saved):
    expected = "README.md config.json descant.json generation_config.json model.safetensors tokenizer.json"
    assert sorted(path.name for path in saved[0].iterdir()) == expected.split()


def test_it_loads_with_none_of_our_code(saved):
    subprocess.run([sys.executable, "-c", LOADING, str(saved[0])], check=True, cwd=saved[0].parent, timeout=500)


def test_another_tokenizer_is_refused(folder):
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"miditok_version"', ' "miditok_version"'))
    with pytest.raises(InputError, match=r"is not the tokenizer the model was trained with .* Restore the file"):
        load_checkpoint(str(folder))


def test_a_tokenizer_file_that_stands_for_other_ids_is_refused(folder):
    spoil_meta(folder, vocabulary_sha256="0" * 64)
    with pytest.raises(InputError, match=r"gives other token ids with the installed miditok .*\. Install miditok 3\."):
        load_checkpoint(str(folder))


def test_format_1_had_no_hash_of_the_vocabulary(folder):
    spoil_meta(folder, format_version=1)
    path = folder / "descant.json"
    values = json.loads(path.read_text())
    del values["vocabulary_sha256"]
    path.write_text(json.dumps(values))
    assert load_checkpoint(str(folder)).meta.format_version == 1


def test_format_2_cannot_do_without(folder):
    path = folder / "descant.json"
    values = json.loads(path.read_text())
    del values["vocabulary_sha256"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"descant\.json cannot be read \(KeyError\('vocabulary_sha256'\)"):
        load_checkpoint(str(folder))


def test_the_embedded_model_says_what_its_ids_mean():
    vocabulary = Vocabulary(build_tokenizer("sbat-hints"))
    assert read_meta(find_checkpoint("chorales")).vocabulary_sha256 == vocabulary.sha256()


def spoil_meta(folder, **values):
    path = folder / "descant.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_newer_format_is_refused(folder):
    spoil_meta(folder, format_version=3, new_key=1)
    with pytest.raises(InputError, match=r"has format 3, newer than this program's 2\. Upgrade descant"):
        load_checkpoint(str(folder))


@pytest.mark.parametrize(
    "values",
    [
        *[
            {"layout": value}
            for value in ({"lookahead": 1}, 3, {"lookahead_bars": "2"}, {"hints": 1}, {"styles": [[1]]})
        ],
        *[{"voice_ranges": [*RANGES[:3], value]} for value in (1, ["a", "b"], [60, 50], [-1, 200], [60.0, 61.0])],
        *[{"voice_ranges": value} for value in ((), RANGES[:3], [*RANGES, [60, 61]])],
        {"unknown": 1},
        {"training": 3},
        {"format_version": "2"},
    ],
    ids=str,
)
def test_a_spoiled_descant_json_is_refused(folder, values):
    spoil_meta(folder, **values)
    with pytest.raises(InputError, match=r"descant\.json cannot be read"):
        load_checkpoint(str(folder))


def test_a_descant_json_that_is_no_object_is_refused(folder):
    (folder / "descant.json").write_text("[]")
    with pytest.raises(InputError, match=r"descant\.json cannot be read"):
        find_checkpoint(str(folder))


def test_pickled_weights_are_never_read(folder):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(folder / "sprung"),)

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"has no model\.safetensors, and no other format of weights is read\. Add it"):
        load_checkpoint(str(folder))
    assert not (folder / "sprung").exists()


def test_a_folder_without_config_is_refused(folder):
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config\.json\. Restore its files"):
        load_checkpoint(str(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_file_is_refused(folder, name, share):
    path = folder / name
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        load_checkpoint(str(folder))
    assert "\n" not in str(caught.value)


def test_a_model_of_another_size_is_refused(folder):
    config = ModelConfig(width=16, num_layers=1, num_heads=2, max_tokens=64)
    build_model(config, 99, bos=1, eos=2, pad=0).save_pretrained(folder)
    with pytest.raises(InputError, match=r"has a model of 99 tokens and a tokenizer of 524"):
        load_checkpoint(str(folder))


def test_a_run_folder_stands_for_its_best_checkpoint(folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folder, run / "last")
    assert find_checkpoint(str(run)).folder == run / "last"
    shutil.copytree(folder, run / "best")
    assert find_checkpoint(str(run)).folder == run / "best"


@pytest.mark.parametrize("name", ["no-such-model", "/no/such/folder", "./none", "a/b/c", ""])
def test_an_unknown_name_lists_the_choices(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"Unknown model|holds no descant\.json"):
        find_checkpoint(name)


def test_a_folder_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no descant\.json"):
        find_checkpoint(str(tmp_path))


def test_a_hub_id_that_cannot_be_fetched_is_one_sentence():
    with pytest.raises(InputError, match="could not be fetched from the Hub") as caught:
        find_checkpoint("descant-tests/no-such-model")
    assert "\n" not in str(caught.value)


def write(text):
    return lambda folder: (folder / "file").write_text(text)


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "last"
    replace_folder(target, write("one"))
    replace_folder(target, write("two"))
    assert (target / "file").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_what_stood_there_survives_a_failed_write(tmp_path):
    target = tmp_path / "last"
    replace_folder(target, write("one"))
    with pytest.raises(ZeroDivisionError):
        replace_folder(target, lambda folder: 1 / 0)
    assert (target / "file").read_text() == "one"
    replace_folder(target, write("two"))
    assert (target / "file").read_text() == "two"


def test_a_kill_between_the_two_renames_is_undone(tmp_path):
    target = tmp_path / "last"
    replace_folder(tmp_path / "last.old", write("one"))
    replace_folder(tmp_path / "last.new", write("two"))
    recover_folder(target)
    assert (target / "file").read_text() == "one"
    recover_folder(target)
    assert (target / "file").read_text() == "one"


@pytest.mark.parametrize("damage", ["missing", "another size", "surplus"])
def test_parameters_are_those_of_the_configuration(folder, damage):
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith(".bias"))
    bias = weights.pop(name)
    if damage != "missing":
        weights[name] = bias[:-1] if damage == "another size" else bias
    if damage == "surplus":
        weights[f"{name}.more"] = bias.copy()
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"parameters are missing or have another size, first '.*bias"):
        load_checkpoint(str(folder))


SIZES = {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "hidden_size": "n_embd"}
SPOILED_CONFIGS = [
    *[{key: value} for key in SIZES for value in (0, -1, 10**6, "2", 2.0, True, None, [1], float("nan"))],
    *[{"hidden_act": value} for value in ("relu", "no such", 3, None)],
    *[{"dtype": value} for value in ("float8", "int8", 1, {})],
    *[{"vocab_size": value} for value in (0, -1, 10**12)],
    *[{key: 1} for key in ("quantization_config", "auto_map", "attn_implementation", "_attn_implementation", "colour")],
    {"auto_map": {"AutoConfig": "evil.Config"}, "model_type": "evil"},
    {"model_type": "llama"},
    {"model_type": []},
    {"architectures": ["Evil"]},
    {"num_attention_heads": 3},
    {"max_position_embeddings": 10**9},
    {"tie_word_embeddings": "no"},
    {"use_parallel_residual": True},
    {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "partial_rotary_factor": 1.0}},
    {"layer_norm_eps": "small"},
]


@pytest.mark.parametrize("change", SPOILED_CONFIGS, ids=str)
def test_a_configuration_beyond_the_tables_is_one_sentence(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if config["model_type"] == "gpt2":
        change = {SIZES.get(key, key): value for key, value in change.items()}
    path.write_text(json.dumps(config | change))
    for load in (load_checkpoint, load_model):
        with pytest.raises(InputError, match=r"^The model in .* cannot be loaded \(.*\)\. Restore its files\.$"):
            load(folder if load is load_model else str(folder))


@pytest.mark.parametrize("name", ["config.json", "descant.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "[]", "3", "null", '"x"', "{}", '{"model_type": 1e999}']
)
def test_a_file_that_is_no_model_is_one_sentence(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(InputError) as caught:
        load_checkpoint(str(folder))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    "change",
    [
        {"pitch_range": [0, 10**9]},
        {"beat_res": {"0_4": 10**9}},
        {"beat_res": {"x": 1}},
        {"num_velocities": 10**9},
        {"special_tokens": ["PAD_None"] * 10**5},
        {"time_signature_range": {"4": [10**9]}},
        {"programs": ["x"]},
        {"additional_params": 3},
        {"use_chords": "yes"},
        {"no_such_key": 1},
    ],
)
def test_a_tokenizer_beyond_the_tables_is_one_sentence(folder, change):
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    values["config"] |= change
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"^.*tokenizer\.json is not .*\. (Use|Restore) .*\.$"):
        load_checkpoint(str(folder))


def test_a_device_that_is_not_there_is_refused(saved):
    with pytest.raises(InputError, match=r"^The device 'abacus' is not available here\. Use .*cpu\.$"):
        load_checkpoint(str(saved[0]), "abacus")
