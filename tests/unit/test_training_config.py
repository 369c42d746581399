"""Run configurations: strict keys, types and ranges; overrides; every file of configs/."""

import re
from pathlib import Path

import pytest

from descant_modeling.common.config import build_config, load_values
from descant_modeling.gan.config import GanConfig, MidinetConfig
from descant_modeling.objectives import OBJECTIVES, objective_of
from descant_modeling.training.config import RunConfig
from descant_tokenizers.common.errors import InputError


def parse_run_config(values, where, overrides=()):
    return build_config(objective_of(values, where).config, values, where, overrides)


def read(path, overrides=()):
    return build_config(RunConfig, *load_values(path), overrides)


CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def test_the_default_and_a_smoke_row_are_there():
    assert {"chorales", "smoke"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_published_row_is_read(path):
    config = parse_run_config(*load_values(path))
    assert config.name == path.stem


def test_the_objective_chooses_the_keys():
    assert parse_run_config({}, "here").objective == "causal"
    with pytest.raises(
        InputError, match=r"here has the objective 'roll'\. Give causal, gan, roll-gan, midinet, grid, rnn, cnn or vae"
    ):
        parse_run_config({"objective": "roll"}, "here")
    with pytest.raises(InputError, match=r"here: data\.corpora is not a key\. Choose from batch_size, corpus"):
        parse_run_config({"objective": "gan", "data": {"corpora": ["chorales"]}}, "here")
    with pytest.raises(InputError, match=r"optimizer\.betas is \(0\.5, 1\.0\)\. Give two numbers"):
        parse_run_config({"objective": "gan"}, "here", ["optimizer.betas=[0.5,1]"])
    with pytest.raises(InputError, match=r"batch_size is 0\. Give a positive number"):
        parse_run_config({"objective": "gan"}, "here", ["data.batch_size=0"])


def test_the_published_gan_is_the_articles():
    (published,) = (path for path in CONFIGS if path.stem == "gan")
    assert parse_run_config(*load_values(published)) == GanConfig()
    assert (GanConfig().max_steps, GanConfig().data.batch_size, GanConfig().optimizer.critic_steps) == (1000, 64, 5)


@pytest.mark.parametrize("name", ["midinet", "roll-gan"])
def test_the_other_gans_are_published_with_their_default_values(name):
    (published,) = (path for path in CONFIGS if path.stem == name)
    config = parse_run_config(*load_values(published))
    assert config == OBJECTIVES[name].config()


@pytest.mark.parametrize("name", ["rnn", "cnn", "vae"])
def test_families_say_that_they_train_in_fp32(name):
    (published,) = (path for path in CONFIGS if path.stem == name)
    assert parse_run_config(*load_values(published)).precision == "fp32"
    with pytest.raises(InputError, match=r"precision is bf16\. Give fp32"):
        parse_run_config({"objective": name}, "here", ["precision=bf16"])


def test_an_autoencoder_trains_on_two_bars():
    with pytest.raises(InputError, match=r"data\.window_16ths is 64\. Give 32, two bars of 4/4"):
        parse_run_config({"objective": "vae"}, "here", ["data.window_16ths=64"])


def test_midinet_is_trained_as_its_authors_did():
    config = MidinetConfig()
    assert (config.data.batch_size, config.optimizer.learning_rate, config.optimizer.betas[0]) == (72, 5e-5, 0.5)
    assert (config.optimizer.real_target, config.optimizer.generator_steps) == (0.9, 2)
    assert (config.optimizer.feature_weight, config.optimizer.bar_weight) == (0.1, 0.01)
    assert config.data.shifts == (-3, -2, -1, 0, 1, 2, 3)
    with pytest.raises(InputError, match=r"data\.keys is 13\. Give 1 to 12"):
        parse_run_config({"objective": "midinet"}, "here", ["data.keys=13"])
    with pytest.raises(InputError, match=r"model\.filters is \(8, 8\)\. Give four numbers"):
        parse_run_config({"objective": "roll-gan"}, "here", ["model.filters=[8,8]"])


def test_a_configuration_survives_being_written_as_plain_values():
    config = build_config(RunConfig, {"optimizer": {"betas": [0.8, 0.9]}, "tasks": {"continue": 1}}, "here")
    values = config.to_dict()
    values["tasks"]["continue"] = values["tasks"].pop("continue_")
    assert build_config(RunConfig, values, "here") == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 3}, "here: steps is not a key. Choose from compile, data, eval, eval_every"),
        ({"model": {"depth": 3}}, "here: model.depth is not a key. Choose from architecture"),
        ({"tasks": {"continue_": 1}}, "tasks.continue_ is not a key"),
        ({"model": 3}, "model is 3. Give a mapping"),
        ({"max_steps": "many"}, "max_steps is 'many'. Give a whole number"),
        ({"max_steps": True}, "max_steps is True. Give a whole number"),
        ({"max_steps": 0}, "max_steps is 0. Give a positive number"),
        ({"seed": -1}, "seed is -1. Give 0 or more"),
        ({"name": "a/b"}, "name is 'a/b'. Give a plain folder name"),
        ({"precision": "fp16"}, "precision is fp16. Give auto, fp32 or bf16"),
        ({"data": {"corpora": "chorales"}}, "data.corpora is 'chorales'. Give a list"),
        ({"data": {"corpora": []}}, "Name at least one corpus"),
        ({"data": {"splits": ["train", "test"]}}, "Give splits other than valid, test and held_out"),
        ({"data": {"transpose": 1}}, "data.transpose is 1. Give true or false"),
        ({"optimizer": {"learning_rate": "fast"}}, "optimizer.learning_rate is 'fast'. Give a number"),
        ({"optimizer": {"learning_rate": "nan"}}, "optimizer.learning_rate is nan"),
        ({"optimizer": {"betas": [0.9]}}, "optimizer.betas is (0.9,). Give two numbers"),
        ({"optimizer": {"betas": [0.9, 1.0]}}, "optimizer.betas"),
        ({"optimizer": {"ema_decay": 1}}, "optimizer.ema_decay is 1.0"),
        ({"model": {"num_heads": 3}}, "model.num_heads is 3. Give a divisor of half of the width 256"),
        ({"model": {"dropout": 1}}, "model.dropout is 1.0"),
        ({"layout": {"lookahead_bars": -1}}, "lookahead_bars is -1"),
        (
            {"tasks": dict.fromkeys(["continue", "continue_some", "harmonize", "harmonize_some", "infill"], 0)},
            "tasks is",
        ),
    ],
)
def test_a_wrong_value_is_one_sentence(values, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        build_config(RunConfig, values, "here")
    assert "\n" not in str(caught.value)


def test_yaml_numbers_in_exponent_form_are_numbers():
    assert build_config(RunConfig, {"optimizer": {"learning_rate": "3e-4"}}, "here").optimizer.learning_rate == 3e-4
    assert isinstance(build_config(RunConfig, {"optimizer": {"clip_norm": 2}}, "here").optimizer.clip_norm, float)


def test_overrides_reach_every_level(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("name: mine\nmodel: {width: 64}\n")
    config = read(
        path, ["seed=5", "model.num_layers=2", "data.corpora=[a, b]", "layout.lookahead_bars=null", "tasks.continue=0"]
    )
    assert (config.name, config.seed, config.model.width, config.model.num_layers) == ("mine", 5, 64, 2)
    assert config.data.corpora == ("a", "b")
    assert config.layout.lookahead_bars is None
    assert config.tasks.continue_ == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "has no '='. Write key=value"),
        ("seed.a=3", "seed is a value"),
        ("seed=[", "'seed=[' has no YAML"),
        ("model.depth=1", "model.depth is not a key"),
        ("out_dir='\0'", "has no YAML"),
        ('out_dir="\\0"', "out_dir is '\\x00'. Give printable text."),
        ("out_dir='\udcff'", "has no YAML"),
        ("name=..", "name is '..'. Give a plain folder name."),
        ("seed=1" + "0" * 30, "Give a number of at most"),
        ("seed=1" + "0" * 5_000, "has no YAML"),
        ("seed=2001-99-99", "has no YAML"),
        ("optimizer.learning_rate=.inf", "Give a number of at most"),
        ("optimizer.learning_rate=.nan", "Give a number of at most"),
        ("model=" + "[" * 100_000, "has no YAML"),
        ("model=" + "{a: " * 50_000, "has no YAML"),
        ("data.corpora=" + "x" * 2_000_000, "has no YAML"),
        ("objective=[[causal]]", "objective is [['causal']]. Give a text."),
    ],
)
def test_a_wrong_override_is_one_sentence(tmp_path, override, message):
    path = tmp_path / "run.yaml"
    path.write_text("seed: 3\n")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read(path, [override])
    assert len(str(caught.value)) < 1_000


