"""Cameras compared with one another and with the workspace: a calibration that is wrong shows where they overlap.

Three things are known about the scene without knowing it: the table is one plane, level and just beneath the
workspace; what one camera sees another cannot look through; and a surface has one colour. All are looked at on some
thousand pixels a camera, in milliseconds. A plane tells neither a shift along it nor a turn about its normal, and a
picture that is mirrored shows a table as well: that takes a second camera, or a person.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform, nearest_plane, transform_points
from mini_diffuser_ros.perception.back_projection import back_project
from mini_diffuser_ros.perception.color_agreement import color_agreements, swapped
from mini_diffuser_ros.perception.content import ContentConfig, stride
from mini_diffuser_ros.perception.distortion import project
from mini_diffuser_ros.records import CameraView, Workspace

Points = NDArray[np.floating]

CELL = 0.05  # metres, of the grid on which the extent of a plane is counted
FINE_CELL = 0.02  # metres, of the grid on which the heights that two cameras see are compared
LEAST_POINTS = 60  # that a plane has to have
LEAST_THINGS = 30  # points that have to be comparable for two cameras to disagree
LEAST_CELLS = 12  # that a plane has to cover
LEAST_SHARED = 30  # fine cells that two cameras have to see the table in, for its heights to be compared
STEEPEST = 0.5  # cosine of the tilt from which on a plane is no table's
MOSTLY = 0.4  # share of the cells that have to show a plane for it to be the table
ABOVE = 0.03  # metres above the table from which on points are things, which tell where a camera is
LEAST_JUDGED = 40  # cells that the table has to cover for its tilt to be judged
LOOKS, LOOKED_AT = 80, 1500  # planes through three points that are tried, and points that are held against them
THICK = 0.02  # metres from a plane within which a point lies on it
FAR = 3.0  # metres from the camera beyond which depth is too noisy to tell planes
LEVEL = 0.14  # radians of tilt up to which a plane may be a table at another height
OVER_WORKSPACE = 0.15  # share of the points that a plane has to have over or beneath the workspace, to be in its place
AROUND = 0.3  # metres around the workspace within which things are looked at, the arm among them


@dataclass(frozen=True)
class Finding:
    """What is wrong with a camera.

    Attributes:
        camera: its name.
        message: one line, in words that follow its name.
    """

    camera: str
    message: str


@dataclass(frozen=True, eq=False)
class _Table:
    """What a camera takes for the table.

    Attributes:
        height: metres, base frame, in the middle.
        tilt: radians from level.
        extent: cells that it covers.
        cells: (N,) sorted numbers of its fine cells.
        heights: (N,) metres, what is measured there, in the mean.
        around: (M,) sorted numbers of the fine cells in which anything low is seen.
    """

    height: float
    tilt: float
    extent: int
    cells: NDArray[np.int64]
    heights: Points
    around: NDArray[np.int64]


def survey(
    views: Sequence[CameraView],
    fixed: Sequence[str],
    workspace: Workspace,
    config: ContentConfig,
    off_arm: Container[str] | None = None,
) -> list[Finding]:
    """What is wrong with the cameras, as far as they show it themselves.

    Args:
        views: of one time, of cameras that do not move at present.
        fixed: names of those that are meant to see the workspace at all times.
        workspace: in the base frame.
        config: what may be.
        off_arm: those of them that are known not to be on the arm, which alone have to see the table level and where it
            is: what one on the hand looks at may be a lid or a front. All of them by default.
    """
    standing = fixed if off_arm is None else [name for name in fixed if name in off_arm]
    clouds = {view.name: _sparse_points(view) for view in views}
    findings = [
        finding
        for view in views
        if view.name in fixed and (finding := _sees_nothing(view, clouds[view.name], workspace, config)) is not None
    ]
    lost = {finding.camera for finding in findings}
    tables = {
        name: table
        for name, points in clouds.items()
        if name not in lost and (table := _table(points, workspace, config)) is not None
    }
    findings += _heights(tables, fixed, standing, workspace, config)
    findings += _tilts(tables, standing, config)
    findings += [
        finding
        for view in views
        if view.name in standing
        and view.name not in lost
        and view.name not in tables
        and (finding := _in_place_of_table(view, clouds[view.name], workspace)) is not None
    ]
    findings += _steps(tables, config)
    seen = [view for view in views if view.name not in lost]
    findings += _contradictions(seen, clouds, workspace, config)
    # Cameras that are not where they are said to be do not look at the same surface.
    return findings or _colors(seen, config)


def _colors(views: Sequence[CameraView], config: ContentConfig) -> list[Finding]:
    """Cameras that show red where others show blue."""
    found = swapped(color_agreements(views), config.swapped_colors)
    return [
        Finding(
            name,
            f"shows red where {' and '.join(others)} see blue, and blue for red: are its images bgr8 announced as "
            "rgb8, or theirs?",
        )
        for name, others in found.items()
    ]


def _sparse_points(view: CameraView) -> Points:
    """(N, 3) what a part of the pixels shows, in the base frame."""
    points = back_project(view.depth, view.intrinsics, view.distortion, stride(view.depth.shape)).reshape(-1, 3)
    return transform_points(view.base_from_camera, points[np.isfinite(points).all(axis=1)])


def _within(points: Points, workspace: Workspace, below: float, around: float = 0.0) -> Points:
    low, high = np.array(workspace.lower) - around, np.array(workspace.upper) + around
    low[2] = workspace.lower[2] - below
    return points[np.all((points >= low) & (points <= high), axis=1)]


def _sees_nothing(view: CameraView, points: Points, workspace: Workspace, config: ContentConfig) -> Finding | None:
    if len(_within(points, workspace, config.table_band)) >= LEAST_POINTS // 10:
        return None
    x, y, z = view.base_from_camera[:3, 3]
    return Finding(
        view.name,
        f"delivers, but nothing of what it sees lies in the workspace {workspace.lower} to {workspace.upper} m or "
        f"beneath it; it is said to be at ({x:.2f}, {y:.2f}, {z:.2f}): is its calibration in TF right, and in metres?",
    )


def _table(points: Points, workspace: Workspace, config: ContentConfig) -> _Table | None:
    """The plane that most of what lies about the workspace's lower bound belongs to, if there is one."""
    near = _within(points, workspace, config.table_band)
    low = near[near[:, 2] <= workspace.lower[2] + config.table_band]
    if len(low) < LEAST_POINTS:
        return None
    # By cells, not by points: of what is near to the camera there are more.
    cells, heights = _mean_heights(low)
    counts, edges = np.histogram(heights, bins=max(4, round(2.0 * config.table_band / 0.01)))
    middle = 0.5 * (edges[counts.argmax()] + edges[counts.argmax() + 1])
    height, slopes, width = middle, np.zeros(2), 0.03
    inliers = low
    for _ in range(4):
        inliers = low[np.abs(low[:, 2] - height - low[:, :2] @ slopes) < width]
        if len(inliers) < LEAST_POINTS:
            return None
        normal, offset = nearest_plane(inliers)
        if normal[2] < STEEPEST:
            return None
        height, slopes, width = offset / normal[2], -normal[:2] / normal[2], 0.015
    covered, all_seen = len(_cells(inliers, CELL)), len(_cells(near, CELL))
    if covered < max(LEAST_CELLS, MOSTLY * all_seen):
        return None
    tilt = float(np.arccos(min(1.0, normal[2])))
    return _Table(float(np.median(inliers[:, 2])), tilt, covered, *_mean_heights(inliers), cells)


