"""RLBench's arm is found in a cloud without boxes around its links, by our description of it."""

import numpy as np
import pytest

from mini_diffuser_ros.data.formats.described_arm import JOINTS, ArmPosture, without_described_arm
from mini_diffuser_ros.geometry import quaternion_from_matrix
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.robots import load_robot

BASE = np.array([-0.3, 0.02, 0.76])


def _posture(joints: np.ndarray, turned: float = 0.0) -> ArmPosture:
    """As it is measured where the base stands upright at BASE, or turned about y by so many radians."""
    hand = load_robot("panda").tcp_pose(joints)
    turn = np.array([[np.cos(turned), 0.0, np.sin(turned)], [0.0, 1.0, 0.0], [-np.sin(turned), 0.0, np.cos(turned)]])
    return ArmPosture(joints, np.array([*(BASE + hand[:3, 3]), *quaternion_from_matrix(turn @ hand[:3, :3])]))


def _cloud_of(points: np.ndarray) -> Cloud:
    return Cloud(points.astype(np.float32), np.zeros((len(points), 3), np.uint8), "world")


@pytest.mark.parametrize("seed", range(5))
def test_links_go_and_hand_fingers_and_scene_stay(seed: int) -> None:
    random = np.random.default_rng(seed)
    robot = load_robot("panda")
    joints = np.array([0.0, 0.2, 0.0, -1.6, 0.0, 1.8, 0.8]) + random.uniform(-0.3, 0.3, 7)
    poses = robot.forward_kinematics(dict(zip(JOINTS, joints, strict=True)))
    links, others = [], []
    for link in robot.links:
        for geom in link.geoms:
            inside = (poses[link.name] @ geom.link_from_geom)[:3, 3] + BASE
            (links if link.role == "arm" else others).append(inside)
    tip = poses[robot.tcp_frame][:3, 3] + BASE
    others += [tip + np.array([0.0, 0.0, -0.05]), tip + np.array([0.2, 0.3, 0.0])]
    kept = without_described_arm(_cloud_of(np.array([*links, *others])), _posture(joints))
    np.testing.assert_allclose(kept.points[-2:], others[-2:], atol=1e-6)
    for link_point in links:
        assert np.linalg.norm(kept.points - link_point, axis=1).min() > 1e-3
    assert len(kept) > 2, "of the hand and the fingers something is left"


def test_the_base_is_measured_and_an_arm_of_another_kind_is_left_alone() -> None:
    joints = np.array([0.1, 0.2, -0.1, -1.6, 0.0, 1.8, 0.8])
    np.testing.assert_allclose(_posture(joints).base, BASE, atol=1e-9)
    for strange in (
        _posture(joints, turned=0.3),
        ArmPosture(joints * np.nan, _posture(joints).gripper_pose),
        ArmPosture(joints, np.zeros(7)),
    ):
        assert strange.base is None
        cloud = _cloud_of(BASE[None] + np.array([0.0, 0.0, 0.1]))
        assert without_described_arm(cloud, strange) is cloud
