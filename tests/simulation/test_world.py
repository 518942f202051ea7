"""The world obeys its seed, its drivers and its contract."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.simulation import TASKS, SimulationError, TabletopWorld, make_goal


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_world(world: TabletopWorld, task: str) -> None:
    goal = world.reset(task, 21)
    first = (world.joint_positions(), world.view("front").color)
    assert world.reset(task, 22).slots is not None
    assert not np.array_equal(world.view("front").color, first[1])
    assert world.reset(task, 21) == goal
    assert world.joint_positions() == first[0]
    assert np.array_equal(world.view("front").color, first[1])


def test_the_arm_starts_anywhere_above_the_table(world: TabletopWorld) -> None:
    starts = []
    for seed in range(40):
        world.reset("push_buttons", seed)
        starts.append(world.tcp_pose())
        rotation = np.abs(world.tcp_pose()[3:])
        assert rotation[2:].max() < 0.01, "the gripper points down"
    positions = np.array(starts)[:, :3]
    assert positions.min(axis=0) == pytest.approx([0.30, -0.25, 0.15], abs=0.1)
    assert np.all(positions > np.array([0.29, -0.26, 0.14]))
    assert np.all(positions < np.array([0.61, 0.26, 0.46]))
    assert positions.std(axis=0).min() > 0.05


def test_a_goal_can_be_chosen(world: TabletopWorld) -> None:
    goal = make_goal("stack_blocks", {"top": "black", "bottom": "white"})
    assert world.reset("stack_blocks", 1, goal) is goal
    assert world.has_objects_for("stack_blocks", goal.slots)
    with pytest.raises(SimulationError, match="stack_blocks"):
        world.reset("push_buttons", 1, goal)
    with pytest.raises(SimulationError, match="on the table"):
        world.pursue(make_goal("push_buttons", {"color": "red"}))


def test_unknown_names_are_refused(world: TabletopWorld) -> None:
    with pytest.raises(SimulationError, match="push_buttons"):
        world.reset("juggle", 0)
    world.reset("put_item_in_bowl", 0)
    with pytest.raises(SimulationError, match="front"):
        world.view("rear")
    with pytest.raises(SimulationError, match="bowl"):
        world.body_pose("spoon")
    with pytest.raises(SimulationError, match="reset"):
        TabletopWorld().success()


def test_a_trajectory_is_followed_to_its_end(world: TabletopWorld, planner: MotionPlanner) -> None:
    world.reset("push_buttons", 31)
    pose = world.tcp_pose()
    pose[:3] = (0.5, 0.1, 0.3)
    trajectory = planner.plan(world.arm_positions(), pose)
    before = world.time
    error = world.execute(trajectory)
    assert error < 2e-3
    assert trajectory.duration <= world.time - before <= trajectory.duration + 0.6
    assert np.linalg.norm(world.tcp_pose()[:3] - pose[:3]) < 2e-3


def test_columns_of_a_trajectory_may_come_in_any_order(world: TabletopWorld, planner: MotionPlanner) -> None:
    world.reset("push_buttons", 32)
    pose = world.tcp_pose()
    pose[:3] = (0.45, -0.1, 0.25)
    plan = planner.plan(world.arm_positions(), pose)
    order = [3, 1, 6, 0, 2, 5, 4]
    shuffled = JointTrajectory(
        tuple(plan.joint_names[column] for column in order),
        plan.times,
        plan.positions[:, order],
        plan.velocities[:, order],
        plan.accelerations[:, order],
    )
    assert world.execute(shuffled) < 2e-3
    unknown = JointTrajectory(
        ("a", "b"), plan.times, plan.positions[:, :2], plan.velocities[:, :2], plan.accelerations[:, :2]
    )
    with pytest.raises(SimulationError, match="panda_joint1"):
        world.execute(unknown)


def test_the_arm_can_be_driven_step_by_step(world: TabletopWorld) -> None:
    world.reset("push_buttons", 33)
    target = world.arm_positions()
    target[0] += 0.1
    world.set_arm_target(target)
    for _ in range(100):
        world.step(0.01)
    assert np.abs(world.arm_positions() - target).max() < 2e-3


def test_time_runs_by_what_was_asked_even_in_odd_slices_and_over_a_reset(world: TabletopWorld) -> None:
    world.reset("push_buttons", 34)
    start = world.time
    for _ in range(100):
        world.step(0.003)
    assert world.time - start == pytest.approx(0.3, abs=0.0021)
    now = world.time
    world.reset("stack_blocks", 35)
    assert world.time > now


def test_the_gripper_reports_width_and_what_it_holds(world: TabletopWorld) -> None:
    goal = world.reset("stack_blocks", 36)
    opened = world.set_gripper(open=True)
    assert opened.width == pytest.approx(world.robot.max_gripper_width, abs=1e-3)
    assert not opened.holding
    assert world.gripper_is_open()
    block = world.model.joint(f"block_{goal.slots['top']}")
    base_from_tcp = world.robot.tcp_pose(world.arm_positions())
    world.data.qpos[block.qposadr[0] : block.qposadr[0] + 3] = base_from_tcp[:3, 3]
    yaw = np.arctan2(base_from_tcp[1, 0], base_from_tcp[0, 0])
    world.data.qpos[block.qposadr[0] + 3 : block.qposadr[0] + 7] = (np.cos(yaw / 2), 0, 0, np.sin(yaw / 2))
    world.model.opt.gravity[:] = 0.0
    world.data.qvel[:] = 0.0
    held = world.set_gripper(open=False)
    world.model.opt.gravity[2] = -9.81
    world.step(1.0)
    assert held.holding
    assert held.width == pytest.approx(0.04, abs=2e-3)
    height = world.body_pose(f"block_{goal.slots['top']}")[2, 3]
    assert height == pytest.approx(base_from_tcp[2, 3], abs=3e-3), "the grip does not slip"
    assert not world.gripper_is_open()


def test_an_empty_gripper_closes_without_holding(world: TabletopWorld) -> None:
    world.reset("push_buttons", 37)
    result = world.set_gripper(open=False)
    assert result.width < 2e-3
    assert not result.holding
