"""Depth images of known surfaces come back as those surfaces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.perception import PerceptionError, back_project

WIDTH, HEIGHT = 64, 48
INTRINSICS = np.array([[70.0, 0.0, 31.5], [0.0, 72.0, 23.5], [0.0, 0.0, 1.0]])

pixels = st.floats(0.1, 0.9)
slopes = st.floats(-0.8, 0.8)


def rays(intrinsics: np.ndarray) -> np.ndarray:
    """Directions (H, W, 3) through the pixels with z = 1, from the definition of the pinhole camera."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    x = (u - intrinsics[0, 2]) / intrinsics[0, 0]
    y = (v - intrinsics[1, 2]) / intrinsics[1, 1]
    return np.stack([x, y, np.ones_like(x)], axis=-1)


@given(slope_x=slopes, slope_y=slopes, distance=st.floats(0.3, 3.0))
def test_a_plane_comes_back_as_that_plane(slope_x: float, slope_y: float, distance: float) -> None:
    normal = np.array([slope_x, slope_y, 1.0])
    depth = (distance / (rays(INTRINSICS) @ normal)).astype(np.float32)
    points = back_project(depth, INTRINSICS)
    seen = depth > 0
    np.testing.assert_allclose(points[seen] @ normal, distance, rtol=2e-6)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points[..., 2][seen], depth[seen])


@given(center_x=st.floats(-0.2, 0.2), center_y=st.floats(-0.2, 0.2), radius=st.floats(0.05, 0.3))
def test_a_sphere_comes_back_as_that_sphere(center_x: float, center_y: float, radius: float) -> None:
    center = np.array([center_x, center_y, 1.0])
    directions = rays(INTRINSICS)
    a = np.sum(directions**2, axis=-1)
    b = directions @ center
    discriminant = b**2 - a * (center @ center - radius**2)
    hit = discriminant >= 0
    depth = np.where(hit, (b - np.sqrt(np.where(hit, discriminant, 0.0))) / a, np.inf).astype(np.float32)
    points = back_project(depth, INTRINSICS)
    np.testing.assert_allclose(np.linalg.norm(points[hit] - center, axis=-1), radius, atol=2e-6)
    assert np.all(np.isnan(points[~hit]))


@given(distance=st.floats(0.2, 5.0))
def test_negative_focal_lengths_turn_the_image_axes_around(distance: float) -> None:
    depth = np.full((HEIGHT, WIDTH), distance, np.float32)
    turned = INTRINSICS * np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(
        back_project(depth, turned), back_project(depth, INTRINSICS) * (-1.0, -1.0, 1.0), atol=1e-6 * distance
    )


@pytest.mark.parametrize("nothing", [0.0, -1.0, np.nan, np.inf])
def test_what_is_no_measurement_is_no_point(nothing: float) -> None:
    depth = np.ones((4, 4), np.float32)
    depth[1, 2] = nothing
    points = back_project(depth, INTRINSICS)
    assert np.all(np.isnan(points[1, 2]))
    assert np.isfinite(points).sum() == 3 * 15


def test_depth_in_integers_is_refused_because_its_unit_is_unknown() -> None:
    with pytest.raises(PerceptionError, match=r"uint16 of shape \(4, 4\), expected floating metres"):
        back_project(np.ones((4, 4), np.uint16), INTRINSICS)


@pytest.mark.parametrize("intrinsics", [np.eye(4), np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_a_matrix_that_is_no_pinhole_camera_is_refused_in_one_line(intrinsics: np.ndarray) -> None:
    with pytest.raises(PerceptionError, match="pinhole matrix") as caught:
        back_project(np.ones((4, 4), np.float32), intrinsics)
    assert "\n" not in str(caught.value)
