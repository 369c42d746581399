"""What `descant push` says when a push is done."""

import pytest

from descant_modeling.models import publishing
from descant_tokenizers.common.hub import Pushed


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("gan", "python generate.py --prompt melody.mid --model somebody/new@abc"),
        ("midinet", "python generate.py --model somebody/new@abc"),
        ("roll-gan", "python generate.py --model somebody/new@abc"),
    ],
)
def test_the_command_that_it_ends_with_suits_the_model(descant, monkeypatch, model, command):
    pushed = Pushed("https://hub.example/somebody/new", "abc", ("README.md",))
    monkeypatch.setattr(publishing, "push_checkpoint", lambda *_, **__: pushed)
    outcome = descant("push", model, "somebody/new")
    assert outcome.out.splitlines()[-1] == f"use it: {command}"
