"""`descant export`: the graph of a model runs in onnxruntime alone, and computes what the stock class computes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from descant_modeling.models.checkpoints import load_checkpoint

IDS = [1, 9, 5, 7, 9, 11]
STORY = """
import sys
import numpy as np, onnxruntime

ids = [int(i) for i in sys.argv[2].split(",")]
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
shapes = {each.name: each.shape for each in session.get_inputs()}
room, num = 16, len(ids)
feed = {
    "ids": np.array([ids]),
    "num_new": np.array([num], np.int32),
    "last_index": np.array([num - 1], np.int32),
    "num_total": np.array(num, np.int32),
}
feed = {name: value for name, value in feed.items() if name in shapes}
for name, shape in shapes.items():
    if name.startswith("past_"):
        feed[name] = np.zeros((1, shape[1], room, shape[3]), np.float32)
half = shapes["cos"][1]
head = 2 * half
angles = np.arange(room)[:, None] * 10_000.0 ** -(np.arange(0, head, 2) / head)
feed |= {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
np.save(sys.argv[3], session.run(["logits"], feed)[0])
print([name for name in sys.modules if name.partition(".")[0] in ("torch", "descant_modeling", "transformers")])
"""


def test_the_graph_runs_without_our_code(descant: Callable[..., Any], tmp_path: Path) -> None:
    graph, logits = tmp_path / "chorales.onnx", tmp_path / "logits.npy"
    done = descant("export", "chorales", "--onnx", graph)
    assert done.status == 0
    assert "ids, num_new, last_index" in done.out
    command = [sys.executable, "-c", STORY, str(graph), ",".join(map(str, IDS)), str(logits)]
    alone = subprocess.run(command, capture_output=True, text=True, check=True)
    assert alone.stdout == "[]\n"
    with torch.inference_mode():
        expected = load_checkpoint("chorales").model(input_ids=torch.tensor([IDS])).logits[:, -1].numpy()
    np.testing.assert_allclose(np.load(logits), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("chorales", "--onnx", "model.bin"), "--onnx is model.bin. Give a name that ends in .onnx."),
        (("gan", "--onnx", "gan.onnx"), "holds a gan model. Give a causal one"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    descant: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = descant("export", *arguments)
    assert done.status == 2
    assert message in done.err
    assert not list(tmp_path.iterdir())
