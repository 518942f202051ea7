"""Lenses that bend: what they show is put back where it was, or they are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.perception import FusionConfig, InvalidViewError, PerceptionError, back_project, fuse_views
from mini_diffuser_ros.perception.distortion import distort
from mini_diffuser_ros.records import CameraView, Distortion, Workspace

WIDTH, HEIGHT = 80, 60
INTRINSICS = np.array([[70.0, 0.3, 38.0], [0.0, 72.0, 31.0], [0.0, 0.0, 1.0]])
EVERYWHERE = FusionConfig(
    workspace=Workspace((-100, -100, -100), (100, 100, 100)), voxel_size=0, max_depth=90, drop_flying_points=False
)

small, tiny = st.floats(-0.1, 0.1), st.floats(-0.01, 0.01)
plumb_bobs = st.tuples(st.floats(-0.3, 0.3), small, tiny, tiny, tiny).map(lambda d: Distortion("plumb_bob", d))
rationals = st.tuples(small, small, tiny, tiny, tiny, small, small, tiny, tiny, tiny, tiny, tiny).map(
    lambda d: Distortion("rational_polynomial", d)
)
fisheyes = st.tuples(small, tiny, tiny, tiny).map(lambda d: Distortion("equidistant", d))
lenses = st.one_of(plumb_bobs, rationals, fisheyes)


def shown_at(points: np.ndarray, lens: Distortion) -> np.ndarray:
    """Pixels (N, 2) at which a lens shows points of the camera frame, by the formulas of CameraInfo's models."""
    pixels = []
    for x, y in points[:, :2] / points[:, 2:]:
        r = np.hypot(x, y)
        if lens.model == "equidistant":
            theta = np.arctan(r)
            bent = theta + sum(k * theta ** (3 + 2 * i) for i, k in enumerate(lens.coefficients))
            x, y = (x * bent / r, y * bent / r) if r else (x, y)
        else:
            k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = np.pad(lens.coefficients, (0, 12 - len(lens.coefficients)))
            radial = (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / (1 + k4 * r**2 + k5 * r**4 + k6 * r**6)
            x, y = (
                x * radial + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2) + s1 * r**2 + s2 * r**4,
                y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y + s3 * r**2 + s4 * r**4,
            )
        pixels.append((INTRINSICS @ (x, y, 1.0))[:2])
    return np.array(pixels)


@given(lenses, st.floats(0.3, 3.0))
def test_points_show_at_the_pixels_that_they_came_from(lens: Distortion, distance: float) -> None:
    depth = np.full((HEIGHT, WIDTH), distance, np.float32)
    points = back_project(depth, INTRINSICS, lens)
    rows, columns = np.nonzero(np.isfinite(points[..., 0]))
    # Strong lenses leave the corners dark.
    assert len(rows) > 0.5 * HEIGHT * WIDTH
    chosen = slice(None, None, 97)
    pixels = shown_at(points[rows[chosen], columns[chosen]], lens)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=1)[chosen], atol=0.06)
    np.testing.assert_array_equal(points[rows, columns, 2], depth[rows, columns])


@given(lenses)
def test_a_bent_view_is_fused_where_its_surfaces_are(lens: Distortion) -> None:
    turn = np.array([[0.0, -1.0, 0.0, 0.5], [-1.0, 0.0, 0.0, 0.1], [0.0, 0.0, -1.0, 1.5], [0.0, 0.0, 0.0, 1.0]])
    depth, color = np.full((HEIGHT, WIDTH), 1.2, np.float32), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    color[..., 0] = np.arange(WIDTH)
    view = CameraView("front", color, depth, INTRINSICS, turn, distortion=lens)
    expected = back_project(depth, INTRINSICS, lens).reshape(-1, 3)
    seen = np.isfinite(expected[:, 0])
    cloud = fuse_views([view], EVERYWHERE)
    np.testing.assert_allclose(cloud.points, expected[seen] @ turn[:3, :3].T + turn[:3, 3], atol=1e-5)
    np.testing.assert_array_equal(cloud.colors[:, 0], color.reshape(-1, 3)[seen, 0])


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial", "", "thin_prism_of_a_lab"])
@pytest.mark.parametrize("zeros", [0, 5, 8])
def test_a_model_without_coefficients_is_a_pinhole(model: str, zeros: int) -> None:
    depth = np.ones((4, 6), np.float32)
    lens = Distortion(model, (0.0,) * zeros)
    np.testing.assert_array_equal(back_project(depth, INTRINSICS, lens), back_project(depth, INTRINSICS))


def test_an_equidistant_lens_bends_without_coefficients_too() -> None:
    tilted = distort(np.array([[1.0, 0.0]]), Distortion("equidistant", (0.0,) * 4))
    np.testing.assert_allclose(tilted, [[np.pi / 4, 0.0]])


@pytest.mark.parametrize(
    ("lens", "words"),
    [
        (Distortion("thin_prism_of_a_lab", (0.1,)), ["'thin_prism_of_a_lab'", "[0.1]", "plumb_bob", "rectified"]),
        (Distortion("fisheye", (0.1, 0.0, 0.0, 0.0)), ["'fisheye'", "equidistant"]),
        (Distortion("plumb_bob", (0.1,) * 8), ["plumb_bob", "4 or 5 finite numbers"]),
        (Distortion("plumb_bob", (0.1, np.nan, 0.0, 0.0, 0.0)), ["nan", "finite"]),
        (Distortion("rational_polynomial", (0.0,) * 12 + (0.1, 0.0)), ["tilts the sensor"]),
        (Distortion("equidistant", ()), ["expected 4"]),
        (Distortion("plumb_bob", (-40.0, 0.0, 0.0, 0.0, 0.0)), ["-40.0", "of the 80x60 pixels a direction"]),
    ],
)
def test_a_lens_that_cannot_be_undone_is_refused_in_one_line(lens: Distortion, words: list[str]) -> None:
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    view = CameraView("front", np.zeros((HEIGHT, WIDTH, 3), np.uint8), depth, INTRINSICS, np.eye(4), distortion=lens)
    with pytest.raises(InvalidViewError, match="'front'") as caught:
        fuse_views([view], EVERYWHERE)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)
    with pytest.raises(PerceptionError):
        back_project(depth, INTRINSICS, lens)


def test_a_mirrored_camera_is_refused() -> None:
    pose = np.diag([1.0, 1.0, -1.0, 1.0])
    view = CameraView("left", np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.float32), INTRINSICS, pose)
    with pytest.raises(InvalidViewError, match="'left': the rotation of base_from_camera is mirrored"):
        fuse_views([view], EVERYWHERE)
