"""How tokens are drawn, and which rules of voice leading are kept meanwhile.

How tokens are drawn if nobody says otherwise; without imports, so that a command's help need not wait for any.

Chosen on the valid split: records/LOG.md has what other values do to the harmonies.
"""

from __future__ import annotations

from dataclasses import dataclass

from descant_modeling.decoding.voice_leading import LeadingRules
from descant_tokenizers.tokens.vocabulary import Vocabulary

#: Divides the logits; 1 draws as the model itself would.
TEMPERATURE = 0.95
#: Only the likeliest tokens that together reach this probability are drawn.
TOP_P = 0.98

#: Versions of a sample, where its voices keep rules.
NUM_PARTICLES = 8
MAX_PARTICLES = 64


@dataclass(frozen=True)
class SamplingConfig:
    """How tokens are drawn.

    Args:
        temperature: Divides the logits; 0 takes the most likely token.
        top_p: Nucleus (Holtzman et al. 2020): only the likeliest tokens that together reach this probability.
        allow_parallels: Whether a voice may move in parallel fifths, octaves and unisons with another one; only asked
            in four-part music without learned tokens.
        allow_leaps: Likewise whether a voice may leap by an augmented interval or over an octave.
        best_of: Versions of each sample that are written side by side, the likelier ones going on at every quarter
            (see `versions`), 1-64; None for `NUM_PARTICLES` where rules of voice leading are kept, else 1.
    """

    temperature: float = TEMPERATURE
    top_p: float = TOP_P
    allow_parallels: bool = False
    allow_leaps: bool = False
    best_of: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature is {self.temperature}: give 0 to 10")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}: give a number above 0, at most 1")
        if self.best_of is not None and not 1 <= self.best_of <= MAX_PARTICLES:
            raise ValueError(f"best_of is {self.best_of}: give 1 to {MAX_PARTICLES}")

    def rules_for(self, vocabulary: Vocabulary) -> LeadingRules | None:
        """Return the rules of voice leading that are kept in a vocabulary's music, if there are any."""
        has_lines = vocabulary.is_four_part and not vocabulary.has_merges
        rules = LeadingRules(parallels=not self.allow_parallels, leaps=not self.allow_leaps)
        return rules if has_lines and (rules.parallels or rules.leaps) else None

    def num_particles(self, vocabulary: Vocabulary) -> int:
        """Return how many versions of a sample are written; the likeliest tokens are the same in all."""
        if self.temperature == 0:
            return 1
        if self.best_of is not None:
            return self.best_of
        return NUM_PARTICLES if self.rules_for(vocabulary) else 1
