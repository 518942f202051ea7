"""Robot descriptions: kinematics, limits and coarse shapes, read from data files.

One description serves the simulation, the planner and the robot filter of perception.
"""

from mini_diffuser_ros.robots.description import (
    ROBOTS,
    Box,
    Capsule,
    Geom,
    Joint,
    Link,
    RobotDescription,
    UnknownRobotError,
    load_robot,
)
from mini_diffuser_ros.robots.mjcf import robot_mjcf

__all__ = [
    "ROBOTS",
    "Box",
    "Capsule",
    "Geom",
    "Joint",
    "Link",
    "RobotDescription",
    "UnknownRobotError",
    "load_robot",
    "robot_mjcf",
]
