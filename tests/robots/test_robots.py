"""The descriptions agree with published numbers, and every user of them sees the same robot."""

import mujoco
import numpy as np
import pytest

from mini_diffuser_ros.robots import ROBOTS, UnknownRobotError, load_robot, robot_mjcf


@pytest.mark.parametrize("name", ROBOTS)
def test_forward_kinematics_equal_mujoco_on_the_exported_model(name: str) -> None:
    robot = load_robot(name)
    model = mujoco.MjModel.from_xml_string(robot_mjcf(robot))
    data = mujoco.MjData(model)
    generator = np.random.default_rng(0)
    for _ in range(20):
        arm = generator.uniform(*robot.position_limits.T)
        fingers = generator.uniform(*robot.finger_position_limits, size=2)
        data.qpos[:] = np.concatenate([arm, fingers])
        mujoco.mj_forward(model, data)
        names = (*robot.arm_joint_names, *robot.finger_joint_names)
        poses = robot.forward_kinematics(dict(zip(names, data.qpos, strict=True)))
        np.testing.assert_allclose(poses[robot.tcp_frame][:3, 3], data.site(robot.tcp_frame).xpos, atol=1e-7)
        for link in robot.links:
            if link.name != robot.tcp_frame:
                np.testing.assert_allclose(poses[link.name][:3, 3], data.body(link.name).xpos, atol=1e-7)
                np.testing.assert_allclose(poses[link.name][:3, :3], data.body(link.name).xmat.reshape(3, 3), atol=1e-7)


@pytest.mark.parametrize("name", ROBOTS)
def test_home_points_down_over_the_table_without_contact(name: str) -> None:
    robot = load_robot(name)
    # Franka's "ready" pose puts the tool centre point at 0.307 m, 0.487 m above the base.
    base_from_tcp = robot.tcp_pose(robot.home)
    np.testing.assert_allclose(base_from_tcp[:3, 3], (0.3069, 0.0, 0.4869), atol=1e-3)
    np.testing.assert_allclose(base_from_tcp[:3, 2], (0, 0, -1), atol=1e-9)
    model = mujoco.MjModel.from_xml_string(robot_mjcf(robot))
    data = mujoco.MjData(model)
    data.qpos[:7] = robot.home
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


@pytest.mark.parametrize("name", ROBOTS)
def test_limits_are_complete_and_home_lies_within(name: str) -> None:
    robot = load_robot(name)
    lower, upper = robot.position_limits.T
    assert (lower < robot.home).all()
    assert (robot.home < upper).all()
    for limits in (robot.velocity_limits, robot.acceleration_limits, robot.jerk_limits, robot.torque_limits):
        assert limits.shape == (7,)
        assert (limits > 0).all()
    assert robot.max_gripper_width == pytest.approx(0.08)


def test_a_missing_joint_is_named() -> None:
    robot = load_robot("panda")
    with pytest.raises(ValueError, match="panda_joint7"):
        robot.forward_kinematics(dict.fromkeys(robot.arm_joint_names[:6], 0.1))


def test_an_unknown_robot_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownRobotError, match="panda, fr3"):
        load_robot("ur5")
