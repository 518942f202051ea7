"""Keyframes of calibrated images, as whoever records demonstrations has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from mini_diffuser_ros.perception.fusion import fuse_views
from mini_diffuser_ros.records import CameraView, FloatArray, FusionConfig, Keyframe
from mini_diffuser_ros.robots import RobotDescription


def keyframe_from_views(
    views: Sequence[CameraView],
    pose: FloatArray,
    gripper_open: bool,
    stamp: float = 0.0,
    joint_positions: Mapping[str, float] | None = None,
    robot: RobotDescription | None = None,
    fusion: FusionConfig | None = None,
) -> Keyframe:
    """A keyframe whose cloud is fused when somebody asks for it.

    Args:
        views: RGB-D images of the instant, kept in memory.
        pose: (7,) xyz + xyzw of the tool centre point, base frame.
        gripper_open: True if the gripper is open.
        stamp: seconds; those of an episode's keyframes increase.
        joint_positions: joint name to position, radians and metres; what is not known may be left out.
        robot: whose points are taken out of the cloud, by the joint positions; None leaves all in.
        fusion: by default that of ``fuse_views``.

    Raises:
        ValueError: a pose of another shape.
    """
    seen, joints = tuple(views), dict(joint_positions or {})
    known = robot if joints else None
    return Keyframe(
        pose=pose,
        gripper_open=gripper_open,
        stamp=stamp,
        load_cloud=partial(fuse_views, seen, fusion or FusionConfig(), known, joints),
        load_views=lambda: seen,
        joint_positions=joints,
    )
