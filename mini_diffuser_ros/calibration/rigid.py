"""Rigid motions as six numbers, for least squares, and how far two poses lie apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


class Shift(NamedTuple):
    """How far one pose lies from another: metres between the origins, degrees between the axes."""

    metres: float
    degrees: float

    def __str__(self) -> str:
        return f"{1e3 * self.metres:.2f} mm and {self.degrees:.3f} degrees"


def matrix_from_vector(vector: ArrayLike) -> Array:
    """(4, 4) pose of (6,): rotation vector, radians, then translation, metres."""
    values = np.asarray(vector, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(values[:3]).as_matrix()
    matrix[:3, 3] = values[3:6]
    return matrix


def shift_between(first: ArrayLike, second: ArrayLike) -> Shift:
    """How far two poses (4, 4) of one frame in another lie apart."""
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    turn = Rotation.from_matrix(one[:3, :3].T @ other[:3, :3]).magnitude()
    return Shift(float(np.linalg.norm(one[:3, 3] - other[:3, 3])), float(np.degrees(turn)))


def mean_pose(poses: ArrayLike) -> Array:
    """(4, 4) mean of poses (N, 4, 4) that lie near each other."""
    stacked = np.asarray(poses, dtype=np.float64)
    mean = np.eye(4)
    mean[:3, :3] = Rotation.from_matrix(stacked[:, :3, :3]).mean().as_matrix()
    mean[:3, 3] = stacked[:, :3, 3].mean(axis=0)
    return mean
