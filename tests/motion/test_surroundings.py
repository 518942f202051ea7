"""What the cameras see as obstacles, and what the hand holds, against MuJoCo's own distances."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, MotionRefused, interpolate
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.motion.surroundings import HeldObject, ObstacleConfig, ShapeDistances, Surroundings, merged
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription, robot_mjcf

from .conftest import top_down

CLEARANCE = ObstacleConfig().clearance
LEFT, RIGHT = top_down(0.5, 0.35, 0.15), top_down(0.5, -0.35, 0.15)


def _box(center: tuple[float, float, float], half: tuple[float, float, float]) -> np.ndarray:
    """Points (N, 3) that fill a box, 1 cm apart."""
    axes = [np.arange(c - h, c + h + 1e-9, 0.01) for c, h in zip(center, half, strict=True)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3).astype(np.float32)


def _robot_distances(robot: RobotDescription, positions: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(links, M) metres from points to each shape but the base's, by MuJoCo's own query of a small sphere."""
    spec = mujoco.MjSpec.from_string(robot_mjcf(robot))
    probe = spec.worldbody.add_body(name="probe", mocap=True)
    probe.add_geom(name="probe", type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(1e-5, 0, 0))
    model = spec.compile()
    data = mujoco.MjData(model)
    for name, position in zip(robot.arm_joint_names, positions, strict=True):
        data.joint(name).qpos = position
    for name in robot.finger_joint_names:
        data.joint(name).qpos = robot.finger_position_limits[1]
    links = [link.name for link in robot.links if link.name != robot.base_frame]
    geoms = [geom for geom in range(model.ngeom) if model.body(model.geom_bodyid[geom]).name in links]
    found = np.empty((len(geoms), len(points)))
    for column, point in enumerate(points):
        data.mocap_pos[0] = point
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        ball = model.geom("probe").id
        found[:, column] = [mujoco.mj_geomDistance(model, data, geom, ball, 5.0, None) for geom in geoms]
    return found


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_distances_to_points_are_those_to_the_shapes(robot: RobotDescription, seed: int) -> None:
    generator = np.random.default_rng(seed)
    model = planning_model(robot, MotionConfig())
    data = mujoco.MjData(model)
    data.qpos[:] = generator.uniform(*robot.position_limits.T)
    mujoco.mj_kinematics(model, data)
    shapes = np.flatnonzero(model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE)
    points = generator.uniform(-1.0, 1.0, (50, 3)).astype(np.float32)

    distances = ShapeDistances(model, shapes)(data, points)

    for shape, row in zip(shapes, distances, strict=True):
        local = (points - data.geom_xpos[shape]) @ data.geom_xmat[shape].reshape(3, 3)
        size = model.geom_size[shape]
        if model.geom_type[shape] == mujoco.mjtGeom.mjGEOM_CAPSULE:
            on_axis = np.zeros_like(local)
            on_axis[:, 2] = np.clip(local[:, 2], -size[1], size[1])
            expected = np.linalg.norm(local - on_axis, axis=1) - size[0]
        else:
            expected = np.linalg.norm(local - np.clip(local, -size, size), axis=1)
        outside = expected > 0.0
        np.testing.assert_allclose(row[outside], expected[outside], atol=1e-5)
        assert np.all(row[~outside] <= 1e-5)


def _start(planner: MotionPlanner, robot: RobotDescription, pose: np.ndarray) -> np.ndarray:
    return planner.plan(robot.home, pose).positions[-1]


def _nearest(robot: RobotDescription, trajectory: JointTrajectory, points: np.ndarray) -> float:
    """Metres between the robot on its way and points."""
    times = np.linspace(0.0, trajectory.duration, 25)
    return min(_robot_distances(robot, at, points).min() for at in interpolate(trajectory, times)[0])


@pytest.mark.parametrize("half", [(0.04, 0.03, 0.04), (0.02, 0.1, 0.02)])
def test_a_motion_goes_round_what_the_cameras_see(
    planner: MotionPlanner, robot: RobotDescription, half: tuple[float, float, float]
) -> None:
    start = _start(planner, robot, LEFT)
    direct = planner.plan(start, RIGHT)
    middle = robot.tcp_pose(interpolate(direct, direct.duration / 2.0)[0])[:3, 3]
    seen = planner.surroundings(_box(tuple(middle), half), start)

    trajectory = planner.plan(start, RIGHT, surroundings=seen)

    assert _nearest(robot, direct, seen.points) < 0.0
    assert _nearest(robot, trajectory, seen.points) > CLEARANCE - 1e-3


def test_what_nothing_leads_round_is_refused_by_its_place(planner: MotionPlanner, robot: RobotDescription) -> None:
    buried = _box((0.5, -0.35, 0.2), (0.15, 0.15, 0.2))
    start = _start(planner, robot, LEFT)

    with pytest.raises(MotionRefused, match=r"what the cameras see at \[0\.\d+, -0\.\d+, 0\.\d+\] m"):
        planner.plan(start, RIGHT, surroundings=planner.surroundings(buried, start))


def test_hand_and_fingers_may_come_close_to_what_is_grasped(planner: MotionPlanner, robot: RobotDescription) -> None:
    block = _box((0.5, 0.0, 0.02), (0.02, 0.02, 0.02))
    start = _start(planner, robot, top_down(0.5, 0.0, 0.15))

    trajectory = planner.plan(start, top_down(0.5, 0.0, 0.02), surroundings=planner.surroundings(block, start))

    assert trajectory.duration > 0.0


