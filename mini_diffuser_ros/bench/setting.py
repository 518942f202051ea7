"""What the measurements of the network are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from mini_diffuser_ros.bench.benchmark import at_least, read_by, several
from mini_diffuser_ros.policy import MiniDiffuserConfig
from mini_diffuser_ros.policy.policy import checked_device


def device_name(text: str) -> str:
    """A device of this machine.

    Raises:
        ValueError: it is unknown, or not there.
    """
    return str(checked_device(text))


@dataclass(frozen=True, kw_only=True)
class DeviceSetting:
    """Where to compute.

    Attributes:
        device: cpu or cuda.
        threads: CPU threads of torch's operations.
    """

    device: str = read_by(device_name, "cpu")
    threads: int = at_least(1, 1)


@dataclass(frozen=True, kw_only=True)
class Setting(DeviceSetting):
    """What every measurement of time and memory is told.

    Attributes:
        config: preset of MiniDiffuserConfig.
        dtype: bfloat16 runs under autocast, with float32 weights.
        points: points a scene.
        repeats: measured runs, of which the median is reported; one run more comes first and does not count.
        seed: of scenes, weights and noise.
    """

    config: Literal["base", "small", "official"] = "base"
    dtype: Literal["float32", "bfloat16"] = "float32"
    points: int = several(4000)
    repeats: int = at_least(1, 10)
    seed: int = at_least(0, 0)

    def network(self) -> MiniDiffuserConfig:
        """The preset, with room for the points."""
        preset: MiniDiffuserConfig = getattr(MiniDiffuserConfig, self.config)(scene={"max_points": self.points})
        return preset

    def columns(self) -> dict[str, Any]:
        """What a row of output repeats of the setting."""
        names = ("config", "device", "threads", "dtype", "points", "repeats")
        return {name: getattr(self, name) for name in names}

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Autocast where the type is not float32."""
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.dtype == "bfloat16"):
            yield
