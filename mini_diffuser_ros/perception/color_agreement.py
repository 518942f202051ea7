"""Whether cameras see the same colours on the same surface: a camera whose red is another's blue says bgr8 for rgb8.

White balance and exposure differ from camera to camera, but they move all colours of a picture alike. So red minus blue
is compared as it stands out from the picture's usual, and only its sign decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.perception.back_projection import back_project
from mini_diffuser_ros.perception.content import stride
from mini_diffuser_ros.perception.distortion import project
from mini_diffuser_ros.records import CameraView

Array = NDArray[np.float64]

SAME_SURFACE = 0.015  # metres by which two cameras may measure a surface differently
STANDS_OUT = 30.0  # of 255, that red minus blue has to be away from the median of the picture
LEAST_COLORED = 30  # points that stand out in both


def color_agreements(views: Sequence[CameraView]) -> dict[tuple[str, str], float]:
    """Two cameras to the correlation, -1 to 1, of red minus blue on what both see; of those that see enough of it."""
    found = {}
    for one, other in combinations(views, 2):
        here, there = _seen_by_both(one, other)
        if len(here) == 0:
            continue
        here, there = here - np.median(here), there - np.median(there)
        colored = (np.abs(here) > STANDS_OUT) & (np.abs(there) > STANDS_OUT)
        if colored.sum() >= LEAST_COLORED:
            here, there = here[colored], there[colored]
            found[one.name, other.name] = float(here @ there / np.sqrt((here @ here) * (there @ there)))
    return found


def swapped(agreements: dict[tuple[str, str], float], limit: float) -> dict[str, list[str]]:
    """Cameras whose red and blue may be swapped, each with those whose colours say so.

    Those that disagree with more cameras than they agree with; of two that are by themselves nobody knows which.

    Args:
        agreements: of :func:`color_agreements`.
        limit: correlation below which two cameras disagree.
    """
    opposed: dict[str, list[str]] = {}
    for (one, other), correlation in agreements.items():
        if correlation < limit:
            opposed.setdefault(one, []).append(other)
            opposed.setdefault(other, []).append(one)
    agreeing = {
        name: sum(name in pair and correlation > -limit for pair, correlation in agreements.items()) for name in opposed
    }
    most = max((len(others) - agreeing[name] for name, others in opposed.items()), default=0)
    return {name: others for name, others in opposed.items() if len(others) - agreeing[name] == most}


def _seen_by_both(one: CameraView, other: CameraView) -> tuple[Array, Array]:
    """Red minus blue (N,) of surface points that both cameras see, as each of them shows it."""
    step = stride(one.depth.shape)
    points = back_project(one.depth, one.intrinsics, one.distortion, step)
    colors = one.color[::step, ::step][: points.shape[0], : points.shape[1]].reshape(-1, 3)
    points = points.reshape(-1, 3)
    measured = np.isfinite(points).all(axis=1)
    other_from_one = inverse_transform(np.asarray(other.base_from_camera, np.float64)) @ one.base_from_camera
    local = transform_points(other_from_one, points[measured])
    ahead = local[:, 2] > 0.05
    local, colors = local[ahead], colors[measured][ahead]
    columns, rows = np.rint(project(local, other.intrinsics, other.distortion)).astype(np.int64).T
    height, width = other.depth.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    columns, rows, distance, colors = columns[inside], rows[inside], local[inside, 2], colors[inside]
    with np.errstate(invalid="ignore"):
        both = np.abs(other.depth[rows, columns] - distance) < SAME_SURFACE
    return _red_minus_blue(colors[both]), _red_minus_blue(other.color[rows[both], columns[both]])


def _red_minus_blue(colors: NDArray[np.uint8]) -> Array:
    return colors[:, 0].astype(np.float64) - colors[:, 2]
