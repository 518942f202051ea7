"""Errors of the perception room. All derive from ValueError: the caller handed over something that cannot be fused."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class PerceptionError(UserError, ValueError):
    """Something cannot be fused; the message names the thing, its value and what was expected."""


class InvalidViewError(PerceptionError):
    """A camera view is malformed.

    Args:
        camera: name of the view.
        problem: what was found and what was expected, one line.
    """

    def __init__(self, camera: str, problem: str) -> None:
        super().__init__(f"view of camera {camera!r}: {problem}")
        self.camera, self.problem = camera, problem
