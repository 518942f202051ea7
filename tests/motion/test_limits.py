"""Every limit of the maker holds at any instant, also of a stop, and from any start there is a way home."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.motion import (
    LimitExceeded,
    MotionConfig,
    MotionPlanner,
    MotionRefused,
    interpolate,
)
from mini_diffuser_ros.motion.checking import TrajectoryCheck
from mini_diffuser_ros.motion.limits import DynamicLimits
from mini_diffuser_ros.motion.path import rounded_path, straight_path
from mini_diffuser_ros.motion.timing import time_path
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription, load_robot

from .conftest import top_down

FR3 = load_robot("fr3")
FULL = MotionConfig(velocity_scaling=1.0, acceleration_scaling=1.0, max_tool_speed=10.0)
SLOW = MotionConfig(max_tool_speed=0.25)
SEEDS = st.integers(0, 2**32 - 1)
PERIOD = 1e-3


def allowed_velocities(robot: RobotDescription, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest (N, J), written down once more from the maker's formula."""
    highest = np.tile(robot.velocity_limits, (len(q), 1))
    lowest = -highest
    for curve in robot.velocity_curves:
        two_d, o = 2.0 * curve.deceleration, curve.offset
        highest = np.minimum(highest, np.maximum(0.0, -o + np.sqrt(np.maximum(0.0, two_d * (curve.upper - q)))))
        lowest = np.maximum(lowest, np.minimum(0.0, o - np.sqrt(np.maximum(0.0, two_d * (q - curve.lower)))))
    return lowest, highest


def assert_keeps_the_makers_limits(trajectory: JointTrajectory, robot: RobotDescription, tool_speed: float) -> None:
    times = np.arange(trajectory.times[0], trajectory.times[-1] + PERIOD, PERIOD)
    q, v, a = interpolate(trajectory, times)
    lowest, highest = allowed_velocities(robot, q)
    assert np.all(v <= highest + 1e-9)
    assert np.all(v >= lowest - 1e-9)
    assert np.all(np.abs(a) <= robot.acceleration_limits + 1e-9)
    assert np.all(np.abs(np.diff(a, axis=0)) <= robot.jerk_limits * PERIOD + 1e-9)
    places = robot.tcp_motion(q)[0]
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max(initial=0.0) <= tool_speed * PERIOD + 1e-12


def inside(robot: RobotDescription, seed: int) -> np.ndarray:
    """Joints (J,) often near an end of their range, where limits are low."""
    generator = np.random.default_rng(seed)
    lower, upper = np.clip(robot.usable_range(0.2).T, robot.home - 2.0, robot.home + 2.0)
    part = generator.beta(0.6, 0.6, len(robot.home))
    return lower + part * (upper - lower)


def test_joint_4_slows_down_before_the_end_of_its_range() -> None:
    planner = MotionPlanner(FR3)
    start = [-0.3226, 0.9123, -0.1440, -1.2842, 0.5281, 2.4291, 0.6271]
    pose = [0.3230, -0.0007, 0.1511, 0.98299, -0.00656, 0.17604, -0.05197]

    assert_keeps_the_makers_limits(planner.plan(start, pose), FR3, 3.0)


@pytest.mark.parametrize("config", [MotionConfig(), FULL, SLOW], ids=["defaults", "full", "slow"])
@given(seeds=st.tuples(SEEDS, SEEDS))
@settings(max_examples=12)
def test_straight_ways_between_ends_of_ranges_keep_every_limit(config: MotionConfig, seeds: tuple[int, int]) -> None:
    first, second = (inside(FR3, seed) for seed in seeds)

    trajectory = timed(straight_path(first, second), config)

    TrajectoryCheck(FR3, config)(trajectory, "goal")
    assert_keeps_the_makers_limits(trajectory, FR3, min(3.0, config.max_tool_speed))


@pytest.mark.parametrize("config", [FULL, SLOW], ids=["full", "slow"])
@given(seeds=st.tuples(SEEDS, SEEDS, SEEDS), spans=st.sampled_from([4, 16]))
@settings(max_examples=8)
def test_bent_ways_keep_every_limit(config: MotionConfig, seeds: tuple[int, int, int], spans: int) -> None:
    # A little apart: a doubled point is no corner.
    waypoints = np.stack([inside(FR3, seed) for seed in seeds]) + 0.005 * np.arange(-1, 2)[:, None]
    trajectory = timed(rounded_path(waypoints, spans), config)

    TrajectoryCheck(FR3, config)(trajectory, "goal")
    assert_keeps_the_makers_limits(trajectory, FR3, min(3.0, config.max_tool_speed))


