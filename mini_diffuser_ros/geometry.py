"""Poses, rotations, frames, planes and voxels.

Quaternions are xyzw, as in ROS messages; transforms3d, which does the conversions, uses wxyz, and this is the only
module that knows it. ``a_from_b`` is the 4x4 pose of frame b in frame a: ``p_a = a_from_b @ p_b``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from transforms3d import quaternions

Array = NDArray[np.float64]


def matrix_from_quaternion(quaternion: ArrayLike) -> Array:
    """Rotation matrix (3, 3) of a quaternion xyzw (4,); it is normalised first.

    Raises:
        ValueError: if it is not four finite numbers or its norm is zero.
    """
    x, y, z, w = _unit_quaternion(quaternion)
    return np.asarray(quaternions.quat2mat((w, x, y, z)), dtype=np.float64)


def quaternion_from_matrix(rotation: ArrayLike) -> Array:
    """Quaternion xyzw (4,) of a rotation matrix (3, 3), with w >= 0."""
    w, x, y, z = quaternions.mat2quat(np.asarray(rotation, dtype=np.float64)[:3, :3])
    quaternion = np.array([x, y, z, w])
    return -quaternion if w < 0 else quaternion


def pose_from_matrix(parent_from_child: ArrayLike) -> Array:
    """Pose (7,) xyz + xyzw of a (4, 4) matrix."""
    matrix = np.asarray(parent_from_child, dtype=np.float64)
    return np.concatenate([matrix[:3, 3], quaternion_from_matrix(matrix[:3, :3])])


def matrix_from_pose(pose: ArrayLike) -> Array:
    """(4, 4) matrix of a pose (7,) xyz + xyzw.

    Raises:
        ValueError: if the pose has another shape, is not finite or its quaternion is zero.
    """
    values = np.asarray(pose, dtype=np.float64)
    if values.shape != (7,):
        raise ValueError(f"pose has shape {values.shape}, expected (7,) xyz + quaternion xyzw")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"pose {values} is not finite")
    matrix = np.eye(4)
    matrix[:3, :3] = matrix_from_quaternion(values[3:])
    matrix[:3, 3] = values[:3]
    return matrix


def inverse_transform(a_from_b: ArrayLike) -> Array:
    """``b_from_a`` (4, 4) of a rigid ``a_from_b`` (4, 4)."""
    matrix = np.asarray(a_from_b, dtype=np.float64)
    inverse = np.eye(4)
    inverse[:3, :3] = matrix[:3, :3].T
    inverse[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return inverse


def transform_points(a_from_b: ArrayLike, points_b: ArrayLike) -> NDArray[np.floating]:
    """Points (N, 3) of frame b in frame a, in the points' own floating type."""
    points = np.asarray(points_b)
    matrix = np.asarray(a_from_b, dtype=points.dtype if points.dtype.kind == "f" else np.float64)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def axis_angle_matrix(axis: ArrayLike, angle: float) -> Array:
    """(4, 4) rotation by ``angle`` radians about ``axis`` (3,), which need not be of unit length."""
    x, y, z = np.asarray(axis, dtype=np.float64) / np.linalg.norm(np.asarray(axis, dtype=np.float64))
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    matrix = np.eye(4)
    matrix[:3, :3] += np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
    return matrix


def matrix_from_rpy(rpy: ArrayLike) -> Array:
    """(3, 3) rotation of URDF's roll, pitch, yaw (extrinsic x, y, z), radians."""
    roll, pitch, yaw = np.asarray(rpy, dtype=np.float64)
    rotation = axis_angle_matrix((0, 0, 1), yaw) @ axis_angle_matrix((0, 1, 0), pitch)
    return (rotation @ axis_angle_matrix((1, 0, 0), roll))[:3, :3]


