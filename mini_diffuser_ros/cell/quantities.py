"""The unit and the range of every number in a cell file, so that a number of another unit is recognised as one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mini_diffuser_ros.cell.cell import Cell
from mini_diffuser_ros.cell.fault import CellFault
from mini_diffuser_ros.support.settings import SettingsError, to_mapping

Numbers = Sequence[float]


@dataclass(frozen=True)
class Quantity:
    """What the numbers of a field are.

    Attributes:
        unit: as words.
        low, high: least and largest that make sense of a robot on a table.
        others: units that people write by mistake, with how many of them are one of ``unit``.
    """

    unit: str
    low: float
    high: float
    others: tuple[tuple[str, float], ...] = ()

    def takes(self, values: Numbers) -> bool:
        """Whether all are within the range."""
        return all(self.low <= value <= self.high for value in values)


def _length(low: float, high: float) -> Quantity:
    return Quantity("metres", low, high, (("millimetres", 1000.0), ("centimetres", 100.0), ("inches", 39.37)))


_OF_A_LINK = _length(-0.5, 0.5)
"""Of a camera on the arm: a hand is not larger."""
QUANTITIES: Mapping[str, Quantity] = {
    "cameras.*.translation": _length(-3.0, 3.0),
    "cameras.*.intrinsics.width": Quantity("pixels", 16, 16384),
    "cameras.*.intrinsics.height": Quantity("pixels", 16, 16384),
    "cameras.*.intrinsics.fx": Quantity("pixels", 10.0, 1e5),
    "cameras.*.intrinsics.fy": Quantity("pixels", 10.0, 1e5),
    "cameras.*.intrinsics.cx": Quantity("pixels", 1.0, 16384.0),
    "cameras.*.intrinsics.cy": Quantity("pixels", 1.0, 16384.0),
    "cameras.*.intrinsics.distortion.coefficients": Quantity("coefficients of the model", -1e3, 1e3),
    "workspace.lower": _length(-2.0, 2.0),
    "workspace.upper": _length(-2.0, 2.0),
    "table.height": _length(-1.5, 1.5),
    "boxes.*.center": _length(-5.0, 5.0),
    "boxes.*.half_extents": _length(0.0, 5.0),
    "boxes.*.yaw": Quantity("radians", -math.pi - 1e-3, math.pi + 1e-3, (("degrees", math.degrees(1.0)),)),
    "speeds.max_tool_speed": Quantity("m/s", 0.001, 4.0, (("mm/s", 1000.0), ("cm/s", 100.0))),
    "speeds.speed": Quantity("percent", 1.0, 100.0, (("a share", 0.01),)),
    "gripper.force": Quantity("newtons", 0.1, 140.0),
    "gripper.width": _length(0.005, 0.3),
}
"""Dotted name, with * for a camera's name or a box's number, to what its numbers are; rotations are checked as such."""


def unit_faults(cell: Cell, arm_frames: Sequence[str] = ()) -> Iterator[CellFault]:
    """The numbers of a cell that cannot be of their unit.

    Args:
        cell: as it was read.
        arm_frames: frames that move with the arm; a camera on one is near it.
    """
    for name, values in numbers_of(cell):
        quantity = QUANTITIES.get(pattern_of(name))
        if quantity is None:
            continue
        if re.fullmatch(r"cameras\.[^.]+\.translation", name) and cell.cameras[name.split(".")[1]].parent in arm_frames:
            quantity = _OF_A_LINK
        if not quantity.takes(values):
            bounds = f"in [{quantity.low:.4g}, {quantity.high:.4g}]"
            yield CellFault(
                "error", name, f"is {_shown(values)}", f"expected {quantity.unit} {bounds}{_guess(quantity, values)}"
            )


def check_numbers(name: str, kind: str, values: Numbers, source: str) -> None:
    """Refuse numbers that cannot be of their unit, wherever they were given.

    Args:
        name: of what was given, for messages.
        kind: the key of :data:`QUANTITIES` of what it is in a cell.
        values: as given.
        source: file or other origin, for messages.

    Raises:
        SettingsError: naming value, unit and range.
    """
    quantity = QUANTITIES[kind]
    if not quantity.takes(values):
        bounds = f"in [{quantity.low:.4g}, {quantity.high:.4g}]"
        expected = f"expected {quantity.unit} {bounds}{_guess(quantity, values)}"
        raise SettingsError(name, f"is {_shown(values)}, {expected}", source)


def numbers_of(cell: Cell) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Dotted name and numbers of each field that holds any."""
    yield from _numbers("", to_mapping(cell))


def _numbers(name: str, value: Any) -> Iterator[tuple[str, tuple[float, ...]]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, (float(value),)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for number, inner in enumerate(value):
            yield from _numbers(f"{name}.{number}", inner)
    elif isinstance(value, list) and value:
        flat = [number for row in value for number in (row if isinstance(row, list) else [row])]
        yield name, tuple(map(float, flat))


def pattern_of(name: str) -> str:
    """The key of :data:`QUANTITIES` for a dotted name."""
    first, _, rest = name.partition(".")
    return f"{first}.*.{rest.partition('.')[2]}" if first in ("cameras", "boxes") else name


def _guess(quantity: Quantity, values: Numbers) -> str:
    """What to write if another unit was meant."""
    converted = [(unit, [value / factor for value in values]) for unit, factor in quantity.others]
    fitting = [f"{_shown(numbers)} if these are {unit}" for unit, numbers in converted if quantity.takes(numbers)]
    return f"; write {' or '.join(fitting[:2])}" if fitting else ""


def _shown(values: Numbers) -> str:
    texts = [f"{value:.6g}" for value in values]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
