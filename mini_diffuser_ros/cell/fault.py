"""What is wrong with a cell, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mini_diffuser_ros.support.errors import UserError


class CellError(UserError, ValueError):
    """A cell file that cannot be read, or says something that cannot be."""


@dataclass(frozen=True)
class CellFault:
    """Something in a cell file that does not fit.

    Attributes:
        level: ``error``: nothing may run on it; ``warning``: somebody should look.
        name: dotted name of what it is about, e.g. ``cameras.front.translation``.
        problem: what is wrong, with the value.
        remedy: what to do.
    """

    level: Literal["error", "warning"]
    name: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name} {self.problem}: {self.remedy}"
