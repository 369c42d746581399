"""Commands run one after the other in one process that knows the local Hub: python client.py STEPS.json

A step is `{"name": ..., "argv": [...], "env": {...}}`: arguments of `descant`, or of a call below; `{pushed}` stands
for the revision that the step of that name printed as JSON. Prints one JSON object: for each step, by name, the exit
status with what was printed, or what a call returned. The client of the Hub runs unpatched but for its waiting between
attempts.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from descant_modeling.cli.main import app
from descant_modeling.models.checkpoints import find_checkpoint
from descant_tokenizers.cli.main import run
from descant_tokenizers.corpora import load_corpus
from descant_tokenizers.tokens.presets import open_tokenizer


def main() -> None:
    """Run all steps."""
    time.sleep = lambda seconds: None
    results: dict[str, Any] = {}
    for step in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        argv = [_with_revisions(word, results) for word in step["argv"]]
        results[step["name"]] = _step(argv, step.get("env", {}))
    print(json.dumps(results))


def _with_revisions(word: str, results: dict[str, Any]) -> str:
    return re.sub(r"\{([a-z ]+)\}", lambda name: json.loads(results[name[1]]["out"])["revision"], word)


def _step(argv: list[str], environment: dict[str, str]) -> Any:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        if argv[0] in CALLS:
            return CALLS[argv[0]](*argv[1:])
        return _command(argv)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _command(argv: list[str]) -> dict[str, Any]:
    sys.argv = ["descant", *argv]
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run(app)
        except SystemExit as stop:
            status = int(stop.code or 0)
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def _files(name: str) -> str:
    return str(find_checkpoint(name).folder)


def _rows(name: str) -> dict[str, list[str]]:
    return {split: list(rows["id"]) for split, rows in load_corpus(name).items()}


def _stop() -> None:
    urllib.request.urlopen(f"{os.environ['HF_ENDPOINT']}/stop").read()


def _tokens(name: str) -> int:
    return len(open_tokenizer(name))


CALLS = {"find-checkpoint": _files, "load-corpus": _rows, "open-tokenizer": _tokens, "stop-hub": _stop}

if __name__ == "__main__":
    main()
