"""On what the last bits of a decision depend, besides the policy, the cloud, the sentence and the seed."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Arithmetic:
    """How sums are made: in another order they round otherwise.

    Attributes:
        device: ``cpu``, or ``cuda`` with its number.
        threads: of a CPU; each sums up a part.
        library: with its version and, of a CPU, its instructions; of a GPU, its name.
    """

    device: str
    threads: int
    library: str

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.device}, {threads}, {self.library}"


def arithmetic_of(device: torch.device) -> Arithmetic:
    """That of decisions on a device in this process, as it is now."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return Arithmetic(str(device), torch.get_num_threads(), f"torch {torch.__version__} on {kind}")
