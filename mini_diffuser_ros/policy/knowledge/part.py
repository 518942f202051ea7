"""What each part of a policy's knowledge is stored as."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.knowledge.facts import PartFacts


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
