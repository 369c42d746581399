"""Checkpoints to the Hugging Face Hub."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from descant_modeling.cards import PLACEHOLDER
from descant_modeling.checkpoints import (
    PUBLISHED_FILES,
    PUBLISHED_WITHOUT_TOKENS,
    find_checkpoint,
    read_meta_values,
)
from descant_tokenizers.errors import InputError
from descant_tokenizers.hub import Pushed, check_push, push_folder


def push_checkpoint(name: str, repo_id: str, *, private: bool = False, update: bool = False) -> Pushed:
    """Push the published files of a checkpoint: no training state, no logs.

    Args:
        name: Checkpoint or run folder (its best checkpoint), or an embedded model.
        repo_id: `user/name`.
        private: Whether a repository that is created is private.
        update: Whether one that exists may get a new version.

    Raises:
        InputError: There is no such checkpoint, or the push can't be done (see `hub.push_folder`).
    """
    folder = find_checkpoint(name)
    is_causal = read_meta_values(folder).get("objective", "causal") == "causal"
    files = PUBLISHED_FILES if is_causal else PUBLISHED_WITHOUT_TOKENS
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise InputError(f"{folder} has no {missing[0]}: push a complete checkpoint folder, as train.py writes it")
    check_push(repo_id, update=update)
    with tempfile.TemporaryDirectory() as scratch:
        for file in files:
            shutil.copyfile(folder / file, Path(scratch, file))
        card = Path(scratch, "README.md")
        card.write_text(card.read_text(encoding="utf-8").replace(PLACEHOLDER, repo_id), encoding="utf-8")
        return push_folder(Path(scratch), repo_id, private=private, update=update)
