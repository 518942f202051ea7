"""Where a camera is, from pictures of a board that the arm and the camera move against each other.

Two cases are one: the camera on the hand with the board at rest, and the camera at rest with the board in the hand.
``anchor_from_parent`` is the pose, known from the joints, of what carries the camera in what carries the board. Sought
are ``parent_from_camera`` and ``anchor_from_board``, so that every picture shows the board where it is:

    camera_from_board = inverse(parent_from_camera) @ inverse(anchor_from_parent) @ anchor_from_board

A linear solution by the motions between pictures (Park and Martin, "Robot sensor calibration: solving AX = XB on the
Euclidean group", 1994) starts a least-squares fit of all corners' pixels, which weighs measurements as they are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from mini_diffuser_ros.calibration.board import BoardConfig, BoardSighting, board_pose, refuse_mirrored
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.calibration.rigid import Shift, matrix_from_vector, mean_pose, shift_between
from mini_diffuser_ros.geometry import inverse_transform

Array = NDArray[np.float64]

MIN_PICTURES: Final = 8
MIN_SPREAD: Final = 5.0
"""Degrees (root mean square) that the poses have to be turned about each of two axes."""
MAX_RESIDUAL: Final = 1.5
"""Pixels (root mean square) above which pictures and poses contradict each other."""
MAX_SCALE_ERROR: Final = 0.01
MAX_DROPPED: Final = 0.2
"""Share of the pictures that may contradict the others and be left out."""
MAX_CHANGE: Final = Shift(0.005, 0.5)
"""How far the camera may move when one picture is left out."""
_SAME_POSE: Final = Shift(2e-4, 0.05)
_SEEN_MOVE: Final = Shift(0.004, 0.7)
_SPLITS: Final = 3  # that the board may have been moved at, to be looked at closely
_OUTLIER: Final = 4.0  # times the median residual


@dataclass(frozen=True, eq=False)
class BoardView:
    """A picture of the board and where the arm was.

    Attributes:
        sighting: the corners.
        anchor_from_parent: (4, 4) pose of what carries the camera in what carries the board, from the joints.
    """

    sighting: BoardSighting
    anchor_from_parent: Array


@dataclass(frozen=True, eq=False)
class HandEye:
    """Where a camera is, and how well that is known.

    Attributes:
        parent_from_camera: (4, 4) of the optical frame.
        anchor_from_board: (4, 4).
        pictures: that went into it.
        dropped: pictures that contradict the others and were left out.
        residual: pixels, root mean square over all corners.
        deviation: standard deviation of the pose as the residuals have it.
        leave_one_out: how far the camera moves at most when a picture is left out.
        held_out: pixels and metres at the board, root mean square over pictures, each with the pose that was found
            without it.
    """

    parent_from_camera: Array
    anchor_from_board: Array
    pictures: tuple[str, ...]
    dropped: tuple[str, ...]
    residual: float
    deviation: Shift
    leave_one_out: Shift
    held_out: tuple[float, float]

    def __str__(self) -> str:
        dropped = f", left out {', '.join(self.dropped)}" if self.dropped else ""
        pixels, metres = self.held_out
        return (
            f"{len(self.pictures)} pictures{dropped}; residual {self.residual:.2f} pixels; standard deviation "
            f"{self.deviation}; leaving one picture out moves the camera by up to {self.leave_one_out}; pictures held "
            f"out are missed by {pixels:.2f} pixels, {1e3 * metres:.2f} mm at the board"
        )


def solve_hand_eye(views: Sequence[BoardView], board: BoardConfig, lens: Lens) -> HandEye:
    """The pose of a camera from pictures of a board.

    Args:
        views: in the order of time; what carries the camera and what carries the board have moved in between.
        board: as measured.
        lens: of the camera.

    Raises:
        CalibrationError: if the set cannot give a pose that can be relied on: too few pictures, mirrored ones, joints
            that do not move, turns about a single axis, a board that was moved, squares of another size, pictures that
            contradict each other.
        MissingOpenCvError: without OpenCV.
    """
    for view in views:
        refuse_mirrored(view.sighting, board)
    if len(views) < MIN_PICTURES:
        raise CalibrationError(
            f"{len(views)} pictures show the board, needed are {MIN_PICTURES} or better 15: add pictures, the hand "
            "turned another way in each"
        )
    seen = [board_pose(view.sighting, board, lens) for view in views]
    _refuse_frozen(views, seen)
    _refuse_uniform(views)
    everything = _Problem(views, board, lens)
    fit = everything.solve(_linear_solution(views, seen), robust=True)
    fits = fit.by_picture <= max(MAX_RESIDUAL, _OUTLIER * float(np.median(fit.by_picture)))
    kept = [view for view, one in zip(views, fits, strict=True) if one]
    if np.mean(fits) < 1.0 - MAX_DROPPED or len(kept) < MIN_PICTURES or np.median(fit.by_picture) > MAX_RESIDUAL:
        raise CalibrationError(_contradiction(everything, fit, seen))
    problem = _Problem(kept, board, lens)
    _refuse_other_size(problem.solve(fit, free_scale=True), board)
    best = problem.solve(problem.solve(fit))
    dropped = tuple(view.sighting.picture for view, one in zip(views, fits, strict=True) if not one)
    return _judged(problem, best, dropped)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A solution of :class:`_Problem`.

    Attributes:
        parent_from_camera: (4, 4).
        boards: (G, 4, 4) ``anchor_from_board``, one for each place that the board was in.
        scale: factor to the board's size.
        by_picture: pixels, root mean square of each picture.
        residual: the same over all corners.
        covariance: of turn (radians) and move (metres) of the camera in its own frame, then of the rest.
    """

    parent_from_camera: Array
    boards: Array
    scale: float
    by_picture: Array
    residual: float
    covariance: Array