def _mean_heights(points: Points) -> tuple[NDArray[np.int64], Points]:
    """(N,) sorted numbers of the fine cells that hold points, and (N,) the mean height of these, metres."""
    cells, which = np.unique(_cell_numbers(points, FINE_CELL), return_inverse=True)
    return cells, np.bincount(which, points[:, 2]) / np.bincount(which)


def _cells(points: Points, size: float) -> NDArray[np.int64]:
    return np.unique(_cell_numbers(points, size))


def _cell_numbers(points: Points, size: float) -> NDArray[np.int64]:
    columns, rows = np.floor(points[:, :2] / size).astype(np.int64).T
    return np.asarray(columns * 100_000 + rows)


def _heights(
    tables: dict[str, _Table],
    fixed: Sequence[str],
    standing: Sequence[str],
    workspace: Workspace,
    config: ContentConfig,
) -> list[Finding]:
    """Cameras whose table reaches into the workspace, or lies too far beneath it.

    What fills the picture of a camera on the arm may be a thing that it is near to: it has to show as much of a plane
    as no thing has. Nearer to the table it is compared with the other cameras alone.
    """
    (left, near, _), (right, far, _) = workspace.lower, workspace.upper
    large = MOSTLY * (right - left) * (far - near) / CELL**2
    findings = []
    for name, table in tables.items():
        above = table.height - workspace.lower[2]
        if above > config.table_in_cloud and (name in fixed or table.extent >= large):
            findings.append(
                Finding(
                    name,
                    f"sees the table {above:.3f} m above the lower bound of the workspace, inside the cloud: is its "
                    "calibration right, or has fusion.workspace.lower to be raised?",
                )
            )
        elif -above > config.table_beneath and name in standing:
            findings.append(
                Finding(
                    name,
                    f"sees the table {-above:.3f} m below the lower bound of the workspace, allowed are "
                    f"{config.table_beneath:g} m (content.table_beneath): is its calibration right, or its depth too "
                    "long?",
                )
            )
    return findings


