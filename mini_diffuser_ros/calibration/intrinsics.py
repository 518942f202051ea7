"""The lens of a camera, from pictures of a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.board import BoardConfig, BoardSighting, board_pose, refuse_mirrored, require_opencv
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.geometry import transform_points
from mini_diffuser_ros.records import Distortion

Array = NDArray[np.float64]

MIN_PICTURES: Final = 10
MAX_RESIDUAL: Final = 1.0
"""Pixels, root mean square, above which the corners do not lie as on a flat board before a lens."""
MAX_FOCAL_DEVIATION: Final = 0.004
"""Of the focal length, its relative standard deviation; 0.4 % are 4 mm at a metre."""
MIN_COVERAGE: Final = 0.6
"""Of the image in 4 x 3 parts, the share that has to have seen a corner."""
_PARTS: Final = (4, 3)
_FOLDS: Final = 4
_HELD_OUT: Final = 2.0  # times the residual that pictures may be missed by which did not take part


@dataclass(frozen=True, eq=False)
class LensCalibration:
    """A lens, and how well it is known.

    Attributes:
        lens: what was found.
        pictures: that went into it.
        residual: pixels, root mean square over all corners.
        focal_deviation: relative standard deviation of the focal length.
        coverage: share of the image that saw corners.
        held_out: pixels, as ``residual``, of pictures by lenses that were found without them.
    """

    lens: Lens
    pictures: tuple[str, ...]
    residual: float
    focal_deviation: float
    coverage: float
    held_out: float

    def __str__(self) -> str:
        (fx, _, cx), (_, fy, cy), _ = self.lens.intrinsics
        return (
            f"fx {fx:.2f}, fy {fy:.2f}, cx {cx:.2f}, cy {cy:.2f} pixels from {len(self.pictures)} pictures over "
            f"{self.coverage:.0%} of the image; residual {self.residual:.2f} pixels, {self.held_out:.2f} in pictures "
            f"held out; standard deviation of the focal length {self.focal_deviation:.2%}"
        )


def calibrate_intrinsics(
    sightings: Sequence[BoardSighting], board: BoardConfig, width: int, height: int
) -> LensCalibration:
    """The lens by which a board was seen, with the distortion k1, k2, p1, p2 of plumb_bob.

    Args:
        sightings: in images of ``width`` x ``height`` pixels.
        board: the flat pattern; its size does not matter here.
        width, height: pixels.

    Raises:
        CalibrationError: if the set cannot give a lens that can be relied on: too few pictures, mirrored ones, all of
            one kind, corners that contradict each other.
        MissingOpenCvError: without OpenCV.
    """
    for sighting in sightings:
        refuse_mirrored(sighting, board)
    if len(sightings) < MIN_PICTURES:
        raise CalibrationError(
            f"{len(sightings)} pictures show the board, needed are {MIN_PICTURES} or better 20: add pictures, tilted "
            "another way in each, also at the edges of the image"
        )
    coverage = _coverage(sightings, width, height)
    if coverage < MIN_COVERAGE:
        raise CalibrationError(
            f"the board was seen in {coverage:.0%} of the image, needed are {MIN_COVERAGE:.0%}: add pictures with the "
            "board at the edges and in the corners"
        )
    lens, deviation, by_picture = _solve(sightings, board, width, height)
    residual = float(np.sqrt(np.mean(by_picture**2)))
    if residual > MAX_RESIDUAL:
        worst = sightings[int(np.argmax(by_picture))].picture
        raise CalibrationError(
            f"corners are missed by {residual:.2f} pixels (worst in picture {worst}: {by_picture.max():.2f}), allowed "
            f"are {MAX_RESIDUAL:g}: is the board flat, are the pictures sharp, is it this board?"
        )
    if deviation > MAX_FOCAL_DEVIATION:
        raise CalibrationError(
            f"the focal length is known to {deviation:.1%}, needed are {MAX_FOCAL_DEVIATION:.1%}: add pictures with "
            "the board tilted by 30 to 45 degrees, to each side, near and far"
        )
    held_out = _held_out(sightings, board, width, height)
    if held_out > max(_HELD_OUT * residual, 0.5 * MAX_RESIDUAL):
        raise CalibrationError(
            f"pictures held out are missed by {held_out:.2f} pixels, those that took part by {residual:.2f}: add "
            "pictures"
        )
    return LensCalibration(lens, tuple(s.picture for s in sightings), residual, deviation, coverage, held_out)


def _solve(
    sightings: Sequence[BoardSighting], board: BoardConfig, width: int, height: int
) -> tuple[Lens, float, Array]:
    """Lens, relative deviation of its focal length, and pixels (root mean square) by picture."""
    cv2 = require_opencv()
    points = [board.points[sighting.corners].astype(np.float32) for sighting in sightings]
    pixels = [sighting.pixels.astype(np.float32) for sighting in sightings]
    _, matrix, distortion, _, _, deviations, _, misses = cv2.calibrateCameraExtended(
        points, pixels, (width, height), None, None, flags=cv2.CALIB_FIX_K3
    )
    lens = Lens(width, height, matrix, Distortion("plumb_bob", tuple(float(value) for value in distortion.ravel()[:5])))
    relative = float(np.max(deviations.ravel()[:2] / np.array([matrix[0, 0], matrix[1, 1]])))
    return lens, relative, np.asarray(misses, np.float64).ravel()


def _coverage(sightings: Sequence[BoardSighting], width: int, height: int) -> float:
    pixels = np.concatenate([sighting.pixels for sighting in sightings])
    columns = np.clip(pixels[:, 0] * _PARTS[0] / width, 0, _PARTS[0] - 1).astype(np.intp)
    rows = np.clip(pixels[:, 1] * _PARTS[1] / height, 0, _PARTS[1] - 1).astype(np.intp)
    return len(set(zip(columns.tolist(), rows.tolist(), strict=True))) / (_PARTS[0] * _PARTS[1])


def _held_out(sightings: Sequence[BoardSighting], board: BoardConfig, width: int, height: int) -> float:
    """Pixels, root mean square, by which pictures are missed through lenses that were found without them."""
    squares: list[float] = []
    for fold in range(_FOLDS):
        lens, _, _ = _solve([s for i, s in enumerate(sightings) if i % _FOLDS != fold], board, width, height)
        for sighting in sightings[fold::_FOLDS]:
            points = transform_points(board_pose(sighting, board, lens), board.points[sighting.corners])
            squares += ((lens.project(points) - sighting.pixels) ** 2).sum(axis=1).tolist()
    return float(np.sqrt(np.mean(squares)))
