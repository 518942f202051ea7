"""Losses and gradients of one step, its scenes shared out over CPU threads, processes or neither.

Torch parallelises single operations, and those of this network are too short for that: two threads inside operations
are hardly faster than one. So each thread takes its own scenes through the whole network instead, which needs no
communication but one sum of gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mini_diffuser_ros.policy import MiniDiffuser, TrainingBatch
from mini_diffuser_ros.training.processes import Processes


class Gradients(Protocol):
    """Sets ``grad`` of the parameters."""

    def compute(self, step: int) -> dict[str, Tensor]:
        """Gradients of the mean loss over the step's scenes; returns the losses, ``total`` first, as scalars."""

    def close(self) -> None:
        """Give threads back."""


def noise_source(seed: int, step: int, part: int) -> torch.Generator:
    """Randomness of one part of one step, the same whether or not the run was interrupted before it."""
    return torch.Generator().manual_seed(_seed(seed, step, part))


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Matrix products in ``precision`` while entered; nothing changes for float32."""
    return nullcontext() if precision is torch.float32 else torch.autocast(device.type, precision)


class WholeStep:
    """The step's scenes of this process in one piece, on a CPU or a GPU; processes share the gradients."""

    def __init__(
        self,
        model: MiniDiffuser,
        batches: Iterator[TrainingBatch],
        level2: int,
        seed: int,
        processes: Processes,
        precision: torch.dtype = torch.float32,
        compiled: bool = False,
    ) -> None:
        self._batches = batches
        self._device = model.device
        self._seed = seed
        self._processes = processes
        self._precision = precision
        objective: nn.Module = _Objective(model, level2)
        if compiled:
            # Clouds differ in length at every step: kernels of fixed sizes would be made again and again.
            objective.compile(dynamic=True)
        # Parts that a configuration leaves out of the loss, e.g. the text of FiLM, get no gradient.
        self._objective: nn.Module = (
            objective if processes.size == 1 else DistributedDataParallel(objective, find_unused_parameters=True)
        )

    def compute(self, step: int) -> dict[str, Tensor]:
        """See :class:`Gradients`."""
        part = self._processes.rank
        torch.manual_seed(_seed(self._seed, step, part))  # dropout knows no other source
        batch = next(self._batches).to(self._device)
        self._objective.zero_grad(set_to_none=True)
        with autocast(self._device, self._precision):
            losses: dict[str, Tensor] = self._objective(batch, noise_source(self._seed, step, part))
        losses["total"].backward()
        values = self._processes.total(torch.stack([value.detach().float() for value in losses.values()]))
        return dict(zip(losses, values / self._processes.size, strict=True))

    def close(self) -> None:
        """Nothing to give back."""


class ShardedStep:
    """The step's scenes in equal shards, each taken through the network by its own CPU thread."""

    def __init__(
        self,
        model: MiniDiffuser,
        batches: Sequence[Iterator[TrainingBatch]],
        level2: int,
        seed: int,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self._model = model
        self._precision = precision
        self._batches = batches
        self._level2 = level2
        self._seed = seed
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # A thread's operations run in that thread alone.
        self._pool = ThreadPoolExecutor(len(batches), "shard", initializer=torch.set_num_threads, initargs=(1,))

    def compute(self, step: int) -> dict[str, Tensor]:
        """See :class:`Gradients`."""
        shards = list(self._pool.map(self._shard, range(len(self._batches)), [step] * len(self._batches)))
        for index, parameter in enumerate(self._parameters):
            parts = [part for _, gradients in shards if (part := gradients[index]) is not None]
            parameter.grad = torch.stack(parts).sum(0) / len(shards) if parts else None
        return {name: torch.stack([losses[name] for losses, _ in shards]).mean() for name in shards[0][0]}

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _shard(self, shard: int, step: int) -> tuple[dict[str, Tensor], tuple[Tensor | None, ...]]:
        batch = next(self._batches[shard])
        # Autocast is a thread's own setting.
        with autocast(self._model.device, self._precision):
            losses = self._model.loss(batch, level2=self._level2, generator=noise_source(self._seed, step, shard))
        gradients = torch.autograd.grad(losses["total"], self._parameters, allow_unused=True)
        return {name: value.detach() for name, value in losses.items()}, gradients


class _Objective(nn.Module):
    """The loss as a module's forward pass, which is what data parallelism hooks into."""

    def __init__(self, model: MiniDiffuser, level2: int) -> None:
        super().__init__()
        self.model = model
        self.level2 = level2

    def forward(self, batch: TrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return self.model.loss(batch, level2=self.level2, generator=generator)


def _seed(seed: int, step: int, part: int) -> int:
    return int(np.random.SeedSequence([seed, step, part]).generate_state(1, np.uint64)[0] >> 1)