def _tilts(tables: dict[str, _Table], standing: Sequence[str], config: ContentConfig) -> list[Finding]:
    """Cameras whose table is not level."""
    return [
        Finding(
            name,
            f"sees the table tilted by {np.degrees(table.tilt):.1f} degrees, allowed are "
            f"{np.degrees(config.table_tilt):.1f}: is its calibration right, and camera_info that of these images?",
        )
        for name, table in tables.items()
        if name in standing and table.tilt > config.table_tilt and table.extent >= LEAST_JUDGED
    ]


def _in_place_of_table(view: CameraView, points: Points, workspace: Workspace) -> Finding | None:
    """A camera that sees no table where it has to be, but most of all another plane there."""
    eye = np.asarray(view.base_from_camera)[:3, 3]
    points = points[np.linalg.norm(points - eye, axis=1) < FAR]
    if len(points) < LEAST_POINTS:
        return None
    on = _largest_plane(points)
    low, high = np.array(workspace.lower[:2]), np.array(workspace.upper[:2])
    there = on & np.all((points[:, :2] >= low) & (points[:, :2] <= high), axis=1)
    if on.mean() < MOSTLY or there.mean() < OVER_WORKSPACE:
        return None
    normal, _ = nearest_plane(points[on])
    tilt = float(np.arccos(min(1.0, normal[2])))
    if tilt > LEVEL:
        return Finding(
            view.name,
            f"sees no table, but most of all a plane there that is tilted by {np.degrees(tilt):.0f} degrees: are its "
            "images upside down, is camera_info that of these images, and its calibration in TF right?",
        )
    above = float(np.median(points[there, 2])) - workspace.lower[2]
    side = "above" if above > 0.0 else "below"
    return Finding(
        view.name,
        f"sees no table, but most of all a level plane {abs(above):.3f} m {side} the lower bound of the workspace: is "
        "its depth in metres, and its calibration in TF right?",
    )


