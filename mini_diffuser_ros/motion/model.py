"""The robot and its fixed surroundings as one MuJoCo model for planning: joints of the arm, fingers held in place."""

from __future__ import annotations

import mujoco
import numpy as np

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.robots import RobotDescription, robot_mjcf

TABLE = "table"
"""Body name of the table plane."""

HELD = "held object"
"""Body name of what the hand holds; its shape counts only while something is held."""

DETECTION_DISTANCE = 0.05
"""Metres; pairs of shapes farther apart are not looked at."""


def planning_model(robot: RobotDescription, config: MotionConfig) -> mujoco.MjModel:
    """Kinematics of the arm with table and static boxes.

    The model has the arm's joints as its only degrees of freedom, in the robot's order.
    """
    spec = mujoco.MjSpec.from_string(robot_mjcf(robot))
    for element in (*spec.actuators, *spec.equalities, *spec.tendons):
        spec.delete(element)
    _fix_fingers(spec, robot, config.gripper_opening)
    _add_surroundings(spec, robot, config)
    _add_held_object(spec, robot, config.obstacles.held_reach)
    for geom in spec.geoms:
        geom.margin = DETECTION_DISTANCE
    return spec.compile()


def _fix_fingers(spec: mujoco.MjSpec, robot: RobotDescription, opening: float) -> None:
    travel = opening * float(robot.finger_position_limits[1])
    for joint in robot.joints:
        if joint.kind == "prismatic":
            spec.delete(spec.joint(joint.name))
            spec.body(joint.child).pos = joint.parent_from_child(travel)[:3, 3]


def _add_surroundings(spec: mujoco.MjSpec, robot: RobotDescription, config: MotionConfig) -> None:
    table = spec.worldbody.add_body(name=TABLE, pos=(0.0, 0.0, config.table_height))
    table.add_geom(name=TABLE, type=mujoco.mjtGeom.mjGEOM_PLANE, size=(1.0, 1.0, 0.1))
    # The first link turns inside the base that is bolted to the table.
    first_link = next(joint.child for joint in robot.joints if joint.kind == "revolute")
    spec.add_exclude(bodyname1=TABLE, bodyname2=first_link)
    for box in config.boxes:
        quaternion = (np.cos(box.yaw / 2.0), 0.0, 0.0, np.sin(box.yaw / 2.0))
        body = spec.worldbody.add_body(name=box.name, pos=box.center, quat=quaternion)
        body.add_geom(name=box.name, type=mujoco.mjtGeom.mjGEOM_BOX, size=box.half_extents)


def _add_held_object(spec: mujoco.MjSpec, robot: RobotDescription, reach: float) -> None:
    """A box about the tool centre point, as large as it can become, with its axes."""
    tool = spec.site(robot.tcp_frame)
    body = tool.parent.add_body(name=HELD, pos=tool.pos, quat=tool.quat)
    body.add_geom(name=HELD, type=mujoco.mjtGeom.mjGEOM_BOX, size=(reach, reach, reach), mass=0.0)
    # It touches the hand, and is out of the reach of what carries the hand.
    for link in robot.links:
        if link.geoms and (link.role != "arm" or (link.name, robot.hand_frame) in robot.collision_exclusions):
            spec.add_exclude(bodyname1=HELD, bodyname2=link.name)