def timed(piece: BSpline, config: MotionConfig) -> JointTrajectory:
    return time_path([piece], FR3.arm_joint_names, DynamicLimits.of(FR3, config), config.sample_period)


@given(seed=SEEDS)
@settings(max_examples=8)
def test_the_tool_is_never_faster_than_allowed(robot: RobotDescription, seed: int) -> None:
    trajectory = first_accepted(MotionPlanner(robot, SLOW), robot, seed)

    assert_keeps_the_makers_limits(trajectory, robot, 0.25)


def first_accepted(planner: MotionPlanner, robot: RobotDescription, seed: int) -> JointTrajectory:
    """To the first of random reachable poses that lies in the workspace, touches nothing and has a way there."""
    for number in range(1000):
        pose = pose_from_matrix(robot.tcp_pose(inside(robot, seed + number)))
        try:
            return planner.plan(robot.home, pose)
        except MotionRefused as refusal:
            if refusal.limit not in ("workspace", "collision", "path", "joint_limit"):
                raise
    raise AssertionError("none of 1000 poses was accepted")


@pytest.mark.parametrize(("joint", "position"), [(0, 2.7470), (5, 4.5190), (3, -3.0460), (0, 2.9007), (1, -1.8361)])
def test_an_arm_led_outside_by_hand_goes_home(joint: int, position: float) -> None:
    planner = MotionPlanner(FR3)
    start = FR3.home.copy()
    start[joint] = position

    trajectory = planner.plan_joints(start, FR3.home)

    np.testing.assert_array_equal(trajectory.positions[[0, -1]], [start, FR3.home])
    assert_keeps_the_makers_limits(trajectory, FR3, 3.0)
    assert np.all(np.diff(np.abs(trajectory.positions[:, joint] - FR3.home[joint])) <= 1e-12)
    pose = top_down(0.5, 0.1, 0.35)
    assert_keeps_the_makers_limits(planner.plan(start, pose), FR3, 3.0)


@given(seed=SEEDS, outside=st.lists(st.floats(-0.2, 0.2), min_size=7, max_size=7))
@settings(max_examples=15)
def test_from_outside_every_joint_leads_inwards(robot: RobotDescription, seed: int, outside: list[float]) -> None:
    planner = MotionPlanner(robot)
    generator = np.random.default_rng(seed)
    start = robot.home.copy()
    joint = int(generator.integers(len(start)))
    lower, upper = robot.position_limits[joint]
    start[joint] = upper + outside[joint] if outside[joint] > 0.0 else lower + outside[joint]
    try:
        trajectory = planner.plan_joints(start, robot.home)
    except MotionRefused as refusal:
        assume(refusal.limit not in ("collision", "path"))
        raise

    assert_keeps_the_makers_limits(trajectory, robot, 10.0)
    beyond = np.maximum(trajectory.positions[:, joint] - upper, lower - trajectory.positions[:, joint])
    assert np.all(np.diff(np.maximum(beyond, 0.0)) <= 1e-12)


def test_a_joint_goal_where_only_the_way_inwards_is_open_is_refused() -> None:
    goal = FR3.home.copy()
    goal[0] = 2.745

    with pytest.raises(MotionRefused, match=r"joint limit: fr3_joint1 at 2\.7450 rad"):
        MotionPlanner(FR3).plan_joints(FR3.home, goal)


def spoiled(trajectory: JointTrajectory, faster: float) -> JointTrajectory:
    return replace(
        trajectory,
        times=trajectory.times / faster,
        velocities=trajectory.velocities * faster,
        accelerations=trajectory.accelerations * faster**2,
    )


def test_the_last_check_names_quantity_joint_value_and_limit() -> None:
    goal = FR3.home.copy()
    goal[3] = -2.9
    near_the_end = MotionPlanner(FR3, FULL).plan_joints(FR3.home, goal)
    short = FR3.home.copy()
    short[0] += 0.5
    sideways = MotionPlanner(FR3, SLOW).plan_joints(FR3.home, short)

    TrajectoryCheck(FR3, FULL)(near_the_end, "goal")
    with pytest.raises(LimitExceeded, match=r"velocity of fr3_joint4 at -2\.\d+ rad is \d.*the limit there is \d"):
        TrajectoryCheck(FR3, replace(FULL, jerk_scaling=1.0))(spoiled(near_the_end, 1.2), "goal")
    with pytest.raises(LimitExceeded, match=r"velocity of the tool is 0\.2\d+ after \d.*the limit there is 0\.25"):
        TrajectoryCheck(FR3, replace(FULL, jerk_scaling=1.0, max_tool_speed=0.25))(spoiled(sideways, 1.1), "goal")
