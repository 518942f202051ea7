"""Where the shapes of a planning model are at many joint positions, and how far a short motion takes them."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.chain import ArmChain, cross
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reach:
    """How far points move in a motion of joints, all fields of one shape.

    Attributes:
        most: metres, bound that holds for every place of the motion.
        speed: metres, what the motion would be if all points went on as they begin.
        bend: metres, bound of the second derivative.
    """

    most: Array
    speed: Array
    bend: Array

    @property
    def whole(self) -> Array:
        """Metres that points move at most in the whole motion."""
        return np.minimum(self.most, self.speed + 0.5 * self.bend)

    def fraction(self, distance: Array) -> Array:
        """The fraction of the motion in which points move by at most a distance, finite metres; may be more than 1."""
        along = 2.0 * distance / (self.speed + np.sqrt(self.speed**2 + 2.0 * self.bend * distance) + _TINY)
        return np.maximum(distance / (self.most + _TINY), along)

    def of(self, pairs: NDArray[np.intp], places: NDArray[np.intp]) -> Reach:
        """(C,) of chosen pairs at chosen places."""
        return Reach(self.most[pairs, places], self.speed[pairs, places], self.bend[pairs, places])


@dataclass(frozen=True, eq=False)
class PlacedShapes:
    """G shapes at N joint positions, each with a motion that begins there.

    Attributes:
        rotations: (G, N, 3, 3) base from shape.
        centers: (G, N, 3) metres, base frame.
        turning: (G, N, 3) radians that the motion turns each by, if it goes on as it begins.
        shifting: (G, N, 3) metres that it moves what is at the base's origin by.
        travel: (N, J) radians, how far the joints move.
        tools: (N, 3) metres, tool centre point.
    """

    rotations: Array
    centers: Array
    turning: Array
    shifting: Array
    travel: Array
    tools: Array

    def reach(self, moving: NDArray[np.intp], other: NDArray[np.intp], leverage: Array, radius: Array) -> Reach:
        """(P, N) how far points of shapes ``moving`` (P,) come relative to shapes ``other`` (P,).

        Args:
            moving, other: numbers of shapes.
            leverage: (P, J) metres per radian, the most that a joint moves such a point.
            radius: (P,) metres, of spheres about the centres of ``moving`` that hold them.
        """
        turning = self.turning[moving] - self.turning[other]
        velocity = cross(turning, self.centers[moving]) + self.shifting[moving] - self.shifting[other]
        speed = _norm(velocity) + radius[:, None] * _norm(turning)
        return Reach(leverage @ self.travel.T, speed, leverage @ _bends(self.travel).T)

    def tool_reach(self, leverage: Array) -> Reach:
        """(N,) how far the tool centre point comes, given (J,) metres per radian of the last shape of the arm."""
        velocity = cross(self.turning[-1], self.tools) + self.shifting[-1]
        return Reach(self.travel @ leverage, _norm(velocity), _bends(self.travel) @ leverage)


class ArmShapes:
    """Kinematics of all shapes of a planning model at once.

    Args:
        robot: the arm.
        model: its planning model.
    """

    def __init__(self, robot: RobotDescription, model: mujoco.MjModel) -> None:
        self._chain = ArmChain(robot)
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        zero = np.concatenate([np.eye(4)[None], self._chain.frames(np.zeros((1, model.nq)))[:, 0]])
        # Number of the frame that carries a shape: 0 of the base, j + 1 of joint j.
        self._carrier = np.array([_carrier(model, body) for body in model.geom_bodyid])
        poses = np.tile(np.eye(4), (model.ngeom, 1, 1))
        poses[:, :3, :3] = data.geom_xmat.reshape(-1, 3, 3)
        poses[:, :3, 3] = data.geom_xpos
        self._local = (np.linalg.inv(zero)[self._carrier] @ poses)[:, None]
        self.joints = self._carrier - 1

    def move_shape(self, geom: int, offset: Array) -> None:
        """Shift a shape by (3,) metres in its own frame."""
        shift = np.eye(4)
        shift[:3, 3] = offset
        self._local[geom] = self._local[geom] @ shift

    def placed(self, positions: Array, steps: Array) -> PlacedShapes:
        """The shapes at joint positions (N, J), from where joints move by steps (N, J), radians, forth or back."""
        frames = self._chain.frames(positions)
        count = len(positions)
        carriers = np.empty((len(frames) + 1, count, 4, 4))
        carriers[0], carriers[1:] = np.eye(4), frames
        poses = carriers[self._carrier] @ self._local
        turning, shifting = np.zeros((2, len(frames) + 1, count, 3))
        turns = steps.T[:, :, None] * frames[..., :3, 2]
        np.cumsum(turns, axis=0, out=turning[1:])
        np.cumsum(cross(frames[..., :3, 3], turns), axis=0, out=shifting[1:])
        return PlacedShapes(
            poses[..., :3, :3],
            poses[..., :3, 3],
            turning[self._carrier],
            shifting[self._carrier],
            np.abs(steps),
            self._chain.tools(frames)[:, :3, 3],
        )


_TINY = 1e-9


def _carrier(model: mujoco.MjModel, body: int) -> int:
    while body and model.body_jntadr[body] < 0:
        body = model.body_parentid[body]
    return int(model.body_jntadr[body]) + 1 if body else 0


def _bends(travel: Array) -> Array:
    """(N, J) squares of radians: with the leverages of the joints they bound second derivatives of points' places.

    Two joints' turns add the second derivative of their product times the leverage of the outer one.
    """
    inner = np.cumsum(travel, axis=1) - travel
    return np.asarray(travel * (travel + 2.0 * inner))


def _norm(vectors: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)))
