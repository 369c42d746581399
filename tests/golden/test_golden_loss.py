"""The losses of twenty steps. A refactor leaves them as they are; a change of numerics says so by changing the file.

The values were computed with torch 2.13.0 on a CPU. A failing test prints the new ones.
"""

import json
from pathlib import Path

import pytest

GOLDEN = json.loads(Path(__file__).with_name("losses.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", GOLDEN)
def test_twenty_steps(make_trainer, name):
    trainer = make_trainer(max_steps=20, eval_every=20, save_every=20, **GOLDEN[name]["values"])
    trainer.train()
    trainer.log.close()
    lines = [json.loads(line) for line in (trainer.folder / "log.jsonl").read_text().splitlines()]
    losses = [round(line["loss"], 5) for line in lines if line["kind"] == "train"]
    valid = round(trainer.progress.history[-1][1], 5)
    print(json.dumps({"losses": losses, "valid": valid}))
    assert losses == pytest.approx(GOLDEN[name]["losses"], abs=1e-3)
    assert valid == pytest.approx(GOLDEN[name]["valid"], abs=1e-3)
