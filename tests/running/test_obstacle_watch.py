"""What comes into the way of a motion interrupts it; what does not, does not; no clouds, no motion."""

from collections.abc import Mapping

import numpy as np
import pytest

from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, interpolate
from mini_diffuser_ros.records import Cloud, JointTrajectory
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running import keyframe_motion
from mini_diffuser_ros.running.dry_run import PlannedOnlyError, StillArm, StillGripper
from mini_diffuser_ros.running.keyframe_motion import KeyframeMotion, PlannedMotion, TellProgress
from mini_diffuser_ros.running.obstacle_watch import HORIZON, ObstacleWatch, StaleCloudError
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError

BLOCKED, STALE = 19, 4


class Joints:
    """An arm that is where it is told to be."""

    def __init__(self, planner: MotionPlanner) -> None:
        self.robot = planner.robot
        self.at = planner.robot.home
        self.known_until = np.inf  # stamp

    def positions(self) -> np.ndarray:
        return self.at

    def await_rest(self, token: CancellationToken) -> np.ndarray:
        return self.at

    def positions_at(self, stamp: float) -> Mapping[str, float]:
        if stamp > self.known_until:
            raise StaleJointsError("joint_states are far away from the images")
        return dict(zip(self.robot.arm_joint_names, map(float, self.at), strict=True))


@pytest.fixture(scope="module")
def planner() -> MotionPlanner:
    return MotionPlanner(load_robot("fr3"))


@pytest.fixture
def joints(planner: MotionPlanner) -> Joints:
    return Joints(planner)


@pytest.fixture
def watch(planner: MotionPlanner, joints: Joints) -> ObstacleWatch:
    return ObstacleWatch(planner, joints, 60.0, BLOCKED, STALE)


@pytest.fixture(scope="module")
def sweep(planner: MotionPlanner) -> JointTrajectory:
    """From one side of the table to the other."""
    left, right = (np.concatenate([[0.5, y, 0.25], top_down_quaternion(0.0)]) for y in (0.35, -0.35))
    return planner.plan(planner.plan(planner.robot.home, left).positions[-1], right)


def _block(planner: MotionPlanner, trajectory: JointTrajectory, elapsed: float) -> Cloud:
    """A hand-sized box where the tool will be."""
    center = planner.robot.tcp_pose(interpolate(trajectory, elapsed)[0])[:3, 3]
    points = center + np.random.default_rng(0).uniform(-0.05, 0.05, (500, 3))
    return Cloud(points.astype(np.float32), np.zeros((500, 3), np.uint8), "fr3_link0", 1.0)


def _empty() -> Cloud:
    return Cloud(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8), "fr3_link0", 1.0)


def _interruption(token: CancellationToken) -> InterruptionError | None:
    try:
        token.check()
    except InterruptionError as interruption:
        return interruption
    return None


