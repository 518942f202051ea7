"""Another speed on the way: the same path, no limit broken, no jump, and it goes on after a hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, interpolate
from mini_diffuser_ros.motion.checking import TrajectoryCheck
from mini_diffuser_ros.motion.profiles import load_profile
from mini_diffuser_ros.motion.retiming import PacedTrajectory
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription

from .conftest import top_down
from .test_limits import assert_keeps_the_makers_limits

OWN = MotionConfig(velocity_scaling=1.0, acceleration_scaling=1.0, jerk_scaling=1.0)
SPEEDS = st.one_of(st.sampled_from([0.0, 0.01, 1.0]), st.floats(0.0, 1.0))
CHANGES = st.lists(st.tuples(st.floats(0.0, 1.5), SPEEDS), min_size=1, max_size=4)


@pytest.fixture(scope="module", params=["collaborative", "fast"])
def config(request: pytest.FixtureRequest) -> MotionConfig:
    return load_profile(request.param)


@pytest.fixture(scope="module")
def pacer(robot: RobotDescription, config: MotionConfig) -> MotionPlanner:
    return MotionPlanner(robot, config)


@pytest.fixture(scope="module")
def planned(pacer: MotionPlanner, robot: RobotDescription, config: MotionConfig) -> JointTrajectory:
    """A straight joint segment at one profile, a line of the tool at the other."""
    above = pacer.plan(robot.home, top_down(0.5, 0.25, 0.25))
    return above if config.max_tool_speed < 0.5 else pacer.plan(above.positions[-1], top_down(0.5, 0.25, 0.15))


def followed(
    pacer: MotionPlanner, planned: JointTrajectory, changes: Sequence[tuple[float, float]]
) -> list[tuple[PacedTrajectory, float]]:
    """Each trajectory that was followed, and for how long."""
    current, sequence = PacedTrajectory.of(planned), []
    for seconds, speed in changes:
        sequence.append((current, seconds))
        current = pacer.retimed(current, seconds, speed)
    return [*sequence, (current, current.trajectory.duration)]


@given(changes=CHANGES)
@settings(max_examples=6)
def test_any_changes_of_speed_keep_path_and_limits(
    pacer: MotionPlanner, planned: JointTrajectory, robot: RobotDescription, changes: list[tuple[float, float]]
) -> None:
    sequence = followed(pacer, planned, changes)

    path = interpolate(planned, np.linspace(0.0, planned.duration, 10000))[0]
    for paced, seconds in sequence:
        trajectory = paced.trajectory
        assert_keeps_the_makers_limits(paced.changing, robot, min(3.0, pacer.config.max_tool_speed))
        times = np.linspace(0.0, min(seconds, trajectory.duration), 20)
        for place in interpolate(trajectory, times)[0]:
            assert np.abs(path - place).max(axis=1).min() < 2e-4
        nominal, rates = zip(*((pace.nominal, pace.rate) for pace in map(paced.pace, times)), strict=True)
        assert 0.0 <= min(rates) <= max(rates) <= 1.0 + 1e-6
        assert np.all(np.diff(nominal) >= -1e-6)
        np.testing.assert_allclose(
            interpolate(trajectory, times)[1],
            interpolate(planned, nominal)[1] * np.array(rates)[:, None],
            atol=2e-2,
        )
    for (before, seconds), (after, _) in pairwise(sequence):
        end = [values[0] for values in interpolate(before.trajectory, [seconds])]
        begin = [values[0] for values in interpolate(after.trajectory, [0.0])]
        np.testing.assert_allclose(begin[0], end[0], atol=1e-4)
        np.testing.assert_allclose(begin[1], end[1], atol=5e-3)
    last = sequence[-1][0]
    if last.speed > 0.0:
        np.testing.assert_allclose(last.trajectory.positions[-1], planned.positions[-1], atol=1e-9)
        assert not last.holds
    np.testing.assert_allclose(last.trajectory.velocities[-1], 0.0, atol=1e-6)


@given(parts=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), back=SPEEDS)
@settings(max_examples=15)
def test_whoever_brakes_can_be_told_to_go_on_at_any_moment(
    pacer: MotionPlanner, planned: JointTrajectory, parts: tuple[float, float], back: float
) -> None:
    """In the middle of a brake there may be no room to turn to another speed without running backwards."""
    at, into = parts
    hold = pacer.retimed(PacedTrajectory.of(planned), at * planned.duration, 0.0)

    on = pacer.retimed(hold, into * hold.course.duration, back)

    TrajectoryCheck(pacer.robot, OWN)(on.changing, "the new speed")
    assert on.changing.duration < 5.0
    assert on.pace(on.course.duration).rate in (pytest.approx(on.speed, abs=1e-6), 0.0)


def test_a_hold_holds_on_the_path_and_goes_on_from_there(pacer: MotionPlanner, planned: JointTrajectory) -> None:
    hold = pacer.retimed(PacedTrajectory.of(planned), planned.duration / 4.0, 0.0)
    held = hold.trajectory.positions[-1]
    assert hold.holds
    assert hold.trajectory.duration < 0.6

    later = pacer.retimed(hold, 60.0, 1.0)

    np.testing.assert_allclose(later.trajectory.positions[0], held, atol=1e-9)
    np.testing.assert_allclose(later.trajectory.positions[-1], planned.positions[-1], atol=1e-9)
    assert not later.holds


def test_half_the_speed_is_half_of_the_planned_one(pacer: MotionPlanner, planned: JointTrajectory) -> None:
    slow = pacer.retimed(PacedTrajectory.of(planned, 0.5), 0.0, 0.5).trajectory

    assert slow.duration == pytest.approx(2.0 * planned.duration, rel=1e-6)
    assert np.abs(slow.velocities).max() == pytest.approx(0.5 * np.abs(planned.velocities).max(), rel=1e-3)


def test_one_percent_takes_its_time_but_few_points(pacer: MotionPlanner, planned: JointTrajectory) -> None:
    crawl = pacer.retimed(PacedTrajectory.of(planned), planned.duration / 5.0, 0.01).trajectory

    assert crawl.duration > 50.0 * planned.duration
    assert len(crawl.times) < 3 * len(planned.times) + 100


def test_after_the_end_there_is_nothing_to_retime(pacer: MotionPlanner, planned: JointTrajectory) -> None:
    paced = pacer.retimed(PacedTrajectory.of(planned), planned.duration + 1.0, 0.3)

    np.testing.assert_array_equal(paced.trajectory.positions, np.tile(planned.positions[-1], (2, 1)))
    assert not paced.holds
