"""Parts of a family of files, as the modules of each format list them."""

from __future__ import annotations

from typing import TypeAlias

Parts: TypeAlias = tuple[str, str, str] | tuple[str, str, str, int]
"""What stands before the repetitions, what is repeated, what stands behind, and perhaps the most repetitions."""
