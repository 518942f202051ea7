"""What leaves the planner is safe; what is not is refused by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import gripper_symmetric_pose, pose_from_matrix, quaternion_angle
from mini_diffuser_ros.motion import (
    AllRefused,
    InCollision,
    JointLimit,
    MotionConfig,
    MotionPlanner,
    MotionRefused,
    NoPath,
    NotFinite,
    OutsideWorkspace,
    StaticBox,
    TooTilted,
    Unreachable,
    interpolate,
)
from mini_diffuser_ros.motion.collision import CollisionChecker
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.records import JointTrajectory, KeyframeMode, Workspace
from mini_diffuser_ros.robots import RobotDescription, load_robot

from .conftest import top_down

POSES = st.builds(
    top_down,
    x=st.floats(0.32, 0.68),
    y=st.floats(-0.3, 0.3),
    z=st.floats(0.02, 0.35),
    yaw=st.floats(-1.5, 1.5),
)


BESIDE = 0.3
"""Metres to the side of the wall where every arm has room; the forearm of the UR5e lies 0.13 m beside its tool."""


def mode(pose: np.ndarray) -> KeyframeMode:
    return KeyframeMode(pose=pose, gripper_open=True, terminate=False, share=1.0, spread=0.0)


def assert_reaches(trajectory: JointTrajectory, pose: np.ndarray, robot: RobotDescription) -> None:
    """The end is the pose or its twin, which is the same grasp for a parallel gripper."""
    reached = pose_from_matrix(robot.tcp_pose(trajectory.positions[-1]))
    assert np.linalg.norm(reached[:3] - pose[:3]) <= 1.1e-4
    angles = [quaternion_angle(reached[3:], twin[3:]) for twin in (pose, gripper_symmetric_pose(pose))]
    assert min(angles) <= 1.1e-3


def assert_free(trajectory: JointTrajectory, robot: RobotDescription, config: MotionConfig) -> None:
    """Nothing overlaps anywhere on the way, by a checker of its own that knows no clearance."""
    bare = MotionConfig(
        boxes=config.boxes, arm_clearance=0.0, hand_clearance=0.0, finger_clearance=0.0, self_clearance=0.0
    )
    checker = CollisionChecker(robot, bare, planning_model(robot, bare))
    for positions in interpolate(trajectory, np.linspace(0.0, trajectory.duration, 1000))[0]:
        assert checker.violation(positions) is None


@given(first=POSES, second=POSES)
@settings(max_examples=20, deadline=None)
def test_keyframes_are_reached_within_every_limit(
    planner: MotionPlanner, robot: RobotDescription, first: np.ndarray, second: np.ndarray
) -> None:
    start = planner.plan(robot.home, first).positions[-1]

    trajectory = planner.plan(start, second)

    assert trajectory.joint_names == robot.arm_joint_names
    np.testing.assert_array_equal(trajectory.positions[0], start)
    assert_reaches(trajectory, second, robot)
    config = planner.config
    lower, upper = robot.position_limits.T
    assert np.all((trajectory.positions >= lower) & (trajectory.positions <= upper))
    assert np.all(np.abs(trajectory.velocities) <= robot.velocity_limits * config.velocity_scaling * 1.001)
    assert np.all(np.abs(trajectory.accelerations) <= robot.acceleration_limits * config.acceleration_scaling * 1.001)


@given(
    # Nearer to the base the wrist passes a singularity, and the straight joint segment takes over.
    pose=st.builds(top_down, x=st.floats(0.42, 0.62), y=st.floats(-0.25, 0.25), z=st.floats(0.02, 0.2)),
)
@settings(max_examples=10, deadline=None)
def test_straight_down_is_a_line_of_the_tool(planner: MotionPlanner, robot: RobotDescription, pose: np.ndarray) -> None:
    above = pose + np.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0])
    start = planner.plan(robot.home, above).positions[-1]

    trajectory = planner.plan(start, pose)

    sideways = [np.linalg.norm(robot.tcp_pose(q)[:2, 3] - pose[:2]) for q in trajectory.positions]
    assert max(sideways) < 2e-3


@given(
    first=st.builds(top_down, x=st.floats(0.4, 0.6), y=st.just(-BESIDE), z=st.floats(0.05, 0.15)),
    second=st.builds(top_down, x=st.floats(0.4, 0.6), y=st.just(BESIDE), z=st.floats(0.05, 0.15)),
)
@settings(max_examples=6, deadline=None)
def test_way_around_a_wall_is_free(
    walled: MotionPlanner, robot: RobotDescription, first: np.ndarray, second: np.ndarray
) -> None:
    start = walled.plan(robot.home, first).positions[-1]

    trajectory = walled.plan(start, second)

    assert_reaches(trajectory, second, robot)
    assert_free(trajectory, robot, walled.config)


def test_same_question_same_answer(walled: MotionPlanner, robot: RobotDescription) -> None:
    start = walled.plan(robot.home, top_down(0.5, -BESIDE, 0.1)).positions[-1]

    first, second = (walled.plan(start, top_down(0.5, BESIDE, 0.1)) for _ in range(2))

    np.testing.assert_array_equal(first.positions, second.positions)


def test_arm_goes_home_around_the_wall(walled: MotionPlanner, robot: RobotDescription) -> None:
    start = walled.plan(robot.home, top_down(0.5, -BESIDE, 0.1)).positions[-1]

    trajectory = walled.plan_joints(start, robot.home)

    np.testing.assert_array_equal(trajectory.positions[[0, -1]], [start, robot.home])
    assert_free(trajectory, robot, walled.config)


@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=7, max_size=7),
    index=st.integers(0, 6),
    bad=st.sampled_from([np.nan, np.inf, -np.inf]),
)
@settings(max_examples=20, deadline=None)
def test_numbers_that_are_not_finite_are_refused(
    planner: MotionPlanner, robot: RobotDescription, values: list[float], index: int, bad: float
) -> None:
    values[index] = bad
    joints = values[: len(robot.home)]
    joints[min(index, len(joints) - 1)] = bad

    with pytest.raises(NotFinite, match="keyframe refused: pose is"):
        planner.plan(robot.home, values)
    with pytest.raises(NotFinite, match="start"):
        planner.plan(joints, top_down(0.5, 0.0, 0.2))
    with pytest.raises(NotFinite, match="goal"):
        planner.plan_joints(robot.home, joints)
    with pytest.raises(NotFinite, match="velocity"):
        planner.stop_trajectory(robot.home, joints)


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=7, max_size=7))
@settings(max_examples=30, deadline=None)
def test_any_pose_is_planned_or_refused_in_one_line(
    planner: MotionPlanner, robot: RobotDescription, values: list[float]
) -> None:
    try:
        trajectory = planner.plan(robot.home, values)
    except MotionRefused as refusal:
        message = str(refusal)
    else:
        message = f"{trajectory.duration} s"
    assert "\n" not in message


@pytest.mark.parametrize("pose", ["left of the block", [0.5, 0.0, 0.2], None])
def test_what_is_no_pose_is_refused(planner: MotionPlanner, robot: RobotDescription, pose: object) -> None:
    with pytest.raises(NotFinite, match="pose"):
        planner.plan(robot.home, pose)  # type: ignore[arg-type]


def test_quaternion_must_have_unit_length(planner: MotionPlanner, robot: RobotDescription) -> None:
    with pytest.raises(NotFinite, match=r"the quaternion's norm is 0\.0000, expected 1"):
        planner.plan(robot.home, [0.5, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0])


def test_pose_inside_the_table_is_refused(planner: MotionPlanner, robot: RobotDescription) -> None:
    with pytest.raises(OutsideWorkspace, match=r"z = -0\.0300 m is outside the workspace \[0\.0040, 0\.9000\]"):
        planner.plan(robot.home, top_down(0.5, 0.0, -0.03))


def test_fingers_in_the_table_are_refused_by_their_depth(robot: RobotDescription) -> None:
    planner = MotionPlanner(robot, MotionConfig(workspace=Workspace((0.15, -0.6, -0.1), (0.85, 0.6, 0.9))))

    with pytest.raises(InCollision, match=r"\w+finger overlaps table by \d+\.\d mm"):
        planner.plan(robot.home, top_down(0.5, 0.0, -0.03))


def test_pose_beyond_the_workspace_is_refused(planner: MotionPlanner, robot: RobotDescription) -> None:
    with pytest.raises(OutsideWorkspace, match=r"y = 0\.7000 m"):
        planner.plan(robot.home, top_down(0.5, 0.7, 0.2))


def test_pose_beyond_the_reach_is_refused(robot: RobotDescription) -> None:
    planner = MotionPlanner(robot, MotionConfig(workspace=Workspace((0.15, -0.6, 0.004), (2.0, 0.6, 0.9))))

    with pytest.raises(Unreachable, match=r"misses by \d+\.\d mm"):
        planner.plan(robot.home, top_down(1.5, 0.0, 0.2))


def test_joint_that_would_leave_its_range_is_named() -> None:
    robot = load_robot("panda")
    planner = MotionPlanner(robot, MotionConfig(joint_limit_margin=0.5, gripper_symmetry=False))

    with pytest.raises(JointLimit, match=r"joint limit: panda_joint\d at -?\d\.\d+ rad is \d\.\d+ rad outside"):
        planner.plan(robot.home, top_down(0.25, 0.0, 0.1, yaw=3.1))


def test_start_outside_the_joint_limits_is_refused(planner: MotionPlanner, robot: RobotDescription) -> None:
    upper = robot.position_limits[0, 1]
    start = robot.home.copy()
    start[0] = upper + 0.3527

    refusal = rf"{robot.arm_joint_names[0]} at {start[0]:.4f} rad is 0\.1027 rad outside"
    with pytest.raises(JointLimit, match=refusal):
        planner.plan(start, top_down(0.5, 0.0, 0.2))


def test_tilt_beyond_the_limit_is_refused(robot: RobotDescription) -> None:
    planner = MotionPlanner(robot, MotionConfig(max_tilt=0.5))
    sideways = np.array([0.5, 0.0, 0.3, 0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5)])

    with pytest.raises(TooTilted, match=r"tilted by 1\.571 rad from straight down, max_tilt is 0\.500 rad"):
        planner.plan(robot.home, sideways)


def test_pose_inside_a_box_is_refused_by_its_name(walled: MotionPlanner, robot: RobotDescription) -> None:
    with pytest.raises(InCollision, match=r"collision at the goal: \w+ overlaps wall"):
        walled.plan(robot.home, top_down(0.5, 0.0, 0.2))


def test_pose_without_a_way_is_refused(robot: RobotDescription) -> None:
    lid = StaticBox("lid", center=(0.55, 0.0, 0.42), half_extents=(0.75, 0.8, 0.01))
    planner = MotionPlanner(robot, MotionConfig(boxes=(lid,), planning_time=0.5))
    above = np.array([0.3, 0.0, 0.65, 1.0, 0.0, 0.0, 0.0])

    with pytest.raises((NoPath, InCollision), match="lid"):
        planner.plan(robot.home, above)


def test_start_inside_an_obstacle_is_refused(robot: RobotDescription) -> None:
    box = StaticBox("crate", center=tuple(robot.tcp_pose(robot.home)[:3, 3]), half_extents=(0.1, 0.1, 0.1))
    planner = MotionPlanner(robot, MotionConfig(boxes=(box,)))

    with pytest.raises(InCollision, match=r"collision at the start: \w+ overlaps crate"):
        planner.plan(robot.home, top_down(0.5, 0.3, 0.2))


def test_first_acceptable_candidate_is_taken_and_refusals_name_the_others(
    planner: MotionPlanner, robot: RobotDescription
) -> None:
    candidates = [
        mode(np.full(7, np.nan)),
        mode(top_down(0.5, 0.0, -0.2)),
        mode(top_down(0.5, 0.0, 0.2)),
        mode(top_down(0.4, 0.0, 0.2)),
    ]

    planned = planner.plan_first(robot.home, candidates)

    assert planned.index == 2
    assert_reaches(planned.trajectory, candidates[2].pose, robot)
    assert [type(refusal) for refusal in planned.refusals] == [NotFinite, OutsideWorkspace]
    assert str(planned.refusals[1]).startswith("candidate 2 of 4 refused: z = -0.2000 m")


def test_refusal_of_all_candidates_lists_them(planner: MotionPlanner, robot: RobotDescription) -> None:
    candidates = [mode(top_down(3.0, 0.0, 0.2)), mode(top_down(0.5, 0.0, -1.0))]

    with pytest.raises(AllRefused, match=r"candidate 1 of 2 refused: x.*candidate 2 of 2 refused: z") as refused:
        planner.plan_first(robot.home, candidates)

    assert len(refused.value.refusals) == 2


def test_no_candidates_are_a_refusal(planner: MotionPlanner, robot: RobotDescription) -> None:
    with pytest.raises(AllRefused, match="there is none"):
        planner.plan_first(robot.home, [])


def test_moving_arm_stops_soon(planner: MotionPlanner, robot: RobotDescription) -> None:
    trajectory = planner.stop_trajectory(robot.home, robot.velocity_limits)

    np.testing.assert_allclose(trajectory.velocities[0], robot.velocity_limits)
    np.testing.assert_allclose(trajectory.velocities[-1], 0.0, atol=1e-9)
    braking = robot.velocity_limits / (planner.config.stop_scaling * robot.acceleration_limits)
    assert trajectory.duration < braking.max() + 0.1  # the jerk takes its share


def test_arm_may_leave_a_place_too_close_to_the_table(planner: MotionPlanner, robot: RobotDescription) -> None:
    low = MotionPlanner(robot, MotionConfig(finger_clearance=0.0))
    touching = low.plan(robot.home, top_down(0.5, 0.0, 0.009)).positions[-1]

    with pytest.raises(InCollision, match=r"finger is 0\.\d mm from table, the required clearance is 1\.0 mm"):
        planner.plan(robot.home, top_down(0.5, 0.0, 0.009))
    trajectory = planner.plan(touching, top_down(0.5, 0.0, 0.1))

    np.testing.assert_array_equal(trajectory.positions[0], touching)


def test_a_pose_where_joints_belong_is_refused_with_the_number_of_joints() -> None:
    robot = load_robot("ur5e")
    planner, pose = MotionPlanner(robot), top_down(0.5, 0.0, 0.2)

    with pytest.raises(NotFinite, match=r"start is of shape \(7,\), expected \(6,\) joints of ur5e"):
        planner.plan(pose, pose)
    with pytest.raises(NotFinite, match=r"goal is of shape \(7,\), expected \(6,\) joints of ur5e"):
        planner.plan_joints(robot.home, pose)
    with pytest.raises(NotFinite, match=r"velocity is of shape \(7,\), expected \(6,\) joints of ur5e"):
        planner.stop_trajectory(robot.home, pose)
    with pytest.raises(NotFinite, match=r"pose is of shape \(6,\), expected \(7,\) numbers of a pose"):
        planner.plan(robot.home, robot.home)
    with pytest.raises(NotFinite, match="start is KeyframeMode"):
        planner.plan(mode(pose), pose)  # type: ignore[arg-type]


def test_every_robot_can_plan(planner: MotionPlanner, robot: RobotDescription) -> None:
    pose = top_down(0.5, 0.1, 0.1)

    assert_reaches(planner.plan(robot.home, pose), pose, robot)
