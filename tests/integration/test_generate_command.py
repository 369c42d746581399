"""The command that generates: names of files, formats, JSON, the summary, seeds."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompts import assert_harmony, melody, scale

from descant_modeling.cli.evaluate.common import DrawOptions
from descant_modeling.cli.evaluate.harmonization import harmonization_command
from descant_modeling.cli.generate import generate_command
from descant_modeling.decoding import infilling
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.template import Span, Template, make_template
from descant_modeling.generation import prompts
from descant_modeling.generation.causal import open_model
from descant_modeling.models.checkpoints import EMBEDDED, load_checkpoint
from descant_tokenizers.scores import read_score, reading
from descant_tokenizers.tokens.kinds import make_grammar
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece
from descant_tokenizers.tokens.tasks import Task


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "tune.mid"
    melody(scale(8, 480)).dump_midi(path)
    return path


@pytest.fixture
def generate(descant: Callable[..., Any], tiny_checkpoint: Path, tune: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs `descant generate` with the tiny model, in the folder of the tune."""
    monkeypatch.chdir(tune.parent)
    return lambda *arguments: descant("generate", "--prompt", tune.name, "--model", tiny_checkpoint, *arguments)


def test_default_names_are_numbered_together_with_whatever_lies_there(generate: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/tune-harmonize-2.mp3").write_bytes(b"mine")
    for _ in range(2):
        assert generate("--quiet", "--formats", "midi,png") == (0, "", "")
    assert generate("--quiet", "--num-samples", 2, "--formats", "midi,png", "--no-picture").status == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = ("tune-harmonize", "tune-harmonize-3")
    pictured = {f"{stem}{suffix}" for stem in stems for suffix in (".mid", ".png")}
    assert names == pictured | {"tune-harmonize-2.mp3", "tune-harmonize-4.mid", "tune-harmonize-5.mid"}
    assert (tmp_path / "out/tune-harmonize-2.mp3").read_bytes() == b"mine"


@pytest.mark.parametrize("existing", ["x.mid", "x.svg", "x-2.mid", "x-2.svg"])
def test_a_named_output_is_not_replaced(generate: Any, tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_bytes(b"mine")
    options = ("--out", "x.mid", "--num-samples", 2, "--formats", "midi,svg")
    outcome = generate(*options)
    assert outcome == (
        2,
        "",
        f"error: {existing} already exists. Add --force to replace it, or choose another --out.\n",
    )
    assert {path.name for path in tmp_path.iterdir()} == {"tune.mid", existing}
    assert (tmp_path / existing).read_bytes() == b"mine"
    assert generate(*options, "--force").status == 0
    assert {path.name for path in tmp_path.iterdir()} == {"tune.mid", "x.mid", "x.svg", "x-2.mid", "x-2.svg"}


def test_json_is_one_line_and_names_every_file(generate: Any, tmp_path: Path) -> None:
    outcome = generate("--json", "--seed", 8, "--num-samples", 2, "--chords")  # with some others there are no chords
    assert (outcome.status, outcome.err) == (0, "")
    (line,) = outcome.out.splitlines()
    facts = json.loads(line)
    assert facts["outputs"] == ["out/tune-harmonize.mid", "out/tune-harmonize-2.mid"]
    assert facts["pictures"] == ["out/tune-harmonize.png", "out/tune-harmonize-2.png"]
    assert [list(files) for files in facts["files"]] == [["midi", "musicxml", "svg", "png", "mp3"]] * 2
    named = [path for files in facts["files"] for paths in files.values() for path in paths]
    assert sorted(named) == sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "out").iterdir())
    assert (facts["task"], facts["seed"], facts["given"]) == ("harmonize", 8, ["Soprano"])
    assert facts["num_tokens"] > 0 < facts["tokens_per_second"]
    assert facts["seconds"] > 0
    assert len(facts["keys"]) == len(facts["chords"]) == 2
    assert facts["chords"][0][0].keys() == {"bar", "time_ticks", "symbol", "numeral"}


def test_the_summary_says_what_was_given_written_and_where(generate: Any) -> None:
    outcome = generate("--task", "continue", "--bars", 2)
    assert (outcome.status, outcome.err) == (0, "")
    for words in ("given    Soprano of tune.mid", "written  Soprano:", "out/tune-continue.mid", "--seed "):
        assert words in outcome.out
    assert "listen   out/tune-continue.mp3" in outcome.out.splitlines()


