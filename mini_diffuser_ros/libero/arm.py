"""The arm and the gripper of a LIBERO environment: joints that follow trajectories, fingers that open and close.

The torques of the joints are computed from where they are to be, at each step of MuJoCo, within the limits that
robosuite's model of the arm has. Its own controller of the tool's pose drives towards set points of the present pose
instead, which a tool follows less exactly: docs/libero.md has figures of both.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion import interpolate
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

STIFFNESS = 400.0
"""1/s^2: acceleration of a joint per radian off; damping is critical."""

GRIPPER_RATE = 2.5
"""1/s: share of its range by which the gripper's set point moves, as robosuite's."""

_ARRIVED_RAD, _RESTING_RAD_S, _BLOCKED_RAD = 1e-3, 5e-3, 0.02
_SETTLE_ARM_S = 1.0
_GRIPPER_TIMEOUT_S, _FINGER_RESTING_M_S, _GRASP_S = 1.5, 1e-3, 0.1


class LiberoArm:
    """The arm and gripper of a model.

    Args:
        model, data: MuJoCo's, with robosuite's Panda.
        robot: our description of the same arm, whose names of joints are used outside.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, robot: RobotDescription) -> None:
        self.robot = robot
        self._model, self._data = model, data
        joints = [model.joint(f"robot0_joint{number + 1}") for number in range(len(robot.arm_joint_names))]
        fingers = [model.joint(f"gripper0_finger_joint{number + 1}") for number in range(2)]
        self._qpos = np.array([int(joint.qposadr[0]) for joint in joints])
        self._dofs = np.array([int(joint.dofadr[0]) for joint in joints])
        self._finger_qpos = np.array([int(joint.qposadr[0]) for joint in fingers])
        self._finger_dofs = np.array([int(joint.dofadr[0]) for joint in fingers])
        self._motors = np.array([model.actuator(f"robot0_torq_j{number + 1}").id for number in range(len(joints))])
        names = [f"gripper0_gripper_finger_joint{number + 1}" for number in range(2)]
        self._finger_motors = np.array([model.actuator(name).id for name in names])
        self._torques = model.actuator_ctrlrange[self._motors]
        # Fingers move in opposite directions along their joints' axes.
        self._open = np.array([np.ptp(model.actuator_ctrlrange[motor]) for motor in self._finger_motors])
        self._signs = np.array([1.0, -1.0])
        self._wanted, self._forces = np.zeros(model.nv), np.zeros(model.nv)
        self.hold(gripper_open=True)

    def hold(self, gripper_open: bool) -> None:
        """Stay where it is now, after a layout has been made; the gripper goes to open or closed."""
        self._target, self._moving = self.positions(), np.zeros((2, len(self._qpos)))
        self.commanded_open = gripper_open
        self._opening = float(np.clip(self.width() / self._open.sum(), 0.0, 1.0))

    def start_at(self, positions: Array) -> None:
        """Be at rest at positions (J,), radians, before anything has happened in a layout."""
        self._data.qpos[self._qpos], self._data.qvel[self._dofs] = positions, 0.0
        mujoco.mj_forward(self._model, self._data)

    def positions(self) -> Array:
        """(J,) radians."""
        return self._data.qpos[self._qpos].copy()

    def width(self) -> float:
        """Metres between the fingers."""
        return float(np.abs(self._data.qpos[self._finger_qpos]).sum())

    def joint_positions(self) -> Mapping[str, float]:
        """By the names of the robot description, radians, and metres of each finger."""
        fingers = np.abs(self._data.qpos[self._finger_qpos])
        names = (*self.robot.arm_joint_names, *self.robot.finger_joint_names)
        return dict(zip(names, (*map(float, self.positions()), *map(float, fingers)), strict=True))

    def tcp_pose(self) -> Array:
        """(4, 4) ``base_from_tcp``, of our description at the joints' positions."""
        return self.robot.tcp_pose(self.positions())

    def step(self, seconds: float) -> None:
        """Let time pass; arm and gripper do what they were told."""
        for _ in range(round(seconds / self._model.opt.timestep)):
            self._advance()

    def follow(self, trajectory: JointTrajectory) -> None:
        """Follow a trajectory of the arm's joints, which begins where the arm is, and come to rest at its end."""
        period = self._model.opt.timestep
        times = np.arange(1, int(np.ceil(trajectory.duration / period)) + 1) * period + trajectory.times[0]
        columns = [trajectory.joint_names.index(name) for name in self.robot.arm_joint_names]
        motion = [values[:, columns] for values in interpolate(trajectory, np.minimum(times, trajectory.times[-1]))]
        for position, velocity, acceleration in zip(*motion, strict=True):
            self._target, self._moving[0], self._moving[1] = position, velocity, acceleration
            self._advance()
        self._target, self._moving = trajectory.positions[-1, columns].copy(), np.zeros((2, len(columns)))
        for _ in range(int(_SETTLE_ARM_S / period)):
            off = np.max(np.abs(self._target - self._data.qpos[self._qpos]))
            if off < _ARRIVED_RAD and np.max(np.abs(self._data.qvel[self._dofs])) < _RESTING_RAD_S:
                return
            self._advance()
        if np.max(np.abs(self._target - self._data.qpos[self._qpos])) > _BLOCKED_RAD:
            self._target = self.positions()  # where something is in the way, it is not pressed against for ever

    def take_gripper(self, gripper_open: bool) -> None:
        """Open or close the gripper, and wait until the fingers rest, in the air or at what they hold."""
        self.commanded_open = gripper_open
        period, rested = self._model.opt.timestep, 0.0
        for _ in range(int(_GRIPPER_TIMEOUT_S / period)):
            self._advance()
            # A closing gripper has to press before it is lifted: its set point runs ahead of what holds the fingers.
            told = self._opening == float(gripper_open)
            resting = np.max(np.abs(self._data.qvel[self._finger_dofs])) < _FINGER_RESTING_M_S
            rested = rested + period if told and resting else 0.0
            if rested >= _GRASP_S:
                break

    def _advance(self) -> None:
        model, data = self._model, self._data
        mujoco.mj_step1(model, data)
        off, slow = self._target - data.qpos[self._qpos], self._moving[0] - data.qvel[self._dofs]
        self._wanted[self._dofs] = self._moving[1] + STIFFNESS * off + 2.0 * np.sqrt(STIFFNESS) * slow
        mujoco.mj_mulM(model, data, self._forces, self._wanted)
        # Passive forces are large: the hand of robosuite's model has the inertia of a thing a metre wide, and air
        # resists its turning with up to 12 N m, all that the last joint has.
        torques = (self._forces + data.qfrc_bias - data.qfrc_passive)[self._dofs]
        data.ctrl[self._motors] = np.clip(torques, self._torques[:, 0], self._torques[:, 1])
        step = GRIPPER_RATE * model.opt.timestep
        self._opening = float(np.clip(self._opening + (step if self.commanded_open else -step), 0.0, 1.0))
        data.ctrl[self._finger_motors] = self._signs * self._opening * self._open
        mujoco.mj_step2(model, data)
