"""Pictures of a ChArUco board as a camera takes them, to try calibrations on."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mini_diffuser_ros.calibration.board import BoardConfig, require_opencv
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.geometry import inverse_transform

Array = NDArray[np.float64]

_SUBPIXELS: Final = 3  # an image pixel is the mean of so many squared
_PATTERN: Final = 60  # pixels a square of the pattern that is looked up
_PAPER: Final = 1.0  # squares of white around the pattern
_BACKGROUND: Final = 90


def render_board(board: BoardConfig, lens: Lens, camera_from_board: Array) -> NDArray[np.uint8]:
    """The picture (H, W) uint8 grey of a board with a white rim before a grey wall.

    Args:
        board: what is seen.
        lens: of the camera, with its distortion.
        camera_from_board: (4, 4).

    Raises:
        MissingOpenCvError: without OpenCV.
    """
    cv2 = require_opencv()
    steps = (np.arange(_SUBPIXELS) - (_SUBPIXELS - 1) / 2.0) / _SUBPIXELS
    image = np.full((lens.height, lens.width), _BACKGROUND, np.uint8)
    left, right, top, bottom = _extent(board, lens, camera_from_board)
    if left >= right or top >= bottom:
        return image
    columns = (np.arange(left, right)[:, None] + steps).ravel()
    rows = (np.arange(top, bottom)[:, None] + steps).ravel()
    pixels = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    rays = np.concatenate([lens.rays(pixels), np.ones((len(pixels), 1))], axis=1)
    # The ray meets the plane of the board at origin + length * direction, all in the frame of the board.
    board_from_camera = inverse_transform(camera_from_board)
    directions = rays @ board_from_camera[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = -board_from_camera[2, 3] / directions[:, 2]
        places = (board_from_camera[:2, 3] + lengths[:, None] * directions[:, :2]) / board.square
    places[~(lengths > 0.0)] = -100.0
    rim = int(_PAPER * _PATTERN)
    pattern = cv2.copyMakeBorder(board.draw(_PATTERN), rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=255)
    # Pixel centres are integers: the edge of the first pixel, where the board begins, is at -0.5.
    wanted = (places * _PATTERN + rim - 0.5).astype(np.float32).reshape(len(rows), len(columns), 2)
    drawn = cv2.remap(pattern, wanted, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_BACKGROUND)
    shape = (bottom - top, _SUBPIXELS, right - left, _SUBPIXELS)
    image[top:bottom, left:right] = np.rint(drawn.reshape(shape).mean(axis=(1, 3))).astype(np.uint8)
    return image


def _extent(board: BoardConfig, lens: Lens, camera_from_board: Array) -> tuple[int, int, int, int]:
    """Columns and rows, from and to, of the image that a board with its rim may show in; all if it is that near."""
    size = np.array([board.columns, board.rows])
    corners = np.array([[-_PAPER, -_PAPER], [size[0] + _PAPER, -_PAPER], size + _PAPER, [-_PAPER, size[1] + _PAPER]])
    points = np.column_stack([board.square * corners, np.zeros(4)])
    points = points @ camera_from_board[:3, :3].T + camera_from_board[:3, 3]
    if points[:, 2].min() < 0.05:
        return 0, lens.width, 0, lens.height
    # Distortion bends the edges by less than that.
    (left, top), (right, bottom) = (edge(lens.project(points), axis=0) for edge in (np.min, np.max))
    spare = 0.05 * lens.width
    return (
        int(np.clip(left - spare, 0, lens.width)),
        int(np.clip(right + spare, 0, lens.width)),
        int(np.clip(top - spare, 0, lens.height)),
        int(np.clip(bottom + spare, 0, lens.height)),
    )


def board_before_camera(
    board: BoardConfig,
    random: np.random.Generator,
    distances: tuple[float, float] = (0.35, 0.65),
    tilt: float = 40.0,
) -> Array:
    """(4, 4) ``camera_from_board`` of a board somewhere before a camera, its front towards it.

    Args:
        board: whose middle is placed near the optical axis.
        random: source of the place.
        distances: metres, nearest and farthest.
        tilt: degrees, the most that the board is turned away from the camera.
    """
    distance, away = random.uniform(*distances), np.radians(random.uniform(-tilt, tilt, 2))
    turn = Rotation.from_euler("xyz", [*away, np.radians(random.uniform(-60.0, 60.0))])
    camera_from_board = np.eye(4)
    camera_from_board[:3, :3] = turn.as_matrix()
    middle = np.append(board.square * np.array([board.columns, board.rows]) / 2.0, 0.0)
    aim = np.append(random.uniform(-0.1, 0.1, 2) * distance, distance)
    camera_from_board[:3, 3] = aim - camera_from_board[:3, :3] @ middle
    return camera_from_board
