"""Bad input on the command line: status 2, one sentence, nothing left behind.

One row a mistake; a new one goes into the table. `{model}` is a working checkpoint, `tune.mid` a working melody.
What files can be wrong with is tested beside the readers (tests/unit/test_scores_*.py); here it meets the commands.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

GENERATE = "generate --model {model} --prompt"
TUNE = f"{GENERATE} tune.mid"

PROMPTS = [
    (f"{GENERATE} nowhere.mid", "there is no file nowhere.mid; check the name."),
    (f"{GENERATE} folder", "folder is a folder; give a file"),
    (f"{GENERATE} empty.mid", "empty.mid is empty; export it again."),
    (f"{GENERATE} text.mid", "text.mid is not a MIDI file"),
    (f"{GENERATE} text.xyz", "text.xyz is of no known format"),
    (f"{GENERATE} cut.mid", "cut.mid is damaged or cut off"),
    (f"{GENERATE} silent.mid", "silent.mid holds no notes"),
    (f"{GENERATE} drums.mid", "drums.mid holds only percussion"),
    (f"{GENERATE} chords.mid", "track 1 'Piano' plays several notes at once"),
    (f"{GENERATE} far.mid", "far.mid has notes outside ticks 0 to 67,108,864"),
    (f"{GENERATE} odd-meter.mid", "time signature 13/16 (bar 1) is none that the model knows"),
    (f"{GENERATE} wide.mid", "the given voices reach from MIDI pitch 10 to 110"),
]

OPTIONS = [
    (f"{TUNE} --task compose", "compose"),
    (f"{TUNE} --track 2", "there is no track 2"),
    (f"{TUNE} --track flute", "there is no track named 'flute'"),
    (f"{TUNE} --given cello", "unknown voice 'cello'; give one or more of soprano, alto, tenor, bass."),
    (f"{TUNE} --given soprano,", "unknown voice ''"),
    (f"{TUNE} --given soprano,bass", "2 voices are given (Soprano, Bass), but the score has 1 track"),
    (f"{TUNE} --given soprano,alto,tenor,bass", "all four voices are given"),
    (f"{TUNE} --bars 4", "--bars goes with continue (how many) and infill (A-B)"),
    (f"{TUNE} --task continue --bars many", "--bars is 'many'; give a number of bars such as 8."),
    (f"{TUNE} --task continue --bars 2-3", "--bars is '2-3'; give a number of bars such as 8."),
    (f"{TUNE} --task continue --bars=-2", "--bars is '-2'; give a number of bars such as 8."),
    (f"{TUNE} --task continue --bars 0", "the number of bars to write is 0; give 1 to 256."),
    (f"{TUNE} --task continue --bars 257", "the number of bars to write is 257; give 1 to 256."),
    (f"{TUNE} --task infill", "--bars is missing; give the bars to write anew, such as 5-8."),
    (f"{TUNE} --task infill --bars 1-x", "--bars is '1-x'; give the bars to write anew, such as 5-8."),
    (f"{TUNE} --task infill --bars 2-9", "the bars to write are 2-9; the prompt has bars 1 to 2."),
    (f"{TUNE} --task infill --bars 2-1", "the bars to write are 2-1; the prompt has bars 1 to 2."),
    (f"{TUNE} --task infill --bars 99999999999999999999", "give the bars to write anew, such as 5-8."),
    (f"{TUNE} --task infill --bars 1 --given soprano", "all voices of the prompt are given"),
    (f"{TUNE} --task infill --bars 1 --given bass", "Bass is given, but the prompt has Soprano"),
    (f"{TUNE} --task infill --bars 1 --track 1", "--track goes with harmonize and continue"),
    (f"{TUNE} --num-samples 0", "--num-samples is 0; give 1 to 64."),
    (f"{TUNE} --num-samples 65", "--num-samples is 65; give 1 to 64."),
    (f"{TUNE} --num-samples two", "Invalid value for '--num-samples'"),
    (f"{TUNE} --seed=-1", "--seed is -1; give 0 to"),
    (f"{TUNE} --temperature=-0.1", "--temperature is -0.1; give 0 to 10."),
    (f"{TUNE} --temperature nan", "--temperature is nan; give 0 to 10."),
    (f"{TUNE} --top-p 0", "--top-p is 0.0; give"),
    (f"{TUNE} --top-p 1.5", "--top-p is 1.5; give"),
    (f"{TUNE} --device tpu", "device 'tpu' is not available here"),
    (f"{TUNE} --out result.txt", "the output file is result.txt; give a name that ends in .mid."),
    (f"{TUNE} --out folder.mid", "folder.mid exists already"),
    (f"{TUNE} --out folder.mid --force", "folder.mid is a folder; give the name of a file to write."),
    (f"{TUNE} --out tune.mid/x.mid", "cannot write tune.mid/x.mid (not a directory)"),
    (f"{TUNE} --out no/such/folder/x.mid", "cannot create the output folder no/such/folder"),
]

MODELS = [
    ("generate --prompt tune.mid --model bach9000", "unknown model 'bach9000': give an embedded model"),
    ("generate --prompt tune.mid --model somebody/bach9000", "'somebody/bach9000' could not be fetched from the Hub"),
    ("generate --prompt tune.mid --model folder", "folder holds no descant.json"),
    ("generate --prompt tune.mid --model no-weights", "no-weights has no model.safetensors"),
    ("generate --prompt tune.mid --model cut-weights", "the model in cut-weights cannot be loaded"),
    ("generate --prompt tune.mid --model pickled", "pickled has no model.safetensors"),
    ("generate --prompt tune.mid --model no-tokenizer", "no-tokenizer has no tokenizer.json"),
    ("generate --prompt tune.mid --model other-tokenizer", "is not the tokenizer the model was trained with"),
    ("generate --prompt tune.mid --model newer", "newer than this program"),
    ("generate --prompt tune.mid --model garbled", "garbled/descant.json cannot be read"),
    ("evaluate likelihood --model bach9000", "unknown model 'bach9000'"),
]

OTHERS = [
    ("dataset build bach9000 --out data", "bach9000"),
    ("dataset build folder --out data", "folder holds no score file"),
    ("evaluate likelihood --model {model} --corpus bach9000", "bach9000"),
    ("tokenizer inspect nowhere.mid", "there is no file nowhere.mid; check the name."),
    ("tokenizer inspect tune.mid --preset octuple", "unknown tokenizer preset 'octuple'"),
    ("train --config nowhere.yaml", "nowhere.yaml"),
    ("train --config unknown-key.yaml", "colour"),
    ("train --config unknown-value.yaml", "architecture is transformer9"),
    ("train --config test-split.yaml", "valid, test and held_out are never trained on"),
    ("train --config unknown-corpus.yaml", "bach9000"),
    ("train --config not-yaml.yaml", "not-yaml.yaml"),
    ("train --resume folder", "folder"),
]

CONFIGS = {
    "unknown-key": "{name: x, max_steps: 1, colour: red}",
    "unknown-value": "{name: x, max_steps: 1, model: {architecture: transformer9}}",
    "test-split": "{name: x, max_steps: 1, data: {splits: [test]}}",
    "unknown-corpus": "{name: x, max_steps: 1, data: {corpora: [bach9000]}}",
    "not-yaml": "{name: [",
}


def _midi(path: Path, *tracks: TrackTick, meter: tuple[int, int] = (4, 4)) -> None:
    score = ScoreTick(480)
    score.time_signatures.append(TimeSignatureTick(0, *meter))
    score.tracks.extend(tracks)
    path.write_bytes(score.dumps_midi())


def _track(name: str, *notes: tuple[int, int], is_drum: bool = False) -> TrackTick:
    track = TrackTick(name, 0, is_drum)
    track.notes.extend([NoteTick(onset, 480, pitch, 80) for onset, pitch in notes])
    return track


def _spoil_models(folder: Path, model: Path) -> None:
    """Copies of a working checkpoint, each with one thing wrong."""
    names = ("no-weights", "cut-weights", "pickled", "no-tokenizer", "other-tokenizer", "newer", "garbled")
    spoilt = {name: Path(shutil.copytree(model, folder / name)) for name in names}
    weights = (model / "model.safetensors").read_bytes()
    for name in ("no-weights", "pickled"):
        (spoilt[name] / "model.safetensors").unlink()
    (spoilt["cut-weights"] / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    (spoilt["pickled"] / "pytorch_model.bin").write_bytes(b"\x80\x04cposix\nsystem\n")
    (spoilt["no-tokenizer"] / "tokenizer.json").unlink()
    with (spoilt["other-tokenizer"] / "tokenizer.json").open("a") as file:
        file.write("\n")
    meta = json.loads((model / "descant.json").read_text())
    (spoilt["newer"] / "descant.json").write_text(json.dumps(meta | {"format_version": 99}))
    (spoilt["garbled"] / "descant.json").write_text("[]")


@pytest.fixture(scope="module")
def bad_things(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A folder of everything that the table names."""
    folder = tmp_path_factory.mktemp("bad")
    for name in ("folder", "folder.mid"):
        (folder / name).mkdir()
    tune = [(i * 480, 67 + i % 3) for i in range(8)]
    _midi(folder / "tune.mid", _track("Melody", *tune))
    _midi(folder / "silent.mid", _track("Melody"))
    _midi(folder / "drums.mid", _track("Kit", *tune, is_drum=True))
    _midi(folder / "chords.mid", _track("Piano", (0, 60), (0, 64)))
    _midi(folder / "far.mid", _track("Melody", (2**28 - 2**20, 60)))
    _midi(folder / "odd-meter.mid", _track("Melody", *tune), meter=(13, 16))
    _midi(folder / "wide.mid", _track("Melody", (0, 10), (480, 110)))
    (folder / "empty.mid").touch()
    (folder / "text.mid").write_text("not music")
    (folder / "text.xyz").write_text("not music")
    (folder / "cut.mid").write_bytes((folder / "tune.mid").read_bytes()[:40])
    for name, text in CONFIGS.items():
        (folder / f"{name}.yaml").write_text(text)
    _spoil_models(folder, tiny_checkpoint)
    return folder


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _assert_one_sentence(status: int, out: str, err: str, words: str) -> None:
    assert status == 2, err
    assert out == ""
    assert "Traceback" not in err
    if not err.startswith("Usage:"):  # wrong usage is told by typer, in a few lines
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(("command", "words"), [*PROMPTS, *OPTIONS, *MODELS, *OTHERS])
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(
    descant: Callable[..., Any],
    bad_things: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    words: str,
) -> None:
    monkeypatch.chdir(bad_things)
    before = _names(bad_things)
    _assert_one_sentence(*descant(*command.format(model=tiny_checkpoint).split()), words)
    assert _names(bad_things) == before


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_to(
    descant: Callable[..., Any], tiny_checkpoint: Path, bad_things: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    out = tmp_path / "x.mid"
    outcome = descant("generate", "--prompt", bad_things / "tune.mid", "--model", tiny_checkpoint, "--out", out)
    _assert_one_sentence(*outcome, f"cannot write {out} (permission denied)")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that cannot be written to")
def test_a_file_system_that_cannot_be_written_to(
    descant: Callable[..., Any], tiny_checkpoint: Path, bad_things: Path
) -> None:
    outcome = descant(
        "generate", "--prompt", bad_things / "tune.mid", "--model", tiny_checkpoint, "--out", "/proc/x.mid"
    )
    _assert_one_sentence(*outcome, "cannot write /proc/x.mid")


def test_a_failure_while_writing_leaves_nothing_behind(
    descant: Callable[..., Any],
    tiny_checkpoint: Path,
    bad_things: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full_disk(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("descant_modeling.pictures.piano_roll", full_disk)
    monkeypatch.chdir(tmp_path)
    outcome = descant("generate", "--prompt", bad_things / "tune.mid", "--model", tiny_checkpoint, "--num-samples", 2)
    _assert_one_sentence(*outcome, "no space left on device")
    assert not _names(tmp_path)


@pytest.mark.parametrize("script", ["generate.py", "-m descant_modeling.cli generate"])
def test_a_process_says_no_more_than_that(script: str, repo_root: Path, bad_things: Path, tmp_path: Path) -> None:
    words = [str(repo_root / word) if word.endswith(".py") else word for word in script.split()]
    command = [sys.executable, *words, "--prompt", str(bad_things / "tune.mid"), "--model", "bach9000"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    _assert_one_sentence(done.returncode, done.stdout, done.stderr, "unknown model 'bach9000'")
    assert not _names(tmp_path)