@pytest.mark.parametrize(("reach", "gap"), [(0.1, 0.003), (0.115, 0.006), (0.15, 0.014)])
def test_the_hand_may_come_over_what_lies_beside_a_grasp_and_not_touch_it(
    planner: MotionPlanner, robot: RobotDescription, reach: float, gap: float
) -> None:
    """The nearer to the grasp, the closer: a rim that the hand has to pass would keep every grasp back."""
    start, goal = _start(planner, robot, top_down(0.5, 0.0, 0.25)), top_down(0.5, 0.0, 0.02)
    there = planner.plan(start, goal).positions[-1]
    heights = np.arange(0.02, 0.12, 0.003)
    sides = [(0.5 + x, y) for x, y in ((0.095, 0.0), (-0.095, 0.0), (0.0, 0.095), (0.0, -0.095), (0.0, 0.11))]
    points = np.array([(*side, z) for side in sides for z in heights], np.float32)
    points = points[np.linalg.norm(points - goal[:3], axis=1) < reach]
    away = _robot_distances(robot, there, points).min(axis=0)
    beside = points[(away > gap) & (away < CLEARANCE - 0.002)]
    assert len(beside)
    assert planner.plan(start, goal, surroundings=Surroundings(beside)).duration > 0.0
    if reach > 0.1:
        with pytest.raises(MotionRefused, match="what the cameras see"):
            planner.plan(start, goal, surroundings=Surroundings(points[away < 0.0]))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_robot_does_not_see_itself_as_an_obstacle(planner: MotionPlanner, robot: RobotDescription, seed: int) -> None:
    generator = np.random.default_rng(seed)
    positions = generator.uniform(*robot.position_limits.T)
    poses = robot.forward_kinematics(
        dict(zip(robot.arm_joint_names, positions, strict=True))
        | dict.fromkeys(robot.finger_joint_names, generator.uniform(*robot.finger_position_limits))
    )
    on_links = [poses[link.name] @ geom.link_from_geom for link in robot.links for geom in link.geoms]
    own = np.array([pose[:3, 3] for pose in on_links]) + generator.normal(0.0, 0.003, (len(on_links), 3))

    assert len(planner.surroundings(own, positions).points) == 0


def test_points_of_the_table_and_numbers_that_are_none_are_left_out(planner: MotionPlanner) -> None:
    points = np.array([[0.5, 0.2, 0.004], [np.nan, 0.2, 0.3], [0.5, np.inf, 0.3], [0.6, 0.3, 0.3]], np.float32)

    seen = planner.surroundings(points, planner.robot.home)

    np.testing.assert_allclose(seen.points, [[0.6, 0.3, 0.3]], atol=1e-6)


def test_merging_keeps_every_place_within_a_voxel() -> None:
    points = np.random.default_rng(3).uniform(-1.0, 1.0, (5000, 3)).astype(np.float32)

    kept = merged(points, 0.1)

    assert len(kept) <= 20**3
    assert np.linalg.norm(points[:, None] - kept[None], axis=2).min(axis=1).max() <= 0.1 * np.sqrt(3.0)


def test_what_is_held_is_part_of_the_hand(planner: MotionPlanner, robot: RobotDescription) -> None:
    start = _start(planner, robot, top_down(0.5, 0.0, 0.16))
    long = HeldObject(np.array([0.0, 0.0, 0.04]), np.array([0.02, 0.02, 0.08]))
    low = top_down(0.5, 0.2, 0.06)

    assert planner.plan(start, low).duration > 0.0
    with pytest.raises(MotionRefused, match="held object"):
        planner.plan(start, low, surroundings=Surroundings(np.empty((0, 3), np.float32), long))


def test_what_was_grasped_is_known_from_what_was_seen(planner: MotionPlanner, robot: RobotDescription) -> None:
    at = _start(planner, robot, top_down(0.5, 0.1, 0.03, yaw=0.4))
    block = _box((0.5, 0.1, 0.035), (0.015, 0.015, 0.015))
    base_from_tcp = robot.tcp_pose(at)

    held = planner.grasped(Surroundings(block), at)

    assert held is not None
    local = (block - base_from_tcp[:3, 3]) @ base_from_tcp[:3, :3]
    assert np.all(np.abs(local - held.center) <= held.half_extents + 1e-5)
    assert planner.grasped(Surroundings(block + np.float32(0.3)), at) is None


def test_something_put_into_the_way_of_a_motion_is_seen_ahead_of_it(
    planner: MotionPlanner, robot: RobotDescription
) -> None:
    start = _start(planner, robot, LEFT)
    trajectory = planner.plan(start, RIGHT)
    middle = robot.tcp_pose(interpolate(trajectory, trajectory.duration * 0.75)[0])[:3, 3]
    hand = _box(tuple(middle), (0.04, 0.04, 0.08))

    def ahead(elapsed: float, points: np.ndarray) -> object:
        return planner.contact_ahead(trajectory, elapsed, 10.0, Surroundings(points.astype(np.float32)))

    assert ahead(0.0, hand) is not None
    assert ahead(0.0, np.empty((0, 3))) is None
    assert planner.contact_ahead(trajectory, 0.0, trajectory.duration * 0.1, Surroundings(hand)) is None
    assert ahead(trajectory.duration, hand) is None
