"""What the planner is allowed to do, as one typed record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from mini_diffuser_ros.cell import Cell
from mini_diffuser_ros.motion.surroundings import ObstacleConfig
from mini_diffuser_ros.records import StaticBox, Workspace
from mini_diffuser_ros.support.settings import bounded, check_fields, not_expected


@dataclass(frozen=True)
class MotionConfig:
    """Limits and settings of the planner. All positions are in the robot's base frame.

    Attributes:
        velocity_scaling: fraction of the robot's joint velocity limits.
        acceleration_scaling: fraction of the acceleration limits.
        jerk_scaling: fraction of the jerk limits; Franka's limits are far above what a servo follows.
        max_tool_speed: m/s of the tool centre point, also during a stop; the maker's limit holds besides. ISO 10218-2
            calls 0.25 m/s reduced speed.
        stop_scaling: fraction of acceleration and jerk limits that a stop may use.
        sample_period: seconds between the samples of a trajectory.
        workspace: box in which the tool centre point stays.
        max_tilt: radians, largest angle between the tool's approach axis and straight down.
        table_height: metres, z of the infinite plane below which nothing may go.
        boxes: static obstacles.
        obstacles: how what the cameras see is kept away from, where a motion is planned with it.
        arm_clearance: metres kept between arm links and the table and boxes.
        hand_clearance: metres kept between the hand's body and the table and boxes.
        finger_clearance: metres kept between the fingers and the table and boxes; small, since fingers work there.
        self_clearance: metres kept between parts of the robot.
        start_slack: radians by which a start may lie outside the joint limits, led there by hand or left by a reflex.
            The way leads back inwards.
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
        planning_time: seconds of CPU for the search of a way around obstacles: on a loaded machine it takes longer by
            the clock and finds the same.
        seed: of every random choice.
    """

    velocity_scaling: float = bounded(0.5, 0.01, 1.0)
    acceleration_scaling: float = bounded(0.4, 0.01, 1.0)
    jerk_scaling: float = bounded(0.05, 0.001, 1.0)
    max_tool_speed: float = bounded(10.0, 0.001, 10.0)
    stop_scaling: float = bounded(0.8, 0.01, 1.0)
    sample_period: float = bounded(0.02, 0.001, 0.5)
    workspace: Workspace = field(default_factory=lambda: Workspace((0.15, -0.60, 0.004), (0.85, 0.60, 0.90)))
    max_tilt: float = bounded(math.pi, 0.01, math.pi)
    table_height: float = bounded(0.0, -10.0, 10.0)
    boxes: tuple[StaticBox, ...] = ()
    obstacles: ObstacleConfig = field(default_factory=ObstacleConfig)
    arm_clearance: float = bounded(0.015, 0.0, 0.04)
    hand_clearance: float = bounded(0.005, 0.0, 0.04)
    finger_clearance: float = bounded(0.001, 0.0, 0.04)
    self_clearance: float = bounded(0.005, 0.0, 0.04)
    start_slack: float = bounded(0.25, 0.0, 0.5)
    start_penetration: float = bounded(0.01, 0.0, 0.04)
    collision_resolution: float = bounded(0.002, 0.0001, 0.1)
    gripper_opening: float = bounded(1.0, 0.0, 1.0)
    gripper_symmetry: bool = True
    position_tolerance: float = bounded(1e-4, 1e-06, 0.1)
    rotation_tolerance: float = bounded(1e-3, 1e-06, 0.5)
    ik_restarts: int = bounded(40, 0, 1000)
    ik_iterations: int = bounded(30, 1, 1000)
    joint_limit_margin: float = bounded(0.02, 0.0, 0.5)
    straight_line_below: float = bounded(0.15, 0.0, 10.0)
    planning_time: float = bounded(2.0, 0.01, 600.0)
    seed: int = bounded(0, 0, 2**31 - 1)

    def __post_init__(self) -> None:
        check_fields(self)
        names = [box.name for box in self.boxes]
        if len(set(names)) != len(names) or "table" in names:
            raise not_expected("boxes", names, "unique names, none of them 'table'")


def fitted_to(cell: Cell, config: MotionConfig) -> MotionConfig:
    """The settings with what a cell says: workspace, table, boxes, and how fast the tool may be at most.

    A profile that is meant for people beside the arm stays one: the cell makes the tool slower, never faster.
    """
    speed = cell.speeds.max_tool_speed
    return replace(
        config,
        workspace=cell.workspace,
        table_height=cell.table.height,
        boxes=(*cell.boxes, *config.boxes),
        max_tool_speed=config.max_tool_speed if speed is None else min(speed, config.max_tool_speed),
    )
