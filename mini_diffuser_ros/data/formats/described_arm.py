"""The points of RLBench's Panda, found by our own description, for observations without boxes around its links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import matrix_from_quaternion
from mini_diffuser_ros.perception.self_filter import self_filter
from mini_diffuser_ros.records import Cloud, FusionConfig
from mini_diffuser_ros.robots import load_robot

JOINTS = tuple(f"panda_joint{number}" for number in range(1, 8))

TILT = np.deg2rad(5.0)
"""Radians between the hand's axis as measured and as described, beyond which the two are not the same arm."""

_KEEPING_THE_HAND = FusionConfig(keep_hand=True, keep_fingers=True)


@dataclass(frozen=True, eq=False)
class ArmPosture:
    """How the arm stands at an instant.

    Attributes:
        joint_positions: (7,) radians.
        gripper_pose: (7,) xyz + xyzw between the finger tips, world frame.
    """

    joint_positions: NDArray[np.floating]
    gripper_pose: NDArray[np.floating]

    @property
    def base(self) -> NDArray[np.float64] | None:
        """(3,) metres, where the arm's base stands in the world; None if the description is of another arm.

        RLBench's base is upright and looks along x; where it is follows from what was measured of its other end.
        """
        known = np.isfinite(self.joint_positions).all() and np.isfinite(self.gripper_pose).all()
        if not known or not np.any(self.gripper_pose[3:]):
            return None
        hand = load_robot("panda").tcp_pose(np.asarray(self.joint_positions, np.float64))
        measured = matrix_from_quaternion(np.asarray(self.gripper_pose[3:], np.float64))
        if hand[:3, 2] @ measured[:3, 2] < np.cos(TILT):
            return None
        return np.asarray(self.gripper_pose[:3] - hand[:3, 3], np.float64)


def without_described_arm(cloud: Cloud, posture: ArmPosture) -> Cloud:
    """The cloud, world frame, without the points on the arm's links; hand and fingers stay, as with boxes.

    An arm that is not as the description has it stays in the cloud.
    """
    base = posture.base
    if base is None:
        return cloud
    joints = dict(zip(JOINTS, map(float, posture.joint_positions), strict=True))
    outside = self_filter(cloud.points - base.astype(np.float32), load_robot("panda"), joints, _KEEPING_THE_HAND)
    return Cloud(cloud.points[outside], cloud.colors[outside], cloud.frame, cloud.stamp)
