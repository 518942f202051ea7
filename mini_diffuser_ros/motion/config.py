"""What the planner is allowed to do, as one typed record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np


class MotionConfigError(ValueError):
    """A setting of :class:`MotionConfig` is unknown or out of range; the message names the field."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"motion.{field} is {value!r}, expected {expected}")


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


@dataclass(frozen=True)
class MotionConfig:
    """Limits and settings of the planner. All positions are in the robot's base frame.

    Attributes:
        velocity_scaling: fraction in (0, 1] of the robot's joint velocity limits.
        acceleration_scaling: fraction in (0, 1] of the acceleration limits.
        jerk_scaling: fraction in (0, 1] of the jerk limits; Franka's limits are far above what a servo follows.
        stop_scaling: fraction in (0, 1] of acceleration and jerk limits that a stop may use.
        sample_period: seconds between the samples of a trajectory.
        workspace_lower, workspace_upper: (3,) metres, corners of the box in which the tool centre point stays.
        max_tilt: radians in (0, pi], largest angle between the tool's approach axis and straight down.
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
        gripper_opening: fraction in [0, 1] at which the fingers are held in collision checks; 1 is the widest.
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

    velocity_scaling: float = 0.5
    acceleration_scaling: float = 0.4
    jerk_scaling: float = 0.05
    stop_scaling: float = 0.8
    sample_period: float = 0.02
    workspace_lower: tuple[float, float, float] = (0.15, -0.60, 0.004)
    workspace_upper: tuple[float, float, float] = (0.85, 0.60, 0.90)
    max_tilt: float = float(np.pi)
    table_height: float = 0.0
    boxes: tuple[StaticBox, ...] = ()
    arm_clearance: float = 0.015
    hand_clearance: float = 0.005
    finger_clearance: float = 0.001
    self_clearance: float = 0.005
    start_penetration: float = 0.01
    collision_resolution: float = 0.002
    gripper_opening: float = 1.0
    gripper_symmetry: bool = True
    position_tolerance: float = 1e-4
    rotation_tolerance: float = 1e-3
    ik_restarts: int = 20
    ik_iterations: int = 30
    joint_limit_margin: float = 0.02
    straight_line_below: float = 0.15
    planning_time: float = 2.0
    max_state_age: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("velocity_scaling", "acceleration_scaling", "jerk_scaling", "stop_scaling"):
            self._require(name, 0.0 < getattr(self, name) <= 1.0, "a fraction in (0, 1]")
        for name in ("sample_period", "collision_resolution", "position_tolerance", "rotation_tolerance"):
            self._require(name, 0.0 < getattr(self, name) < 1.0, "a number in (0, 1)")
        for name in ("arm_clearance", "hand_clearance", "finger_clearance", "self_clearance", "start_penetration"):
            self._require(name, 0.0 <= getattr(self, name) <= 0.04, "metres in [0, 0.04]")
        for name in ("planning_time", "max_state_age"):
            self._require(name, 0.0 < getattr(self, name) < np.inf, "positive seconds")
        self._require("gripper_opening", 0.0 <= self.gripper_opening <= 1.0, "a fraction in [0, 1]")
        self._require("joint_limit_margin", 0.0 <= self.joint_limit_margin <= 0.5, "radians in [0, 0.5]")
        self._require("straight_line_below", 0.0 <= self.straight_line_below < np.inf, "metres, 0 or more")
        self._require("max_tilt", 0.0 < self.max_tilt <= np.pi, "radians in (0, pi]")
        self._require("table_height", np.isfinite(self.table_height), "a finite height in metres")
        self._require("ik_iterations", self.ik_iterations >= 1, "1 or more")
        self._require("ik_restarts", self.ik_restarts >= 0, "0 or more")
        self._require("seed", self.seed >= 0, "0 or more")
        self._check_workspace()
        self._check_boxes()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MotionConfig:
        """A configuration from plain YAML values; what is not given keeps its default.

        Raises:
            MotionConfigError: naming the field that is unknown, of the wrong type or out of range.
        """
        defaults = {field.name: field.default for field in fields(cls)}
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
