"""The expert solves its tasks through the motion planner, and what it records is what a policy learns from."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.simulation import TASKS, DemonstrationFailed, TabletopWorld, demonstrate
from mini_diffuser_ros.simulation.episode import MISHAP_PROBABILITY

STEPS = {"push_buttons": 3, "stack_blocks": 6, "put_item_in_bowl": 6}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_expert_solves_its_task(small_world: TabletopWorld, planner: MotionPlanner, task: str, seed: int) -> None:
    goal = small_world.reset(task, seed)
    steps = len(TASKS[task].expert(small_world, goal.slots))
    assert steps == STEPS.get(task, steps)
    episode = demonstrate(small_world, planner, task, seed)
    assert small_world.success()
    assert episode.task == task
    assert episode.variation == small_world.goal.variation
    assert episode.sentences == small_world.goal.sentences
    assert len(episode.keyframes) == steps + 1
    stamps = [keyframe.stamp for keyframe in episode.keyframes]
    assert stamps == sorted(stamps)
    for keyframe in episode.keyframes:
        assert {view.name for view in keyframe.views} == {"front", "left_shoulder", "wrist"}
        assert set(keyframe.joint_positions) == {
            *small_world.robot.arm_joint_names,
            *small_world.robot.finger_joint_names,
        }
        assert len(keyframe.cloud) > 50


def test_the_gripper_of_each_keyframe_tells_what_was_done(small_world: TabletopWorld, planner: MotionPlanner) -> None:
    pressing = demonstrate(small_world, planner, "push_buttons", 0)
    assert [keyframe.gripper_open for keyframe in pressing.keyframes[1:]] == [False] * 3
    stacking = demonstrate(small_world, planner, "stack_blocks", 0)
    assert [keyframe.gripper_open for keyframe in stacking.keyframes[1:]] == [
        True,
        False,
        False,
        False,
        True,
        True,
    ]


def test_poses_are_where_the_gripper_was_up_to_half_a_turn(small_world: TabletopWorld, planner: MotionPlanner) -> None:
    for keyframe in demonstrate(small_world, planner, "stack_blocks", 1).keyframes:
        tcp = small_world.robot.forward_kinematics(keyframe.joint_positions)[small_world.robot.tcp_frame]
        assert keyframe.pose[:3] == pytest.approx(tcp[:3, 3], abs=1e-6)
    last = demonstrate(small_world, planner, "put_item_in_bowl", 1).keyframes[1:]
    yaws = [2.0 * np.arctan2(keyframe.pose[4], keyframe.pose[3]) for keyframe in last]
    assert np.abs(yaws).max() <= np.pi / 2.0 + 0.02, "one of the equivalent yaws, always the one closest to zero"


def test_some_demonstrations_begin_after_a_mishap(small_world: TabletopWorld, planner: MotionPlanner) -> None:
    lucky = [TASKS["stack_blocks"].generator(seed, "mishap").random() >= MISHAP_PROBABILITY for seed in range(30)]
    assert 0 < lucky.count(False) < 10
    episode = demonstrate(small_world, planner, "stack_blocks", lucky.index(False))
    assert not episode.keyframes[0].gripper_open, "the gripper has closed on air"
    assert episode.keyframes[1].gripper_open


def test_the_same_seed_is_the_same_demonstration(small_world: TabletopWorld, planner: MotionPlanner) -> None:
    first = demonstrate(small_world, planner, "push_buttons", 5)
    second = demonstrate(small_world, planner, "push_buttons", 5)
    for one, other in zip(first.keyframes, second.keyframes, strict=True):
        assert one.pose == pytest.approx(other.pose, abs=1e-3)


class Refusing:
    """A planner that finds nothing."""

    def plan(self, start: np.ndarray, pose: np.ndarray) -> JointTrajectory:
        raise RuntimeError(f"unreachable: {pose[:3]}")


def test_a_refused_motion_fails_the_demonstration_with_its_reason(small_world: TabletopWorld) -> None:
    with pytest.raises(DemonstrationFailed, match="unreachable"):
        demonstrate(small_world, Refusing(), "push_buttons", 0)
