"""Depth images to points.

A pixel (u, v) with planar depth d lies at ``d * inverse(K) @ (u, v, 1)`` in the camera frame, integers being pixel
centres, if the lens is a pinhole; other lenses are undone first. The formula is kept general: RLBench's cameras have
negative focal lengths.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.perception.distortion import check_distortion, pixel_directions
from mini_diffuser_ros.perception.errors import InvalidViewError, PerceptionError
from mini_diffuser_ros.records import CameraView, Distortion, FusionConfig

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


PINHOLE = Distortion()


def back_project(
    depth: NDArray[np.floating], intrinsics: NDArray[np.floating], distortion: Distortion = PINHOLE, step: int = 1
) -> Floats:
    """Point of each pixel, or of one in every ``step`` rows and columns, in the camera frame.

    Args:
        depth: (H, W) planar depth, metres; 0, negative, NaN and inf mean "no measurement".
        intrinsics: (3, 3) pinhole matrix, pixels.
        distortion: of the lens.
        step: pixels from one to the next, in both directions.

    Returns:
        (H, W, 3) float32, metres, of a step of 1, else accordingly fewer; NaN where there is no measurement.

    Raises:
        PerceptionError: if a shape is wrong, the depth is of an integer type, the matrix cannot be inverted or the
            lens cannot be undone.
    """
    if depth.ndim != 2 or depth.dtype.kind != "f":
        raise PerceptionError(f"depth is {depth.dtype} of shape {depth.shape}, expected floating metres (H, W)")
    inverse = _inverse_intrinsics(intrinsics)
    height, width = depth.shape
    depth = depth[::step, ::step]
    distance = np.where((depth > 0) & np.isfinite(depth), depth, np.nan).astype(np.float32)
    points = np.empty((*depth.shape, 3), np.float32)
    check_distortion(distortion)
    if distortion.bends:
        directions = pixel_directions(inverse, distortion, height, width)[:, ::step, ::step]
        for axis in range(2):
            points[..., axis] = directions[axis] * distance
        points[..., 2] = distance
        return points
    u, v = np.arange(0, width, step), np.arange(0, height, step)[:, None]
    for axis, (per_u, per_v, constant) in enumerate(inverse):
        points[..., axis] = (per_u * u + per_v * v + constant) * distance
    return points


def check_view(view: CameraView) -> None:
    """Refuse a view that cannot be back-projected.

    Raises:
        InvalidViewError: naming the camera, what was found and what was expected.
    """
    depth, color = view.depth, view.color
    if depth.ndim != 2 or depth.size == 0 or depth.dtype.kind != "f":
        raise InvalidViewError(
            view.name, f"depth is {depth.dtype} of shape {depth.shape}, expected floating metres (H, W)"
        )
    if color.shape != (*depth.shape, 3) or color.dtype != np.uint8:
        raise InvalidViewError(
            view.name,
            f"color is {color.dtype} of shape {color.shape}, expected uint8 {(*depth.shape, 3)} like the depth",
        )
    try:
        _inverse_intrinsics(view.intrinsics)
        check_distortion(view.distortion)
    except PerceptionError as error:
        raise InvalidViewError(view.name, str(error)) from error
    pose = np.asarray(view.base_from_camera)
    if pose.shape != (4, 4) or not np.all(np.isfinite(pose)):
        raise InvalidViewError(view.name, f"base_from_camera of shape {pose.shape} is not a finite (4, 4) matrix")
    if np.abs(pose[:3, :3] @ pose[:3, :3].T - np.eye(3)).max() > 1e-3:
        raise InvalidViewError(view.name, "the rotation of base_from_camera is not orthonormal within 1e-3")
    if np.linalg.det(pose[:3, :3]) < 0.0:
        raise InvalidViewError(view.name, "the rotation of base_from_camera is mirrored: its determinant is -1")
    if np.abs(pose[3] - (0.0, 0.0, 0.0, 1.0)).max() > 1e-6:
        raise InvalidViewError(view.name, f"the last row of base_from_camera is {pose[3].tolist()}, expected 0 0 0 1")


def points_in_workspace(view: CameraView, config: FusionConfig, noise: float = 0.0) -> tuple[Floats, NDArray[np.uint8]]:
    """Back-project the pixels that land in the workspace, and only those.

    The height test comes first and on the whole image, because it throws out the table, which is most of what a camera
    sees; everything after it works on the survivors.

    Args:
        view: one camera's images.
        config: what to keep.
        noise: metres, standard deviation of the depth of what is a metre away; with ``table_spreads`` it tells what may
            be the table's.

    Returns:
        points (3, N) float32 in the base frame, one row an axis, and colours (N, 3) uint8.

    Raises:
        InvalidViewError: if the view is malformed.
    """
    check_view(view)
    depth = np.ascontiguousarray(view.depth, dtype=np.float32)
    origin = np.asarray(view.base_from_camera, dtype=np.float32)[:3, 3]
    low, high = np.array([config.workspace.lower, config.workspace.upper], dtype=np.float32)
    rays = _rays(view)
    z = rays.upwards()
    with np.errstate(invalid="ignore"):  # inf times a zero ray
        least = _least_height(z, depth, low[2], config, noise)
        z *= depth
        z += origin[2]
    pixels = np.flatnonzero((z > least) & (z < high[2]))
    distance = depth.reshape(-1).take(pixels)
    xy = rays.sideways(pixels)
    with np.errstate(over="ignore"):  # distances that are no measurements
        xy *= distance
    xy += origin[:2, None]
    x, y = xy
    inside = (distance > config.min_depth) & (distance < config.max_depth)
    for row, lowest, highest in ((x, low[0], high[0]), (y, low[1], high[1])):
        inside &= row > lowest
        inside &= row < highest
    if config.drop_flying_points:
        inside[inside] = ~_is_flying(depth, pixels.compress(inside), config.flying_point_jump)
    pixels = pixels.compress(inside)
    points = np.empty((3, len(pixels)), np.float32)
    xy.compress(inside, axis=1, out=points[:2])
    z.reshape(-1).take(pixels, out=points[2])
    return points, _pixels_of(view.color, pixels)


def _least_height(
    upwards: Floats, depth: Floats, lowest: np.float32, config: FusionConfig, noise: float
) -> Floats | np.float32:
    """Height above which a pixel is kept: what noise of its depth may have lifted from the table is not."""
    if not noise or not config.table_spreads:
        return lowest
    heights = np.abs(upwards) * np.square(depth)
    heights *= np.float32(config.table_spreads * noise)
    heights += np.float32(config.table_height)
    return np.maximum(heights, lowest, out=heights)


def _rays(view: CameraView) -> _PinholeRays | _BentRays:
    """What depth is multiplied with, in the base frame."""
    inverse, rotation = _inverse_intrinsics(view.intrinsics), np.asarray(view.base_from_camera, np.float64)[:3, :3]
    height, width = view.depth.shape
    if not view.distortion.bends:
        return _PinholeRays(rotation @ inverse, height, width)
    try:
        directions = pixel_directions(inverse, view.distortion, height, width)
    except PerceptionError as error:
        raise InvalidViewError(view.name, str(error)) from error
    return _BentRays(rotation.astype(np.float32), directions)


class _PinholeRays:
    """The ray through (u, v) is a term of u plus a term of v.

    Args:
        matrix: (3, 3) from homogeneous pixels to rays.
        height: pixels.
        width: pixels.
    """

    def __init__(self, matrix: NDArray[np.float64], height: int, width: int) -> None:
        self._u = (matrix[:, :1] * np.arange(width)).astype(np.float32)  # (3, W)
        self._v = (matrix[:, 1:2] * np.arange(height) + matrix[:, 2:]).astype(np.float32)  # (3, H)

    def upwards(self) -> Floats:
        """(H, W) the z of every ray."""
        return np.asarray(self._v[2][:, None] + self._u[2])

    def sideways(self, pixels: Indices) -> Floats:
        """(2, N) the x and y of the rays of pixels, by their number."""
        rows, columns = np.divmod(pixels, self._u.shape[1])
        xy = self._u[:2].take(columns, axis=1)
        xy += self._v[:2].take(rows, axis=1)
        return xy


class _BentRays:
    """Rays of a lens that bends them.

    Args:
        rotation: (3, 3) of the camera in the base frame, float32.
        directions: (2, H, W) as :func:`pixel_directions` gives them.
    """

    def __init__(self, rotation: Floats, directions: Floats) -> None:
        self._rotation, self._directions = rotation, directions

    def upwards(self) -> Floats:
        """(H, W) the z of every ray."""
        z = self._rotation[2, 0] * self._directions[0]
        z += self._rotation[2, 1] * self._directions[1]
        z += self._rotation[2, 2]
        return z

    def sideways(self, pixels: Indices) -> Floats:
        """(2, N) the x and y of the rays of pixels, by their number."""
        across, along = self._directions.reshape(2, -1).take(pixels, axis=1)
        return np.asarray(self._rotation[:2, :1] * across + self._rotation[:2, 1:2] * along + self._rotation[:2, 2:])


def _pixels_of(color: NDArray[np.uint8], pixels: Indices) -> NDArray[np.uint8]:
    """Colours (N, 3) of pixels by their number; ``color`` may be a view of any memory layout."""
    flat = color.reshape(-1, 3)
    # take() copies the whole picture first unless it is contiguous, as one of BGR is not.
    return flat.take(pixels, axis=0) if flat.flags.c_contiguous else flat[pixels]


def _inverse_intrinsics(intrinsics: NDArray[np.floating]) -> NDArray[np.float64]:
    matrix = np.asarray(intrinsics, dtype=np.float64)
    usable = matrix.shape == (3, 3) and np.all(np.isfinite(matrix)) and matrix[0, 0] * matrix[1, 1] != 0.0
    if not usable or not np.array_equal(matrix[2], (0.0, 0.0, 1.0)):
        shown = np.array2string(matrix, precision=4, separator=", ").replace("\n", "")
        raise PerceptionError(
            f"intrinsics {shown} are not a (3, 3) pinhole matrix [[fx, s, cx], [0, fy, cy], [0, 0, 1]]"
        )
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _is_flying(depth: Floats, pixels: Indices, jump: float) -> NDArray[np.bool_]:
    """Whether each pixel's depth lies between that of two opposite neighbours, a jump away from both."""
    height, width = depth.shape
    flat = depth.reshape(-1)
    here = flat.take(pixels)
    flying = np.zeros(len(pixels), np.bool_)
    with np.errstate(invalid="ignore"):  # inf - inf at pixels without a measurement
        for step, extent in ((1, width), (width, height)):
            # Beyond the first and the last pixel any value does: the edges are left out below.
            down = flat.take(pixels - step, mode="clip") - here
            up = here - flat.take(pixels + step, mode="clip")
            suspects = np.flatnonzero((down > jump) & (up > jump) | (down < -jump) & (up < -jump))
            suspected = pixels.take(suspects)
            position = suspected % width if step == 1 else suspected // width
            suspects = suspects.compress((position > 0) & (position < extent - 1))
            neighbours = pixels.take(suspects) + np.array([[-step], [step]])
            around = flat.take(neighbours)
            flying[suspects.compress(np.all((around > 0) & (around < np.inf), axis=0))] = True
    return flying
