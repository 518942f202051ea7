"""Velocity limits of a robot's own URDF: Franka's descriptions carry how they depend on position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from mini_diffuser_ros.robots.description import RobotDescription
from mini_diffuser_ros.robots.limits import VelocityCurve, refuse_degrees
from mini_diffuser_ros.support.settings import SettingsError, not_expected

ELEMENT = "position_based_velocity_limits"


def with_limits_of_urdf(robot: RobotDescription, urdf: str, source: str) -> RobotDescription:
    """The robot with ranges, velocities and velocity curves of its own URDF instead of its folder's.

    ``<position_based_velocity_limits velocity_offset deceleration_limit/>`` beside a joint's ``<limit lower upper
    velocity/>`` is what libfranka from 0.20 on reads. A joint without it has a constant velocity limit.

    Args:
        robot: whose arm joints are looked up, by name.
        urdf: XML text.
        source: file or topic, for messages.

    Raises:
        SettingsError: naming the joint and attribute that is missing or no number.
    """
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as error:
        raise SettingsError("the URDF", f"is not XML: {error}", source) from error
    joints = {joint.get("name"): joint for joint in root.iter("joint") if joint.find("limit") is not None}
    missing = [name for name in robot.arm_joint_names if name not in joints]
    if missing:
        raise SettingsError("the URDF", f"has no limits of joint {missing[0]!r}, which {robot.name} has", source)
    found = [joints[name] for name in robot.arm_joint_names]
    lower, upper, velocity = (_numbers(found, "limit", name, source) for name in ("lower", "upper", "velocity"))
    refuse_degrees(np.stack([lower, upper], axis=1), velocity, source)
    if not np.all((lower < robot.home) & (robot.home < upper)):
        raise SettingsError("the URDF", f"has ranges in which the home of {robot.name} does not lie", source)
    if not np.all(velocity > 0.0):
        raise not_expected("velocity", velocity.tolist(), "positive numbers", source)
    curves: tuple[VelocityCurve, ...] = ()
    if any(joint.find(ELEMENT) is not None for joint in found):
        offset = _numbers(found, ELEMENT, "velocity_offset", source, absent=0.0)
        # Without the element a joint may reach its end at full velocity.
        deceleration = _numbers(found, ELEMENT, "deceleration_limit", source, absent=1e12)
        if not np.all((offset >= 0.0) & (deceleration > 0.0)):
            raise not_expected(ELEMENT, "negative", "an offset of 0 or more and a positive deceleration", source)
        curves = (VelocityCurve(offset, deceleration, lower, upper),)
    return replace(
        robot,
        position_limits=np.stack([lower, upper], axis=1),
        velocity_limits=velocity,
        velocity_curves=curves,
    )


def with_limits_of_file(robot: RobotDescription, path: Path) -> RobotDescription:
    """As :func:`with_limits_of_urdf`, of a file."""
    try:
        return with_limits_of_urdf(robot, path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            "urdf", f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)
        ) from error


def _numbers(
    joints: Sequence[ElementTree.Element], element: str, attribute: str, source: str, absent: float | None = None
) -> np.ndarray:
    """(J,) of an attribute of each joint's element; ``absent`` where the joint has no such element."""
    values = []
    for joint in joints:
        child = joint.find(element)
        text = None if child is None else child.get(attribute)
        if child is None and absent is not None:
            values.append(absent)
            continue
        try:
            value = float(text if text is not None else "")
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise not_expected(f"{attribute} of {joint.get('name')}", text, "a number", source)
        values.append(value)
    return np.array(values)
