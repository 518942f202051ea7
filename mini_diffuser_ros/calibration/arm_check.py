"""Whether a calibration still holds: where it puts the arm in a picture, and where the arm is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion

from mini_diffuser_ros.calibration.arm_registration import aligned, drawn_near, refined
from mini_diffuser_ros.calibration.arm_scene import ArmScene, ArmShot
from mini_diffuser_ros.calibration.arm_surface import ArmSurface, ray_grid
from mini_diffuser_ros.calibration.arm_target import MIN_SHARE, refuse_strange
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.calibration.rigid import Shift, shift_between
from mini_diffuser_ros.geometry import inverse_transform, transform_points

Array = NDArray[np.float64]

_WIDTHS: Final = (0.05, 0.03, 0.02, 0.012)  # metres
_BELIEVED: Final = (220, 30, 60)
_MEASURED: Final = (30, 170, 80)
_LINE: Final = 2  # pixels


@dataclass(frozen=True, eq=False)
class ArmOffset:
    """How far the arm is from where a calibration puts it.

    Attributes:
        metres: mean over the visible points of the arm.
        pixels: the same in the image.
        share: of the visible arm that was measured at all where it was found.
        correction: of the camera's pose, that would bring both together.
        parent_from_camera: (4, 4), the pose with that correction.
    """

    metres: float
    pixels: float
    share: float
    correction: Shift
    parent_from_camera: Array

    def __str__(self) -> str:
        return f"off by {1e3 * self.metres:.1f} mm, {self.pixels:.1f} pixels at the arm"


def arm_offset(
    surface: ArmSurface, shots: Sequence[ArmShot], lens: Lens, parent: str, parent_from_camera: Array
) -> ArmOffset:
    """Compare a calibrated pose with what the camera sees of the arm; one shot is enough.

    Args:
        surface: of the robot.
        shots: of the arm at rest.
        lens: of the camera, depth aligned to it.
        parent: frame that carries the camera.
        parent_from_camera: (4, 4) as calibrated.

    Raises:
        CalibrationError: if depth is none, or the arm is not found near where the calibration puts it.
    """
    refuse_strange(surface.robot, shots, parent)
    scenes = [ArmScene(surface.robot, surface, shot, lens, parent) for shot in shots]
    for scene in scenes:
        scene.check()
    found = refined(scenes, drawn_near(scenes, parent_from_camera, _WIDTHS, most=800))
    if _share(scenes, found) < MIN_SHARE:
        found = aligned(scenes, parent_from_camera)
    share = _share(scenes, found)
    if share < MIN_SHARE:
        raise CalibrationError(
            f"the arm is not where the calibration puts it, nor near: at best {share:.0%} of it is measured, needed "
            f"are {MIN_SHARE:.0%}: is it in view, is nothing before it, is it this robot? Else calibrate anew"
        )
    metres, pixels = zip(*(_apart(scene, parent_from_camera, found) for scene in scenes), strict=True)
    correction = shift_between(parent_from_camera, found)
    return ArmOffset(float(np.mean(metres)), float(np.mean(pixels)), share, correction, found)


def draw_offset(
    color: NDArray[np.uint8], surface: ArmSurface, shot: ArmShot, lens: Lens, parent: str, believed: Array, found: Array
) -> Image.Image:
    """The picture with the arm's outline where the calibration puts it, red, and where it was measured, green."""
    scene = ArmScene(surface.robot, surface, shot, lens, parent)
    grid = ray_grid(lens, 1)
    canvas = np.array(color, np.uint8)
    for pose, line in ((found, _MEASURED), (believed, _BELIEVED)):
        arm = np.zeros(grid.shape, bool)
        arm.ravel()[scene.seen(pose, grid).places] = True
        canvas[arm & ~binary_erosion(arm, iterations=_LINE)] = line
    return Image.fromarray(canvas)


def _share(scenes: Sequence[ArmScene], pose: Array) -> float:
    fits = [scene.fit(pose) for scene in scenes]
    points = sum(fit.points for fit in fits)
    return sum(fit.share * fit.points for fit in fits) / points if points else 0.0


def _apart(scene: ArmScene, believed: Array, found: Array) -> tuple[float, float]:
    """Mean distance of the visible arm's points between two poses of the camera: metres, pixels."""
    points, _ = scene.in_parent(scene.seen(found, ray_grid(scene.lens, 8)), 2000)
    if not len(points):
        raise CalibrationError(f"the camera sees nothing of the arm in {scene.shot.name}: move the arm into view")
    there, here = (transform_points(inverse_transform(pose), points) for pose in (believed, found))
    before = (there[:, 2] > 0.01) & (here[:, 2] > 0.01)
    pixels = np.linalg.norm(scene.lens.project(there[before]) - scene.lens.project(here[before]), axis=1)
    return float(np.linalg.norm(there - here, axis=1).mean()), float(pixels.mean()) if before.any() else np.inf
