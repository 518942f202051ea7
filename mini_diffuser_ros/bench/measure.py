"""Time and memory of a call of the network."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mini_diffuser_ros.bench.resources import Reading, median, peak_resident_mb, resident_mb
from mini_diffuser_ros.bench.setting import Setting
from mini_diffuser_ros.policy import tune_cpu

_MEBIBYTE = 2**20


class Clock:
    """Reads the time between laps; a GPU has finished its work at each.

    Args:
        device: where the work runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = self._now()

    def lap(self) -> Reading:
        """Seconds since the last lap, or since the clock was made."""
        before, self._last = self._last, self._now()
        return self._last - before

    def _now(self) -> Reading:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return Reading.now()


def cost(reading: Reading, device: torch.device) -> float:
    """What work costs: CPU seconds on a CPU, wall seconds on a GPU."""
    return reading.cpu_s if device.type == "cpu" else reading.wall_s


def prepare(setting: Setting) -> torch.device:
    """Set up this process, which measures one setting and nothing else."""
    tune_cpu(setting.threads)
    torch.manual_seed(setting.seed)
    return torch.device(setting.device)


def repeated(call: Callable[[], object], setting: Setting) -> Reading:
    """Medians over the setting's repeats, after one call that does not count."""
    device = torch.device(setting.device)
    call()
    readings = []
    for _ in range(setting.repeats):
        clock = Clock(device)
        call()
        readings.append(clock.lap())
    return median(readings)


def peak_mb(device: torch.device) -> float:
    """Most memory so far, MiB: allocated on the GPU, else resident in this process."""
    return torch.cuda.max_memory_allocated(device) / _MEBIBYTE if device.type == "cuda" else peak_resident_mb()


def held_mb(device: torch.device) -> float:
    """Memory now, MiB: allocated on the GPU, else resident in this process."""
    return torch.cuda.memory_allocated(device) / _MEBIBYTE if device.type == "cuda" else resident_mb()
