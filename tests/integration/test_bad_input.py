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
    (f"{GENERATE} wide.mid", "the given voices reach from MIDI pitch 10 to 110"),
]

OPTIONS = [
    (f"{TUNE} --task compose", "--task compose takes no --prompt; leave one of the two out."),
    ("generate --model {model}", "--prompt is missing; give a MIDI, MusicXML, ABC or Humdrum file, or a --model that"),
    (f"{TUNE} --chords C", "this model takes no chords"),
    ("generate --prompt tune.mid --model midinet", "this model writes without a prompt; leave --prompt out"),
    (f"{TUNE} --track 2", "There is no track 2"),
    (f"{TUNE} --track flute", "There is no track named 'flute'"),
    (f"{TUNE} --given cello", "Unknown voice 'cello'. Give one or more of soprano, alto, tenor, bass."),
    (f"{TUNE} --given soprano,", "Unknown voice ''"),
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
    (f"{TUNE} --own-melody", "this model never writes a given melody again"),
    (f"{TUNE} --device tpu", "The device 'tpu' is not available here"),
    (f"{TUNE} --out result.txt", "The output file is result.txt. Give a name that ends in .mid."),
    (f"{TUNE} --out folder.mid", "folder.mid already exists"),
    (f"{TUNE} --out folder.mid --force", "folder.mid is a folder. Give the name of a file to write."),
    (f"{TUNE} --out tune.mid/x.mid", "Cannot write tune.mid/x.mid (not a directory)"),
    (f"{TUNE} --out no/such/folder/x.mid", "Cannot create the output folder no/such/folder"),
]

OTHERS = [
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
    for part in ("outputs", "models", "configurations")
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
    command: str,
    entry: dict[str, Any],
) -> None:
    before = names_in(at_home)
    with measured() as cost:
        outcome = descant(*command.format(model=tiny_checkpoint).split())
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
