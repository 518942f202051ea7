"""Which episodes may be moved through once more, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.records import Episode, Keyframe
from mini_diffuser_ros.robots import RobotDescription, load_robot
from mini_diffuser_ros.running.replaying import ReplayError, check_begins_here, check_recorded_on

FR3, PANDA = load_robot("fr3"), load_robot("panda")


def keyframe(robot: RobotDescription, turn: float) -> Keyframe:
    positions = np.array(robot.home)
    positions[0] += turn
    joints = dict(zip(robot.arm_joint_names, positions.tolist(), strict=True))
    return Keyframe(pose_from_matrix(robot.tcp_pose(positions)), True, turn, lambda: None, joint_positions=joints)  # type: ignore[arg-type, return-value]


def episode(robot: RobotDescription) -> Episode:
    return Episode("stack_cups", 0, ("stack the cups",), [keyframe(robot, turn) for turn in (0.0, 0.5)], "cups-000001")


def with_joints(joints: Mapping[str, float]) -> Episode:
    recorded = episode(FR3)
    return replace(recorded, keyframes=[recorded.keyframes[0], replace(recorded.keyframes[1], joint_positions=joints)])


def test_an_episode_of_the_same_arm_may_be_replayed_from_where_it_begins() -> None:
    check_recorded_on(episode(FR3), FR3)
    check_begins_here(episode(FR3), FR3, np.array(FR3.home))


@pytest.mark.parametrize("recorded", [episode(PANDA), with_joints({})])
def test_an_episode_of_another_arm_or_of_none_is_refused(recorded: Episode) -> None:
    with pytest.raises(ReplayError, match=r"was not recorded on fr3: no fr3_joint1"):
        check_recorded_on(recorded, FR3)


def test_an_episode_whose_joints_and_poses_disagree_is_refused() -> None:
    turned = dict(episode(FR3).keyframes[1].joint_positions)
    turned["fr3_joint2"] += 0.1
    with pytest.raises(ReplayError, match=r"keyframe 1 of cups-000001: .* another tool, or another robot"):
        check_recorded_on(with_joints(turned), FR3)


@pytest.mark.parametrize("joint", [0, 6])  # far away, and at the place but turned
def test_an_arm_that_is_elsewhere_is_told_the_way(joint: int) -> None:
    positions = np.array(FR3.home)
    positions[joint] += 0.4
    with pytest.raises(ReplayError, match="--move-to-start"):
        check_begins_here(episode(FR3), FR3, positions)