def test_something_in_the_way_interrupts_the_motion_and_is_named(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    token = CancellationToken()
    joints.at = sweep.positions[0]
    with watch.ahead_of(sweep, token):
        watch.take(_block(planner, sweep, 0.5 * sweep.duration))

    interruption = _interruption(token)
    assert interruption is not None
    assert interruption.outcome == BLOCKED
    assert "what the cameras see at [" in str(interruption)


def test_what_the_arm_has_passed_already_does_not_interrupt(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    token = CancellationToken()
    joints.at = interpolate(sweep, 0.9 * sweep.duration)[0]
    with watch.ahead_of(sweep, token):
        watch.take(_block(planner, sweep, 0.2 * sweep.duration))

    assert _interruption(token) is None


def test_progress_is_measured_not_counted_by_the_clock(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    """An arm that is slowed down has everything still ahead of it, however long ago it began."""
    token = CancellationToken()
    joints.at = sweep.positions[0]
    watch.take(_empty())
    with watch.ahead_of(sweep, token):
        watch.take(_block(planner, sweep, 0.4 * sweep.duration))

    assert _interruption(token) is not None


def test_a_motion_that_ended_is_not_looked_ahead_of(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    token = CancellationToken()
    joints.at = sweep.positions[0]
    with watch.ahead_of(sweep, token):
        pass
    watch.take(_block(planner, sweep, 0.5 * sweep.duration))

    assert _interruption(token) is None


def test_without_clouds_nothing_is_planned_and_nothing_goes_on(
    planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    watch = ObstacleWatch(planner, joints, 0.0, BLOCKED, STALE)
    with pytest.raises(StaleCloudError, match="no cloud yet"):
        watch.surroundings()
    watch.take(_empty())
    with pytest.raises(StaleCloudError, match=r"the newest cloud of use came 0\.0 s ago, allowed are 0\.0 s"):
        watch.surroundings()

    token = CancellationToken()
    with watch.ahead_of(sweep, token):
        watch.check_age()

    interruption = _interruption(token)
    assert interruption is not None
    assert interruption.outcome == STALE


def test_who_stood_still_plans_by_no_old_cloud_and_ends_no_motion_before_it_could_hear_of_another(
    planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    shown, awake = 100.0, 0.0
    watch = ObstacleWatch(planner, joints, 1.0, BLOCKED, STALE, now=lambda: shown, since=lambda _: awake)
    watch.take(_empty())
    shown, awake = 130.0, 0.1
    with pytest.raises(StaleCloudError, match=r"came 30\.0 s ago"):
        watch.surroundings()
    token = CancellationToken()
    with watch.ahead_of(sweep, token):
        watch.check_age()
        assert _interruption(token) is None
        awake = 1.1
        watch.check_age()
    assert _interruption(token) is not None


def test_what_is_held_is_no_obstacle_but_part_of_the_hand(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    joints.at = sweep.positions[0]
    tool = planner.robot.tcp_pose(joints.at)[:3, 3]
    block = (tool + np.random.default_rng(1).uniform(-0.02, 0.02, (300, 3))).astype(np.float32)
    cloud = Cloud(block, np.zeros((300, 3), np.uint8), "fr3_link0", 1.0)
    joints.at = planner.robot.home
    watch.take(cloud)
    before = watch.surroundings()

    watch.grasped(before, sweep.positions[0])
    joints.at = sweep.positions[0]
    held = watch.surroundings()
    watch.released()

    assert len(before.points) > 0
    assert held.held is not None
    assert len(held.points) == 0
    assert watch.surroundings().held is None


@pytest.mark.parametrize("place", [0.35, 0.65])
def test_what_came_into_the_way_before_the_motion_is_seen_before_it_begins(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, sweep: JointTrajectory, place: float
) -> None:
    joints.at = sweep.positions[0]
    for _ in range(2):
        watch.take(_block(planner, sweep, place * sweep.duration))
    token = CancellationToken()
    with watch.ahead_of(sweep, token, sweep.duration):
        interruption = _interruption(token)
    assert interruption is not None
    assert interruption.outcome == BLOCKED


def test_a_motion_by_clouds_that_have_ceased_meanwhile_does_not_begin(
    planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    seconds = [0.0]
    watch = ObstacleWatch(planner, joints, 2.0, BLOCKED, STALE, now=lambda: seconds[0])
    watch.take(_empty())
    seconds[0] = 30.0
    token = CancellationToken()
    with watch.ahead_of(sweep, token):
        interruption = _interruption(token)
    assert interruption is not None
    assert interruption.outcome == STALE


class FollowingArm(StillArm):
    """An arm that counts what it is told to follow."""

    def __init__(self) -> None:
        self.followed = 0

    def follow(self, trajectory: JointTrajectory, token: CancellationToken, tell: TellProgress) -> None:
        self.followed += 1


def test_consent_to_a_scene_that_has_changed_begins_nothing(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what was put there is farther ahead than a motion under way is looked ahead of."""
    monkeypatch.setattr(keyframe_motion, "PROMPT", -1.0)
    joints.at = planner.robot.home + 1.2 * np.eye(7)[0]
    watch.take(_empty())
    arm = FollowingArm()

    def thought_over(motion: PlannedMotion, *_: object) -> bool:
        assert 0.5 * motion.trajectory.duration > HORIZON
        for _ in range(2):
            watch.take(_block(planner, motion.trajectory, 0.7 * motion.trajectory.duration))
        return True

    slow = MotionPlanner(planner.robot, MotionConfig(velocity_scaling=0.1))
    motion = KeyframeMotion(slow, joints, StopLatch(), arm, StillGripper(), watch=watch, review=thought_over)
    with pytest.raises(InterruptionError, match="something is in the way"):
        motion.go_home(CancellationToken())
    assert arm.followed == 0


class Hand(StillGripper):
    """Fingers that are measured to hold something, metres wide, or nothing."""

    def __init__(self, is_empty: bool, holding: float = 0.0) -> None:
        self._is_empty, self._holding = is_empty, holding

    def holding(self) -> float:
        return self._holding

    def is_empty(self) -> bool:
        return self._is_empty


@pytest.mark.parametrize("is_empty", [True, False])
def test_what_is_measured_to_have_left_the_hand_is_in_no_plan(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, sweep: JointTrajectory, is_empty: bool
) -> None:
    tool = planner.robot.tcp_pose(sweep.positions[0])[:3, 3]
    block = (tool + np.random.default_rng(1).uniform(-0.02, 0.02, (300, 3))).astype(np.float32)
    watch.take(Cloud(block, np.zeros((300, 3), np.uint8), "fr3_link0", 1.0))
    watch.grasped(watch.surroundings(), sweep.positions[0])
    joints.at = sweep.positions[0]
    watch.take(_empty())
    assert watch.surroundings().held is not None

    motion = KeyframeMotion(planner, joints, StopLatch(), StillArm(), Hand(is_empty), watch=watch)
    with pytest.raises(PlannedOnlyError):
        motion.go_home(CancellationToken())

    assert (watch.surroundings().held is None) is is_empty


@pytest.mark.parametrize("is_seen", [True, False])
def test_what_the_fingers_hold_is_in_the_plan_whoever_saw_them_close(
    watch: ObstacleWatch, planner: MotionPlanner, joints: Joints, sweep: JointTrajectory, is_seen: bool
) -> None:
    """After a restart, a stop while the fingers closed, a grasp that no camera saw."""
    joints.at = sweep.positions[0]
    tool = planner.robot.tcp_pose(joints.at)[:3, 3]
    bar = tool + np.random.default_rng(1).uniform((-0.01, -0.01, -0.07), (0.01, 0.01, 0.02), (300, 3))
    shown = bar.astype(np.float32) if is_seen else np.empty((0, 3), np.float32)
    watch.take(Cloud(shown, np.zeros((len(shown), 3), np.uint8), "fr3_link0", 1.0))
    assert watch.surroundings().held is None
    motion = KeyframeMotion(planner, joints, StopLatch(), StillArm(), Hand(False, 0.02), watch=watch)
    with pytest.raises(PlannedOnlyError):
        motion.go_home(CancellationToken())
    held = watch.surroundings().held
    assert held is not None
    ahead = float((held.center + held.half_extents)[2])
    assert ahead == pytest.approx(0.07 if is_seen else planner.config.obstacles.held_reach, abs=0.005)
    assert held.half_extents[1] == pytest.approx(0.01)
    assert bool(held.half_extents[0] < 0.02) is is_seen
    watch.holding(0.04, joints.at)  # what is known stays as it is
    assert watch.surroundings().held is held


def test_what_nobody_saw_is_no_larger_than_there_is_room_for_it_now(planner: MotionPlanner, joints: Joints) -> None:
    """Fingers just over the table hold nothing that reaches into it, and the way up is free."""
    low = planner.plan(planner.robot.home, np.concatenate([[0.5, 0.0, 0.02], top_down_quaternion(0.0)])).positions[-1]
    held = planner.presumed_held(0.03, low, np.empty((0, 3), np.float32))
    assert 0.0 < (held.center + held.half_extents)[2] < 0.035
    surroundings = planner.surroundings(np.empty((0, 3), np.float32), low, held)
    planner.plan(low, np.concatenate([[0.5, 0.0, 0.3], top_down_quaternion(0.0)]), surroundings=surroundings)


def test_clouds_of_another_time_than_joint_states_are_no_clouds(
    planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    """They come, and nobody can say what in them is the arm."""
    seconds = [0.0]
    watch = ObstacleWatch(planner, joints, 0.5, BLOCKED, STALE, now=lambda: seconds[0])
    watch.take(_empty())
    token = CancellationToken()
    with watch.ahead_of(sweep, token):
        joints.known_until = 0.0
        for seconds[0] in np.arange(0.1, 0.5, 0.1):
            watch.take(_empty())
            watch.check_age()
        assert _interruption(token) is None
        seconds[0] = 0.6
        watch.take(_empty())
        watch.check_age()

    interruption = _interruption(token)
    assert interruption is not None
    assert interruption.outcome == STALE
    assert "the newest cloud of use came 0.6 s ago" in str(interruption)


@pytest.fixture
def seconds() -> list[float]:
    return [0.0]


@pytest.fixture
def clocked(planner: MotionPlanner, joints: Joints, seconds: list[float]) -> ObstacleWatch:
    return ObstacleWatch(planner, joints, 2.0, BLOCKED, STALE, now=lambda: seconds[0])


@pytest.mark.parametrize(("period", "missing"), [(0.05, 1), (0.05, 8), (0.2, 2), (0.5, 1)])
def test_a_thing_does_not_go_away_because_a_few_clouds_do_not_show_it(
    clocked: ObstacleWatch,
    seconds: list[float],
    planner: MotionPlanner,
    joints: Joints,
    sweep: JointTrajectory,
    period: float,
    missing: int,
) -> None:
    """Neither for a plan nor for the motion under way."""
    block, joints.at = _block(planner, sweep, 0.5 * sweep.duration), sweep.positions[0]
    for number in range(6 + missing - 1):
        seconds[0] += period
        clocked.take(block if number < 6 else _empty())
    token = CancellationToken()
    with clocked.ahead_of(sweep, token):
        seconds[0] += period
        clocked.take(_empty())

    left = clocked.surroundings().points
    assert np.linalg.norm(left - block.points.mean(axis=0), axis=1).min() < 0.05
    assert _interruption(token) is not None


def test_an_empty_hand_forgets_what_it_held_and_nothing_of_what_is_around(
    clocked: ObstacleWatch, seconds: list[float], planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    joints.at = sweep.positions[0]
    clocked.take(_block(planner, sweep, 0.0))
    clocked.grasped(clocked.surroundings(), joints.at)
    assert clocked.surroundings().held is not None
    block = _block(planner, sweep, 0.5 * sweep.duration)
    for _ in range(5):
        seconds[0] += 0.05
        clocked.take(block)
    clocked.emptied()
    seconds[0] += 0.05
    clocked.take(_empty())
    left = clocked.surroundings()
    assert left.held is None
    assert np.linalg.norm(left.points - block.points.mean(axis=0), axis=1).min() < 0.05


def test_what_is_gone_for_a_moment_is_gone(
    clocked: ObstacleWatch, seconds: list[float], planner: MotionPlanner, sweep: JointTrajectory
) -> None:
    for number in range(30):
        seconds[0] += 0.1
        clocked.take(_block(planner, sweep, 0.5 * sweep.duration) if number < 20 else _empty())
    assert len(clocked.surroundings().points) == 0


def test_what_one_cloud_alone_has_shown_is_not_remembered(
    clocked: ObstacleWatch, seconds: list[float], planner: MotionPlanner, sweep: JointTrajectory
) -> None:
    """Depth has noise that comes once."""
    for number in range(10):
        seconds[0] += 0.05
        clocked.take(_block(planner, sweep, 0.5 * sweep.duration) if number == 8 else _empty())
    assert len(clocked.surroundings().points) == 0


def test_what_was_grasped_is_not_remembered_where_it_lay(
    clocked: ObstacleWatch, seconds: list[float], planner: MotionPlanner, joints: Joints, sweep: JointTrajectory
) -> None:
    for _ in range(5):
        seconds[0] += 0.05
        clocked.take(_block(planner, sweep, 0.0))
    clocked.grasped(clocked.surroundings(), sweep.positions[0])
    joints.at = sweep.positions[-1]
    for _ in range(3):
        seconds[0] += 0.05
        clocked.take(_empty())
    assert len(clocked.surroundings().points) == 0
