"""What a camera delivers is believed only if it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.perception import InvalidViewError
from mini_diffuser_ros.perception.content import ContentConfig, check_measures, check_pose, check_unit
from mini_diffuser_ros.records import CameraView, FusionConfig

CONFIG, WORKSPACE = ContentConfig(), FusionConfig().workspace
BASE = "fr3_link0"


def view_of(depth: np.ndarray) -> CameraView:
    return CameraView("front", np.zeros((*depth.shape, 3), np.uint8), depth.astype(np.float32), np.eye(3), np.eye(4))


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -np.inf, -1.0, 65.535])
@pytest.mark.parametrize("shape", [(24, 32), (480, 640)])
def test_depth_that_measures_nothing_is_refused(nothing: float, shape: tuple[int, int]) -> None:
    depth = np.full(shape, nothing)
    with pytest.raises(InvalidViewError, match=r"depth measures nothing: 0\.0% of the pixels have a distance"):
        check_measures(view_of(depth), CONFIG)
    check_unit(view_of(depth), CONFIG)  # says nothing of a unit


@given(st.floats(0.1, 5.0), st.floats(0.0, 0.9))
def test_depth_with_holes_is_believed(distance: float, holes: float) -> None:
    depth = np.random.default_rng(0).uniform(0.5 * distance, 1.5 * distance, (60, 80))
    depth[np.random.default_rng(1).random(depth.shape) < holes] = 0.0
    check_measures(view_of(depth), CONFIG)
    check_unit(view_of(depth), CONFIG)


@given(st.floats(0.2, 3.0), st.sampled_from([1e3, 1e-3, 1e2, 1e-2]))
def test_another_unit_is_named(distance: float, factor: float) -> None:
    depth = np.full((60, 80), distance * factor)
    if CONFIG.shortest_median < distance * factor < CONFIG.longest_median:
        check_unit(view_of(depth), CONFIG)
        return
    with pytest.raises(InvalidViewError, match=r"in another unit\? 16UC1 is millimetres, 32FC1 is metres"):
        check_unit(view_of(depth), CONFIG)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((1100.0, 0.0, 550.0), ["(1100.00, 0.00, 550.00) m in fr3_link0", "1229.8 m away", "metres?"]),
        ((4.0, 4.0, 1.0), ["5.7 m away", "allowed are 5 m"]),
        ((0.6, 0.0, -0.9), ["beneath the table", "inverse"]),
    ],
)
def test_a_place_where_no_camera_can_be_is_named(place: tuple[float, float, float], words: list[str]) -> None:
    pose = np.eye(4)
    pose[:3, 3] = place
    with pytest.raises(InvalidViewError) as caught:
        check_pose("front", pose, WORKSPACE, BASE, CONFIG)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_where_cameras_are_is_believed() -> None:
    for place in ((1.1, 0.0, 0.55), (0.3, -1.8, 2.0), (0.5, 0.0, 0.02)):
        pose = np.eye(4)
        pose[:3, 3] = place
        check_pose("front", pose, WORKSPACE, BASE, CONFIG)


@pytest.mark.parametrize("change", [{"still_after": -1.0}, {"see_through": 1.5}, {"moved_by": float("nan")}])
def test_settings_out_of_range_are_refused_by_name(change: dict[str, float]) -> None:
    make: Callable[..., ContentConfig] = ContentConfig
    with pytest.raises(ValueError, match=next(iter(change))):
        make(**change)
    assert replace(CONFIG) == CONFIG
