"""States of LIBERO's own demonstrations, shown in an environment of their task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.libero.errors import LiberoError
from mini_diffuser_ros.libero.world import LiberoWorld
from mini_diffuser_ros.records import CameraView, FloatArray
from mini_diffuser_ros.robots import RobotDescription, load_robot

Array = NDArray[np.float64]


class LiberoReplay:
    """A :class:`LiberoWorld` in which states are shown instead of lived through; a ``ReplayWorld``.

    Args:
        world: the demonstrations' task is laid out in it, with any seed.
    """

    def __init__(self, world: LiberoWorld) -> None:
        self._world = world
        self.name = world.name
        self.description: RobotDescription = load_robot(world.robot)

    def show(self, state: Array, fixtures: Mapping[str, Array]) -> None:
        """See ``ReplayWorld.show``.

        Raises:
            LiberoError: the state has another number of positions and speeds than the model.
        """
        environment = self._world.environment
        model, data = environment.model, environment.data
        self._check(state)
        for name, pose in fixtures.items():
            body = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name))
            if body >= 0:
                model.body_pos[body], model.body_quat[body] = pose[:3], np.roll(pose[3:], 1)
        data.time, data.qpos[:], data.qvel[:] = state[0], state[1 : 1 + model.nq], state[1 + model.nq :]
        environment.refresh()

    def arm_velocities(self, state: Array) -> Array:
        """(7,) rad/s of the arm's joints in a state."""
        self._check(state)
        model = self._world.environment.model
        joints = [model.joint(f"robot0_joint{number + 1}") for number in range(len(self.description.arm_joint_names))]
        return np.array([state[1 + model.nq + int(joint.dofadr[0])] for joint in joints])

    def views(self) -> Sequence[CameraView]:
        """Of the world's cameras."""
        return self._world.views()

    def joint_positions(self) -> Mapping[str, float]:
        """Of arm and fingers."""
        return self._world.joint_positions()

    def tcp_pose(self) -> FloatArray:
        """(7,) of the tool centre point."""
        return self._world.tcp_pose()

    def _check(self, state: Array) -> None:
        model, task = self._world.environment.model, self._world.environment.task
        if state.shape != (1 + model.nq + model.nv,):
            raise LiberoError(
                f"{task.suite}, {task.name}: a demonstrated state has {len(state)} numbers, this MuJoCo model has"
                f" {1 + model.nq + model.nv}: the file is of another task, or of another version of the benchmark"
            )
