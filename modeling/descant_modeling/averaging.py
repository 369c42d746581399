"""An exponential moving average of a model's weights: what is evaluated and published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class WeightAverage:
    """Exponential moving average of a model's parameters.

    The decay of step t is min(`decay`, (1 + t) / (10 + t)), so that the untrained weights are forgotten quickly.

    Args:
        model: Its parameters are copied, as the average of nothing but themselves.
        decay: From 0 to below 1; 0 keeps no average at all: the model's own weights are used.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()} if decay else {}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """Move towards the model's weights after optimizer step `step` (from 0)."""
        if self.shadow:
            weight = 1 - min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.shadow.values()), [p.detach() for p in model.parameters()], weight)

    @contextmanager
    def applied_to(self, model: torch.nn.Module) -> Iterator[None]:
        """Let the model hold the average inside the `with` block, and its own weights again after it."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def _swap(self, model: torch.nn.Module) -> None:
        if self.shadow:
            for name, parameter in model.named_parameters():
                kept = parameter.detach().clone()
                parameter.copy_(self.shadow[name])
                self.shadow[name].copy_(kept)
