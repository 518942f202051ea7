"""The last check accepts nothing that breaks a limit in any millisecond, and nothing else is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion import JointLimit, LimitExceeded, MotionConfig, NotFinite, interpolate
from mini_diffuser_ros.motion.checking import TrajectoryCheck
from mini_diffuser_ros.motion.limits import DynamicLimits
from mini_diffuser_ros.motion.path import rounded_path, straight_path
from mini_diffuser_ros.motion.timing import time_path
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.robots.limits import velocity_range

SEEDS = st.integers(0, 2**32 - 1)
SLOW = MotionConfig(velocity_scaling=0.4, acceleration_scaling=0.3, jerk_scaling=0.03, max_tool_speed=0.25)
FAST = MotionConfig(velocity_scaling=1.0, acceleration_scaling=1.0, jerk_scaling=0.2)
PERIOD = 1e-3


def planned(robot: RobotDescription, config: MotionConfig, generator: np.random.Generator) -> JointTrajectory:
    lower, upper = np.clip(robot.usable_range(0.2).T, robot.home - 2.0, robot.home + 2.0)
    ways = generator.uniform(lower, upper, (3, len(lower)))
    piece = straight_path(*ways[:2]) if generator.random() < 0.5 else rounded_path(ways, 8)
    return time_path([piece], robot.arm_joint_names, DynamicLimits.of(robot, config), config.sample_period)


def spoiled(trajectory: JointTrajectory, generator: np.random.Generator) -> JointTrajectory:
    """Faster as a whole, or with one state of one joint a little off."""
    faster = generator.choice([1.0, 1.01, 1.03, 1.1])
    states = [trajectory.positions.copy(), trajectory.velocities * faster, trajectory.accelerations * faster**2]
    place = generator.integers(1, len(trajectory.times) - 1), generator.integers(trajectory.positions.shape[1])
    states[generator.integers(3)][place] += generator.choice([0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    return JointTrajectory(trajectory.joint_names, trajectory.times / faster, *states)


def use(trajectory: JointTrajectory, robot: RobotDescription, config: MotionConfig) -> float:
    """The largest share of any limit that is used, looked at once a millisecond with differences alone."""
    times = np.arange(trajectory.times[0], trajectory.times[-1], PERIOD)
    positions, velocities, accelerations = interpolate(trajectory, times)
    lowest, highest = velocity_range(robot.velocity_limits, robot.velocity_curves, positions)
    center, half = robot.position_limits.mean(axis=1), np.diff(robot.position_limits)[:, 0] / 2.0
    shares = [
        np.abs(positions - center) / half,
        np.abs(velocities) / (robot.velocity_limits * min(1.0, 1.02 * config.velocity_scaling)),
        np.where(velocities > 0.0, velocities / np.maximum(highest, 1e-4), velocities / np.minimum(lowest, -1e-4)),
        np.abs(accelerations) / (robot.acceleration_limits * min(1.0, 1.02 * config.acceleration_scaling)),
        np.abs(np.diff(accelerations, axis=0)) / PERIOD / (robot.jerk_limits * min(1.0, 1.25 * config.jerk_scaling)),
    ]
    places, rotations = robot.tcp_motion(positions)
    change = rotations[1:] @ rotations[:-1].transpose(0, 2, 1)
    turns = 0.5 * (change[:, (2, 0, 1), (1, 2, 0)] - change[:, (1, 2, 0), (2, 0, 1)])
    maker = robot.cartesian_limits
    for kind, rates in (("", np.diff(places, axis=0) / PERIOD), ("turning_", turns / PERIOD)):
        for quantity in ("velocity", "acceleration", "jerk"):
            most = np.inf if maker is None else getattr(maker, kind + quantity)
            most = min(most, config.max_tool_speed) if kind + quantity == "velocity" else most
            shares.append(np.linalg.norm(rates, axis=1) / most)
            rates = np.diff(rates, axis=0) / PERIOD
    return max(float(share.max()) for share in shares)


@pytest.mark.parametrize("config", [SLOW, FAST], ids=["slow", "fast"])
@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_what_is_accepted_keeps_every_limit_in_every_millisecond(
    robot: RobotDescription, config: MotionConfig, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    trajectory = spoiled(planned(robot, config, generator), generator)

    try:
        TrajectoryCheck(robot, config)(trajectory, "goal")
    except (JointLimit, LimitExceeded):
        assert use(trajectory, robot, config) > 0.999
    else:
        assert use(trajectory, robot, config) <= 1.0 + 1e-6


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_jump_of_a_single_sample_is_refused(robot: RobotDescription, seed: int) -> None:
    generator = np.random.default_rng(seed)
    trajectory = planned(robot, SLOW, generator)
    positions = trajectory.positions.copy()
    positions[generator.integers(1, len(positions) - 1), generator.integers(positions.shape[1])] += 0.02

    with pytest.raises((JointLimit, LimitExceeded)):
        TrajectoryCheck(robot, SLOW)(replace(trajectory, positions=positions), "goal")


def test_the_refusal_names_the_moment(robot: RobotDescription) -> None:
    trajectory = planned(robot, SLOW, np.random.default_rng(0))
    accelerations = trajectory.accelerations.copy()
    accelerations[50, 1] += 20.0

    with pytest.raises(LimitExceeded) as refusal:
        TrajectoryCheck(robot, SLOW)(replace(trajectory, accelerations=accelerations), "goal")

    seconds = float(str(refusal.value).split("after ")[1].split(" s")[0])
    assert abs(seconds - trajectory.times[50]) <= trajectory.times[51] - trajectory.times[49]


def test_what_is_not_finite_or_out_of_order_is_refused(robot: RobotDescription) -> None:
    trajectory = planned(robot, SLOW, np.random.default_rng(0))
    velocities = trajectory.velocities.copy()
    velocities[3, 0] = np.nan

    with pytest.raises(NotFinite, match="not finite"):
        TrajectoryCheck(robot, SLOW)(replace(trajectory, velocities=velocities), "goal")
    with pytest.raises(NotFinite, match="order of time"):
        TrajectoryCheck(robot, SLOW)(replace(trajectory, times=trajectory.times[::-1]), "goal")
