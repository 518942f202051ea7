"""Declaring parameters so that ``ros2 param describe`` explains them."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.parameter import Parameter

from mini_diffuser_ros.support.settings import attribute_descriptions

if TYPE_CHECKING:
    from rclpy.node import Node

Config = TypeVar("Config")


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

    def config(
        self, kind: type[Config], prefix: str, without: tuple[str, ...] = (), defaults: Config | None = None
    ) -> Config:
        """A configuration dataclass: one parameter a field, described by the class's own docstring.

        Args:
            kind: the dataclass; its fields are numbers, texts, truth values and tuples of one of them. A number's
                ``metadata["bounds"]``, (low, high), becomes its range.
            prefix: of the parameters' names.
            without: fields that keep their defaults.
            defaults: values instead of those of the class.
        """
        descriptions = attribute_descriptions(kind)
        values: dict[str, Any] = {}
        for entry in fields(kind):  # type: ignore[arg-type]
            if entry.name in without:
                if defaults is not None:
                    values[entry.name] = getattr(defaults, entry.name)
                continue
            default: Any = entry.default if entry.default_factory is MISSING else entry.default_factory()
            if defaults is not None:
                default = getattr(defaults, entry.name)
            as_list = isinstance(default, tuple)
            value = self._declare(
                f"{prefix}.{entry.name}",
                list(default) if as_list else default,
                descriptions.get(entry.name, entry.name),
                **_ranges(default, entry.metadata.get("bounds")),
            )
            values[entry.name] = tuple(value) if as_list else value
        return kind(**values)

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
