"""This process among those that torchrun started; alone without torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from mini_diffuser_ros.support.settings import not_expected


@dataclass(frozen=True)
class Processes:
    """Data-parallel processes of one run.

    Attributes:
        rank: number of this process; 0 writes files and talks to the user.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """True in the process that writes and reports."""
        return self.rank == 0

    def slots(self, scenes: int) -> range:
        """The slots of each step that this process trains on.

        Raises:
            SettingsError: if the scenes cannot be shared out equally.
        """
        if scenes % self.size:
            raise not_expected("batch.scenes", scenes, f"a multiple of the {self.size} processes")
        share = scenes // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def agree(self, *values: float) -> list[float]:
        """The values of process 0, in every process."""
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(shared, src=0)
        return [float(value) for value in shared]

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sum of a tensor over the processes, in every process."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Return once every process has come here."""
        if self.size > 1:
            dist.barrier()


def started_first() -> bool:
    """Whether this is the process that leads, also before the group is joined and after it was left."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """Join the group that torchrun's environment describes, NCCL on GPUs and gloo on CPUs, and leave it at the end."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # NCCL takes gradients alone; numbers that live on the host are agreed on through gloo.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