def _largest_plane(points: Points) -> NDArray[np.bool_]:
    """(N,) which points lie on the plane on which most of them lie."""
    random = np.random.default_rng(0)
    some = points[random.permutation(len(points))[:LOOKED_AT]].astype(np.float64)
    corners = some[random.integers(0, len(some), (LOOKS, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    normals, corners = normals[lengths > 1e-4], corners[lengths > 1e-4]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    if not len(normals):
        return np.zeros(len(points), bool)
    offsets = np.einsum("ij,ij->i", normals, corners[:, 0])
    counts = (np.abs(some @ normals.T - offsets) < THICK).sum(axis=0)
    best = int(counts.argmax())
    normal, offset = normals[best], offsets[best]
    for _ in range(2):
        on = np.abs(points @ normal - offset) < THICK
        normal, offset = nearest_plane(points[on])
    return np.asarray(np.abs(points @ normal - offset) < THICK)


def _steps(tables: dict[str, _Table], config: ContentConfig) -> list[Finding]:
    """Cameras that see the table at different heights."""
    findings = []
    for one, other in combinations(tables, 2):
        step = _step(tables[one], tables[other])
        if abs(step) > config.table_step:
            for name, partner, difference in ((one, other, step), (other, one, -step)):
                side = "higher" if difference > 0.0 else "lower"
                findings.append(
                    Finding(
                        name,
                        f"sees the table {abs(step):.3f} m {side} than {partner}, allowed are {config.table_step:g} m: "
                        "calibrate both, or find out whose depth is off",
                    )
                )
    return findings


def _step(one: _Table, other: _Table) -> float:
    """Metres by which one camera sees the table higher than another; 0 where it is not the same that both take for it.

    What both see is compared as it is measured, and not by planes: these lead on where there is none any more.
    """
    shared, of_one, of_other = np.intersect1d(one.cells, other.cells, return_indices=True)
    # Above a thing that fills its picture a camera takes that for the table, and the others see both.
    seen_by_both = np.intersect1d(one.around, other.around)
    if len(shared) < max(LEAST_SHARED, MOSTLY * len(seen_by_both)):
        return 0.0
    differences = one.heights[of_one] - other.heights[of_other]
    # Of a tilted camera one half is too high and the other too low.
    return float(np.copysign(np.quantile(np.abs(differences), 0.75), np.median(differences)))


def _contradictions(
    views: Sequence[CameraView], clouds: dict[str, Points], workspace: Workspace, config: ContentConfig
) -> list[Finding]:
    """Cameras that see things where others look through them."""
    findings = []
    for one, other in permutations(views, 2):
        things = _within(clouds[one.name], workspace, -ABOVE, AROUND)
        share, count = _looked_through(things, other, config)
        if count >= LEAST_THINGS and share > config.see_through:
            findings.append(
                Finding(
                    one.name,
                    f"sees things that {other.name} looks through ({share:.0%} of {count} points): one of the two is "
                    "not where its calibration says, or shows another time",
                )
            )
    return findings


def _looked_through(points: Points, view: CameraView, config: ContentConfig) -> tuple[float, int]:
    """Share of points that a camera looks through, of those that it would see, and how many these are."""
    local = transform_points(inverse_transform(np.asarray(view.base_from_camera, np.float64)), points)
    local = local[local[:, 2] > 0.05]
    columns, rows = np.rint(project(local, view.intrinsics, view.distortion)).astype(np.int64).T
    height, width = view.depth.shape
    inside = (columns >= 1) & (columns < width - 1) & (rows >= 1) & (rows < height - 1)
    columns, rows, distance = columns[inside], rows[inside], local[inside, 2]
    # The nearest and the farthest of a few pixels around: silhouettes are not known any better.
    around = np.stack([view.depth[rows + dy, columns + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    measured = np.isfinite(around) & (around > 0.0)
    nearest = np.where(measured, around, np.inf).min(axis=0, initial=np.inf)
    known = measured.all(axis=0)
    through = known & (nearest > distance + config.see_through_depth)
    agrees = known & np.any(np.abs(around - distance) <= config.see_through_depth, axis=0)
    count = int(through.sum() + agrees.sum())
    return (float(through.sum()) / count if count else 0.0), count
