"""Bad input on the command line: status 2, one sentence, fast, without much memory, nothing left behind.

The table is tests/data/bad_input.yaml, which docs/errors.md shows to users; a new mistake goes there. Options of single
commands that are wrong are below.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistakes import TABLE, assert_cheap, assert_one_sentence, measured, names_in, sentence

GENERATE = "generate --model {model} --prompt"
TUNE = f"{GENERATE} tune.mid"

PROMPTS = [
    (f"{GENERATE} chords.mid", "Track 1 'Piano' plays several notes at once"),
    (f"{GENERATE} odd-meter.mid", "The model does not know the time signature 13/16 (bar 1)"),
    (f"{GENERATE} wide.mid", "The given voices reach from MIDI pitch 10 to 110"),
]

OPTIONS = [
    (f"{TUNE} --task compose", "--task compose takes no --prompt. Leave one of the two out."),
    ("generate --model {model}", "--prompt is missing. Give a MIDI, MusicXML, ABC or Humdrum file, or a --model that"),
    ("generate --prompt tune.mid --model midinet", "This model generates without a prompt. Leave --prompt out"),
    (f"{TUNE} --track 2", "There is no track 2"),
    (f"{TUNE} --track flute", "There is no track named 'flute'"),
    (f"{TUNE} --given cello", "Unknown voice 'cello'. Give one or more of soprano, alto, tenor, bass."),
    (f"{TUNE} --given soprano,", "Unknown voice ''"),
    (f"{TUNE} --given soprano,bass", "2 voices are given (Soprano, Bass), but the score has 1 track"),
    (f"{TUNE} --given soprano,alto,tenor,bass", "All four voices are given"),
    (f"{TUNE} --bars 4", "--bars is for continue (a number) and infill (A-B)"),
    (f"{TUNE} --task continue --bars many", "--bars is 'many'. Give a number of bars, such as 8."),
    (f"{TUNE} --task continue --bars 2-3", "--bars is '2-3'. Give a number of bars, such as 8."),
    (f"{TUNE} --task continue --bars=-2", "--bars is '-2'. Give a number of bars, such as 8."),
    (f"{TUNE} --task continue --bars 0", "The number of bars to write is 0. Give 1 to 256."),
    (f"{TUNE} --task continue --bars 257", "The number of bars to write is 257. Give 1 to 256."),
    (f"{TUNE} --task infill", "--bars is missing. Give the bars to write again, such as 5-8."),
    (f"{TUNE} --task infill --bars 1-x", "--bars is '1-x'. Give the bars to write again, such as 5-8."),
    (f"{TUNE} --task infill --bars 2-9", "The bars to write are 2-9. Choose from the prompt's bars 1 to 2."),
    (f"{TUNE} --task infill --bars 2-1", "The bars to write are 2-1. Choose from the prompt's bars 1 to 2."),
    (f"{TUNE} --task infill --bars 99999999999999999999", "Give the bars to write again, such as 5-8."),
    (f"{TUNE} --task infill --bars 1 --given soprano", "All voices of the prompt are given"),
    (f"{TUNE} --task infill --bars 1 --given bass", "Bass is not in the prompt, which has Soprano"),
    (f"{TUNE} --task infill --bars 1 --track 1", "--track is for harmonize and continue"),
    (f"{TUNE} --num-samples 0", "--num-samples is 0. Give 1 to 64."),
    (f"{TUNE} --num-samples 65", "--num-samples is 65. Give 1 to 64."),
    (f"{TUNE} --num-samples two", "--num-samples is not a whole number. Give one."),
    (f"{TUNE} --seed=-1", "--seed is -1. Give 0 to"),
    (f"{TUNE} --temperature=-0.1", "--temperature is -0.1. Give 0 to 10."),
    (f"{TUNE} --temperature nan", "--temperature is nan. Give 0 to 10."),
    (f"{TUNE} --top-p 0", "--top-p is 0.0. Give"),
    (f"{TUNE} --top-p 1.5", "--top-p is 1.5. Give"),
    (f"{TUNE} --own-melody", "This model never generates the given melody"),
    (f"{TUNE} --device tpu", "The device 'tpu' is not available here"),
    (f"{TUNE} --out result.txt", "The output file is result.txt. Give a name that ends in .mid."),
    (f"{TUNE} --out folder.mid", "folder.mid already exists"),
    (f"{TUNE} --out folder.mid --force", "folder.mid is a folder. Give the name of a file to write."),
    (f"{TUNE} --out tune.mid/x.mid", "Cannot write tune.mid/x.mid (not a directory)"),
    (f"{TUNE} --out no/such/folder/x.mid", "Cannot create the output folder no/such/folder"),
]

OTHERS = [
    (
        "dataset build melody-bars --out data --engine datatrove --licence CC0",
        "The corpus melody-bars takes no --licence, --engine. Omit what it does not take.",
    ),
    (
        "dataset build chorales-rolls --out data --tasks 3",
        "The corpus chorales-rolls takes no --tasks. Omit what it does not take.",
    ),
    ("dataset build good --out data --work shared", "The plain build takes no --work. Add --engine datatrove."),
    ("generate --prompt tune.mid --model no-weights", "no-weights has no model.safetensors"),
    ("generate --prompt tune.mid --model no-tokenizer", "no-tokenizer has no tokenizer.json"),
    ("tokenizer inspect tune.mid --preset octuple", "'octuple' is not a tokenizer preset"),
    ("train --config unknown-value.yaml", "architecture is transformer9"),
]

FILES = [
    (f"{command} {entry['file']}", entry) for entry in TABLE["files"] for command in (GENERATE, "tokenizer inspect")
]

RUNS = [
    (command, entry)
    for part in ("outputs", "models", "plans", "configurations")
    for entry in TABLE[part]
    for command in entry["run"]
]


@pytest.mark.parametrize(
    ("command", "entry"), [*FILES, *RUNS], ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_mistake_of_the_table(
    descant: Callable[..., Any],
    imported: None,
    at_home: Path,
    tiny_checkpoint: Path,
    hints_checkpoint: Path,
    command: str,
    entry: dict[str, Any],
) -> None:
    before = names_in(at_home)
    with measured() as cost:
        outcome = descant(*command.format(model=tiny_checkpoint, hints=hints_checkpoint).split())
    assert_one_sentence(*outcome, f"^error: {sentence(entry)}")
    assert_cheap(cost)
    assert names_in(at_home) == before


@pytest.mark.parametrize(("command", "words"), [*PROMPTS, *OPTIONS, *OTHERS])
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(
    descant: Callable[..., Any], at_home: Path, tiny_checkpoint: Path, command: str, words: str
) -> None:
    before = names_in(at_home)
    assert_one_sentence(*descant(*command.format(model=tiny_checkpoint).split()), re.escape(words))
    assert names_in(at_home) == before


def test_the_page_for_users_shows_the_table(repo_root: Path) -> None:
    done = subprocess.run([sys.executable, "tests/refresh_errors.py", "--check"], cwd=repo_root, check=False)
    assert done.returncode == 0, "run python tests/refresh_errors.py"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("generate.py --prompt empty.mid", "empty.mid is empty. Export it again."),
        ("train.py --config unknown-key.yaml", "unknown-key.yaml: colour is not a key. Choose from"),
        ("-m descant_modeling.cli.main dataset build folder --out data", "folder holds no score file"),
    ],
)
def test_a_process_says_no_more_than_that(command: str, words: str, repo_root: Path, bad_things: Path) -> None:
    before = names_in(bad_things)
    script = [str(repo_root / word) if word.endswith(".py") else word for word in command.split()]
    done = subprocess.run([sys.executable, *script], cwd=bad_things, capture_output=True, text=True, check=False)
    assert_one_sentence(done.returncode, done.stdout, done.stderr, re.escape(words))
    assert names_in(bad_things) == before
