"""Robot descriptions: kinematics, limits and coarse shapes, read from data files.

One description serves the simulation, the planner and the robot filter of perception. A robot is a folder of four YAML
files, here or anywhere; :mod:`mini_diffuser_ros.robots.folder` says what is in them. To add one, copy that of the arm
nearest to yours, change the files and hand its path to :func:`load_robot`; put beside the others it has a name.
"""

from mini_diffuser_ros.robots.description import (
    OWN_ROBOTS,
    ROBOTS,
    Box,
    Capsule,
    Geom,
    Joint,
    Link,
    RobotDescription,
    UnknownRobotError,
    load_robot,
    robot_of_data,
)
from mini_diffuser_ros.robots.limits import CartesianLimits, VelocityCurve
from mini_diffuser_ros.robots.mjcf import robot_mjcf
from mini_diffuser_ros.robots.surface import SurfaceMesh, surface_meshes
from mini_diffuser_ros.robots.urdf import with_limits_of_file, with_limits_of_urdf
from mini_diffuser_ros.robots.urdf_document import robot_urdf

__all__ = [
    "OWN_ROBOTS",
    "ROBOTS",
    "Box",
    "Capsule",
    "CartesianLimits",
    "Geom",
    "Joint",
    "Link",
    "RobotDescription",
    "SurfaceMesh",
    "UnknownRobotError",
    "VelocityCurve",
    "load_robot",
    "robot_mjcf",
    "robot_of_data",
    "robot_urdf",
    "surface_meshes",
    "with_limits_of_file",
    "with_limits_of_urdf",
]
