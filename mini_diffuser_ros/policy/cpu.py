"""What a process should set once, before it computes on a CPU."""

from __future__ import annotations

import ctypes
import sys

import torch

# malloc.h: names of mallopt's parameters.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1


def tune_cpu(threads: int) -> None:
    """Fix the number of threads, and keep freed memory in the process where the C library is glibc.

    By default glibc hands every large block back to the kernel as soon as it is freed. Each activation of a training
    step then costs page faults again, which take longer than the layer itself (docs/results/policy.md).

    Args:
        threads: of PyTorch's operations.

    Raises:
        ValueError: fewer than one thread.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}, expected at least 1")
    torch.set_num_threads(threads)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 2**30)
            mallopt(_M_TRIM_THRESHOLD, _NEVER)