def rpy_from_matrix(rotation: ArrayLike) -> Array:
    """(3,) roll, pitch and yaw about fixed axes, radians, of a (3, 3) rotation; yaw is 0 where it points up or down."""
    matrix = np.asarray(rotation, dtype=np.float64)
    level = np.hypot(matrix[0, 0], matrix[1, 0])
    pitch = np.arctan2(-matrix[2, 0], level)
    if level < 1e-9:
        return np.array([np.arctan2(-matrix[1, 2], matrix[1, 1]), pitch, 0.0])
    return np.array([np.arctan2(matrix[2, 1], matrix[2, 2]), pitch, np.arctan2(matrix[1, 0], matrix[0, 0])])


def quaternion_angle(first: ArrayLike, second: ArrayLike) -> float:
    """Angle in [0, pi] between two rotations given as quaternions xyzw (4,)."""
    one, other = _unit_quaternion(first), _unit_quaternion(second)
    # A quaternion and its negative are the same rotation; lengths keep full precision near zero, arccos does not.
    shorter, longer = sorted((np.linalg.norm(one - other), np.linalg.norm(one + other)))
    return float(4.0 * np.arctan2(shorter, longer))


def top_down_quaternion(yaw: float) -> Array:
    """Quaternion xyzw of a gripper that points straight down, turned by ``yaw`` about the base's z axis.

    At yaw 0 the approach axis (z) points down and the tool's x axis along the base's x axis, so that the fingers
    open along the base's y axis.
    """
    return np.array([np.cos(yaw / 2.0), np.sin(yaw / 2.0), 0.0, 0.0])


def gripper_symmetric_pose(pose: ArrayLike) -> Array:
    """The pose (7,) turned by 180 degrees about its approach axis: the same grasp for a parallel gripper."""
    x, y, z, qx, qy, qz, qw = np.asarray(pose, dtype=np.float64)
    # q * (0, 0, 1, 0): right multiplication with half a turn about the tool's own z axis.
    return np.array([x, y, z, qy, -qx, qw, -qz])


