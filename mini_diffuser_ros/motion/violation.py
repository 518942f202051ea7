"""What a collision check answers."""

from __future__ import annotations

from dataclasses import dataclass

TOUCHING = 1e-4
"""Metres by which a pair that starts closer than its clearance may come closer still."""


@dataclass(frozen=True)
class Violation:
    """Two bodies nearer than their clearance.

    Attributes:
        first, second: body names.
        distance: metres between their surfaces, negative when they overlap.
        clearance: metres that were required.
    """

    first: str
    second: str
    distance: float
    clearance: float
