"""The boxes around the arm's links that some RLBench sources carry, and the points outside of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mini_diffuser_ros.geometry import matrix_from_quaternion
from mini_diffuser_ros.records import Cloud

# What RLBench's forks call the parts of the arm. The hand and the fingers stay in the cloud.
_LINKS = ("Panda_link0_visual", *(f"Panda_link{number}_respondable" for number in range(1, 8)))


@dataclass(frozen=True, eq=False)
class ArmBox:
    """One oriented box.

    Attributes:
        center: (3,) metres, world frame.
        world_from_box: (3, 3) rotation.
        half_size: (3,) metres along the box's axes.
    """

    center: NDArray[np.float64]
    world_from_box: NDArray[np.float64]
    half_size: NDArray[np.float64]


def arm_boxes(information: Mapping[str, ArrayLike]) -> tuple[ArmBox, ...]:
    """The boxes of the arm's links.

    As the published pipeline does, a box is centred on its link's pose, although its own limits may lie unevenly
    around it.

    Args:
        information: ``<link>_bbox`` to (6,) low and high limit along x, y, z, metres in the link's frame, and
            ``<link>_pose`` to (7,) xyz + xyzw, world frame. Links that are not there are left out.

    Raises:
        ValueError: if an entry has another shape.
    """
    boxes = []
    for link in _LINKS:
        if f"{link}_bbox" in information and f"{link}_pose" in information:
            limits = np.asarray(information[f"{link}_bbox"], dtype=np.float64)
            pose = np.asarray(information[f"{link}_pose"], dtype=np.float64)
            if limits.shape != (6,) or pose.shape != (7,):
                raise ValueError(f"{link} has limits {limits.shape} and pose {pose.shape}, expected (6,) and (7,)")
            boxes.append(ArmBox(pose[:3], matrix_from_quaternion(pose[3:]), (limits[1::2] - limits[::2]) / 2))
    return tuple(boxes)


def without_arm(cloud: Cloud, boxes: tuple[ArmBox, ...]) -> Cloud:
    """The cloud without the points inside of any box; the order of the others is kept."""
    outside = np.ones(len(cloud), bool)
    for box in boxes:
        local = (cloud.points - box.center) @ box.world_from_box
        outside &= (np.abs(local) > box.half_size).any(axis=1)
    return Cloud(cloud.points[outside], cloud.colors[outside], cloud.frame, cloud.stamp) if len(boxes) else cloud
