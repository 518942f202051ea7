"""What can go wrong in LIBERO."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class LiberoError(UserError, RuntimeError):
    """LIBERO is not installed, has no such suite, task or layout, or cannot do what it is asked."""


class InvalidLayoutError(LiberoError):
    """A layout that LIBERO drew is none of its task: something has fallen over, or lies elsewhere. Draw another."""
