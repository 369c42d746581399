"""What unit tests share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import Tensor, nn


@pytest.fixture(scope="session")
def random_rolls() -> Callable[..., Tensor]:
    """A function that makes rolls of four tracks, -1 and +1, as full as music."""
    import torch

    def make(number: int, num_steps: int = 32, seed: int = 0) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return torch.where(torch.rand(number, 4, num_steps, 128, generator=rng) < 0.03, 1.0, -1.0)

    return make


@pytest.fixture(scope="session")
def watch() -> Callable[[nn.Module], Callable[[], set[str]]]:
    """A function that notes a network's state and returns one that tells which tensors have changed since."""
    import torch

    def start(network: nn.Module) -> Callable[[], set[str]]:
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        return lambda: {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}

    return start


@pytest.fixture(scope="session")
def schema() -> object:
    """The schema of MusicXML 4.0, with all that it imports."""
    xmlschema = pytest.importorskip("xmlschema")
    found = importlib.util.find_spec("musicxml")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package musicxml, which holds the schema of MusicXML 4.0, is not installed")
    folder = Path(found.submodule_search_locations[0]) / "generate_classes"
    places = {
        "http://www.musicxml.org/xsd/xml.xsd": folder / "xml.xsd",
        "http://www.musicxml.org/xsd/xlink.xsd": Path(xmlschema.__file__).parent / "schemas/XLINK/xlink.xsd",
    }
    return xmlschema.XMLSchema(
        folder / "musicxml_4_0.xsd",
        uri_mapper=lambda uri: places[str(uri)].as_uri() if str(uri) in places else str(uri),
        allow="local",
    )
