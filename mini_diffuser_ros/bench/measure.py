"""Time and memory of a call."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mini_diffuser_ros.bench.setting import Setting
from mini_diffuser_ros.policy import tune_cpu

_STATUS = Path("/proc/self/status")
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Reading:
    """Seconds: of all CPU threads of this process together, and on the wall's clock."""

    cpu_s: float
    wall_s: float

    def __add__(self, other: Reading) -> Reading:
        return Reading(self.cpu_s + other.cpu_s, self.wall_s + other.wall_s)

    def cost(self, device: torch.device) -> float:
        """What the work costs: CPU seconds on a CPU, wall seconds on a GPU."""
        return self.cpu_s if device.type == "cpu" else self.wall_s


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
        return Reading(self._last.cpu_s - before.cpu_s, self._last.wall_s - before.wall_s)

    def _now(self) -> Reading:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return Reading(time.process_time(), time.perf_counter())


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


def median(readings: Sequence[Reading]) -> Reading:
    """Medians of both times."""
    return Reading(
        statistics.median(reading.cpu_s for reading in readings),
        statistics.median(reading.wall_s for reading in readings),
    )


def peak_mb(device: torch.device) -> float:
    """Most memory so far, MiB: allocated on the GPU, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MEGABYTE
    return _resident("VmHWM")


def held_mb(device: torch.device) -> float:
    """Memory now, MiB: allocated on the GPU, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / _MEGABYTE
    return _resident("VmRSS")


def _resident(field: str) -> float:
    """A field of Linux's account of this process; elsewhere the peak, from getrusage."""
    if not _STATUS.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (_MEGABYTE if sys.platform == "darwin" else 1024)
    # getrusage counts what the parent process held when it started this one.
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
