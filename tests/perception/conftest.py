"""A small ray caster: views of spheres on a table, from closed formulas and independent of the package's own code."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mini_diffuser_ros.records import CameraView

Sphere = tuple[tuple[float, float, float], float]
ViewMaker = Callable[..., CameraView]


def look_at(eye: Sequence[float], target: Sequence[float]) -> np.ndarray:
    """(4, 4) base_from_camera of an optical frame that looks at a target, upright."""
    forward = np.subtract(target, eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = eye
    return pose


def view_of_spheres(
    eye: Sequence[float],
    spheres: Sequence[Sphere],
    name: str = "front",
    stamp: float = 0.0,
    size: tuple[int, int] = (80, 100),
) -> CameraView:
    """What a camera sees that looks at (0.5, 0, 0.05); the table is z = 0 and black, sphere i has red value i + 1."""
    height, width = size
    focal = 1.2 * height
    intrinsics = np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])
    base_from_camera = look_at(eye, (0.5, 0.0, 0.05))
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([(u - intrinsics[0, 2]) / focal, (v - intrinsics[1, 2]) / focal, np.ones(u.shape)], axis=-1)
    rays = rays @ base_from_camera[:3, :3].T
    depth = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.inf)
    color = np.zeros((height, width, 3), np.uint8)
    for number, (center, radius) in enumerate(spheres):
        offset = np.subtract(center, eye)
        a, b = np.sum(rays**2, axis=-1), rays @ offset
        discriminant = b**2 - a * (offset @ offset - radius**2)
        with np.errstate(invalid="ignore"):
            near = (b - np.sqrt(discriminant)) / a
        nearer = (discriminant > 0) & (near > 0) & (near < depth)
        depth[nearer] = near[nearer]
        color[nearer] = (number + 1, 100, 200)
    return CameraView(name, color, depth.astype(np.float32), intrinsics, base_from_camera, stamp)


@pytest.fixture
def make_view() -> ViewMaker:
    """Renders views; see :func:`view_of_spheres`."""
    return view_of_spheres
