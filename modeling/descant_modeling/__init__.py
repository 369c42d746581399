"""Models of symbolic music: architectures, training, decoding, evaluation and the embedded weights.

`load` opens a model; :mod:`descant_modeling.api` documents it.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descant_modeling.api import Model, load
    from descant_modeling.decoding.logits_processor import GrammarLogitsProcessor

__version__ = version("descant")

_MODULES = {"Model": "api", "load": "api", "GrammarLogitsProcessor": "decoding.logits_processor"}

__all__ = ["GrammarLogitsProcessor", "Model", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import a name, and the libraries behind it, at its first use."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, so that they complete."""
    return sorted(__all__)
