"""What can go wrong in the simulated world."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class SimulationError(UserError, ValueError):
    """The world was asked for something it does not have; the message names the value and the valid ones."""
