"""What the benchmarks refuse, each in one line."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class BenchError(UserError, ValueError):
    """A wrong argument, or a measurement that this machine cannot take."""
