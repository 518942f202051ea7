"""What sensors cannot tell, each in one line."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class StaleJointsError(UserError, RuntimeError):
    """Joint positions are missing or too old to move by."""
