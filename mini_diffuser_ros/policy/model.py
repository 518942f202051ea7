"""The Mini Diffuser as the rest of the package makes it: ours, or the published one where a configuration says so."""

from __future__ import annotations

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.model import DiffuserNetwork
from mini_diffuser_ros.policy.official.network import OfficialNetwork


class MiniDiffuser(DiffuserNetwork):
    """Encode a scene once, query it with many noised positions.

    Args:
        config: see :class:`MiniDiffuserConfig` for the presets. With ``official_behaviour`` an
            :class:`OfficialMiniDiffuser` is made.
    """

    def __new__(cls, config: MiniDiffuserConfig | None = None) -> MiniDiffuser:
        """Choose the class; copies are made without a configuration and keep theirs."""
        published = cls is MiniDiffuser and config is not None and config.official_behaviour is not None
        return super().__new__(OfficialMiniDiffuser if published else cls)


class OfficialMiniDiffuser(OfficialNetwork, MiniDiffuser):
    """The published network as a :class:`MiniDiffuser`."""
