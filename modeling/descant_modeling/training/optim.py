"""Optimizers: AdamW, and Muon for the hidden matrices beside AdamW for everything else; and the learning rate.

An exponential moving average of a model's weights: what is evaluated and published.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from descant_modeling.training.config import OptimizerConfig

#: Quintic Newton-Schulz coefficients of Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return about the nearest semi-orthogonal matrix, by `steps` Newton-Schulz iterations (singular values near 1).

    It is computed in the matrix's own precision.
    """
    a, b, c = _NEWTON_SCHULZ
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x


class MuonAdamW(torch.optim.Optimizer):
    """Muon with Nesterov momentum on groups marked `muon`, AdamW on the others.

    A Muon update is scaled by 0.2 * sqrt(max(rows, columns)), so that its root mean square matches AdamW's and both
    share one learning rate (Liu et al. 2025, "Muon is Scalable for LLM Training").

    Args:
        params: Parameter groups with keys `params`, `muon`, `weight_decay`.
        lr: Learning rate of both.
        betas: AdamW's decay rates.
        momentum: Muon's.
        eps: AdamW's.
        in_bf16: Whether Muon's directions are computed in bf16, as its authors do. On a CPU without bf16 units that
            takes a hundred times as long as fp32; with them, half.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        momentum: float = 0.95,
        eps: float = 1e-8,
        in_bf16: bool = False,
    ) -> None:
        self._muon_dtype = torch.bfloat16 if in_bf16 else None
        super().__init__(params, {"lr": lr, "betas": betas, "momentum": momentum, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters from their gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._muon if group["muon"] else self._adamw
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    update(parameter, parameter.grad, group)
        return loss

    def _muon(self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        direction = orthogonalize(gradient.lerp(momentum, group["momentum"]).to(self._muon_dtype or gradient.dtype))
        parameter.add_(direction, alpha=-group["lr"] * 0.2 * max(parameter.shape) ** 0.5)

    def _adamw(self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        beta1, beta2 = group["betas"]
        state["step"] += 1
        step = float(state["step"])
        first = state["exp_avg"].lerp_(gradient, 1 - beta1)
        second = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = (second / (1 - beta2**step)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(first, denominator, value=-group["lr"] / (1 - beta1**step))


def build_optimizer(model: torch.nn.Module, config: OptimizerConfig, *, in_bf16: bool = False) -> torch.optim.Optimizer:
    """Build the configured optimizer, with weight decay on matrices only (no norms, no biases).

    With Muon, embeddings (tied to the output) stay with AdamW, as its authors advise.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    parameters = [p for p in model.parameters() if p.requires_grad]
    hidden = [p for p in parameters if p.ndim == 2 and id(p) not in embeddings]
    matrices = [p for p in parameters if p.ndim >= 2 and (p.ndim > 2 or id(p) in embeddings)]
    vectors = [p for p in parameters if p.ndim < 2]
    decay = config.weight_decay
    if config.name == "muon":
        groups: list[dict[str, Any]] = [
            {"params": hidden, "weight_decay": decay, "muon": True},
            {"params": matrices, "weight_decay": decay, "muon": False},
            {"params": vectors, "weight_decay": 0.0, "muon": False},
        ]
        return MuonAdamW(groups, lr=config.learning_rate, betas=config.betas, in_bf16=in_bf16)
    groups = [
        {"params": hidden + matrices, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def learning_rate(config: OptimizerConfig, step: int, max_steps: int) -> float:
    """Learning rate of a step (from 0): linear warm-up, then a half cosine to `final_lr_share` of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps)
    share = config.final_lr_share + (1 - config.final_lr_share) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.learning_rate * share


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
