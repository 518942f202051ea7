"""What the fusion keeps of the world, and how finely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mini_diffuser_ros.perception.errors import InvalidFusionConfigError

Corner = tuple[float, float, float]


@dataclass(frozen=True)
class FusionConfig:
    """Settings of :func:`fuse_views`. A policy must be served with the settings it was trained with.

    Attributes:
        frame: ROS name of the base frame when no robot description is given; otherwise the robot's own is used.
        workspace_min: lower corner of the box that is kept, metres in the base frame. Its z lies a little above the
            table top, so that the table itself is left out.
        workspace_max: upper corner of the box.
        voxel_size: metres; one point a voxel is left, the mean of what fell into it. 0 keeps every point.
        min_depth: metres; nearer measurements are dropped, as cameras are unreliable there.
        max_depth: metres; farther measurements are dropped.
        drop_flying_points: drop pixels whose depth lies between a near and a far neighbour: stereo and
            time-of-flight cameras invent such points in the air behind every silhouette.
        flying_point_jump: metres; the least step to both neighbours that makes a pixel a flying one. Surfaces seen
            at grazing angles step as well: 0.02 corresponds to 81 degrees at a metre and 3 mrad a pixel.
        link_margin: metres around the arm's links within which points count as the robot's.
        hand_margin: metres around the hand, likewise. It is smaller, as the hand comes near to things.
        keep_hand: leave the hand's points in the cloud.
        keep_fingers: leave the fingers' points in the cloud: they show the gripper's state and height.
        outlier_neighbors: number of neighbours for Open3D's statistical outlier removal; 0 turns it off.
        outlier_std_ratio: points farther from their neighbours than the mean plus this many standard deviations
            are outliers.
    """

    frame: str = "panda_link0"
    workspace_min: Corner = (0.25, -0.38, 0.004)
    workspace_max: Corner = (0.80, 0.38, 0.55)
    voxel_size: float = 0.005
    min_depth: float = 0.05
    max_depth: float = 3.0
    drop_flying_points: bool = True
    flying_point_jump: float = 0.02
    link_margin: float = 0.012
    hand_margin: float = 0.006
    keep_hand: bool = False
    keep_fingers: bool = True
    outlier_neighbors: int = 0
    outlier_std_ratio: float = 2.0

    def __post_init__(self) -> None:
        for name in ("workspace_min", "workspace_max"):
            corner = tuple(float(value) for value in getattr(self, name))
            if len(corner) != 3 or not np.all(np.isfinite(corner)):
                raise InvalidFusionConfigError(name, getattr(self, name), "three finite numbers x, y, z in metres")
            # Lists arrive here from YAML and ROS parameters; a tuple keeps the record hashable.
            object.__setattr__(self, name, corner)
        if not np.all(np.less(self.workspace_min, self.workspace_max)):
            raise InvalidFusionConfigError(
                "workspace_max", self.workspace_max, f"each above workspace_min {self.workspace_min}"
            )
        for name in ("voxel_size", "min_depth", "link_margin", "hand_margin", "outlier_neighbors"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise InvalidFusionConfigError(name, getattr(self, name), "a number of at least 0")
        if not self.max_depth > self.min_depth:
            raise InvalidFusionConfigError("max_depth", self.max_depth, f"more than min_depth {self.min_depth}")
        for name in ("flying_point_jump", "outlier_std_ratio"):
            if not getattr(self, name) > 0.0:
                raise InvalidFusionConfigError(name, getattr(self, name), "a number above 0")
