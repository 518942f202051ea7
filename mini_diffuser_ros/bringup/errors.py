"""What a launch refuses."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class BringupError(UserError, ValueError):
    """Arguments of the launch that cannot be followed."""