class _Problem:
    """Least squares over the pixels of all corners.

    Args:
        views: pictures.
        board: as measured.
        lens: of the camera.
        places: (V,) number of the place that the board was in, by picture; None if it was in one only.
    """

    def __init__(
        self, views: Sequence[BoardView], board: BoardConfig, lens: Lens, places: NDArray[np.intp] | None = None
    ) -> None:
        self.views, self.board, self.lens = views, board, lens
        self._counts = np.array([len(view.sighting.corners) for view in views])
        self._picture = np.repeat(np.arange(len(views)), self._counts)
        self._place = np.zeros(len(views), np.intp) if places is None else places
        self._points = np.concatenate([board.points[view.sighting.corners] for view in views])
        self._pixels = np.concatenate([view.sighting.pixels for view in views])
        self._parent_from_anchor = np.stack([inverse_transform(view.anchor_from_parent) for view in views])

    def of(self, views: Sequence[BoardView]) -> _Problem:
        """The same with other pictures."""
        return _Problem(views, self.board, self.lens)

    def solve(self, start: _Fit, *, robust: bool = False, free_scale: bool = False) -> _Fit:
        """The fit nearest to a start; ``robust`` lets single bad pictures count less."""
        poses = 6 + 6 * len(start.boards)
        found = least_squares(
            lambda change: self._misses(start, change).ravel(),
            np.zeros(poses + free_scale),
            x_scale="jac",
            loss="soft_l1" if robust else "linear",
            max_nfev=50,
        )
        misses = self._misses(start, found.x)
        variance = float((misses**2).sum()) / max(misses.size - len(found.x), 1)
        camera, boards = _moved(start, found.x)
        return _Fit(
            camera,
            boards,
            start.scale + (float(found.x[-1]) if free_scale else 0.0),
            np.sqrt(np.bincount(self._picture, (misses**2).sum(axis=1)) / self._counts),
            float(np.sqrt((misses**2).sum() / len(misses))),
            np.linalg.pinv(found.jac.T @ found.jac) * variance,
        )

    def missed_by(self, fit: _Fit) -> tuple[float, float]:
        """Root mean square over the corners: pixels, and metres at the board."""
        unchanged = np.zeros(6 + 6 * len(fit.boards))
        misses = np.linalg.norm(self._misses(fit, unchanged), axis=1)
        focal = float(np.mean(np.diag(self.lens.intrinsics)[:2]))
        at_board = misses * self._in_camera(fit, unchanged)[:, 2] / focal
        return _root_mean_square(misses), _root_mean_square(at_board)

    def _misses(self, start: _Fit, change: Array) -> Array:
        points = self._in_camera(start, change)
        # Behind the camera nothing projects; kept in front, far off, the gradient leads back.
        points[:, 2] = np.maximum(points[:, 2], 0.01)
        return self.lens.project(points) - self._pixels

    def _in_camera(self, start: _Fit, change: Array) -> Array:
        """(N, 3) corners in the camera frame."""
        parent_from_camera, boards = _moved(start, change)
        scale = start.scale + (change[-1] if len(change) % 6 else 0.0)
        poses = inverse_transform(parent_from_camera) @ self._parent_from_anchor @ boards[self._place]
        mine = poses[self._picture]
        return np.einsum("nij,nj->ni", mine[:, :3, :3], self._points * scale) + mine[:, :3, 3]