#: Ten lists, each ten times the one before: ten thousand million items when written out.
ALIASES = "model:\n- &a0 [x, x]\n" + "".join(f"- &a{i} [{', '.join(10 * [f'*a{i - 1}'])}]\n" for i in range(1, 10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "cannot be read as YAML"),
        ("- 1", "is not a mapping"),
        ("[" * 40_000, "cannot be read as YAML .it nests too deep"),
        ("seed: " + "9" * 5_000, "cannot be read as YAML"),
        ("#" * 1_000_001, "cannot be read as YAML"),
        ("a: !!python/object/apply:os.system [false]", "cannot be read as YAML"),
        ("model: \0", "cannot be read as YAML"),
        (ALIASES, r"model is \[\[.*\]\. Give a mapping"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, content, message):
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read(path)


def test_a_missing_file_is_refused_and_an_empty_one_is_the_default(tmp_path):
    with pytest.raises(InputError, match=r"run\.yaml does not exist"):
        read(tmp_path / "run.yaml")
    (tmp_path / "empty.yaml").touch()
    assert read(tmp_path / "empty.yaml") == RunConfig()


def test_the_published_default_needs_no_file_and_its_file_spells_it_out():
    (published,) = (path for path in CONFIGS if path.stem == "chorales")
    assert read(None) == read(published) == RunConfig()
