"""matplotlib, which a benchmark that draws needs and the package does not."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mini_diffuser_ros.bench.errors import BenchError


def pyplot() -> Any:
    """matplotlib.pyplot.

    Raises:
        BenchError: it is not installed.
    """
    try:
        return import_module("matplotlib.pyplot")
    except ImportError as error:
        raise BenchError(f"the pictures need matplotlib: pip install matplotlib ({error})") from error