def _moved(fit: _Fit, change: Array) -> tuple[Array, Array]:
    """Camera and boards, each moved in its own frame by six numbers of a change."""
    count = len(fit.boards)
    camera = fit.parent_from_camera @ matrix_from_vector(change[:6])
    moves = np.stack([matrix_from_vector(change[6 + 6 * one : 12 + 6 * one]) for one in range(count)])
    return camera, fit.boards @ moves


def _linear_solution(views: Sequence[BoardView], seen: Sequence[Array], places: NDArray[np.intp] | None = None) -> _Fit:
    """A start from the motions between all pairs of pictures in which the board was in the same place.

    Args:
        views: V pictures.
        seen: ``camera_from_board`` of each.
        places: (V,) as of :class:`_Problem`.
    """
    place = np.zeros(len(views), np.intp) if places is None else places
    parents, boards = [view.anchor_from_parent for view in views], [inverse_transform(pose) for pose in seen]
    moves = [
        (inverse_transform(parents[j]) @ parents[i], inverse_transform(boards[j]) @ boards[i])
        for j, i in combinations(range(len(views)), 2)
        if place[i] == place[j]
    ]
    # A X = X B: the turns of A are those of B, their axes turned by X.
    of_parent = np.stack([Rotation.from_matrix(a[:3, :3]).as_rotvec() for a, _ in moves])
    of_camera = np.stack([Rotation.from_matrix(b[:3, :3]).as_rotvec() for _, b in moves])
    left, _, right = np.linalg.svd(of_parent.T @ of_camera)
    turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    design = np.concatenate([a[:3, :3] - np.eye(3) for a, _ in moves])
    target = np.concatenate([turn @ b[:3, 3] - a[:3, 3] for a, b in moves])
    camera = np.eye(4)
    camera[:3, :3] = turn
    camera[:3, 3] = np.linalg.lstsq(design, target, rcond=None)[0]
    anchors = np.stack([parent @ camera @ pose for parent, pose in zip(parents, seen, strict=True)])
    means = np.stack([mean_pose(anchors[place == one]) for one in range(int(place.max()) + 1)])
    return _Fit(camera, means, 1.0, np.full(len(views), np.inf), np.inf, np.zeros((0, 0)))


def _judged(problem: _Problem, best: _Fit, dropped: tuple[str, ...]) -> HandEye:
    """The result with what leaving out each picture tells."""
    moves, misses = [], []
    for left_out in problem.views:
        without = problem.of([view for view in problem.views if view is not left_out]).solve(best)
        moves.append(shift_between(best.parent_from_camera, without.parent_from_camera))
        misses.append(problem.of([left_out]).missed_by(without))
    worst = Shift(max(move.metres for move in moves), max(move.degrees for move in moves))
    pictures = tuple(view.sighting.picture for view in problem.views)
    if worst.metres > MAX_CHANGE.metres or worst.degrees > MAX_CHANGE.degrees:
        culprit = pictures[int(np.argmax([move.metres for move in moves]))]
        raise CalibrationError(
            f"leaving out picture {culprit} moves the camera by {worst}, allowed are {MAX_CHANGE}: add pictures from "
            "other sides and distances"
        )
    deviation = np.sqrt(np.diag(best.covariance)[:6])
    pixels, metres = (_root_mean_square(np.array(values)) for values in zip(*misses, strict=True))
    return HandEye(
        best.parent_from_camera,
        best.boards[0],
        pictures,
        dropped,
        best.residual,
        Shift(float(np.linalg.norm(deviation[3:])), float(np.degrees(np.linalg.norm(deviation[:3])))),
        worst,
        (pixels, metres),
    )


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _refuse_frozen(views: Sequence[BoardView], seen: Sequence[Array]) -> None:
    """Joints that stay while the board moves in the picture are not the arm's."""
    for i, j in combinations(range(len(views)), 2):
        of_arm = shift_between(views[i].anchor_from_parent, views[j].anchor_from_parent)
        of_board = shift_between(seen[i], seen[j])
        still = of_arm.metres < _SAME_POSE.metres and of_arm.degrees < _SAME_POSE.degrees
        if still and (of_board.metres > _SEEN_MOVE.metres or of_board.degrees > _SEEN_MOVE.degrees):
            raise CalibrationError(
                f"from picture {views[i].sighting.picture} to {views[j].sighting.picture} the board moved by "
                f"{of_board} before the camera, the joints by none: joint_states are frozen or of another time"
            )


