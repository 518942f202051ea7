"""Where a camera is, without a board: the arm, whose surface and joints are known, is laid over its own depth images.

A coarse search scores many poses by whether each point of the surface projects onto a depth like its own; the best are
drawn nearer by iterated closest points, and the last steps compare depths along the same rays, which noise of the depth
does not bias. All distances are point to plane, with the normals of the known surface (Chen and Medioni, 1992).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import qmc

from mini_diffuser_ros.calibration.arm_surface import ArmSurface, RayGrid, SeenSurface, ray_grid
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.calibration.rigid import Shift, matrix_from_vector, shift_between
from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]
Depth = NDArray[np.float32]

MIN_POSES: Final = 3
MIN_TRAVEL: Final = 0.10
"""Metres that the hand has to travel between two of the poses."""
REACH: Final = Shift(0.12, 18.0)
"""How far off the first guess may be."""
MIN_SHARE: Final = 0.6
"""Of the arm's visible surface that has to be measured where the result puts it."""
MAX_CHANGE: Final = Shift(0.010, 1.0)
"""How far the camera may move when one pose of the arm is left out."""

_SEARCHED: Final = 3000  # poses that are scored
_POINTS: Final = 250  # of the surface that each is scored by, in every picture
_DRAWN_NEAR: Final = 12  # of the best that are tried further
_SEARCH_WIDTH: Final = 0.08  # metres within which a depth speaks for a pose, in the search
_NEAR: Final = 0.025  # metres within which a measured point can be the surface's, in the end
_GRAZING: Final = 0.3  # cosine below which a surface is seen at too flat an angle
_COARSE_WIDTHS: Final = (0.10, 0.06, 0.04)  # metres, scales of the robust weights on the way
_NEAR_WIDTHS: Final = (0.03, 0.02, 0.012)
_FINE_STEPS: Final = 8


@dataclass(frozen=True, eq=False)
class ArmShot:
    """A depth image of the arm at rest.

    Attributes:
        name: for messages.
        joints: joint name to radians, metres for fingers.
        depth: (H, W) metres; 0, NaN and inf mean "no measurement".
    """

    name: str
    joints: Mapping[str, float]
    depth: Depth


@dataclass(frozen=True, eq=False)
class ArmAlignment:
    """Where a camera is by the arm, and how well that is known.

    Attributes:
        parent_from_camera: (4, 4) of the optical frame.
        correction: how far that is from the guess.
        residual: metres between surface and measurements, robust standard deviation.
        share: of the arm's visible surface that was measured where it has to be.
        leave_one_out: how far the camera moves at most when a pose of the arm is left out.
        held_out: metres, as ``residual``, in the worst pose that was left out.
    """

    parent_from_camera: Array
    correction: Shift
    residual: float
    share: float
    leave_one_out: Shift
    held_out: float

    def __str__(self) -> str:
        return (
            f"moved by {self.correction} from the guess; residual {1e3 * self.residual:.1f} mm, {self.share:.0%} of "
            f"the visible arm measured where it has to be; leaving one pose out moves the camera by up to "
            f"{self.leave_one_out}; the pose held out is missed by {1e3 * self.held_out:.1f} mm"
        )


def align_arm(
    robot: RobotDescription, shots: Sequence[ArmShot], lens: Lens, parent: str, guess: Array, surface: ArmSurface
) -> ArmAlignment:
    """The pose of a camera from depth images of the arm in at least three poses.

    Args:
        robot: the arm.
        shots: the arm in poses that differ.
        lens: of the camera, depth aligned to it.
        parent: frame that carries the camera: the robot's base or one of its links.
        guess: (4, 4) ``parent_from_camera``, within :data:`REACH` of the truth.
        surface: of the robot.

    Raises:
        CalibrationError: if the set cannot give a pose that can be relied on: too few poses or too much alike, joints
            that do not move with the arm, depth that is none, an arm that is not found.
    """
    _refuse_unusable(robot, shots, parent)
    scenes = [_Scene(robot, surface, shot, lens, parent) for shot in shots]
    for scene in scenes:
        scene.check()
    _refuse_frozen(shots)
    best = _aligned(scenes, guess)
    fits = [scene.fit(best) for scene in scenes]
    share = float(np.average([fit.share for fit in fits], weights=[fit.points for fit in fits]))
    if share < MIN_SHARE:
        worst = min(zip(fits, shots, strict=True), key=lambda entry: entry[0].share)
        raise CalibrationError(
            f"only {share:.0%} of the visible arm is measured where it has to be (worst in {worst[1].name}: "
            f"{worst[0].share:.0%}), needed are {MIN_SHARE:.0%}: is the arm in view, is the guess within "
            f"{100 * REACH.metres:.0f} cm and {REACH.degrees:.0f} degrees, are joints and pictures of one time?"
        )
    return _judged(scenes, best, guess, share)