def test_the_summary_of_an_infill_says_what_stays(generate: Any) -> None:
    outcome = generate("--task", "infill", "--bars", "1", "--formats", "midi")
    assert (outcome.status, outcome.err) == (0, "")
    assert "given    tune.mid, all but bar 1" in outcome.out.splitlines()
    assert "listen" not in outcome.out


@pytest.mark.parametrize("order", [("--chords", "--seed", 1), ("--seed", 1, "--chords")])
def test_chords_stand_alone_anywhere_and_are_printed_and_written(generate: Any, order: tuple[object, ...]) -> None:
    outcome = generate("--task", "continue", "--bars", 1, "--formats", "musicxml", *order, "--key", "D minor")
    assert (outcome.status, outcome.err) == (0, "")
    assert "key      D minor (as requested)" in outcome.out.splitlines()
    text = Path("out/tune-continue.musicxml").read_text()
    assert "<fifths>-1</fifths>" in text
    assert ("<harmony" in text) == ("chords   " in outcome.out)


def test_the_words_of_a_prompt_are_in_the_sheet_music(
    descant: Callable[..., Any], tiny_checkpoint: Path, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repo_root / "examples/au-clair-de-la-lune.musicxml").read_text()
    sung = text.replace("</note>", "<lyric><syllabic>single</syllabic><text>Mond</text></lyric></note>", 1)
    assert sung != text
    monkeypatch.chdir(tmp_path)
    Path("sung.musicxml").write_text(sung)
    options = ("--prompt", "sung.musicxml", "--model", tiny_checkpoint, "--out", "x.mid", "--formats", "midi,musicxml")
    assert descant("generate", *options, "--quiet") == (0, "", "")
    assert Path("x.musicxml").read_text().count("<text>Mond</text>") == 1


def test_a_format_that_cannot_be_made_is_left_out_and_said(generate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descant_tokenizers.rendering.verovio.why_no_pdf", lambda: "PDF needs the library libcairo2.")
    outcome = generate("--out", "x.mid", "--formats", "midi,pdf", "--json")
    facts = json.loads(outcome.out)
    assert facts["left_out"] == ["PDF needs the library libcairo2."]
    assert facts["files"] == [{"midi": ["x.mid"]}]
    outcome = generate("--out", "x.mid", "--formats", "midi,pdf", "--quiet", "--force")
    assert outcome == (0, "", "note: PDF needs the library libcairo2.\n")
    outcome = generate("--out", "y.pdf", "--formats", "pdf")
    assert outcome == (2, "", "error: PDF needs the library libcairo2.\n")
    assert not Path("y.pdf").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--formats", "midi,ogg"), "Unknown format 'ogg'. Give one or more of midi, musicxml, svg"),
        (("--formats", "png", "--no-picture"), "--no-picture and --formats png contradict each other"),
        (("--formats", "svg", "--out", "x.mid"), "The output file is x.mid. Give a name that ends in .svg."),
        (("--key", "H"), "'H' is not a key. Give one such as G"),
    ],
)
def test_wrong_formats_and_keys_are_told_before_the_work(generate: Any, options: tuple[str, ...], words: str) -> None:
    outcome = generate(*options)
    assert (outcome.status, outcome.out) == (2, "")
    assert words in outcome.err


def test_same_seed_same_bytes_in_another_process(
    generate: Any, tiny_checkpoint: Path, tmp_path: Path, repo_root: Path
) -> None:
    assert generate("--out", "here.mid", "--seed", 11).status == 0
    options = ["--prompt", "tune.mid", "--model", str(tiny_checkpoint), "--out", "there.mid", "--seed", "11"]
    script = [sys.executable, str(repo_root / "generate.py"), *options]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "there.mid").read_bytes() == (tmp_path / "here.mid").read_bytes()


