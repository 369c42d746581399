"""Which piece belongs to which split: the canonical one for the chorales, one by content for everything else."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files

CHORALE_SPLITS = ("train", "valid", "test", "extra", "held_out")
FOLDER_SPLITS = ("train", "valid", "test")
TRAIN_SHARE = 0.8
VALID_SHARE = 0.1


@cache
def canonical_splits() -> dict[str, str]:
    """Map each Bach file of music21's corpus to its split.

    train, valid and test are the JSB Chorales split of Boulanger-Lewandowski et al. (2012), matched by content;
    `held_out` pieces lie outside it but are close to a valid or test piece, `extra` pieces are free to train on.

    Returns:
        File name, such as `bwv1.6.mxl`, to one of `CHORALE_SPLITS`.
    """
    table = json.loads(files("descant_tokenizers.corpora").joinpath("data/jsb_splits.json").read_text("utf-8"))
    return {name: entry["split"] for name, entry in table["files"].items()}


def split_of_digest(digest: str) -> str:
    """Choose a split from a content digest: 80 % train, 10 % valid, 10 % test.

    The choice depends on nothing else, so that a piece keeps its split when files are added, renamed or moved.

    Args:
        digest: At least eight hexadecimal digits; give
            `descant_tokenizers.corpora.digests.incipit_digest` to keep versions of a piece together.

    Returns:
        One of `FOLDER_SPLITS`.
    """
    share = int(digest[:8], 16) / 16**8
    if share < TRAIN_SHARE:
        return "train"
    return "valid" if share < TRAIN_SHARE + VALID_SHARE else "test"


def split_of_text(text: str) -> str:
    """Choose a split as `split_of_digest` does from a text, such as the name of a work that is to stay together."""
    return split_of_digest(hashlib.sha256(text.encode()).hexdigest())
