"""What can go wrong in the simulated world."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class SimulationError(UserError, ValueError):
    """The world was asked for something it does not have; the message names the value and the valid ones."""


class DemonstrationFailed(RuntimeError):  # noqa: N818 - a demonstration may fail without any error
    """The scripted expert did not solve a layout; the message says where it stopped."""
