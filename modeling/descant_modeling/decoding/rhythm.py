"""How often new notes end inside a beat.

Pitches drawn at a low temperature, and particles chosen by them, make plainer rhythms than a model writes by itself:
fewer eighths and passing notes than Bach's. In compound meters, of which it saw few, it moves with every eighth. So
durations that end inside a beat are made likelier in simple meters, and less likely in compound ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from descant_tokenizers.tokens.harmony import beat_ticks, beat_units
from descant_tokenizers.tokens.vocabulary import Vocabulary

__all__ = ["COMPOUND_NATS", "NO_LEANING", "SIMPLE_NATS", "Leaning", "off_beat_ends"]

Leaning: TypeAlias = tuple[npt.NDArray[np.int64], float]
"""Token ids, and what is added to their ln p, in nats."""

NO_LEANING: Leaning = np.array([], np.int64), 0.0

#: What is added in simple and in compound meters. Chosen on valid and on forty tunes (records/LOG.md).
SIMPLE_NATS, COMPOUND_NATS = 0.3, -0.5


@lru_cache(maxsize=1024)
def off_beat_ends(vocabulary: Vocabulary, meter_id: int, offset_ticks: int) -> Leaning:
    """Return the durations that end inside a beat, for a note that begins `offset_ticks` into a bar."""
    meter = vocabulary.meter_of[meter_id]
    beat, durations = beat_ticks(meter), vocabulary.duration_ticks[meter.denominator]
    ids = [i for i, ticks in durations.items() if (offset_ticks + ticks) % beat]
    is_compound = beat_units(meter.numerator, meter.denominator) == 3
    return np.array(ids, np.int64), COMPOUND_NATS if is_compound else SIMPLE_NATS
