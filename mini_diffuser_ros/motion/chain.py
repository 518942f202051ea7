"""Forward kinematics of many joint positions at once: from the base to the tool as turns about z axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]


class ArmChain:
    """The arm's joints, each with a frame that turns with it about its own z axis.

    Args:
        robot: the arm.
    """

    def __init__(self, robot: RobotDescription) -> None:
        turns, fixed = robot.turns_to_tcp()
        self._turns = turns[:, None]
        self._tool = fixed
        # Of each joint and of the tool, what makes of the frame before it the own columns, and the way between the two.
        self._columns = np.concatenate([turns[:, :3].transpose(0, 2, 1), fixed[None, :3].transpose(0, 2, 1)])
        places = self.axes(np.zeros((1, len(turns))))[1]
        self.link_lengths = np.linalg.norm(np.diff(places[..., 0], axis=0), axis=1)
        """(J,) metres from the place of each joint to that of the next, the last to the tool centre point."""

    def frames(self, positions: Array) -> Array:
        """(J, N, 4, 4) poses in the base frame of the joints' frames, at joint positions (N, J) radians."""
        cosine, sine = np.cos(positions.T)[..., None], np.sin(positions.T)[..., None]
        fixed = self._turns
        steps = np.empty((*positions.T.shape, 4, 4))
        steps[..., 0] = fixed[..., 0] * cosine + fixed[..., 1] * sine
        steps[..., 1] = fixed[..., 1] * cosine - fixed[..., 0] * sine
        steps[..., 2:] = fixed[..., 2:]
        for joint in range(1, len(steps)):
            np.matmul(steps[joint - 1], steps[joint], out=steps[joint])
        return steps

    def axes(self, positions: Array) -> tuple[Array, Array]:
        """Axes (J, 3, N) of the joints and places (J + 1, 3, N) of them and of the tool centre point, base frame.

        As :meth:`frames` at joint positions (N, J) radians, but faster where there are hundreds.
        """
        count, joints = positions.shape
        cosine, sine = np.cos(positions.T), np.sin(positions.T)
        axes, places = np.empty((joints, 3, count)), np.empty((joints + 1, 3, count))
        columns, place = np.repeat(np.eye(3)[..., None], count, axis=2), np.zeros((3, count))
        for joint, change in enumerate(self._columns):
            x, y, z, way = (change @ columns.reshape(3, -1)).reshape(4, 3, count)
            places[joint] = place = place + way
            if joint < joints:
                axes[joint] = columns[2] = z
                columns[0] = cosine[joint] * x + sine[joint] * y
                columns[1] = cosine[joint] * y - sine[joint] * x
        return axes, places

    def tools(self, frames: Array) -> Array:
        """(N, 4, 4) ``base_from_tcp``, given frames (J, N, 4, 4)."""
        return np.asarray(frames[-1] @ self._tool)

    @staticmethod
    def jacobians(frames: Array, places: Array) -> Array:
        """(N, 6, J): velocity and turning in the base frame of points at (N, 3), per rad/s of each joint."""
        axes = frames[..., :3, 2]
        arms = places - frames[..., :3, 3]
        return np.concatenate([cross(axes, arms), axes], axis=2).transpose(1, 2, 0)


def cross(first: Array, second: Array) -> Array:
    """(..., 3) cross products, faster than NumPy's for many vectors."""
    out = np.empty(np.broadcast_shapes(first.shape, second.shape))
    for row, (one, other) in enumerate(((1, 2), (2, 0), (0, 1))):
        out[..., row] = first[..., one] * second[..., other] - first[..., other] * second[..., one]
    return out
