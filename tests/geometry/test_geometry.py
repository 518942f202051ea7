"""Frames and rotations obey the group axioms; voxels conserve what they average."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mini_diffuser_ros import geometry

angles = st.floats(-np.pi, np.pi)
coordinates = st.floats(-2.0, 2.0)


@st.composite
def poses(draw: st.DrawFn) -> np.ndarray:
    quaternion = np.array([draw(st.floats(-1.0, 1.0)) for _ in range(3)] + [draw(st.floats(0.1, 1.0))])
    position = [draw(coordinates) for _ in range(3)]
    return np.concatenate([position, quaternion / np.linalg.norm(quaternion)])


@given(poses())
def test_pose_survives_the_way_through_a_matrix(pose: np.ndarray) -> None:
    back = geometry.pose_from_matrix(geometry.matrix_from_pose(pose))
    np.testing.assert_allclose(back[:3], pose[:3], atol=1e-12)
    assert geometry.quaternion_angle(back[3:], pose[3:]) < 1e-7


@given(poses(), arrays(np.float64, (5, 3), elements=coordinates))
def test_inverse_transform_brings_points_back(pose: np.ndarray, points: np.ndarray) -> None:
    matrix = geometry.matrix_from_pose(pose)
    there = geometry.transform_points(matrix, points)
    np.testing.assert_allclose(geometry.transform_points(geometry.inverse_transform(matrix), there), points, atol=1e-9)


@given(poses(), poses())
def test_angle_between_rotations_is_symmetric_and_zero_on_itself(first: np.ndarray, second: np.ndarray) -> None:
    forth = geometry.quaternion_angle(first[3:], second[3:])
    assert forth == pytest.approx(geometry.quaternion_angle(second[3:], first[3:]))
    assert 0.0 <= forth <= np.pi + 1e-9
    assert geometry.quaternion_angle(first[3:], -first[3:]) < 1e-7


@given(poses())
def test_symmetric_grasp_is_half_a_turn_about_the_approach_axis(pose: np.ndarray) -> None:
    twin = geometry.matrix_from_pose(geometry.gripper_symmetric_pose(pose))
    half_turn = geometry.axis_angle_matrix((0, 0, 1), np.pi)
    np.testing.assert_allclose(twin, geometry.matrix_from_pose(pose) @ half_turn, atol=1e-9)


@given(angles)
def test_top_down_gripper_approaches_along_minus_z(yaw: float) -> None:
    rotation = geometry.matrix_from_quaternion(geometry.top_down_quaternion(yaw))
    np.testing.assert_allclose(rotation[:, 2], (0, 0, -1), atol=1e-12)
    np.testing.assert_allclose(rotation[:, 0], (np.cos(yaw), np.sin(yaw), 0), atol=1e-12)


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (0, 0, 1)])
def test_a_quaternion_that_is_no_rotation_is_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="quaternion"):
        geometry.matrix_from_quaternion(quaternion)


@given(arrays(np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(-1, 1, width=32)))
def test_voxels_hold_one_point_each_and_keep_the_mean(points: np.ndarray) -> None:
    colors = np.full(points.shape, 100, np.uint8)
    voxels, voxel_colors = geometry.voxel_downsample(points, colors, 0.25)
    # A mean in float32 may land on the border between two cells; shrink towards the middle before counting.
    cells = {tuple(cell) for cell in np.floor(points / np.float32(0.25)).astype(int)}
    assert len(voxels) == len(cells)
    assert (voxel_colors == 100).all()
    assert voxels.min() >= points.min() - 1e-6
    assert voxels.max() <= points.max() + 1e-6


def test_an_empty_cloud_stays_empty_and_a_voxel_needs_a_size() -> None:
    empty = np.zeros((0, 3), np.float32)
    points, colors = geometry.voxel_downsample(empty, empty.astype(np.uint8), 0.01)
    assert points.shape == colors.shape == (0, 3)
    with pytest.raises(ValueError, match="voxel_size"):
        geometry.voxel_downsample(empty, empty.astype(np.uint8), 0.0)


@given(
    st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.floats(0.1, 1.0)),
    st.floats(-2.0, 2.0),
    st.integers(0, 2**32 - 1),
)
def test_the_nearest_plane_of_points_on_a_plane_is_that_plane(
    direction: tuple[float, float, float], offset: float, seed: int
) -> None:
    normal = np.array(direction) / np.linalg.norm(direction)
    points = np.random.default_rng(seed).uniform(-1.0, 1.0, (50, 3))
    points += np.outer(offset - points @ normal, normal)
    found, distance = geometry.nearest_plane(points)
    np.testing.assert_allclose(found, normal, atol=1e-6)
    assert distance == pytest.approx(offset, abs=1e-6)


@given(angles, st.one_of(angles, st.sampled_from([-np.pi / 2, np.pi / 2])), angles)
def test_rpy_of_a_rotation_give_it_again(roll: float, pitch: float, yaw: float) -> None:
    rotation = geometry.matrix_from_rpy([roll, pitch, yaw])
    again = geometry.matrix_from_rpy(geometry.rpy_from_matrix(rotation))
    np.testing.assert_allclose(again, rotation, atol=1e-8)