def _refuse_uniform(views: Sequence[BoardView]) -> None:
    """Turns about one axis leave the place along it unknown."""
    turns = Rotation.from_matrix(np.stack([view.anchor_from_parent[:3, :3] for view in views]))
    around = (turns.mean().inv() * turns).as_rotvec()
    spreads = np.degrees(np.linalg.svd(around, compute_uv=False)) / np.sqrt(len(views))
    if spreads[0] < MIN_SPREAD:
        raise CalibrationError(
            f"the hand is turned by {spreads[0]:.1f} degrees (root mean square) over {len(views)} pictures, needed are "
            f"{MIN_SPREAD:g}: turn it by 20 to 40 degrees from one picture to the next"
        )
    if spreads[1] < MIN_SPREAD:
        raise CalibrationError(
            f"the hand is turned by {spreads[0]:.1f} degrees about one axis and {spreads[1]:.1f} about any other, "
            f"needed are {MIN_SPREAD:g} about two: tilt it sideways as well as forwards"
        )


def _refuse_other_size(fit: _Fit, board: BoardConfig) -> None:
    error = abs(fit.scale - 1.0)
    if error > MAX_SCALE_ERROR and error > 5.0 * float(np.sqrt(fit.covariance[-1, -1])):
        raise CalibrationError(_other_size(fit.scale, board))


def _other_size(scale: float, board: BoardConfig) -> str:
    return (
        f"by the arm's motion a square measures {1e3 * scale * board.square:.2f} mm, given are "
        f"{1e3 * board.square:.2f} mm: measure the print, or calibrate the intrinsics"
    )


def _moved_at(problem: _Problem, split: int, seen: Sequence[Array]) -> tuple[_Problem, _Fit, int]:
    """The problem, and a start to it, if the board was moved before picture number ``split``."""
    places = (np.arange(len(problem.views)) >= split).astype(np.intp)
    return (
        _Problem(problem.views, problem.board, problem.lens, places),
        _linear_solution(problem.views, seen, places),
        split,
    )


def _contradiction(problem: _Problem, fit: _Fit, seen: Sequence[Array]) -> str:
    """What is wrong with pictures and poses that do not fit together, as far as it can be told."""
    views, names = problem.views, [view.sighting.picture for view in problem.views]
    sized = problem.solve(fit, robust=True, free_scale=True)
    if np.median(sized.by_picture) < MAX_RESIDUAL:
        return _other_size(sized.scale, problem.board)
    moved = [_moved_at(problem, split, seen) for split in range(3, len(views) - 2)]
    nearest = sorted(moved, key=lambda entry: entry[0].missed_by(entry[1])[0])[:_SPLITS]
    solved = [(one.solve(start, robust=True), split) for one, start, split in nearest]
    best, split = min(solved, key=lambda entry: entry[0].residual)
    if best.residual < MAX_RESIDUAL:
        shift = shift_between(best.boards[0], best.boards[1])
        return (
            f"the board was moved by {shift} between pictures {names[split - 1]} and {names[split]}: fix it and take "
            "the pictures anew"
        )
    late = problem.of([BoardView(now.sighting, after.anchor_from_parent) for now, after in pairwise(views)])
    if late.solve(_linear_solution(late.views, seen[:-1]), robust=True).residual < MAX_RESIDUAL:
        return "each picture has the joints of the one before: take it after the arm has come to rest"
    worst = names[int(np.argmax(fit.by_picture))]
    return (
        f"pictures and joints contradict each other by {np.median(fit.by_picture):.1f} pixels (median; worst is "
        f"picture {worst}), allowed are {MAX_RESIDUAL:g}: is it this robot, are these its joints, is the board flat "
        "and fixed, are the intrinsics those of this resolution?"
    )
