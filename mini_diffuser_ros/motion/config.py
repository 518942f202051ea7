"""What the planner is allowed to do, as one typed record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

from mini_diffuser_ros.support.errors import UserError


class MotionConfigError(UserError, ValueError):
    """A setting of :class:`MotionConfig` is unknown or out of range; the message names the field."""

    def __init__(self, name: str, value: object, expected: str) -> None:
        super().__init__(f"motion.{name} is {value!r}, expected {expected}")


@dataclass(frozen=True)
class StaticBox:
    """An obstacle that never moves: a wall, a shelf, a camera stand.

    Attributes:
        name: appears in refusals.
        center: (3,) metres, base frame.
        half_extents: (3,) metres, positive.
        yaw: radians about the base's z axis.
    """

    name: str
    center: tuple[float, float, float]
    half_extents: tuple[float, float, float]
    yaw: float = 0.0


Number = TypeVar("Number", int, float)


def _bounded(default: Number, low: Number, high: Number) -> Number:
    """A field with a number in [low, high]; who declares parameters finds the bounds in the field's metadata."""
    return field(default=default, metadata={"bounds": (low, high)})


@dataclass(frozen=True)
class MotionConfig:
    """Limits and settings of the planner. All positions are in the robot's base frame.

    Attributes:
        velocity_scaling: fraction of the robot's joint velocity limits.
        acceleration_scaling: fraction of the acceleration limits.
        jerk_scaling: fraction of the jerk limits; Franka's limits are far above what a servo follows.
        stop_scaling: fraction of acceleration and jerk limits that a stop may use.
        sample_period: seconds between the samples of a trajectory.
        workspace_lower, workspace_upper: (3,) metres, corners of the box in which the tool centre point stays.
        max_tilt: radians, largest angle between the tool's approach axis and straight down.
        table_height: metres, z of the infinite plane below which nothing may go.
        boxes: static obstacles.
        arm_clearance: metres kept between arm links and the table and boxes.
        hand_clearance: metres kept between the hand's body and the table and boxes.
        finger_clearance: metres kept between the fingers and the table and boxes; small, since fingers work there.
        self_clearance: metres kept between parts of the robot.
        start_penetration: metres of overlap at the start that are tolerated: coarse shapes, a pushed button. The way
            out must not go deeper.
        collision_resolution: metres, the smallest step of any robot point in a path check. Away from obstacles steps
            grow with the measured distance, so that nothing is jumped over.
        gripper_opening: fraction at which the fingers are held in collision checks; 1 is the widest.
        gripper_symmetry: also try a pose turned by 180 degrees about the approach axis; equal for a parallel gripper.
        position_tolerance: metres, largest error of inverse kinematics.
        rotation_tolerance: radians, largest error of inverse kinematics.
        ik_restarts: random starting points that inverse kinematics tries after the current and the home position.
        ik_iterations: steps of inverse kinematics from one starting point.
        joint_limit_margin: radians that goals keep from the joint limits.
        straight_line_below: metres; a shorter move of the tool is tried as a straight line of the tool first, as
            approaching and lifting need it: over 10 cm a straight joint segment bows by up to 19 mm. 0 tries straight
            lines only when the straight joint path is blocked.
        planning_time: seconds for the sampling planner.
        max_state_age: seconds after which a measured joint state is too old to start from.
        seed: of every random choice.
    """

    velocity_scaling: float = _bounded(0.5, 0.01, 1.0)
    acceleration_scaling: float = _bounded(0.4, 0.01, 1.0)
    jerk_scaling: float = _bounded(0.05, 0.001, 1.0)
    stop_scaling: float = _bounded(0.8, 0.01, 1.0)
    sample_period: float = _bounded(0.02, 0.001, 0.5)
    workspace_lower: tuple[float, float, float] = (0.15, -0.60, 0.004)
    workspace_upper: tuple[float, float, float] = (0.85, 0.60, 0.90)
    max_tilt: float = _bounded(float(np.pi), 0.01, float(np.pi))
    table_height: float = _bounded(0.0, -10.0, 10.0)
    boxes: tuple[StaticBox, ...] = ()
    arm_clearance: float = _bounded(0.015, 0.0, 0.04)
    hand_clearance: float = _bounded(0.005, 0.0, 0.04)
    finger_clearance: float = _bounded(0.001, 0.0, 0.04)
    self_clearance: float = _bounded(0.005, 0.0, 0.04)
    start_penetration: float = _bounded(0.01, 0.0, 0.04)
    collision_resolution: float = _bounded(0.002, 0.0001, 0.1)
    gripper_opening: float = _bounded(1.0, 0.0, 1.0)
    gripper_symmetry: bool = True
    position_tolerance: float = _bounded(1e-4, 1e-06, 0.1)
    rotation_tolerance: float = _bounded(1e-3, 1e-06, 0.5)
    ik_restarts: int = _bounded(20, 0, 1000)
    ik_iterations: int = _bounded(30, 1, 1000)
    joint_limit_margin: float = _bounded(0.02, 0.0, 0.5)
    straight_line_below: float = _bounded(0.15, 0.0, 10.0)
    planning_time: float = _bounded(2.0, 0.01, 600.0)
    max_state_age: float = _bounded(0.5, 0.01, 60.0)
    seed: int = _bounded(0, 0, 2**31 - 1)

    def __post_init__(self) -> None:
        for entry in fields(self):
            if (bounds := entry.metadata.get("bounds")) is not None:
                low, high = bounds
                self._require(entry.name, low <= getattr(self, entry.name) <= high, f"a number in [{low:g}, {high:g}]")
        self._check_workspace()
        self._check_boxes()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MotionConfig:
        """A configuration from plain YAML values; what is not given keeps its default.

        Raises:
            MotionConfigError: naming the field that is unknown, of the wrong type or out of range.
        """
        defaults = {entry.name: entry.default for entry in fields(cls)}
        settings: dict[str, Any] = {}
        for name, value in values.items():
            if name not in defaults:
                raise MotionConfigError(str(name), value, f"one of the fields {', '.join(defaults)}")
            settings[name] = _boxes(value) if name == "boxes" else _converted(name, value, defaults[name])
        return cls(**settings)

    def _require(self, name: str, valid: bool | np.bool_, expected: str) -> None:
        if not valid:
            raise MotionConfigError(name, getattr(self, name), expected)

    def _check_workspace(self) -> None:
        for name in ("workspace_lower", "workspace_upper"):
            corner = getattr(self, name)
            self._require(name, len(corner) == 3 and bool(np.all(np.isfinite(corner))), "three finite numbers, metres")
        above = np.greater(self.workspace_upper, self.workspace_lower)
        self._require("workspace_upper", bool(np.all(above)), f"more than workspace_lower {self.workspace_lower}")

    def _check_boxes(self) -> None:
        names = [box.name for box in self.boxes]
        if len(set(names)) != len(names) or "table" in names:
            raise MotionConfigError("boxes", names, "unique names, none of them 'table'")
        for box in self.boxes:
            numbers = (*box.center, *box.half_extents, box.yaw)
            if not (len(numbers) == 7 and np.all(np.isfinite(numbers)) and min(box.half_extents) > 0.0):
                raise MotionConfigError(
                    f"boxes.{box.name}", box, "a center and positive half_extents of three finite numbers each"
                )


def _converted(name: str, value: Any, default: Any) -> Any:
    """``value`` in the type of the field's default."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise MotionConfigError(name, value, "true or false")
        return value
    try:
        if isinstance(default, tuple):
            return tuple(float(number) for number in value)
        if isinstance(default, int) and int(value) != float(value):
            raise MotionConfigError(name, value, "a whole number")
        return type(default)(value)
    except (TypeError, ValueError) as error:
        expected = f"{len(default)} numbers" if isinstance(default, tuple) else f"a number ({type(default).__name__})"
        raise MotionConfigError(name, value, expected) from error


def _boxes(values: Any) -> tuple[StaticBox, ...]:
    try:
        return tuple(
            StaticBox(
                name=str(entry["name"]),
                center=_triple(entry["center"]),
                half_extents=_triple(entry["half_extents"]),
                yaw=float(entry.get("yaw", 0.0)),
            )
            for entry in values
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise MotionConfigError("boxes", values, "a list of {name, center, half_extents, yaw}") from error


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
