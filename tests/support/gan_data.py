"""Tiny runs of the GANs, and random samples to train them on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

#: Values of tiny runs by objective, beside those of all.
TINY_GANS = {
    "gan": {"data": {"batch_size": 2}, "optimizer": {"critic_steps": 1}},
    "roll-gan": {
        "data": {"batch_size": 2},
        "optimizer": {"critic_steps": 1},
        "model": {"filters": [4, 4, 4, 4], "critic_filters": [2, 2, 2, 2]},
    },
    "midinet": {"data": {"batch_size": 4}},
}


def save_gan_datasets(folder: Path) -> dict[str, Path]:
    """Save a dataset for each objective: rolls (5 of train, 2 of valid), or bars (40 of both)."""
    from datasets import Array3D, Dataset, DatasetDict, Features

    rng = np.random.default_rng(0)
    datasets = {}
    for kind, num_steps in (("gan", 32), ("roll-gan", 64)):
        rolls = np.where(rng.random((7, num_steps, 128, 4)) < 0.03, 1, -1).astype(np.int8)
        features = Features({"roll": Array3D((num_steps, 128, 4), "int8")})
        train, valid = (Dataset.from_dict({"roll": list(part)}, features=features) for part in (rolls[:5], rolls[5:]))
        datasets[kind] = DatasetDict({"train": train, "valid": valid})
    pitches = rng.integers(60, 72, (40, 16)).tolist()
    bars = {
        "pitches": pitches,
        "previous": [[] if index % 10 == 0 else pitches[index - 1] for index in range(40)],
        "chord": rng.choice(["C", "G", "Am", "F#m"], 40).tolist(),
        "corpus": ["folk"] * 40,
    }
    datasets["midinet"] = DatasetDict(dict.fromkeys(("train", "valid"), Dataset.from_dict(bars)))
    for kind, dataset in datasets.items():
        dataset.save_to_disk(str(folder / kind))
    return {kind: folder / kind for kind in datasets}