def same_grasp(pose: ArrayLike, wanted: ArrayLike) -> Array:
    """Of the two turns of a parallel gripper that grasp alike, the one closer to ``wanted`` (7,), in its sign."""
    here, goal = np.asarray(pose, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    turned = gripper_symmetric_pose(here)
    near = quaternion_angle(here[3:], goal[3:]) <= quaternion_angle(turned[3:], goal[3:])
    same = here if near else turned
    sign = 1.0 if np.dot(same[3:], goal[3:]) >= 0.0 else -1.0
    return np.concatenate([same[:3], sign * same[3:]])


def voxel_downsample(
    points: NDArray[np.floating], colors: NDArray[np.uint8], voxel_size: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """One point a voxel: mean position and mean colour of the points in it.

    The grid is anchored at the origin of the frame, so that the same surface gives the same voxels from one cloud to
    the next.

    Args:
        points: (N, 3), metres.
        colors: (N, 3) uint8.
        voxel_size: edge, metres, positive.

    Returns:
        points (V, 3) float32 and colours (V, 3) uint8, ordered by voxel.
    """
    # Axis by axis: numpy's operations along the long axis of (N, 3) are several times slower.
    columns, shades = np.ascontiguousarray(points.T), np.ascontiguousarray(colors.T)
    means, mean_colors = voxel_downsample_columns(columns, shades, voxel_size)
    return np.ascontiguousarray(means.T), np.ascontiguousarray(mean_colors.T)


def voxel_downsample_columns(
    points: NDArray[np.floating], colors: NDArray[np.uint8], voxel_size: float, most: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """:func:`voxel_downsample` of points and colours (3, N) with one row an axis; gives (3, V) likewise.

    With ``most`` no more than so many voxels are kept, evenly spread over their order.
    """
    if not voxel_size > 0.0:
        raise ValueError(f"voxel_size is {voxel_size}, expected a positive length in metres")
    if points.shape[1] == 0:
        return np.zeros((3, 0), np.float32), np.zeros((3, 0), np.uint8)
    order, starts = _groups(_voxel_keys(points, voxel_size))
    counts = np.diff(starts, append=len(order))
    if most is not None and len(starts) > most:
        kept = evenly_spread(len(starts), most)
        starts, counts = starts.take(kept), counts.take(kept)
    heads = order.take(starts)
    means = points.take(heads, axis=1).astype(np.float32, copy=False)
    mean_colors = colors.take(heads, axis=1)
    # Only crowded voxels need sums, and few have more than two points in clouds that were voxelised before.
    pairs = np.flatnonzero(counts == 2)
    if len(pairs):
        pair, other = heads.take(pairs), order.take(starts.take(pairs) + 1)
        means[:, pairs] = (points.take(pair, axis=1) + points.take(other, axis=1).astype(np.float64)) / 2
        mean_colors[:, pairs] = np.rint((colors.take(pair, axis=1) + colors.take(other, axis=1).astype(np.float64)) / 2)
    crowds = np.flatnonzero(counts > 2)
    if len(crowds):
        sizes = counts.take(crowds)
        firsts = np.cumsum(sizes) - sizes
        members = order.take(np.arange(sizes.sum()) + np.repeat(starts.take(crowds) - firsts, sizes))
        values = np.empty((6, len(members)))
        values[:3], values[3:] = points.take(members, axis=1), colors.take(members, axis=1)
        sums = np.add.reduceat(values, firsts, axis=1) / sizes
        means[:, crowds], mean_colors[:, crowds] = sums[:3], np.rint(sums[3:])
    return means, mean_colors


def evenly_spread(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the indices below ``count``, from the first to the last in steps as equal as can be."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def nearest_plane(points: NDArray[np.floating]) -> tuple[Array, float]:
    """The plane that lies nearest to points, by the squares of their distances.

    Args:
        points: (N, 3) metres, three of them at least.

    Returns:
        The unit normal, (3,), which does not point down, and the offset, metres: ``normal @ point == offset`` on it.
    """
    exact = np.asarray(points, dtype=np.float64)
    middle = exact.mean(axis=0)
    normal = np.linalg.svd((exact - middle).T @ (exact - middle))[0][:, 2]
    normal = normal if normal[2] > 0.0 else -normal
    return normal, float(normal @ middle)


def _voxel_keys(points: NDArray[np.floating], voxel_size: float) -> NDArray[np.int64]:
    """Number (N,) of the voxel that each of the points (3, N), N > 0, lies in, by x, then y, then z."""
    keys = np.zeros(points.shape[1], np.int64)
    for row in points:
        cells = np.floor(row / voxel_size)
        low, high = int(cells.min()), int(cells.max())
        keys *= high - low + 1
        keys += cells.astype(np.int64) - low
    return keys


def _groups(keys: NDArray[np.int64]) -> tuple[NDArray[np.integer], NDArray[np.intp]]:
    """Indices of equal keys after one another, by key and then by index, and where each group starts.

    Args:
        keys: (N,) not negative, N > 0.
    """
    bits = len(keys).bit_length()
    width = int(keys.max()).bit_length() + bits
    if width > 63:
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
    else:
        # Key and index in one integer: numpy sorts values with vector instructions, but not their indices.
        # Half as wide, they are sorted twice as fast.
        kind = np.dtype(np.uint32 if width <= 32 else np.int64)
        combined: NDArray[np.integer] = ((keys << bits) | np.arange(len(keys))).astype(kind)
        combined.sort()
        order, ordered = combined & ((1 << bits) - 1), combined >> bits
    first = np.ones(len(keys), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return order, np.flatnonzero(first)


def _unit_quaternion(quaternion: ArrayLike) -> Array:
    values = np.asarray(quaternion, dtype=np.float64)
    norm = np.linalg.norm(values) if values.shape == (4,) else np.nan
    if not np.isfinite(norm) or norm == 0.0:
        raise ValueError(f"quaternion {values} is not four finite numbers xyzw with a length above zero")
    return values / norm
