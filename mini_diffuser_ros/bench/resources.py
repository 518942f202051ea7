"""What processes take of the machine: CPU time and memory, read without torch or ROS."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Reading:
    """Seconds: of all CPU threads of this process together, and on the wall's clock."""

    cpu_s: float
    wall_s: float

    @classmethod
    def now(cls) -> Reading:
        """Both clocks; only differences mean something."""
        return cls(time.process_time(), time.perf_counter())

    def __add__(self, other: Reading) -> Reading:
        return Reading(self.cpu_s + other.cpu_s, self.wall_s + other.wall_s)

    def __sub__(self, other: Reading) -> Reading:
        return Reading(self.cpu_s - other.cpu_s, self.wall_s - other.wall_s)


def median(readings: Sequence[Reading]) -> Reading:
    """Medians of both times."""
    return Reading(
        statistics.median(reading.cpu_s for reading in readings),
        statistics.median(reading.wall_s for reading in readings),
    )


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far (Linux)."""
    words = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(process: int | None = None) -> float:
    """Resident memory of a process (left out: of this one) now, MiB; without an account of Linux's the most so far."""
    return _status("VmRSS", process)


def peak_resident_mb() -> float:
    """Most resident memory of this process so far, MiB."""
    return _status("VmHWM")


def proportional_mb(process: int) -> float:
    """Proportional set size of a process, MB; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(float(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def descendants(parent: int) -> list[int]:
    """Processes below a process, at any depth (Linux)."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents[int(entry.parent.name)] = int(fields[1])
    found = [parent]
    for one in found:
        found += [pid for pid, of in parents.items() if of == one]
    return found[1:]


def _status(field: str, process: int | None = None) -> float:
    status = Path(f"/proc/{'self' if process is None else process}/status")
    if process is None and not status.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (_MEBIBYTE if sys.platform == "darwin" else 1024)
    # getrusage counts what the parent process held when it started this one.
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
