"""Whether what a camera delivers can be: depth that measures, in metres, from a place where a camera can be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.perception.errors import InvalidViewError
from mini_diffuser_ros.records import CameraView, Workspace
from mini_diffuser_ros.support.settings import bounded, check_fields

SATURATED = 65.535  # metres, the most that 16 bits say in millimetres
SPARSE = 5000  # pixels that are looked at, of an image of any size


@dataclass(frozen=True)
class ContentConfig:
    """From when on what cameras say about the scene is not believed.

    Attributes:
        still_after: seconds that a picture may be the same bit for bit, as no sensor is without noise; 0 for rendered
            cameras without noise, of which any picture is believed.
        least_depth: share of the pixels that have to measure a distance.
        shortest_median: metres; the median of the distances is above it, or their unit is another.
        longest_median: metres; likewise below it.
        farthest_camera: metres from the base; a camera beyond it is calibrated in another unit.
        deepest_camera: metres below the workspace; a camera beneath it would look through the table.
        moved_by: metres that a camera may move against the link that it is fixed to, while this runs.
        turned_by: radians, likewise.
        fixed_moved_by: metres that a camera may move against the base if it moves with no link.
        fixed_turned_by: radians, likewise.
        trusted_after: seconds without a fault after which a camera that had one is believed again.
        survey_period: seconds between comparisons of the cameras with one another; 0 for none.
        table_band: metres above and below the workspace's lower bound within which the table is looked for.
        table_step: metres by which two cameras may see the table at different heights.
        table_in_cloud: metres that the table may lie above the workspace's lower bound.
        table_beneath: metres that it may lie below that.
        table_tilt: radians by which it may be tilted.
        levelled_by: radians by which fusion may turn a view until its table is level (``fusion.level_reach``); one that
            is turned by more is judged as it is calibrated.
        see_through: share of what one camera sees and another looks through, above which they disagree.
        see_through_depth: metres behind it that the other has to look.
        swapped_colors: correlation of red minus blue on what two cameras see below which one has them swapped; -1 for
            any colours.
    """

    still_after: float = bounded(1.0, 0.0, 60.0)
    least_depth: float = bounded(0.01, 0.0, 1.0)
    shortest_median: float = bounded(0.03, 0.0, 10.0)
    longest_median: float = bounded(20.0, 0.0, 1000.0)
    farthest_camera: float = bounded(5.0, 0.1, 100.0)
    deepest_camera: float = bounded(0.05, 0.0, 10.0)
    moved_by: float = bounded(0.015, 0.0, 10.0)
    turned_by: float = bounded(0.03, 0.0, 3.2)
    fixed_moved_by: float = bounded(0.005, 0.0, 10.0)
    fixed_turned_by: float = bounded(0.01, 0.0, 3.2)
    trusted_after: float = bounded(2.0, 0.0, 600.0)
    survey_period: float = bounded(1.0, 0.0, 600.0)
    table_band: float = bounded(0.12, 0.0, 1.0)
    table_step: float = bounded(0.02, 0.0, 1.0)
    table_in_cloud: float = bounded(0.01, 0.0, 1.0)
    table_beneath: float = bounded(0.05, 0.0, 1.0)
    table_tilt: float = bounded(0.07, 0.0, 1.6)
    levelled_by: float = bounded(0.06, 0.0, 0.5)
    see_through: float = bounded(0.3, 0.0, 1.0)
    see_through_depth: float = bounded(0.05, 0.0, 1.0)
    swapped_colors: float = bounded(-0.5, -1.0, 0.0)

    def __post_init__(self) -> None:
        check_fields(self)


def stride(shape: tuple[int, ...]) -> int:
    """Every so many rows and columns of an image are looked at."""
    return max(1, int(np.sqrt(shape[0] * shape[1] / SPARSE)))


def check_measures(view: CameraView, config: ContentConfig) -> None:
    """Refuse depth that measures nothing, as that of a camera too near to what it looks at.

    Raises:
        InvalidViewError: naming the share of pixels that measure.
    """
    measured, total = _measured(view.depth)
    if not _is_enough(measured, total, config):
        raise InvalidViewError(
            view.name,
            f"depth measures nothing: {measured.size / total:.1%} of the pixels have a distance, the others are 0, "
            "NaN, infinite or saturated; is the sensor covered, too near, or its emitter off?",
        )


def check_unit(view: CameraView, config: ContentConfig) -> None:
    """Refuse depth in another unit.

    Raises:
        InvalidViewError: naming the median distance.
    """
    measured, total = _measured(view.depth)
    if not _is_enough(measured, total, config):
        return
    median = float(np.median(measured))
    if not config.shortest_median < median < config.longest_median:
        raise InvalidViewError(
            view.name,
            f"depth has a median of {median:.4g} m, expected {config.shortest_median:g} to {config.longest_median:g} "
            "m: is it in another unit? 16UC1 is millimetres, 32FC1 is metres",
        )


def measures(depth: NDArray[np.floating], config: ContentConfig) -> bool:
    """Whether enough pixels of depth, (H, W) metres, have a distance."""
    return _is_enough(*_measured(depth), config)


def worth_recording(views: Iterable[CameraView], config: ContentConfig) -> tuple[CameraView, ...]:
    """Those of views that measure; a camera on the hand may be nearer to something than it measures.

    One that measures less than can be is left out as well, unless all do: then their unit is another.
    """
    measuring = tuple(view for view in views if measures(view.depth, config))
    return tuple(view for view in measuring if not _is_too_near(view.depth, config)) or measuring


def _is_too_near(depth: NDArray[np.floating], config: ContentConfig) -> bool:
    measured, _ = _measured(depth)
    return bool(measured.size) and float(np.median(measured)) <= config.shortest_median


def _is_enough(measured: NDArray[np.floating], total: int, config: ContentConfig) -> bool:
    return measured.size >= max(1.0, config.least_depth * total)


def _measured(depth: NDArray[np.floating]) -> tuple[NDArray[np.floating], int]:
    """Distances of a part of the pixels, those that have one, and how many pixels were looked at."""
    step = stride(depth.shape)
    depth = depth[::step, ::step]
    with np.errstate(invalid="ignore"):
        # The largest number of 16 bits is no measurement either.
        is_measured = np.isfinite(depth) & (depth > 0.0) & (np.abs(depth - SATURATED) > 1e-3)
    return depth[is_measured], depth.size


def check_pose(
    name: str, base_from_camera: NDArray[np.floating], workspace: Workspace, base: str, config: ContentConfig
) -> None:
    """Refuse a place where no camera can be.

    Args:
        name: of the camera.
        base_from_camera: (4, 4) its pose.
        workspace: whose lower bound lies a little above the table.
        base: name of the base frame.
        config: what can be.

    Raises:
        InvalidViewError: naming the place and what to look at.
    """
    x, y, z = (float(value) for value in base_from_camera[:3, 3])
    place = f"it is at ({x:.2f}, {y:.2f}, {z:.2f}) m in {base}"
    distance = float(np.linalg.norm((x, y, z)))
    if distance > config.farthest_camera:
        raise InvalidViewError(
            name, f"{place}, {distance:.1f} m away, allowed are {config.farthest_camera:g} m: is its TF in metres?"
        )
    if z < workspace.lower[2] - config.deepest_camera:
        raise InvalidViewError(
            name, f"{place}, beneath the table (fusion.workspace): is its TF the inverse, or that of another frame?"
        )
