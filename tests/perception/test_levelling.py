"""Views are laid onto the table that they see, and what may be its noise is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import axis_angle_matrix, quaternion_angle, quaternion_from_matrix
from mini_diffuser_ros.perception import FusionConfig, back_project, fuse_views
from mini_diffuser_ros.perception.levelling import level_view, levelled_within
from mini_diffuser_ros.records import CameraView

SIZE = 160
LENS = np.array([[190.0, 0.0, 79.5], [0.0, 190.0, 79.5], [0.0, 0.0, 1.0]])
LEVELLED = FusionConfig(level_reach=0.06, table_spreads=3.0, voxel_size=0.0, drop_flying_points=False)
ABOVE = np.array([0.525, 0.0])  # x, y under which the camera hangs


def camera(height: float = 1.0, tilt: float = 0.4) -> np.ndarray:
    """A camera above the table that looks down and forwards."""
    pose = axis_angle_matrix((0.0, 1.0, 0.0), np.pi - tilt)
    pose[:3, 3] = (ABOVE[0] - height * np.tan(tilt), ABOVE[1], height)
    return pose


def rendered(pose: np.ndarray, block: float = 0.04, table: float = 0.0) -> np.ndarray:
    """Depth of a table with a flat block of 0.1 x 0.1 m in the middle of the picture; without block with 0."""
    rays = back_project(np.ones((SIZE, SIZE), np.float32), LENS).astype(np.float64) @ pose[:3, :3].T
    depth = (table - pose[2, 3]) / rays[..., 2]
    on_top = (table + block - pose[2, 3]) / rays[..., 2]
    hit = pose[:3, 3] + rays * on_top[..., None]
    inside = np.all(np.abs(hit[..., :2] - ABOVE) < 0.05, axis=-1)
    return np.where(inside & (block > 0), on_top, depth).astype(np.float32)


def view(depth: np.ndarray, pose: np.ndarray) -> CameraView:
    color = np.zeros((*depth.shape, 3), np.uint8)
    return CameraView("front", color, depth, LENS, pose)


def noisy(depth: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    return (depth + noise * depth**2 * np.random.default_rng(seed).standard_normal(depth.shape)).astype(np.float32)


@given(
    st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)),
    st.floats(-0.01, 0.01),
    st.floats(0.0, 0.004),
    st.floats(-0.05, 0.05),
)
def test_tilt_and_height_of_a_calibration_are_mended(
    turn: tuple[float, float], lift: float, noise: float, table: float
) -> None:
    true = camera()
    off = true.copy()
    angle = float(np.hypot(*turn))
    if angle > 1e-6:
        off[:3, :3] = axis_angle_matrix((*turn, 0.0), angle)[:3, :3] @ true[:3, :3]
    off[2, 3] += lift
    config = replace(LEVELLED, table_height=table)
    mended = level_view(view(noisy(rendered(true, table=table), noise), off), config)
    pose = mended.view.base_from_camera
    error = quaternion_angle(quaternion_from_matrix(pose[:3, :3] @ true[:3, :3].T), (0.0, 0.0, 0.0, 1.0))
    assert error < np.radians(0.12)
    assert abs(pose[2, 3] - true[2, 3]) < 1e-3
    assert np.array_equal(pose[:2, 3], true[:2, 3])


@given(st.floats(0.001, 0.008), st.integers(0, 1000))
def test_noise_is_measured_on_the_table(noise: float, seed: int) -> None:
    pose = camera()
    measured = level_view(view(noisy(rendered(pose), noise, seed), pose), LEVELLED).noise
    assert measured == pytest.approx(noise, rel=0.15)


def test_the_tables_noise_is_left_out_and_the_block_stays() -> None:
    pose = camera()
    seen = view(noisy(rendered(pose), 0.004), pose)
    plain = fuse_views([seen], replace(LEVELLED, level_reach=0.0)).points
    clean = fuse_views([seen], LEVELLED).points
    on_block = np.all(np.abs(clean[:, :2] - ABOVE) < 0.055, axis=1)
    assert np.count_nonzero(~on_block) < 0.02 * len(plain)
    expected = np.count_nonzero(rendered(pose) != rendered(pose, block=0.0))
    assert np.count_nonzero(on_block) > 0.98 * expected
    assert np.median(clean[on_block, 2]) == pytest.approx(0.04, abs=1e-3)


def test_an_exact_view_stays_as_it_is() -> None:
    pose = camera()
    seen = view(rendered(pose), pose)
    plain = fuse_views([seen], replace(LEVELLED, level_reach=0.0)).points
    assert fuse_views([seen], LEVELLED).points == pytest.approx(plain, abs=2e-5)


def test_a_view_without_a_table_keeps_its_pose() -> None:
    pose = camera()
    nothing = np.zeros((SIZE, SIZE), np.float32)
    high = rendered(pose, table=0.3)
    corner = rendered(pose)
    corner[8:] = 0.0
    for depth in (nothing, high, corner):
        kept = level_view(view(depth, pose), LEVELLED)
        assert kept.view.base_from_camera is pose
        assert kept.noise == 0.0


def test_a_steep_plane_is_no_table() -> None:
    true = camera()
    off = true.copy()
    off[:3, :3] = axis_angle_matrix((1.0, 0.0, 0.0), np.radians(8.0))[:3, :3] @ true[:3, :3]
    kept = level_view(view(rendered(true), off), replace(LEVELLED, level_reach=0.5))
    assert kept.view.base_from_camera is off


@given(axis=st.floats(-np.pi, np.pi), degrees=st.floats(0.2, 4.5), most=st.floats(0.5, 4.0))
def test_a_view_is_levelled_as_far_as_its_calibration_may_be_off_and_no_farther(
    axis: float, degrees: float, most: float
) -> None:
    assume(abs(degrees - most) > 0.1)
    true = camera()
    off = true.copy()
    off[:3, :3] = axis_angle_matrix((np.cos(axis), np.sin(axis), 0.0), np.radians(degrees))[:3, :3] @ true[:3, :3]
    wrong = view(rendered(true, block=0.0), off)
    config = replace(LEVELLED, level_reach=0.2)
    found = levelled_within(wrong, config, np.radians(most))
    if degrees > most:
        assert found is wrong
    else:
        tilted = np.asarray(found.base_from_camera)[:3, :3] @ true[:3, :3].T
        assert np.degrees(np.arccos(min(tilted[2, 2], 1.0))) < 0.05
    assert levelled_within(wrong, replace(config, level_reach=0.0), np.radians(most)) is wrong
