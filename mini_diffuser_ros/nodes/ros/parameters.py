"""Declaring parameters so that ``ros2 param describe`` explains them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.parameter import Parameter

from mini_diffuser_ros.support.settings import leaves, with_values

if TYPE_CHECKING:
    from rclpy.node import Node

Settings = TypeVar("Settings")


class Parameters:
    """Declares parameters on a node and returns their values.

    All are read once, at start, hence read-only: a node that half follows a changed parameter is worse than one that
    has to be started again.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def text(self, name: str, default: str, description: str) -> str:
        """A string."""
        return str(self._declare(name, default, description))

    def texts(self, name: str, default: list[str], description: str) -> list[str]:
        """A list of strings."""
        return [str(value) for value in self._declare(name, default, description)]

    def flag(self, name: str, default: bool, description: str) -> bool:
        """A truth value."""
        return bool(self._declare(name, default, description))

    def number(self, name: str, default: float, description: str, low: float, high: float) -> float:
        """A float in [low, high]."""
        return float(self._declare(name, float(default), description, **_ranges(float(default), (low, high))))

    def integer(self, name: str, default: int, description: str, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return int(self._declare(name, default, description, **_ranges(default, (low, high))))

    def numbers(self, name: str, description: str) -> tuple[float, ...]:
        """A list of floats, empty unless it is given."""
        # Declared by its type: rclpy takes an empty list for one of bytes.
        return tuple(float(value) for value in self._declare(name, Parameter.Type.DOUBLE_ARRAY, description) or ())

    def settings(self, defaults: Settings, prefix: str = "", without: tuple[str, ...] = ()) -> Settings:
        """Typed settings: one parameter a value, nested ones by dotted names, described by the classes' docstrings.

        Args:
            defaults: an instance of the settings dataclass, with what holds where nothing is given.
            prefix: of the parameters' names; empty for none.
            without: dotted names, below the prefix, of values that are no parameters; they keep their defaults.

        Raises:
            SettingsError: naming the parameter whose value the dataclass refuses.
        """
        given = {}
        for leaf in leaves(defaults):
            if leaf.name not in without:
                default = list(leaf.default) if isinstance(leaf.default, tuple) else leaf.default
                ranges = _ranges(default, leaf.bounds)
                given[leaf.name] = self._declare(
                    f"{prefix}.{leaf.name}" if prefix else leaf.name, default, leaf.description, **ranges
                )
        return with_values(defaults, given, "parameters", prefix)

    def _declare(self, name: str, default: Any, description: str, **ranges: Any) -> Any:
        descriptor = ParameterDescriptor(description=description, read_only=True, **ranges)
        return self._node.declare_parameter(name, default, descriptor).value


def _ranges(default: object, bounds: tuple[float, float] | None) -> dict[str, Any]:
    """Fields of a ParameterDescriptor for a number in [low, high]."""
    if bounds is None:
        return {}
    low, high = bounds
    if isinstance(default, int):
        return {"integer_range": [IntegerRange(from_value=int(low), to_value=int(high), step=1)]}
    return {"floating_point_range": [FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)]}
