"""How tokens are drawn if nobody says otherwise; without imports, so that a command's help need not wait for any.

Chosen on the valid split: records/LOG.md has what other values do to the harmonies.
"""

from __future__ import annotations

#: Divides the logits; 1 draws as the model itself would.
TEMPERATURE = 0.95
#: Only the likeliest tokens that together reach this probability are drawn.
TOP_P = 0.98
