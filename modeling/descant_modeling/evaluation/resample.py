"""Bootstrap intervals over pieces (Efron & Tibshirani 1993): how far a figure would move with other pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate", "by_piece", "median_interval", "ratio_interval", "share_interval"]

NUM_RESAMPLES = 2000
_LEVELS = (2.5, 97.5)
_DIGITS = 5


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval.

    Attributes:
        value: The figure over all pieces.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def rounded(self) -> dict[str, float]:
        """Return it as JSON takes it."""
        return {key: round(number, _DIGITS) for key, number in asdict(self).items()}

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def by_piece(names: Sequence[str], values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Add up the values of each piece's several versions: pieces are what is resampled, (versions,) to (pieces,)."""
    unique, place = np.unique(np.array(names), return_inverse=True)
    sums = np.zeros(len(unique))
    np.add.at(sums, place, np.asarray(values, dtype=float))
    return sums


def ratio_interval(parts: npt.ArrayLike, wholes: npt.ArrayLike, *, scale: float = 1.0, seed: int = 0) -> Estimate:
    """Estimate sum(parts) / sum(wholes), pooled over pieces.

    Args:
        parts: One number a piece, such as errors or nats.
        wholes: One number a piece, such as frames.
        scale: Factor of the result.
        seed: Of the resampling.
    """
    sums_N2 = np.stack([np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)], axis=1)
    total, base = sums_N2.sum(axis=0)
    drawn_R2 = _counts(len(sums_N2), seed) @ sums_N2
    ratios_R = drawn_R2[:, 0] / np.maximum(drawn_R2[:, 1], 1e-12)
    low, high = np.percentile(ratios_R, _LEVELS) * scale
    return Estimate(float(total / max(base, 1e-12)) * scale, float(low), float(high))


def share_interval(flags: npt.ArrayLike, *, scale: float = 100.0, seed: int = 0) -> Estimate:
    """Estimate the share of pieces for which something holds, in per cent by default."""
    flags_N = np.asarray(flags, dtype=float)
    return ratio_interval(flags_N, np.ones_like(flags_N), scale=scale, seed=seed)


def median_interval(values: npt.ArrayLike, *, seed: int = 0) -> Estimate:
    """Estimate the median of one number a piece."""
    values_N = np.asarray(values, dtype=float)
    drawn_RN = np.random.default_rng(seed).integers(len(values_N), size=(NUM_RESAMPLES, len(values_N)))
    low, high = np.percentile(np.median(values_N[drawn_RN], axis=1), _LEVELS)
    return Estimate(float(np.median(values_N)), float(low), float(high))


def _counts(num_pieces: int, seed: int) -> npt.NDArray[np.float64]:
    """How often each piece is drawn in each resample, (R, N)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_pieces, np.full(num_pieces, 1 / num_pieces), size=NUM_RESAMPLES).astype(float)
