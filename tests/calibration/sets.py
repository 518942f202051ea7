"""Sets of board pictures with a known answer."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mini_diffuser_ros.calibration.board import BoardConfig, BoardSighting
from mini_diffuser_ros.calibration.hand_eye import BoardView
from mini_diffuser_ros.calibration.lens import Array, Lens
from mini_diffuser_ros.geometry import inverse_transform
from mini_diffuser_ros.records import Distortion
from mini_diffuser_ros.simulation.boards import board_before_camera

BOARD = BoardConfig()
LENS = Lens(
    640,
    480,
    np.array([[610.0, 0.0, 322.0], [0.0, 611.0, 238.0], [0.0, 0.0, 1.0]]),
    Distortion("plumb_bob", (0.08, -0.2, 0.001, -0.001, 0.0)),
)


def random_pose(random: np.random.Generator, reach: float = 0.5) -> Array:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(rng=random).as_matrix()
    pose[:3, 3] = random.uniform(-reach, reach, 3)
    return pose


def sighting(
    name: str,
    camera_from_board: Array,
    random: np.random.Generator,
    noise: float = 0.3,
    board: BoardConfig = BOARD,
    lens: Lens = LENS,
) -> BoardSighting:
    """The corners that lie in the picture, with noise in pixels."""
    points = board.points @ camera_from_board[:3, :3].T + camera_from_board[:3, 3]
    pixels = lens.project(points)
    seen = np.flatnonzero(np.all((pixels > 0) & (pixels < (lens.width - 1, lens.height - 1)), axis=1))
    return BoardSighting(name, seen, pixels[seen] + noise * random.standard_normal((len(seen), 2)))


def hand_eye_set(
    random: np.random.Generator,
    count: int,
    noise: float = 0.3,
    cameras: list[Array] | None = None,
    shown: BoardConfig = BOARD,
) -> tuple[Array, Array, list[BoardView]]:
    """The camera in its parent, the board in its anchor, and ``count`` pictures; ``cameras`` are camera_from_board."""
    parent_from_camera, anchor_from_board = random_pose(random, 0.2), random_pose(random, 0.8)
    views = []
    for index in range(count):
        seen = board_before_camera(BOARD, random) if cameras is None else cameras[index]
        anchor_from_parent = anchor_from_board @ inverse_transform(parent_from_camera @ seen)
        views.append(BoardView(sighting(str(index), seen, random, noise, shown), anchor_from_parent))
    return parent_from_camera, anchor_from_board, views