class _Fit(NamedTuple):
    """How a scene agrees with a pose: points that could be measured, the share of them that is, robust deviation."""

    points: int
    share: float
    residual: float


class _Scene:
    """One shot, prepared: what is measured, and what of the arm should be.

    Args:
        robot, surface: the arm.
        shot: joints and depth.
        lens, parent: of the camera.
    """

    def __init__(self, robot: RobotDescription, surface: ArmSurface, shot: ArmShot, lens: Lens, parent: str) -> None:
        self.shot, self.lens, self._surface = shot, lens, surface
        self.base_from_parent = robot.forward_kinematics(shot.joints)[parent]
        self.depth = np.where(np.isfinite(shot.depth) & (shot.depth > 0.0), shot.depth, 0.0).astype(np.float64)
        self._tree: tuple[cKDTree, Array] | None = None

    def check(self) -> None:
        """Refuse depth that is none, or of another image."""
        if self.depth.shape != (self.lens.height, self.lens.width):
            raise CalibrationError(
                f"depth of {self.shot.name} has {self.depth.shape[1]}x{self.depth.shape[0]} pixels, the camera's "
                f"calibration is of {self.lens.width}x{self.lens.height}: record depth aligned to colour"
            )
        share = float(np.mean(self.depth > 0.0))
        if share < 0.1:
            raise CalibrationError(
                f"depth of {self.shot.name} has values in {share:.0%} of its pixels: does the camera see the arm?"
            )
        middle = float(np.median(self.depth[self.depth > 0.0]))
        if middle > 20.0:
            raise CalibrationError(f"depth of {self.shot.name} is {middle:.0f} m in the middle: is it in millimetres?")

    def seen(self, parent_from_camera: Array, grid: RayGrid) -> SeenSurface:
        """What the camera at a pose sees of the arm."""
        return self._surface.seen(self.shot.joints, self.base_from_parent @ parent_from_camera, grid.rays)

    def in_parent(self, seen: SeenSurface, most: int) -> tuple[Array, Array]:
        """Points and normals in the frame of the camera's parent, evenly thinned to ``most``."""
        step = max(1, -(-len(seen) // most))
        parent_from_base = inverse_transform(self.base_from_parent)
        points = transform_points(parent_from_base, seen.points[::step])
        return np.asarray(points, np.float64), seen.normals[::step] @ parent_from_base[:3, :3].T

    def tree(self) -> tuple[cKDTree, Array]:
        """Measured points in the camera frame, thinned, to find the nearest of."""
        if self._tree is None:
            grid = ray_grid(self.lens, max(2, self.lens.width // 160))
            depth = self.depth[grid.rows, grid.columns]
            rays = np.concatenate([grid.rays, np.ones((len(depth), 1))], axis=1)[depth > 0.0]
            points = np.asarray(rays * depth[depth > 0.0, None], dtype=np.float64)
            self._tree = cKDTree(points), points
        return self._tree

    def compared(self, parent_from_camera: Array, grid: RayGrid) -> _Compared:
        """Measured against known depth along the same rays."""
        seen = self.seen(parent_from_camera, grid)
        rays = np.concatenate([grid.rays[seen.places], np.ones((len(seen), 1))], axis=1)
        rotation = (self.base_from_parent @ parent_from_camera)[:3, :3]
        normals = seen.normals @ rotation
        slopes = np.einsum("ij,ij->i", normals, rays)
        measured = self.depth[grid.rows[seen.places], grid.columns[seen.places]]
        cosines = -slopes / np.linalg.norm(rays, axis=1)
        clear = _inner(seen, grid) & (cosines > _GRAZING)
        return _Compared(rays * seen.depths[:, None], normals, slopes * (measured - seen.depths), measured > 0.0, clear)

    def fit(self, parent_from_camera: Array) -> _Fit:
        """How well measurements agree with a pose."""
        compared = self.compared(parent_from_camera, ray_grid(self.lens, 4))
        could = compared.clear & compared.measured
        good = could & (np.abs(compared.distances) < _NEAR)
        count = int(could.sum())
        residual = 1.4826 * float(np.median(np.abs(compared.distances[good]))) if good.any() else np.inf
        return _Fit(count, float(good.sum()) / max(count, 1), residual)


class _Compared(NamedTuple):
    """Points of the arm in the camera frame, their normals, signed distances of what is measured along their rays from
    their planes, and whether there is a measurement and a clear view of them."""

    points: Array
    normals: Array
    distances: Array
    measured: NDArray[np.bool_]
    clear: NDArray[np.bool_]


def _inner(seen: SeenSurface, grid: RayGrid) -> NDArray[np.bool_]:
    """(N,) which points lie inside the outline: their neighbours in the grid are the arm's at about the same depth."""
    depth = np.zeros(len(grid.rays))
    depth[seen.places] = seen.depths
    padded = np.pad(depth.reshape(grid.shape), 1)
    middle = padded[1:-1, 1:-1]
    inner = np.ones(grid.shape, bool)
    for rows, columns in ((slice(2, None), slice(1, -1)), (slice(0, -2), slice(1, -1))):
        inner &= np.abs(padded[rows, columns] - middle) < 0.04
        inner &= np.abs(padded[columns, rows] - middle) < 0.04
    return np.asarray(inner.ravel()[seen.places])


def _refuse_unusable(robot: RobotDescription, shots: Sequence[ArmShot], parent: str) -> None:
    known = [robot.base_frame, *(joint.child for joint in robot.joints)]
    if parent not in known:
        raise CalibrationError(
            f"the camera's parent '{parent}' is no frame of {robot.name}; known are {', '.join(known)}"
        )
    if len(shots) < MIN_POSES:
        raise CalibrationError(
            f"{len(shots)} poses of the arm, needed are {MIN_POSES} or better 5: add poses, the arm stretched out "
            "another way in each"
        )
    for shot in shots:
        missing = [name for name in robot.arm_joint_names if not np.isfinite(shot.joints.get(name, np.nan))]
        if missing:
            raise CalibrationError(
                f"{shot.name} lacks a finite position of {missing[0]}: is it the robot {robot.name}?"
            )
    hands = np.stack([robot.forward_kinematics(shot.joints)[robot.hand_frame][:3, 3] for shot in shots])
    travel = float(np.linalg.norm(hands[:, None] - hands, axis=-1).max())
    if travel < MIN_TRAVEL:
        raise CalibrationError(
            f"by its joints the hand travels {100 * travel:.1f} cm between the poses, needed are "
            f"{100 * MIN_TRAVEL:.0f} cm: move the arm farther, or joint_states are frozen"
        )


def _refuse_frozen(shots: Sequence[ArmShot]) -> None:
    """Equal joints of two shots of which one shows the arm elsewhere."""
    for index, one in enumerate(shots):
        for other in shots[:index]:
            turned = max(abs(one.joints[name] - other.joints[name]) for name in one.joints if name in other.joints)
            both = (one.depth > 0.0) & (other.depth > 0.0)
            if turned < 1e-3 and both.any():
                changed = float(np.mean(np.abs(one.depth[both] - other.depth[both]) > 0.08))
                if changed > 0.02:
                    raise CalibrationError(
                        f"{other.name} and {one.name} have the same joints, but {changed:.0%} of the depth image "
                        "changed: joint_states are frozen or of another time"
                    )


def _aligned(scenes: Sequence[_Scene], guess: Array) -> Array:
    """``parent_from_camera`` from a guess that may be far off."""
    candidates = _search(scenes, guess)
    near = [(_drawn_near(scenes, candidate, _COARSE_WIDTHS, most=200), 0.0) for candidate in candidates]
    grid = ray_grid(scenes[0].lens, 8)
    scored = sorted(near, key=lambda entry: _disagreement(scenes, entry[0], grid))
    best = [_drawn_near(scenes, pose, _NEAR_WIDTHS, most=800) for pose, _ in scored[:2]]
    return _refined(scenes, min(best, key=lambda pose: _disagreement(scenes, pose, grid)))


def _search(scenes: Sequence[_Scene], guess: Array) -> list[Array]:
    """The best poses of many around a guess."""
    grid = ray_grid(scenes[0].lens, 8)
    surfaces = [scene.in_parent(scene.seen(guess, grid), _POINTS) for scene in scenes]
    if not sum(len(points) for points, _ in surfaces):
        raise CalibrationError("from the guess the camera sees nothing of the arm: turn it towards the arm")
    unit = qmc.Sobol(6, scramble=True, rng=np.random.default_rng(0)).random_base2(12)[:_SEARCHED]
    spread = np.repeat([np.radians(REACH.degrees), REACH.metres], 3)
    poses = np.stack([guess @ matrix_from_vector(spread * (2.0 * one - 1.0)) for one in unit])
    poses[0] = guess
    costs = np.zeros(len(poses))
    for scene, (points, _) in zip(scenes, surfaces, strict=True):
        for part in np.array_split(np.arange(len(poses)), 8):
            costs[part] += _search_costs(scene, points, poses[part])
    return [poses[index] for index in np.argsort(costs)[:_DRAWN_NEAR]]


def _search_costs(scene: _Scene, points: Array, poses: Array) -> Array:
    """(P,) how little a scene speaks for each of the poses (P, 4, 4), by points of the arm in the parent's frame."""
    rotations, origins = poses[:, :3, :3], poses[:, :3, 3]
    in_camera = np.einsum("pji,pnj->pni", rotations, points[None] - origins[:, None])
    depth = in_camera[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = in_camera[..., :2] / depth[..., None]
    focal = scene.lens.intrinsics
    columns = np.nan_to_num(pixels[..., 0] * focal[0, 0] + focal[0, 2], nan=-1.0, posinf=-1.0, neginf=-1.0)
    rows = np.nan_to_num(pixels[..., 1] * focal[1, 1] + focal[1, 2], nan=-1.0, posinf=-1.0, neginf=-1.0)
    inside = (depth > 0.05) & (columns >= 0) & (rows >= 0) & (columns < scene.lens.width) & (rows < scene.lens.height)
    column = np.where(inside, columns, 0.0).astype(np.intp)
    row = np.where(inside, rows, 0.0).astype(np.intp)
    measured = np.where(inside, scene.depth[row, column], 0.0)
    return _cost(measured, depth, _SEARCH_WIDTH).sum(axis=1)


def _cost(measured: Array, known: Array, width: float) -> Array:
    """0 for a depth as it has to be, 1 where the camera sees through the arm, in between where it sees less or none."""
    behind = measured - known
    cost = np.minimum(np.abs(behind) / width, 1.0)
    cost = np.where(behind < -width, 0.8, cost)
    return np.where(measured > 0.0, cost, 0.7)


def _disagreement(scenes: Sequence[_Scene], pose: Array, grid: RayGrid) -> float:
    """Mean cost of the arm's visible surface at a pose."""
    total, count = 0.0, 0
    for scene in scenes:
        seen = scene.seen(pose, grid)
        measured = scene.depth[grid.rows[seen.places], grid.columns[seen.places]]
        total += float(_cost(measured, seen.depths, _NEAR).sum())
        count += len(seen)
    return total / count if count else np.inf


def _drawn_near(scenes: Sequence[_Scene], start: Array, widths: Sequence[float], most: int) -> Array:
    """A pose drawn to the nearest measured points, their weights by ever smaller widths."""
    pose = start
    grid = ray_grid(scenes[0].lens, 8)
    for width in widths:
        surfaces = [scene.in_parent(scene.seen(pose, grid), most) for scene in scenes]
        for _ in range(4):
            pose = pose @ matrix_from_vector(_step(list(_nearest(scenes, surfaces, pose, width))))
    return pose


def _nearest(
    scenes: Sequence[_Scene], surfaces: Sequence[tuple[Array, Array]], pose: Array, width: float
) -> Iterator[_Equations]:
    """Equations of the surface's points with the measured points that lie nearest."""
    camera_from_parent = inverse_transform(pose)
    for scene, (points, normals) in zip(scenes, surfaces, strict=True):
        tree, measured = scene.tree()
        here = transform_points(camera_from_parent, points)
        if not len(here):
            continue
        _, index = tree.query(here, distance_upper_bound=3.0 * width)
        found = index < len(measured)
        offsets = measured[index[found]] - here[found]
        weights = (width**2 / (width**2 + (offsets**2).sum(axis=1))) ** 2
        directions = normals[found] @ camera_from_parent[:3, :3].T
        yield _Equations(here[found], directions, np.einsum("ij,ij->i", directions, offsets), weights)


class _Equations(NamedTuple):
    """Points and normals in the camera frame, distances from the points' planes and weights."""

    points: Array
    normals: Array
    distances: Array
    weights: Array


def _step(equations: Sequence[_Equations]) -> Array:
    """(6,) turn and move of the camera in its own frame that lessens the distances most."""
    points, normals, distances, weights = (np.concatenate(columns) for columns in zip(*equations, strict=True))
    # Turning the camera by w and moving it by v moves a point of the arm by -(w x p + v) before it.
    design = -np.concatenate([np.cross(points, normals), normals], axis=1)
    weighted = design * weights[:, None]
    matrix = weighted.T @ design
    damping = 1e-6 * np.trace(matrix) * np.eye(6) + 1e-9 * np.eye(6)
    return np.asarray(np.linalg.solve(matrix + damping, weighted.T @ distances))


def _refined(scenes: Sequence[_Scene], start: Array, steps: int = _FINE_STEPS) -> Array:
    """A pose near the truth, by depths along the same rays."""
    pose = start
    grid = ray_grid(scenes[0].lens, max(1, scenes[0].lens.width // 320))
    for step in range(steps):
        compared = [scene.compared(pose, grid) for scene in scenes]
        equations = []
        for one in compared:
            use = one.clear & one.measured & (np.abs(one.distances) < _NEAR * (2.0 if step < 2 else 1.0))
            equations.append(_Equations(one.points[use], one.normals[use], one.distances[use], np.ones(int(use.sum()))))
        distances = np.concatenate([one.distances for one in equations])
        if len(distances) < 50:
            return pose
        scale = max(4.685 * 1.4826 * float(np.median(np.abs(distances))), 1e-4)
        # Tukey's weights, over the variance of what is measured: that of depth grows with its fourth power.
        weighted = [
            one._replace(
                weights=np.maximum(1.0 - (one.distances / scale) ** 2, 0.0) ** 2
                / (np.einsum("ij,ij->i", one.normals, one.points) * one.points[:, 2]) ** 2
            )
            for one in equations
        ]
        pose = pose @ matrix_from_vector(_step(weighted))
    return pose


def _judged(scenes: Sequence[_Scene], best: Array, guess: Array, share: float) -> ArmAlignment:
    """The result with what leaving out each pose tells."""
    moves, misses = [], []
    for left_out in scenes:
        without = _refined([scene for scene in scenes if scene is not left_out], best, steps=4)
        moves.append(shift_between(best, without))
        misses.append(left_out.fit(without))
    worst = Shift(max(move.metres for move in moves), max(move.degrees for move in moves))
    odd = scenes[int(np.argmin([miss.share for miss in misses]))].shot.name
    if (
        worst.metres > MAX_CHANGE.metres
        or worst.degrees > MAX_CHANGE.degrees
        or min(miss.share for miss in misses) < 0.5 * MIN_SHARE
    ):
        raise CalibrationError(
            f"leaving out one pose moves the camera by {worst}, allowed are {MAX_CHANGE}; {odd} fits the others least: "
            "was the camera moved, did the arm rest, is more of the arm to be seen from elsewhere?"
        )
    return ArmAlignment(
        best,
        shift_between(guess, best),
        float(np.median([scene.fit(best).residual for scene in scenes])),
        share,
        worst,
        max(miss.residual for miss in misses),
    )
