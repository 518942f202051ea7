"""What can go wrong in LIBERO."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class LiberoError(UserError, RuntimeError):
    """LIBERO is not installed, has no such suite, task or layout."""


class PlacementError(LiberoError):
    """LIBERO finds no place for something with a seed; another may do."""
