"""Where the parts of a robot are at home, and how far it reaches."""

from __future__ import annotations

from functools import cache, cached_property
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mini_diffuser_ros.geometry import axis_angle_matrix, inverse_transform, transform_points
from mini_diffuser_ros.records import StaticBox
from mini_diffuser_ros.robots import Box, Capsule, RobotDescription, load_robot

Array = NDArray[np.float64]

_STEPS = 25  # positions of a joint that the longest reach is looked for at
_VIEW_DEPTHS = np.linspace(0.05, 0.5, 10)  # metres before the fingers


@cache
def shape_of(robot: str) -> RobotShape:
    """The shape of a robot that :func:`load_robot` knows."""
    return RobotShape(load_robot(robot))


class RobotShape:
    """The coarse shapes of a robot at home, its fingers closed.

    Args:
        robot: to be asked about.
    """

    def __init__(self, robot: RobotDescription) -> None:
        self.robot = robot
        self.links_at_home = self._links(robot.home)
        self.tool_at_home = self.links_at_home[robot.tcp_frame][:3, 3]

    @cached_property
    def reach(self) -> float:
        """Metres from the shoulder to the tool centre point, at the most: one joint after another as far as it goes."""
        positions, best = self.robot.home.copy(), 0.0
        for _ in range(2):
            for index, (low, high) in enumerate(self.robot.position_limits):
                for value in np.linspace(low, high, _STEPS):
                    trial = positions.copy()
                    trial[index] = value
                    far = float(np.linalg.norm(self.robot.tcp_pose(trial)[:3, 3] - self.shoulder))
                    if far > best:
                        best, positions = far, trial
        return best

    @property
    def shoulder(self) -> Array:
        """(3,) metres; the origin of the second joint, about which the arm lifts."""
        second = [joint for joint in self.robot.joints if joint.kind == "revolute"][1]
        return self.links_at_home[second.child][:3, 3] * (0.0, 0.0, 1.0)

    def reaches(self, points: Array) -> NDArray[np.bool_]:
        """Which of the points (N, 3) in the base frame are not too far away."""
        return np.asarray(np.linalg.norm(points - self.shoulder, axis=1) <= self.reach)

    def before_the_fingers(self) -> Array:
        """Points (N, 3) on the approach axis, beyond the finger tips, at home."""
        tool = self.links_at_home[self.robot.tcp_frame]
        return np.asarray(tool[:3, 3] + _VIEW_DEPTHS[:, None] * tool[:3, 2])

    def deepest_in_box(self, box: StaticBox) -> tuple[str, float]:
        """The link that reaches farthest into a box at home, and how far, metres; not positive if none does."""
        turned = axis_angle_matrix((0.0, 0.0, 1.0), box.yaw)
        turned[:3, 3] = box.center
        box_from_base = inverse_transform(turned)
        depths = []
        for link, points, radii in self._surfaces:
            inside = radii - _outside(transform_points(box_from_base, points), box.half_extents)
            depths.append((float(inside.max()), link))
        depth, link = max(depths)
        return link, depth

    def deepest_at_point(self, point: Array) -> tuple[str, float]:
        """The link that holds a point at home, and how deep, metres; not positive if none does."""
        depths = []
        for link in self.robot.links:
            for geom in link.geoms:
                inside = inverse_transform(self.links_at_home[link.name] @ geom.link_from_geom) @ np.append(point, 1.0)
                depths.append((geom.radius - float(_outside(inside[None, :3], geom.core)[0]), link.name))
        depth, name = max(depths)
        return name, depth

    def lowest_at_home(self) -> tuple[str, float]:
        """The lowest link at home but those that stand on the base, and its height in the base frame, metres."""
        standing = (self.robot.base_frame, self.robot.joints[0].child)
        heights = [
            (float((points[:, 2] - radii).min()), link)
            for link, points, radii in self._surfaces
            if link not in standing
        ]
        height, link = min(heights)
        return link, height

    @cached_property
    def _surfaces(self) -> list[tuple[str, Array, Array]]:
        """Of each coarse shape its link, points (N, 3) in the base frame, and radii (N,) of balls about them."""
        surfaces = []
        for link in self.robot.links:
            for geom in link.geoms:
                points, radius = _points_of(geom)
                placed: Array = np.asarray(
                    transform_points(self.links_at_home[link.name] @ geom.link_from_geom, points), np.float64
                )
                surfaces.append((link.name, placed, np.full(len(placed), radius)))
        return surfaces

    def _links(self, positions: Array) -> dict[str, Array]:
        return self.robot.forward_kinematics(dict(zip(self.robot.arm_joint_names, map(float, positions), strict=True)))


def _points_of(geom: Capsule | Box) -> tuple[Array, float]:
    if isinstance(geom, Capsule):
        along = np.linspace(-geom.length / 2.0, geom.length / 2.0, 9)
        return np.stack([0.0 * along, 0.0 * along, along], axis=1), geom.radius
    return np.array(list(product(*([-half, 0.0, half] for half in geom.half_extents)))), 0.0


def _outside(points: NDArray[np.floating], half_extents: ArrayLike) -> Array:
    """Distance (N,) of points (N, 3) from a box about the origin, negative inside."""
    beyond = np.abs(points) - np.asarray(half_extents)
    return np.asarray(np.linalg.norm(np.maximum(beyond, 0.0), axis=1) + np.minimum(beyond.max(axis=1), 0.0))
