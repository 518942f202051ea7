"""Calibrations of one camera of a set of shots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.arm_scene import ArmShot
from mini_diffuser_ros.calibration.arm_target import refuse_strange
from mini_diffuser_ros.calibration.board import BoardConfig, BoardSighting, find_board
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.hand_eye import BoardView, HandEye, solve_hand_eye
from mini_diffuser_ros.calibration.intrinsics import LensCalibration, calibrate_intrinsics
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.calibration.shots import Picture, Shot
from mini_diffuser_ros.calibration.table import TablePlane, find_table
from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.perception import FusionConfig, back_project, self_filter
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

_TABLE_REACH = 1.2  # metres from the base within which the table is looked for
_STRIDE = 3  # pixels


def cameras_of(shots: Sequence[Shot], wanted: Sequence[str] = ()) -> list[str]:
    """Cameras of a set, or those of them that are wanted.

    Raises:
        CalibrationError: if one that is wanted is in no shot, or there is none at all.
    """
    known = sorted({camera for shot in shots for camera in shot.pictures})
    for name in wanted:
        if name not in known:
            raise CalibrationError(
                f"no picture is of camera '{name}'; there are pictures of {', '.join(known) or 'none'}"
            )
    if not known:
        raise CalibrationError("the set holds no pictures")
    return list(wanted) or known


def lens_of(shots: Sequence[Shot], camera: str) -> Lens:
    """The lens that a camera says to have."""
    return next(shot.pictures[camera].lens for shot in shots if camera in shot.pictures)


def lens_from_board(shots: Sequence[Shot], camera: str, board: BoardConfig) -> LensCalibration:
    """Calibrate the lens of a camera; errors as of :func:`calibrate_intrinsics`."""
    lens = lens_of(shots, camera)
    return calibrate_intrinsics([seen for _, seen in _sightings(shots, camera, board)], board, lens.width, lens.height)


def place_from_board(
    shots: Sequence[Shot], camera: str, board: BoardConfig, robot: RobotDescription, parent: str
) -> HandEye:
    """Calibrate where a camera is in ``parent``: on the hand, the board at rest; else the board held by the hand.

    Raises:
        CalibrationError: as :func:`solve_hand_eye`, and for joints of another robot.
    """
    refuse_strange(robot, arm_shots(shots, camera, robot, needs_depth=False), parent)
    anchor = robot.hand_frame if parent == robot.base_frame else robot.base_frame
    views = []
    for shot, seen in _sightings(shots, camera, board):
        poses = robot.forward_kinematics(shot.joints)
        views.append(BoardView(seen, inverse_transform(poses[anchor]) @ poses[parent]))
    return solve_hand_eye(views, board, lens_of(shots, camera))


def arm_shots(
    shots: Sequence[Shot], camera: str, robot: RobotDescription, *, needs_depth: bool = True
) -> list[ArmShot]:
    """The shots of a camera as the arm's alignment takes them.

    Raises:
        CalibrationError: if a picture has no depth.
    """
    taken = []
    for shot in shots:
        if camera in shot.pictures:
            depth = shot.pictures[camera].depth
            if depth is None and needs_depth:
                raise CalibrationError(f"camera '{camera}' has no depth in shot {shot.name}: use a board (hand-eye)")
            taken.append(ArmShot(shot.name, shot.joints, np.zeros((1, 1), np.float32) if depth is None else depth))
    return taken


def table_from_depth(
    shots: Sequence[Shot], robot: RobotDescription, places: dict[str, tuple[str, Array]]
) -> TablePlane:
    """The table by all depth images together, the arm taken out.

    Args:
        shots: whose cameras have depth.
        robot: to be taken out.
        places: camera to its parent and its pose in it.

    Raises:
        CalibrationError: as :func:`find_table`.
    """
    clouds = []
    for shot in shots:
        poses = robot.forward_kinematics(shot.joints)
        for camera, (parent, parent_from_camera) in places.items():
            if camera in shot.pictures:
                points = transform_points(poses[parent] @ parent_from_camera, _points(shot.pictures[camera]))
                points = points[np.linalg.norm(points, axis=1) < _TABLE_REACH]
                config = FusionConfig(keep_hand=False, keep_fingers=False, link_margin=0.03, hand_margin=0.03)
                clouds.append(points[self_filter(points, robot, shot.joints, config)])
    return find_table(np.concatenate([np.zeros((0, 3)), *clouds]))


def _points(picture: Picture) -> Array:
    """Measured points (N, 3) of a picture in its camera frame, thinned."""
    if picture.depth is None:
        return np.zeros((0, 3))
    points = back_project(picture.depth, picture.lens.intrinsics, picture.lens.distortion)[::_STRIDE, ::_STRIDE]
    flat = points.reshape(-1, 3).astype(np.float64)
    return flat[np.all(np.isfinite(flat), axis=1)]


def _sightings(shots: Sequence[Shot], camera: str, board: BoardConfig) -> list[tuple[Shot, BoardSighting]]:
    found = []
    for shot in shots:
        if camera in shot.pictures:
            seen = find_board(shot.name, shot.pictures[camera].color, board)
            if seen is not None:
                found.append((shot, seen))
    if not found:
        raise CalibrationError(
            f"no picture of camera '{camera}' shows the board: {board.columns}x{board.rows} squares with markers of "
            f"{board.dictionary}? Is it --board.legacy, of OpenCV before 4.6?"
        )
    return found
