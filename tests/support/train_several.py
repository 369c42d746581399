"""Train several runs one after the other in the same processes, which share an import and a process group.

accelerate launch ... tests/support/train_several.py RUNS.json

The file holds a list of runs: keyword arguments of `RunOptions`, and `config`, a YAML file or null.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from descant_modeling.objectives import prepare_run
from descant_modeling.training.run import RunOptions


def main(file: Path) -> None:
    """Train the runs of a file."""
    for run in json.loads(file.read_text()):
        config, resume = run.pop("config", None), run.pop("resume", None)
        options = RunOptions(resume=resume and Path(resume), quiet=True, **run)
        trainer = prepare_run(config and Path(config), options)
        trainer.train()
        trainer.log.close()
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
