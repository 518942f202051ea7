"""A robot description as a MuJoCo model (MJCF).

The document stands alone: the planner loads it as it is, the simulation adds a table and objects to it.
"""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mini_diffuser_ros.geometry import quaternion_from_matrix
from mini_diffuser_ros.robots.description import Box, Geom, Joint, Link, RobotDescription

PAD_CONTACT = {
    # Measured: a single flat pad with these settings holds a block with less than 1.3 mm of slip, where several
    # small pads creep by millimetres.
    "solimp": ".99 .999 .001 .5 2",
    "solref": ".005 1",
    "priority": "1",
    "friction": "1.5 .05 .001",
    "condim": "4",
}


def robot_mjcf(robot: RobotDescription) -> str:
    """MJCF document of the robot alone, its base frame at the world's origin.

    Bodies and joints carry the ROS names of the description, geoms are ``<link>_geom<i>``, the tool centre point is
    a site named as its frame. Actuators, in order: one position servo an arm joint (radians), named like the joint,
    and one ``gripper`` that moves both fingers (metres of travel of each). Gravity of the robot is compensated, as
    Franka's controllers do.
    """
    root = ElementTree.Element("mujoco", model=robot.name)
    ElementTree.SubElement(root, "compiler", angle="radian", autolimits="true", inertiafromgeom="auto")
    ElementTree.SubElement(
        root,
        "option",
        # 4.0.0 has a fault in its sparse Cholesky factorisation, which the dense Jacobian avoids.
        {"timestep": "0.002", "integrator": "implicitfast", "cone": "elliptic", "impratio": "10", "jacobian": "dense"},
    )
    world = ElementTree.SubElement(root, "worldbody")
    _add_body(world, robot, robot.base_frame, joint=None)
    _add_contacts(root, robot)
    _add_gripper_coupling(root, robot)
    _add_actuators(root, robot)
    return ElementTree.tostring(root, encoding="unicode")


def _add_body(parent: ElementTree.Element, robot: RobotDescription, link_name: str, joint: Joint | None) -> None:
    link = next(link for link in robot.links if link.name == link_name)
    placement = _placement(np.eye(4) if joint is None else joint.parent_from_joint)
    if link_name == robot.tcp_frame:
        ElementTree.SubElement(parent, "site", {"name": link_name} | placement)
        return
    body = ElementTree.SubElement(parent, "body", {"name": link_name, "gravcomp": "1"} | placement)
    if joint is not None and joint.kind != "fixed":
        _add_joint(body, robot, joint)
    for index, geom in enumerate(link.geoms):
        _add_geom(body, link, geom, f"{link_name}_geom{index}")
    for child in robot.joints:
        if child.parent == link_name:
            _add_body(body, robot, child.child, child)


def _add_joint(body: ElementTree.Element, robot: RobotDescription, joint: Joint) -> None:
    revolute = joint.kind == "revolute"
    limits = (
        robot.position_limits[robot.arm_joint_names.index(joint.name)] if revolute else robot.finger_position_limits
    )
    ElementTree.SubElement(
        body,
        "joint",
        name=joint.name,
        type="hinge" if revolute else "slide",
        axis=_numbers(joint.axis),
        range=_numbers(limits),
        armature="0.1",
        damping="1" if revolute else "10",
    )


def _add_geom(body: ElementTree.Element, link: Link, geom: Geom, name: str) -> None:
    volumes = [_volume(other) for other in link.geoms]
    mass = link.mass * _volume(geom) / sum(volumes)
    attributes = {"name": name, "mass": f"{mass:.6g}", **_placement(geom.link_from_geom)}
    if isinstance(geom, Box):
        attributes |= {"type": "box", "size": _numbers(geom.half_extents)}
        if geom.pad:
            attributes |= PAD_CONTACT
    else:
        attributes |= {"type": "capsule", "size": _numbers((geom.radius, geom.length / 2.0))}
    attributes["rgba"] = "0.25 0.25 0.27 1" if link.role == "finger" else "0.92 0.92 0.93 1"
    ElementTree.SubElement(body, "geom", attributes)


def _add_contacts(root: ElementTree.Element, robot: RobotDescription) -> None:
    contact = ElementTree.SubElement(root, "contact")
    for first, second in robot.collision_exclusions:
        ElementTree.SubElement(contact, "exclude", body1=first, body2=second)


def _add_gripper_coupling(root: ElementTree.Element, robot: RobotDescription) -> None:
    tendon = ElementTree.SubElement(root, "tendon")
    fixed = ElementTree.SubElement(tendon, "fixed", name="gripper")
    for name in robot.finger_joint_names:
        ElementTree.SubElement(fixed, "joint", joint=name, coef="0.5")
    equality = ElementTree.SubElement(root, "equality")
    first, second = robot.finger_joint_names
    ElementTree.SubElement(equality, "joint", joint1=first, joint2=second, solimp="0.95 0.99 0.001", solref="0.005 1")


def _add_actuators(root: ElementTree.Element, robot: RobotDescription) -> None:
    actuator = ElementTree.SubElement(root, "actuator")
    for index, name in enumerate(robot.arm_joint_names):
        torque = robot.torque_limits[index]
        ElementTree.SubElement(
            actuator,
            "position",
            name=name,
            joint=name,
            kp=f"{robot.servo_stiffness[index]:g}",
            kv=f"{robot.servo_damping[index]:g}",
            ctrlrange=_numbers(robot.position_limits[index]),
            forcerange=_numbers((-torque, torque)),
        )
    force = 2.0 * robot.finger_force_limit
    ElementTree.SubElement(
        actuator,
        "position",
        name="gripper",
        tendon="gripper",
        # A centimetre short of the target already gives the full grasping force.
        kp=f"{force / 0.01:g}",
        kv=f"{force / 0.2:g}",
        ctrlrange=_numbers(robot.finger_position_limits),
        forcerange=_numbers((-force, force)),
    )


def _placement(parent_from_child: NDArray[np.floating]) -> dict[str, str]:
    x, y, z, w = quaternion_from_matrix(parent_from_child[:3, :3])
    return {"pos": _numbers(parent_from_child[:3, 3]), "quat": _numbers((w, x, y, z))}


def _volume(geom: Geom) -> float:
    if isinstance(geom, Box):
        return float(8.0 * np.prod(geom.half_extents))
    return float(np.pi * geom.radius**2 * (geom.length + 4.0 / 3.0 * geom.radius))


def _numbers(values: ArrayLike) -> str:
    return " ".join(f"{value:.9g}" for value in np.asarray(values, dtype=np.float64))
