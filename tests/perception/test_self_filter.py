"""The self filter drops the robot's own points, all of them and no others."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.perception import FusionConfig, PerceptionError, self_filter
from mini_diffuser_ros.robots import Box, Geom, RobotDescription, load_robot

PANDA = load_robot("panda")
CONFIG = FusionConfig()

seeds = st.integers(0, 2**32 - 1)


def random_joints(rng: np.random.Generator) -> dict[str, float]:
    arm = rng.uniform(PANDA.position_limits[:, 0], PANDA.position_limits[:, 1])
    width = rng.uniform(*PANDA.finger_position_limits)
    return dict(zip(PANDA.arm_joint_names, arm, strict=True)) | dict.fromkeys(PANDA.finger_joint_names, width)


def points_inside(geom: Geom, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random points inside a geom, in its own frame."""
    if isinstance(geom, Box):
        return rng.uniform(-geom.half_extents, geom.half_extents, (count, 3))
    axis = rng.uniform(-geom.length / 2, geom.length / 2, count)[:, None] * (0.0, 0.0, 1.0)
    direction = rng.normal(size=(count, 3))
    return axis + direction / np.linalg.norm(direction, axis=1)[:, None] * rng.uniform(0, geom.radius, (count, 1))


def distance(geom: Geom, points: np.ndarray) -> np.ndarray:
    """Distance of points of the geom's frame to its surface, 0 inside, by going to the nearest point of the geom."""
    if isinstance(geom, Box):
        return np.linalg.norm(points - np.clip(points, -geom.half_extents, geom.half_extents), axis=1)
    nearest = np.zeros_like(points)
    nearest[:, 2] = np.clip(points[:, 2], -geom.length / 2, geom.length / 2)
    return np.maximum(np.linalg.norm(points - nearest, axis=1) - geom.radius, 0.0)


def geoms_in_base(
    robot: RobotDescription, joints: dict[str, float], roles: set[str]
) -> list[tuple[np.ndarray, Geom, str]]:
    poses = robot.forward_kinematics(joints)
    return [
        (poses[link.name] @ geom.link_from_geom, geom, link.role)
        for link in robot.links
        if link.role in roles
        for geom in link.geoms
    ]


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_every_point_inside_arm_and_hand_is_dropped(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joints = random_joints(rng)
    for base_from_geom, geom, _ in geoms_in_base(PANDA, joints, {"arm", "hand"}):
        points = transform_points(base_from_geom, points_inside(geom, 50, rng))
        assert not self_filter(points, PANDA, joints, CONFIG).any()


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_exactly_the_points_within_the_margins_are_dropped(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joints = random_joints(rng)
    points = rng.uniform((-0.6, -0.6, 0.0), (0.8, 0.6, 1.0), (4000, 3))
    excess = np.full(len(points), np.inf)
    for base_from_geom, geom, role in geoms_in_base(PANDA, joints, {"arm", "hand"}):
        margin = CONFIG.link_margin if role == "arm" else CONFIG.hand_margin
        local = transform_points(inverse_transform(base_from_geom), points)
        excess = np.minimum(excess, distance(geom, local) - margin)
    clear = np.abs(excess) > 1e-5  # single precision decides the rest
    np.testing.assert_array_equal(self_filter(points, PANDA, joints, CONFIG)[clear], (excess > 0)[clear])


def test_fingers_stay_unless_told_otherwise() -> None:
    joints = dict(zip(PANDA.arm_joint_names, PANDA.home, strict=True)) | dict.fromkeys(PANDA.finger_joint_names, 0.03)
    # Finger tips: the pads, which lie well below the hand.
    tips = np.concatenate(
        [
            transform_points(pose, points_inside(geom, 40, np.random.default_rng(0)))
            for pose, geom, _ in geoms_in_base(PANDA, joints, {"finger"})
            if isinstance(geom, Box) and geom.pad
        ]
    )
    assert self_filter(tips, PANDA, joints, CONFIG).all()
    assert not self_filter(tips, PANDA, joints, replace(CONFIG, keep_fingers=False)).any()


def test_the_hand_stays_when_told_so() -> None:
    joints = dict(zip(PANDA.arm_joint_names, PANDA.home, strict=True))
    [(pose, geom, _)] = geoms_in_base(PANDA, joints, {"hand"})
    # The side of the hand away from the flange, out of the arm's margin.
    points = transform_points(pose, points_inside(geom, 400, np.random.default_rng(0)))
    assert not self_filter(points, PANDA, joints, CONFIG).any()
    assert self_filter(points, PANDA, joints, replace(CONFIG, keep_hand=True)).any()


def test_no_points_are_no_problem() -> None:
    joints = dict(zip(PANDA.arm_joint_names, PANDA.home, strict=True))
    assert self_filter(np.zeros((0, 3)), PANDA, joints, CONFIG).shape == (0,)


def test_a_missing_joint_is_named() -> None:
    joints = dict(zip(PANDA.arm_joint_names, PANDA.home, strict=True))
    del joints["panda_joint4"]
    with pytest.raises(PerceptionError, match="panda_joint4"):
        self_filter(np.zeros((1, 3)), PANDA, joints, CONFIG)
