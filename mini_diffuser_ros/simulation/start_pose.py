"""Where the arm is when a demonstration or an evaluation begins: anywhere above the table."""

from __future__ import annotations

from typing import Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import matrix_from_pose, matrix_from_quaternion, top_down_quaternion
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

# Tool centre point, metres in the base frame, and yaw, radians.
_X: Final = (0.30, 0.60)
_Y: Final = (-0.25, 0.25)
_Z: Final = (0.15, 0.45)
_YAW: Final = (-np.pi / 4.0, np.pi / 4.0)

_ITERATIONS: Final = 60
_DAMPING: Final = 1e-3
_TOLERANCE: Final = 1e-4


def draw_start(rng: np.random.Generator, robot: RobotDescription, model: mujoco.MjModel) -> Array:
    """Arm joint positions (J,) radians that hold the gripper top-down at a random place above the table."""
    for _ in range(50):
        position = [rng.uniform(*bounds) for bounds in (_X, _Y, _Z)]
        pose = np.concatenate([position, top_down_quaternion(float(rng.uniform(*_YAW)))])
        positions = _inverse_kinematics(robot, model, pose)
        if positions is not None:
            return positions
    return np.array(robot.home)


def _inverse_kinematics(robot: RobotDescription, model: mujoco.MjModel, pose: Array) -> Array | None:
    """Joint positions (J,) that bring the tool to ``pose`` (7,), found by damped steps from home, or None."""
    data = mujoco.MjData(model)
    joints = [model.joint(name) for name in robot.arm_joint_names]
    addresses = np.array([joint.qposadr[0] for joint in joints])
    columns = np.array([joint.dofadr[0] for joint in joints])
    site = model.site(robot.tcp_frame).id
    wanted = matrix_from_pose(pose)
    lower, upper = robot.position_limits[:, 0] + 0.05, robot.position_limits[:, 1] - 0.05
    positions = np.array(robot.home)
    # Turning the base towards the target first leaves only a small step to iterate over.
    turn = np.arctan2(pose[1], pose[0])
    positions[0] += turn
    positions[-1] += turn - _yaw(pose)
    jacobian = np.zeros((6, model.nv))
    for _ in range(_ITERATIONS):
        data.qpos[addresses] = positions
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        error = np.concatenate(
            [
                wanted[:3, 3] - data.site_xpos[site],
                _rotation_vector(wanted[:3, :3] @ data.site_xmat[site].reshape(3, 3).T),
            ]
        )
        if np.linalg.norm(error) < _TOLERANCE:
            return positions
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
        arm = jacobian[:, columns]
        step = arm.T @ np.linalg.solve(arm @ arm.T + _DAMPING * np.eye(6), error)
        positions = np.clip(positions + step, lower, upper)
    return None


def _yaw(pose: Array) -> float:
    tool = matrix_from_quaternion(pose[3:])
    return float(np.arctan2(tool[1, 0], tool[0, 0]))


def _rotation_vector(rotation: Array) -> Array:
    """Axis times angle, for rotations below half a turn."""
    axis = 0.5 * np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine, cosine = np.linalg.norm(axis), (np.trace(rotation) - 1.0) / 2.0
    return axis if sine < 1e-9 else axis / sine * np.arctan2(sine, cosine)
