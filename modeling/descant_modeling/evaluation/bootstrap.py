"""Bootstrap intervals over pieces (Efron & Tibshirani 1993): the variation of a figure from sample to sample.

A piece that was drawn several times is resampled with all its draws. Draws are independent from piece to piece, so the
interval covers both sources of variation: between pieces, and between draws of one piece.

Shapes: N pieces, D draws, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

NUM_RESAMPLES = 2000
_SEED = 0
_LEVELS = (2.5, 97.5)
_DIGITS = 5


@dataclass(frozen=True)
class Estimate:
    """A figure over all pieces, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def rounded(self) -> dict[str, float]:
        """Return the estimate for JSON."""
        return {key: round(number, _DIGITS) for key, number in asdict(self).items()}


def estimate_text(estimate: Mapping[str, float], digits: int = 2) -> str:
    """Return a rounded estimate as `value [low, high]`."""
    value, low, high = (f"{estimate[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def by_piece(names: Sequence[str], values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Sum the values of all draws of each piece, (N x D,) to (N,); `names` holds the piece of each value."""
    unique, place = np.unique(np.array(names), return_inverse=True)
    return np.bincount(place, weights=np.asarray(values, dtype=float), minlength=len(unique)).astype(float)


def ratio_interval(parts: npt.ArrayLike, wholes: npt.ArrayLike, *, scale: float = 1.0) -> Estimate:
    """Estimate sum(parts) / sum(wholes), pooled over pieces.

    Args:
        parts: One number per piece, such as errors or nats.
        wholes: One number per piece, such as frames.
        scale: Factor of the result.
    """
    sums_N2 = np.stack([np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)], axis=1)
    num_pieces = len(sums_N2)
    rng = np.random.default_rng(_SEED)
    counts_RN = rng.multinomial(num_pieces, np.full(num_pieces, 1 / num_pieces), size=NUM_RESAMPLES).astype(float)
    drawn_R2 = counts_RN @ sums_N2
    ratios_R = drawn_R2[:, 0] / np.maximum(drawn_R2[:, 1], 1e-12)
    low, high = np.percentile(ratios_R, _LEVELS) * scale
    total, base = sums_N2.sum(axis=0)
    return Estimate(float(total / max(base, 1e-12)) * scale, float(low), float(high))


def median_interval(values: npt.ArrayLike) -> Estimate:
    """Estimate the median over pieces; for several draws, the mean of the medians of the draws.

    Args:
        values: One number per piece, (N,), or per piece and draw, (N, D).
    """
    values_ND = np.asarray(values, dtype=float)
    values_ND = values_ND.reshape(len(values_ND), -1)
    drawn_RN = np.random.default_rng(_SEED).integers(len(values_ND), size=(NUM_RESAMPLES, len(values_ND)))
    # Draw by draw: all resamples of all draws at once would take gigabytes.
    found_DR = [np.median(values_N[drawn_RN], axis=1) for values_N in values_ND.T]
    low, high = np.percentile(np.mean(found_DR, axis=0), _LEVELS)
    return Estimate(float(np.mean(np.median(values_ND, axis=0))), float(low), float(high))
