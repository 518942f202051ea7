"""The optimiser with the right things decayed, the learning-rate schedule, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mini_diffuser_ros.training.config import BudgetConfig, OptimConfig
from mini_diffuser_ros.training.muon import MuonWithAdamW

_MUON_MOMENTUM = 0.95
_LEAST_SIDE = 16  # what is narrower, such as a head's last layer, is left to AdamW


def make_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Over the parameters of the model; matrices are decayed, vectors (norms, biases, gains) are not.

    Each group says by ``pace`` how many times the learning rate its own is.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def by_muon(parameter: nn.Parameter) -> bool:
        return config.method == "muon" and _is_wide(parameter)

    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim >= 2 and not by_muon(p)], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [{**group, "pace": 1.0, "matrices": False} for group in groups]
    if config.method == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=1e-8, fused=True)
    matrices = [p for p in trained if by_muon(p)]
    decay = config.weight_decay / config.matrix_pace
    groups.append({"params": matrices, "weight_decay": decay, "pace": config.matrix_pace, "matrices": True})
    return MuonWithAdamW(groups, lr=config.lr, betas=config.betas, momentum=_MUON_MOMENTUM)


def _is_wide(parameter: nn.Parameter) -> bool:
    """Whether a parameter is a matrix, or a convolution that is one with its inputs side by side."""
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= _LEAST_SIDE


def budget_spent(config: BudgetConfig, step: int, seconds: float) -> float:
    """Share in [0, 1] of the budget that ``step`` finished steps and ``seconds`` of training have used up."""
    by_steps = step / config.steps if config.steps else 0.0
    by_clock = seconds / (60.0 * config.minutes) if config.minutes else 0.0
    return min(1.0, max(by_steps, by_clock))


def learning_rate(config: OptimConfig, step: int, spent: float) -> float:
    """Learning rate of a step: linear warm-up times half a cosine over the whole budget.

    Args:
        config: peak, warm-up and end of the schedule.
        step: number of steps finished before this one.
        spent: share of the budget used up before this one.
    """
    warmup = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    cosine = 0.5 * (1.0 + math.cos(math.pi * spent))
    return config.lr * warmup * (config.final_lr + (1.0 - config.final_lr) * cosine)


class WeightAverage:
    """Exponential running average of a model's weights, with a ramp so that short runs are not held back.

    Buffers are copied, not averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.tensors: dict[str, Tensor] = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after ``step`` finished steps."""
        decay = min(self._decay, (1.0 + step) / (10.0 + step))
        averaged, current = [], []
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                averaged.append(self.tensors[name])
                current.append(value)
            else:
                self.tensors[name].copy_(value)
        torch._foreach_lerp_(averaged, current, 1.0 - decay)


def mixed_weights(tensors: Mapping[str, Tensor], others: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights of which ``share`` is that of others, by name; what is no floating-point number is kept."""
    return {
        name: value.lerp(others[name].to(value), share) if value.is_floating_point() else value
        for name, value in tensors.items()
    }
