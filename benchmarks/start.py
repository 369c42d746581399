"""Compare the wall time of a whole `generate.py` run with that of importing torch and transformers, in turns.

    python benchmarks/start.py
    python benchmarks/start.py --repeats 9 --prompt examples/greensleeves.mid

One side is `generate.py --formats midi` on a tune of 12 bars, from the start of Python to its end; the other is
`python -c "import torch, transformers"`, the time that any program built on them takes to start. The medians over the
turns and their ratios are printed, also for our imports alone.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TUNE = ROOT / "examples" / "twinkle.mid"
THEIRS = ("-c", "import torch, transformers")
IMPORTS = ("-c", "import descant_modeling.api")


def seconds(*arguments: str) -> float:
    """Run Python with some arguments; return the wall time."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompt", type=Path, default=TUNE, help="melody")
    parser.add_argument("--repeats", type=int, default=5, help="turns, after one to warm up")
    options = parser.parse_args(arguments)
    turns: dict[str, list[float]] = {"generate.py": [], "our imports": [], "import torch, transformers": []}
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "tune.mid")
        options_of_ours = ("--seed", "1", "--formats", "midi", "--out", out, "--force")
        ours = ("generate.py", "--prompt", str(options.prompt), *options_of_ours)
        for _ in range(options.repeats + 1):
            for name, command in zip(turns, (ours, IMPORTS, THEIRS), strict=True):
                turns[name].append(seconds(*command))
    medians = {name: statistics.median(values[1:]) for name, values in turns.items()}
    theirs = medians["import torch, transformers"]
    for name, median in medians.items():
        print(f"{name:<28} {median:5.2f} s  {median / theirs:4.2f}x")


if __name__ == "__main__":
    main()
