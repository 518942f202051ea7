"""Keyframe to checked, timed joint trajectory.

>>> planner = MotionPlanner(load_robot("panda"), MotionConfig())  # doctest: +SKIP
>>> trajectory = planner.plan(joint_positions, keyframe_pose)  # doctest: +SKIP

What cannot be done safely raises a subclass of :class:`MotionRefused` whose message names the limit.
"""

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.planner import MotionPlanner, PlannedKeyframe
from mini_diffuser_ros.motion.refusals import (
    AllRefused,
    InCollision,
    JointLimit,
    LimitExceeded,
    MotionRefused,
    NoPath,
    NotFinite,
    OutsideWorkspace,
    TooTilted,
    Unreachable,
)
from mini_diffuser_ros.motion.timing import interpolate
from mini_diffuser_ros.records import StaticBox

__all__ = [
    "AllRefused",
    "InCollision",
    "JointLimit",
    "LimitExceeded",
    "MotionConfig",
    "MotionPlanner",
    "MotionRefused",
    "NoPath",
    "NotFinite",
    "OutsideWorkspace",
    "PlannedKeyframe",
    "StaticBox",
    "TooTilted",
    "Unreachable",
    "interpolate",
]
