"""Bootstrap intervals over pieces (Efron & Tibshirani 1993): how far a figure would move with other pieces.

Where a model drew several versions of each piece, a piece is resampled with all of them. Versions are drawn
independently for each piece, so that this covers both: how pieces differ, and how draws of one piece do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate", "by_piece", "quantile_interval", "ratio_interval", "share_interval"]

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


def quantile_interval(values: npt.ArrayLike, quantile: float = 0.5, *, seed: int = 0) -> Estimate:
    """Estimate a quantile over pieces, the median by default; of several draws, the mean of what each draw shows.

    Args:
        values: One number a piece, (pieces,), or one for each piece and draw, (pieces, draws).
        quantile: 0-1.
        seed: Of the resampling. A piece is taken with all that was drawn of it, so the interval tells how far the
            figure would move with other pieces and other draws of them.
    """
    values_ND = np.asarray(values, dtype=float)
    values_ND = values_ND.reshape(len(values_ND), -1)
    drawn_RN = np.random.default_rng(seed).integers(len(values_ND), size=(NUM_RESAMPLES, len(values_ND)))
    # Draw by draw: all resamples of all draws at once would be gigabytes.
    found_DR = [np.quantile(values_N[drawn_RN], quantile, axis=1) for values_N in values_ND.T]
    low, high = np.percentile(np.mean(found_DR, axis=0), _LEVELS)
    return Estimate(float(np.mean(np.quantile(values_ND, quantile, axis=0))), float(low), float(high))


def _counts(num_pieces: int, seed: int) -> npt.NDArray[np.float64]:
    """How often each piece is drawn in each resample, (R, N)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_pieces, np.full(num_pieces, 1 / num_pieces), size=NUM_RESAMPLES).astype(float)
