"""Whether a recorded episode may be moved through once more by the arm that is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import matrix_from_pose, quaternion_angle, quaternion_from_matrix
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.support.errors import UserError

SAME_TOOL = 0.01
"""Metres by which the tool of the recorded joints may miss the recorded pose: another tool or robot misses by more."""

NEAR, NEAR_ANGLE = 0.03, 0.2
"""Metres and radians from where an episode begins within which the arm counts as there."""


class ReplayError(UserError, ValueError):
    """An episode that may not be replayed here, and why."""


def check_recorded_on(episode: Episode, robot: RobotDescription) -> None:
    """Refuse an episode of another arm or tool, known by its joints and by where they put the tool.

    Raises:
        ReplayError: naming both.
    """
    for number, keyframe in enumerate(episode.keyframes):
        joints = keyframe.joint_positions
        missing = [name for name in robot.arm_joint_names if name not in joints]
        if missing:
            has = ", ".join(joints) or "none"
            raise ReplayError(
                f"{episode.source} was not recorded on {robot.name}: no {missing[0]} in its joints ({has})"
            )
        tool = robot.tcp_pose(np.array([joints[name] for name in robot.arm_joint_names]))
        apart = float(np.linalg.norm(tool[:3, 3] - keyframe.pose[:3]))
        if apart > SAME_TOOL:
            raise ReplayError(
                f"keyframe {number} of {episode.source}: its joints put the tool of {robot.name} {apart:.3f} m away "
                "from its pose; recorded with another tool, or another robot?"
            )


def check_begins_here(episode: Episode, robot: RobotDescription, positions: NDArray[np.floating]) -> None:
    """Refuse to begin where the recorded demonstration did not.

    Args:
        episode: to be replayed.
        robot: the arm.
        positions: (J,) radians, of the arm now.

    Raises:
        ReplayError: how far away the arm is, and what to do.
    """
    tool, begin = robot.tcp_pose(np.asarray(positions)), matrix_from_pose(episode.keyframes[0].pose)
    apart = float(np.linalg.norm(tool[:3, 3] - begin[:3, 3]))
    turned = quaternion_angle(quaternion_from_matrix(tool), quaternion_from_matrix(begin))
    if apart > NEAR or turned > NEAR_ANGLE:
        raise ReplayError(
            f"the arm is {apart:.2f} m and {turned:.2f} rad away from where {episode.source} begins: "
            "mini-diffuser home if it began there, or --move-to-start"
        )
