"""What every test may ask for, and what none may do: reach the network or open a window."""

from __future__ import annotations

import os
from pathlib import Path

# Libraries read these when they are imported, hence before anything else. Commands started by tests inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest
from hypothesis import settings

# A busy machine is no failure (no deadline), and a failure happens again (derandomized where nobody watches).
settings.register_profile("descant", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("descant")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent
