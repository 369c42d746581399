"""Models of symbolic music: architectures, training, decoding, evaluation and the embedded weights."""

from importlib.metadata import version

__version__ = version("descant")

__all__ = ["__version__"]