def test_an_example_of_each_format_is_harmonized(
    descant: Callable[..., Any], tiny_checkpoint: Path, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("greensleeves.mid", "row-your-boat.abc", "au-clair-de-la-lune.musicxml"):
        prompt = repo_root / "examples" / name
        out = tmp_path / f"{prompt.stem}.mid"
        outcome = descant("generate", "--prompt", prompt, "--model", tiny_checkpoint, "--out", out, "--quiet")
        assert outcome == (0, "", "")
        assert_harmony(read_score(prompt), read_score(out))


@pytest.mark.skipif(not (EMBEDDED / "chorales").is_dir(), reason="this tree has no embedded weights")
def test_the_embedded_model_harmonizes_an_example(
    descant: Callable[..., Any], repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(repo_root / "examples/ode-to-joy.mid", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert descant("generate", "--prompt", "ode-to-joy.mid", "--seed", 1, "--quiet") == (0, "", "")
    result = read_score("out/ode-to-joy-harmonize.mid")
    assert_harmony(read_score("ode-to-joy.mid"), result)
    for track in result.tracks[1:]:
        assert len({note.time // (4 * result.ticks_per_quarter) for note in track.notes}) >= 14  # of 16 bars


@pytest.mark.parametrize("model", ["chorales", "midinet"])
def test_a_hub_id_is_resolved_once(
    descant: Callable[..., Any], repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    pulls = []

    def pull(name: str) -> Path:
        pulls.append(name)
        return EMBEDDED / model

    monkeypatch.setattr("descant_modeling.models.checkpoints.pull_folder", pull)
    prompt = () if model == "midinet" else ("--prompt", repo_root / "examples/au-clair-de-la-lune.musicxml")
    options = ("--model", "somebody/music@1", "--best-of", 1) if prompt else ("--model", "somebody/music@1")
    out = tmp_path / "out.mid"
    assert descant("generate", *prompt, *options, "--out", out, "--formats", "midi", "--quiet") == (0, "", "")
    assert pulls == ["somebody/music@1"]


def test_a_notation_prompt_is_parsed_and_encoded_once(
    descant: Callable[..., Any], tiny_checkpoint: Path, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()

    def count(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **values: Any) -> Any:
            counts[name] += 1
            return original(*args, **values)

        monkeypatch.setattr(owner, name, counted)

    count(reading, "read_musicxml")
    count(prompts, "encode_score")
    count(prompts, "refined")
    out = tmp_path / "out.musicxml"
    arguments = ("--prompt", repo_root / "examples/au-clair-de-la-lune.musicxml", "--model", tiny_checkpoint)
    ended = descant("generate", *arguments, "--out", out, "--formats", "musicxml,midi", "--best-of", 1, "--quiet")
    assert ended == (0, "", "")
    assert "Au clair de la lune" in out.read_text(encoding="utf-8")
    assert counts == {"read_musicxml": 1, "encode_score": 1, "refined": 1}


@pytest.mark.parametrize(
    ("command", "declaration"), [(generate_command, generate_command), (harmonization_command, DrawOptions)]
)
def test_every_default_of_a_command_is_that_of_the_sampler(command: Callable[..., None], declaration: Any) -> None:
    config = GenerationConfig()
    defaults = {name: parameter.default for name, parameter in inspect.signature(command).parameters.items()}
    shared = {name for name in defaults if hasattr(config, name)} - {"seed", "sound"}  # None: drawn, the config's own
    if declaration is DrawOptions:
        shared.remove("last_chord")  # evaluation shows what the model has learned
    assert {"temperature", "top_p", "allow_parallels", "allow_leaps", "best_of"} <= shared
    assert {name: defaults[name] for name in shared} == {name: getattr(config, name) for name in shared}
    source = inspect.getsource(declaration)
    assert all(re.search(rf"\b{name}: [\w.]+ = GenerationConfig\.{name}\b", source) for name in shared)


def test_samples_share_the_template_of_their_prompt(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(*args: Any) -> Template:
        made.append(make_template(*args))
        return made[-1]

    monkeypatch.setattr(infilling, "make_template", make)
    checkpoint = load_checkpoint(str(tiny_checkpoint))
    vocabulary, config = checkpoint.vocabulary, GenerationConfig(best_of=1)
    infiller = infilling.Infiller(open_model(checkpoint), checkpoint.layout, make_grammar(vocabulary), config)
    meter = vocabulary.meter_of[vocabulary.meter_id[4, 4]]
    piece = Piece((GridBar(meter, (GridNote(0, 0, 70, vocabulary.ticks_per_quarter),)),))
    span = Span(Task.HARMONIZE, (1, 2, 3), 0, 1, (vocabulary.ticks_per_quarter,) * 4, ((36, 81),) * 4)
    shared, apart = (
        infiller.infill(pieces, span, [np.random.default_rng(seed) for seed in range(3)])
        for pieces in ([piece], [piece, replace(piece), replace(piece)])
    )
    assert len(made) == 1 + 3
    assert [sample.notes for sample in shared] == [sample.notes for sample in apart]


def test_a_model_of_one_position_writes_bar_by_bar(generate: Any, tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    shutil.copytree(tiny_checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1}))
    done = generate("--model", folder, "--quiet", "--engine", "onnx", "--formats", "midi")
    assert done == (0, "", "")
