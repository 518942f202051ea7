"""What each part of a policy's knowledge is stored as."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.knowledge.facts import PartFacts, Threshold


class Part(ABC):
    """A part of a policy's knowledge: facts for config.json, and tensors for knowledge.safetensors."""

    @property
    @abstractmethod
    def facts(self) -> PartFacts:
        """Thresholds, and settings that :meth:`restored` takes."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name, on any device."""

    @classmethod
    @abstractmethod
    def restored(cls, facts: PartFacts, tensors: Mapping[str, Tensor], network: MiniDiffuserConfig) -> Part:
        """The part again, on the CPU.

        Args:
            facts: of the part, as stored.
            tensors: of the part, by the names that it gave them.
            network: configuration of the network that it belongs to.

        Raises:
            ValueError: facts or tensors do not fit, in words that follow the part's name.
        """


def only_threshold(facts: PartFacts, name: str) -> Threshold:
    """The one threshold of a part.

    Raises:
        ValueError: it has another one, or none.
    """
    if set(facts.thresholds) != {name}:
        raise ValueError(f"has thresholds {sorted(facts.thresholds)}, expected one of '{name}'")
    return facts.thresholds[name]


def checked_tensor(tensors: Mapping[str, Tensor], name: str, shape: Sequence[int]) -> Tensor:
    """A tensor of a part, in single precision.

    Raises:
        ValueError: it is missing, of another shape, no floating-point numbers, or not finite.
    """
    value = tensors.get(name)
    fits = value is not None and tuple(value.shape) == tuple(shape) and value.is_floating_point()
    if value is None or not fits or not bool(torch.isfinite(value).all()):
        raise ValueError(f"has no {name} of shape {tuple(shape)}, finite throughout")
    return value.float()


def packed(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a network as they are stored, in half precision."""
    return {f"{prefix}{name}": value.half() for name, value in module.state_dict().items()}


def unpack(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
    """Give a network the tensors that :func:`packed` gave.

    Raises:
        ValueError: as :func:`checked_tensor`.
    """
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    module.load_state_dict({name: checked_tensor(tensors, f"{prefix}{name}", shape) for name, shape in shapes.items()})
