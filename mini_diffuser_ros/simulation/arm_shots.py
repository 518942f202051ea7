"""Depth images of an arm over a table, from any camera, to try calibrations on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.arm_surface import ArmSurface, ray_grid
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.simulation.cameras import look_at

Array = NDArray[np.float64]

_PLANES: Final = (((0.0, 0.0, 1.0), 0.0), ((1.0, 0.0, 0.0), -0.8))
"""The table and a wall behind the arm: normal, and distance along it from the base's origin, metres."""
_FARTHEST: Final = 6.0
_CLEARANCE: Final = 0.12  # metres from the table to hand and finger tips


def arm_depth(
    surface: ArmSurface, joints: Mapping[str, float], lens: Lens, base_from_camera: Array
) -> NDArray[np.float32]:
    """The depth image (H, W), metres, of the arm before table and wall; 0 beyond 6 m."""
    grid = ray_grid(lens, 1)
    depth = np.full(len(grid.rays), np.inf)
    seen = surface.seen(joints, base_from_camera, grid.rays)
    depth[seen.places] = seen.depths
    rays = np.concatenate([grid.rays, np.ones((len(depth), 1))], axis=1) @ base_from_camera[:3, :3].T
    for normal, distance in _PLANES:
        with np.errstate(divide="ignore"):
            reach = (distance - base_from_camera[:3, 3] @ normal) / (rays @ normal)
        depth = np.where((reach > 0.0) & (reach < depth), reach, depth)
    return np.where(depth < _FARTHEST, depth, 0.0).reshape(grid.shape).astype(np.float32)


def joints_above_table(robot: RobotDescription, random: np.random.Generator, turn: float = 0.7) -> dict[str, float]:
    """Joint name to radians, each within ``turn`` of home, such that the hand is above the table."""
    while True:
        positions = robot.home + random.uniform(-turn, turn, len(robot.home))
        positions = np.clip(positions, robot.position_limits[:, 0], robot.position_limits[:, 1])
        joints = dict(zip(robot.arm_joint_names, map(float, positions), strict=True))
        poses = robot.forward_kinematics(joints)
        if min(poses[robot.tcp_frame][2, 3], poses[robot.hand_frame][2, 3]) > _CLEARANCE:
            return joints


def camera_around_table(random: np.random.Generator) -> Array:
    """(4, 4) ``base_from_camera`` of one on a tripod, 0.9 to 1.3 m away, that looks at the arm's workspace."""
    around, away = random.uniform(-1.2, 1.2), random.uniform(0.9, 1.3)
    place = (0.35 + away * np.cos(around), away * np.sin(around), random.uniform(0.4, 0.9))
    x, y, z = random.uniform(-0.08, 0.08, 3)
    return look_at(place, (0.35 + x, y, 0.3 + z))
