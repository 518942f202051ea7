"""A robot description as URDF, for rviz and whoever else asks for ``robot_description``."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mini_diffuser_ros.geometry import rpy_from_matrix
from mini_diffuser_ros.robots.description import Box, Geom, Joint, RobotDescription


def robot_urdf(robot: RobotDescription) -> str:
    """URDF of the robot: its joints with their limits, and its coarse shapes to see and to collide.

    A capsule, which URDF does not have, is a cylinder and two spheres. The tool centre point is a link without a shape.
    """
    root = ElementTree.Element("robot", name=robot.name)
    for link in robot.links:
        element = ElementTree.SubElement(root, "link", name=link.name)
        for part in ("visual", "collision"):
            for geom in link.geoms:
                _add_geom(element, part, geom)
    for joint in robot.joints:
        _add_joint(root, robot, joint)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def _add_geom(link: ElementTree.Element, part: str, geom: Geom) -> None:
    if isinstance(geom, Box):
        _add_shape(link, part, geom.link_from_geom, "box", size=_numbers(2.0 * geom.half_extents))
        return
    radius = _numbers([geom.radius])
    _add_shape(link, part, geom.link_from_geom, "cylinder", radius=radius, length=_numbers([geom.length]))
    for end in (-geom.length / 2.0, geom.length / 2.0):
        centre = geom.link_from_geom.copy()
        centre[:3, 3] += end * geom.link_from_geom[:3, 2]
        _add_shape(link, part, centre, "sphere", radius=radius)


def _add_shape(
    link: ElementTree.Element, part: str, link_from_shape: NDArray[np.float64], shape: str, **sizes: str
) -> None:
    element = ElementTree.SubElement(link, part)
    _add_origin(element, link_from_shape)
    ElementTree.SubElement(ElementTree.SubElement(element, "geometry"), shape, sizes)


def _add_joint(root: ElementTree.Element, robot: RobotDescription, joint: Joint) -> None:
    element = ElementTree.SubElement(root, "joint", name=joint.name, type=joint.kind)
    _add_origin(element, joint.parent_from_joint)
    ElementTree.SubElement(element, "parent", link=joint.parent)
    ElementTree.SubElement(element, "child", link=joint.child)
    if joint.kind == "fixed":
        return
    ElementTree.SubElement(element, "axis", xyz=_numbers(joint.axis))
    if joint.kind == "revolute":
        index = robot.arm_joint_names.index(joint.name)
        (lower, upper), velocity = robot.position_limits[index], robot.velocity_limits[index]
        effort = robot.torque_limits[index]
    else:
        lower, upper = robot.finger_position_limits
        velocity, effort = robot.finger_velocity_limit, robot.finger_force_limit
    values = {"lower": lower, "upper": upper, "velocity": velocity, "effort": effort}
    ElementTree.SubElement(element, "limit", {name: _numbers([value]) for name, value in values.items()})


def _add_origin(element: ElementTree.Element, parent_from_child: NDArray[np.float64]) -> None:
    xyz, rpy = _numbers(parent_from_child[:3, 3]), _numbers(rpy_from_matrix(parent_from_child[:3, :3]))
    ElementTree.SubElement(element, "origin", xyz=xyz, rpy=rpy)


def _numbers(values: ArrayLike) -> str:
    """Numbers as URDF has them, exactly."""
    return " ".join(repr(float(value)) for value in np.asarray(values, dtype=np.float64).ravel())
