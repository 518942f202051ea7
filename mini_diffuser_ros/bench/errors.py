"""What the benchmarks refuse, each in one line."""

from __future__ import annotations


class BenchError(ValueError):
    """A wrong argument, or a measurement that this machine cannot take."""
