"""Optimizers, learning rate, and the exponential moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
import torch.distributed
from torch.optim.swa_utils import AveragedModel

from descant_modeling.training.config import OptimizerConfig

#: State that the optimizers keep for each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq", "momentum")

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]

#: Quintic Newton-Schulz coefficients of Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return about the nearest semi-orthogonal matrix, by `steps` Newton-Schulz iterations (singular values near 1).

    Everything is computed in the matrix's own precision.
    """
    a, b, c = _NEWTON_SCHULZ
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum, for matrices.

    An update is scaled by 0.2 * sqrt(max(rows, columns)), so that its root mean square matches AdamW's and both share
    one learning rate (Liu et al. 2025, "Muon is Scalable for LLM Training"). This is `torch.optim.Muon` with a choice
    of precision: torch 2.13 always computes the directions in bf16, which takes a hundred times as long as fp32 on a
    CPU without bf16 units, and half as long on one with them.

    Args:
        params: Matrices.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
        momentum: Decay rate of the momentum.
        in_bf16: True to compute the directions in bf16.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor],
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
        *,
        in_bf16: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self._in_bf16 = in_bf16

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # no closures
        """Update all matrices from their gradients, which are the same in all processes."""
        moved = [(group, m) for group in self.param_groups for m in group["params"] if m.grad is not None]
        directions = self._directions([self._update(group, matrix) for group, matrix in moved])
        for (group, matrix), direction in zip(moved, directions, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(direction, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)

    def _update(self, group: dict[str, Any], matrix: torch.Tensor) -> torch.Tensor:
        """Return the Nesterov momentum of a matrix."""
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
        update = cast("torch.Tensor", matrix.grad).lerp(momentum, group["momentum"])
        return update.bfloat16() if self._in_bf16 else update

    @staticmethod
    def _directions(updates: list[torch.Tensor]) -> list[torch.Tensor]:
        """Orthogonalize the updates; several processes divide the work and exchange the results."""
        is_alone = not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1
        if is_alone or not updates:
            return [orthogonalize(update) for update in updates]
        rank, number = torch.distributed.get_rank(), torch.distributed.get_world_size()
        packed = updates[0].new_zeros(sum(update.numel() for update in updates))
        directions = [
            part.view_as(update)
            for part, update in zip(torch.split(packed, [update.numel() for update in updates]), updates, strict=True)
        ]
        # The largest first, dealt out to and fro, so that all have about the same work.
        by_size = sorted(range(len(updates)), key=lambda index: -updates[index].numel())
        for place, index in enumerate(by_size):
            if min(place % (2 * number), 2 * number - 1 - place % (2 * number)) == rank:
                directions[index].copy_(orthogonalize(updates[index]))
        torch.distributed.all_reduce(packed)  # zeros, but for one process
        return directions


def build_optimizers(
    model: torch.nn.Module, config: OptimizerConfig, *, in_bf16: bool = False
) -> list[torch.optim.Optimizer]:
    """Build the configured optimizers, with weight decay on matrices only (no norms, no biases).

    Muon takes the hidden matrices; embeddings (tied to the output) and vectors stay with AdamW, as its authors advise.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    parameters = [p for p in model.parameters() if p.requires_grad]
    is_muon = config.name == "muon"
    hidden = [p for p in parameters if is_muon and p.ndim == 2 and id(p) not in embeddings]
    taken = {id(p) for p in hidden}
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2 and id(p) not in taken], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
    if not hidden:
        return [adamw]
    return [Muon(hidden, config.learning_rate, config.weight_decay, in_bf16=in_bf16), adamw]


def learning_rate(config: OptimizerConfig, step: int, max_steps: int) -> float:
    """Return the learning rate of a step, from 0: linear warm-up, then half a cosine to a share of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps)
    share = config.final_lr_share + (1 - config.final_lr_share) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.learning_rate * share


def average_of(model: torch.nn.Module, decay: float) -> AveragedModel | None:
    """Return an exponential moving average of a model's weights, to be updated after every step; None for a decay of 0.

    The decay after step t (from 0) is min(`decay`, (1 + t) / (10 + t)), so that the untrained weights are forgotten
    quickly.
    """
    if not decay:
        return None

    def update(averages: Tensors, weights: Tensors, step: torch.Tensor | int) -> None:
        torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + int(step)) / (10 + int(step))))

    return AveragedModel(model, multi_avg_fn=update)


def state_tensors(
    model: torch.nn.Module, average: AveragedModel | None, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, torch.Tensor]:
    """Return weights, their average and the optimizers' states, by name; buffers are left out."""
    names = {id(p): name for name, p in model.named_parameters()}
    tensors: dict[str, torch.Tensor] = {f"model.{name}": p for name, p in model.named_parameters()}
    if average is not None:
        tensors |= {f"average.{name}": p for name, p in average.module.named_parameters()}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            tensors |= {f"{key}.{names[id(parameter)]}": value for key, value in state.items()}
    return tensors


@torch.no_grad()
def load_state_tensors(
    model: torch.nn.Module,
    average: AveragedModel | None,
    optimizers: Sequence[torch.optim.Optimizer],
    tensors: Mapping[str, torch.Tensor],
    step: int,
) -> None:
    """Restore the tensors that `state_tensors` returned after a number of steps."""
    names = {}
    for name, parameter in model.named_parameters():
        names[id(parameter)] = name
        parameter.copy_(tensors[f"model.{name}"])
    if average is not None:
        for name, parameter in average.module.named_parameters():
            parameter.copy_(tensors[f"average.{name}"])
        average.n_averaged.fill_(step)
    for optimizer in optimizers:
        in_order = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
        packed = optimizer.state_dict()
        packed["state"] = {
            index: {key: tensors[f"{key}.{name}"] for key in OPTIMIZER_STATE if f"{key}.{name}" in tensors}
            for index, name in enumerate(in_order)
        }
        optimizer.load_state_dict(packed)
