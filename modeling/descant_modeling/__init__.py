"""Models of symbolic music: architectures, training, decoding, evaluation and the embedded weights.

`load` opens a model; :mod:`descant_modeling.api` documents it.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descant_modeling.api import Model, load

__version__ = version("descant")

__all__ = ["Model", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the Python API, and the libraries behind it, when it is first used."""
    if name in ("Model", "load"):
        from descant_modeling import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
