"""A made-up RLBench scene of known surfaces: a table, a box and a ball, seen by RLBench's cameras.

Everything is in the conventions of RLBench's files; nothing of the package is used, so that a reader cannot agree with
itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TABLE_Z = 0.752
BOX_LOW, BOX_HIGH = np.array([0.15, -0.20, TABLE_Z]), np.array([0.35, 0.05, 0.90])
BALL_CENTER, BALL_RADIUS = np.array([0.30, 0.25, 0.85]), 0.10
HANDLES = {"table": 48, "box": 300, "ball": 70_000}  # each needs one byte more than the one before
COLORS = {"table": (120, 90, 60), "box": (200, 30, 30), "ball": (20, 40, 220)}

SIZE = 64
NEAR, FAR = 0.01, 4.5


@dataclass(frozen=True)
class Camera:
    """A camera in RLBench's conventions: x left, y up, z forward, negative focal lengths."""

    name: str
    extrinsics: NDArray[np.float64]
    intrinsics: NDArray[np.float64]


@dataclass(frozen=True)
class Image:
    """What a camera sees; the depth is rounded to the 24 bits that its file will hold."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float64]
    depth_code: NDArray[np.int64]
    mask: NDArray[np.int64]


def cameras(names: tuple[str, ...]) -> list[Camera]:
    """Cameras around the table that look at its middle."""
    places = {
        "left_shoulder": (-0.3, 0.6, 1.6),
        "right_shoulder": (-0.3, -0.6, 1.6),
        "overhead": (0.25, 0.0, 1.9),
        "wrist": (0.2, 0.1, 1.3),
        "front": (1.2, 0.0, 1.4),
    }
    focal = SIZE / 2 / np.tan(np.radians(60.0) / 2)
    intrinsics = np.array([[-focal, 0.0, SIZE / 2], [0.0, -focal, SIZE / 2], [0.0, 0.0, 1.0]])
    return [
        Camera(name, _looking_at(np.array(places[name]), np.array([0.25, 0.02, 0.8])), intrinsics) for name in names
    ]


def render(camera: Camera) -> Image:
    """Cast a ray through each pixel (u, v), integers."""
    u, v = np.meshgrid(np.arange(SIZE, dtype=float), np.arange(SIZE, dtype=float))
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(camera.intrinsics).T  # z = 1: length is depth
    directions = rays @ camera.extrinsics[:3, :3].T
    origin = camera.extrinsics[:3, 3]
    depths = np.stack([_table(origin, directions), _box(origin, directions), _ball(origin, directions)])
    nearest, depth = depths.argmin(axis=0), np.minimum(depths.min(axis=0), FAR)
    code = np.rint((depth - NEAR) / (FAR - NEAR) * (2**24 - 1)).astype(np.int64)
    seen = depths.min(axis=0) < FAR
    rgb = np.where(seen[..., None], np.array(list(COLORS.values()), np.uint8)[nearest], 0).astype(np.uint8)
    mask = np.where(seen, np.array(list(HANDLES.values()))[nearest], 0)
    return Image(rgb, NEAR + code / (2**24 - 1) * (FAR - NEAR), code, mask)


def distance_to_surfaces(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Metres from each point (N, 3), world frame, to the nearest surface."""
    points = np.asarray(points, dtype=np.float64)
    table = np.abs(points[:, 2] - TABLE_Z)
    middle, half = (BOX_LOW + BOX_HIGH) / 2, (BOX_HIGH - BOX_LOW) / 2
    beyond = np.abs(points - middle) - half
    outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
    box = np.abs(outside + np.minimum(beyond.max(axis=1), 0.0))
    ball = np.abs(np.linalg.norm(points - BALL_CENTER, axis=1) - BALL_RADIUS)
    return np.minimum(np.minimum(table, box), ball)


def _looking_at(place: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    forward = (target - place) / np.linalg.norm(target - place)
    left = np.cross([0.0, 0.0, 1.0], forward)
    left /= np.linalg.norm(left)
    extrinsics = np.eye(4)
    extrinsics[:3, :3] = np.stack([left, np.cross(forward, left), forward], axis=1)
    extrinsics[:3, 3] = place
    return extrinsics


def _table(origin: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        depth = (TABLE_Z - origin[2]) / directions[..., 2]
    return np.where(depth > 0, depth, np.inf)


def _box(origin: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (BOX_LOW - origin) / directions, (BOX_HIGH - origin) / directions
    enter, leave = np.minimum(first, second).max(axis=-1), np.maximum(first, second).min(axis=-1)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf)


def _ball(origin: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    offset = origin - BALL_CENTER
    a = (directions**2).sum(axis=-1)
    b = directions @ offset
    c = offset @ offset - BALL_RADIUS**2
    root = b**2 - a * c
    depth = (-b - np.sqrt(np.maximum(root, 0.0))) / a
    return np.where((root >= 0) & (depth > 0), depth, np.inf)
