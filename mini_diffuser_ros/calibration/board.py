"""The ChArUco board: a chessboard with a marker in each white square, so that a part of it is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import bounded, check_fields, not_expected

Array = NDArray[np.float64]

MIN_CORNERS = 6
"""Corners of a board that have to be seen for the picture to count."""

DICTIONARIES = tuple(f"{bits}X{bits}_{count}" for bits in (4, 5, 6, 7) for count in (50, 100, 250, 1000))


class MissingOpenCvError(UserError, RuntimeError):
    """OpenCV is not installed, or has no ChArUco."""


def require_opencv() -> Any:
    """The module cv2.

    Raises:
        MissingOpenCvError: if it is not there, or is of a version without what calibration needs.
    """
    remedy = "pip install 'mini_diffuser_ros[calibration]'"
    try:
        import cv2
    except ImportError as error:
        raise MissingOpenCvError(f"boards need OpenCV, which cannot be imported ({error}): {remedy}") from error
    if not hasattr(cv2, "aruco") or not hasattr(cv2.aruco, "CharucoDetector"):
        raise MissingOpenCvError(f"OpenCV {cv2.__version__} has no CharucoDetector, 4.9 and later 4.x have: {remedy}")
    return cv2


@dataclass(frozen=True)
class BoardConfig:
    """A printed board.

    Attributes:
        columns: squares along the long side.
        rows: squares along the other.
        square: metres, edge of a square, measured on the print.
        marker: metres, edge of a marker.
        dictionary: of the markers, e.g. 5X5_100.
        legacy: the pattern of OpenCV before 4.6, which differs where the rows are even.
    """

    columns: int = bounded(8, 3, 50)
    rows: int = bounded(6, 3, 50)
    square: float = bounded(0.030, 0.001, 1.0)
    marker: float = bounded(0.022, 0.0005, 1.0)
    dictionary: str = "5X5_100"
    legacy: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.marker < self.square:
            raise not_expected("marker", self.marker, f"less than square {self.square}")
        if self.dictionary not in DICTIONARIES:
            raise not_expected("dictionary", self.dictionary, "one of " + ", ".join(DICTIONARIES))
        if self.columns * self.rows // 2 > int(self.dictionary.split("_")[1]):
            raise not_expected("dictionary", self.dictionary, f"{self.columns * self.rows // 2} markers or more")

    @property
    def points(self) -> Array:
        """(N, 3) inner corners by their number, metres: x along the columns, y along the rows, z into the board."""
        y, x = np.mgrid[1 : self.rows, 1 : self.columns]
        return self.square * np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)

    def to_opencv(self) -> Any:
        """As ``cv2.aruco.CharucoBoard``.

        Raises:
            MissingOpenCvError: without OpenCV.
        """
        aruco = require_opencv().aruco
        dictionary = aruco.getPredefinedDictionary(getattr(aruco, f"DICT_{self.dictionary}"))
        board = aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, dictionary)
        board.setLegacyPattern(self.legacy)
        return board

    def draw(self, pixels_a_square: int) -> NDArray[np.uint8]:
        """The pattern (H, W), grey, to be printed."""
        size = (self.columns * pixels_a_square, self.rows * pixels_a_square)
        return np.asarray(self.to_opencv().generateImage(size), np.uint8)


@dataclass(frozen=True, eq=False)
class BoardSighting:
    """Where the corners of a board are in one picture.

    Attributes:
        picture: which one, for messages.
        corners: (N,) their numbers.
        pixels: (N, 2).
    """

    picture: str
    corners: NDArray[np.intp]
    pixels: Array

    def is_mirrored(self, board: BoardConfig) -> bool:
        """Whether the board is seen as in a mirror: the way round of its corners is the other one."""
        flat = board.points[self.corners, :2]
        design = np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
        affine = np.linalg.lstsq(design, self.pixels, rcond=None)[0]
        return bool(np.linalg.det(affine[:2]) < 0.0)


def find_board(picture: str, image: NDArray[np.uint8], board: BoardConfig) -> BoardSighting | None:
    """The corners of a board in an image (H, W, 3) RGB or (H, W) grey; None if it is not seen well enough.

    Raises:
        CalibrationError: if it is seen as in a mirror.
        MissingOpenCvError: without OpenCV.
    """
    grey = image if image.ndim == 2 else require_opencv().cvtColor(image, require_opencv().COLOR_RGB2GRAY)
    found = _detect(picture, grey, board)
    if found is None and _detect(picture, np.ascontiguousarray(grey[:, ::-1]), board) is not None:
        raise CalibrationError(
            f"picture {picture} shows the board mirrored: have the camera's driver not flip its images"
        )
    return found


def refuse_mirrored(sighting: BoardSighting, board: BoardConfig) -> None:
    """Raise a CalibrationError for a picture that shows the board as in a mirror."""
    if sighting.is_mirrored(board):
        raise CalibrationError(
            f"picture {sighting.picture} shows the board mirrored: have the camera's driver not flip its images"
        )


def board_pose(sighting: BoardSighting, board: BoardConfig, lens: Lens) -> Array:
    """(4, 4) ``camera_from_board`` from one picture: the better of the two poses that a flat thing can have.

    Raises:
        MissingOpenCvError: without OpenCV.
    """
    cv2 = require_opencv()
    points = board.points[sighting.corners]
    rays = np.ascontiguousarray(lens.rays(sighting.pixels))
    _, turns, moves, _ = cv2.solvePnPGeneric(points, rays, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    turn, move = cv2.solvePnPRefineLM(points, rays, np.eye(3), None, turns[0], moves[0])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], move.ravel()
    return pose


def _detect(picture: str, grey: NDArray[np.uint8], board: BoardConfig) -> BoardSighting | None:
    aruco = require_opencv().aruco
    corners, numbers, _, _ = aruco.CharucoDetector(board.to_opencv()).detectBoard(grey)
    if numbers is None or len(numbers) < MIN_CORNERS:
        return None
    sighting = BoardSighting(picture, numbers.ravel().astype(np.intp), corners.reshape(-1, 2).astype(np.float64))
    flat = board.points[sighting.corners, :2]
    # Corners on one line fix no pose.
    return sighting if np.linalg.matrix_rank(flat - flat.mean(axis=0), tol=0.5 * board.square) == 2 else None
