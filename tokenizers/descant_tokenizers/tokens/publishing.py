"""Push a tokenizer to the Hub."""

from __future__ import annotations

from pathlib import Path

from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.common.hub import Pushed, push_files
from descant_tokenizers.tokens.presets import load_tokenizer

_TOKENIZER_CARD = """---
tags: [music, symbolic-music, midi, miditok]
---

# {repo_id}

A {kind} tokenizer of miditok with {size} tokens, made with Descant.

```python
import miditok
tokenizer = miditok.REMI.from_pretrained("{repo_id}")
```
"""


def push_tokenizer(folder: Path, repo_id: str, *, private: bool = False, update: bool = False) -> Pushed:
    """Push the tokenizer of a folder, and nothing else in it.

    Args:
        folder: A folder with miditok's `tokenizer.json`: a tokenizer, a tokenized dataset or a checkpoint.
        repo_id: `user/name`.
        private: Make a new repository private.
        update: Add a new version to a repository that exists.

    Raises:
        InputError: The folder holds no such tokenizer, or the push fails (see `hub.push_folder`).
    """
    tokenizer = load_tokenizer(folder)
    card = _TOKENIZER_CARD.format(repo_id=repo_id, kind=type(tokenizer).__name__, size=len(tokenizer))
    return push_files([folder / TOKENIZER_FILE], card, repo_id, private=private, update=update)
