"""Splits: the canonical one for the chorales, and one by content for all other corpora."""

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
    """Map each Bach file of music21's corpus, such as `bwv1.6.mxl`, to one of `CHORALE_SPLITS`.

    train, valid and test are the JSB Chorales split of Boulanger-Lewandowski et al. (2012), matched by content;
    `held_out` pieces are outside it but close to a valid or test piece; `extra` pieces are free to train on.
    """
    splits = json.loads(files("descant_tokenizers.corpora").joinpath("data/jsb_splits.json").read_text("utf-8"))
    return {name: entry["split"] for name, entry in splits["files"].items()}


def split_of_digest(digest: str) -> str:
    """Choose one of `FOLDER_SPLITS` from a hexadecimal content digest: 80 % train, 10 % valid, 10 % test.

    The choice depends on nothing else, so that a piece keeps its split when files are added, renamed or moved;
    `descant_tokenizers.corpora.digests.incipit_digest` keeps versions of a piece together.
    """
    share = int(digest[:8], 16) / 16**8
    if share < TRAIN_SHARE:
        return "train"
    return "valid" if share < TRAIN_SHARE + VALID_SHARE else "test"


def split_of_text(text: str) -> str:
    """Choose a split from a text, such as the name of a work whose movements must stay together."""
    return split_of_digest(hashlib.sha256(text.encode()).hexdigest())
