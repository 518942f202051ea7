"""Hand-eye calibration: any pose is found, and sets that cannot give one are refused with their cause."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

pytest.importorskip("cv2", reason="the extra 'calibration' is not installed")

from mini_diffuser_ros.calibration.board import BoardSighting
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.hand_eye import BoardView, solve_hand_eye
from mini_diffuser_ros.calibration.rigid import matrix_from_vector, shift_between
from mini_diffuser_ros.geometry import axis_angle_matrix
from mini_diffuser_ros.simulation.boards import board_before_camera

from .sets import BOARD, LENS, hand_eye_set


def refusal(views: list[BoardView]) -> str:
    with pytest.raises(CalibrationError) as caught:
        solve_hand_eye(views, BOARD, LENS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=5)
def test_without_noise_any_pose_is_found(seed: int) -> None:
    camera, board, views = hand_eye_set(np.random.default_rng(seed), 10, noise=0.0)
    found = solve_hand_eye(views, BOARD, LENS)
    assert shift_between(found.parent_from_camera, camera).metres < 1e-5
    assert shift_between(found.anchor_from_board, board).degrees < 1e-3
    assert found.residual < 1e-3


def test_noise_of_a_third_of_a_pixel_costs_less_than_a_millimetre() -> None:
    camera, _, views = hand_eye_set(np.random.default_rng(1), 15)
    found = solve_hand_eye(views, BOARD, LENS)
    error = shift_between(found.parent_from_camera, camera)
    assert error.metres < 1e-3
    assert error.degrees < 0.1
    assert error.metres < 5.0 * found.deviation.metres  # it knows how good it is
    assert 0.3 < found.residual < 0.6
    assert found.leave_one_out.metres < 2e-3
    assert found.held_out[0] == pytest.approx(found.residual, rel=0.3)


def test_a_single_bad_picture_is_left_out_and_named() -> None:
    camera, _, views = hand_eye_set(np.random.default_rng(2), 15)
    views[4] = replace(
        views[4], anchor_from_parent=views[4].anchor_from_parent @ matrix_from_vector([0, 0, 0, 0.05, 0, 0])
    )
    found = solve_hand_eye(views, BOARD, LENS)
    assert found.dropped == ("4",)
    assert shift_between(found.parent_from_camera, camera).metres < 2e-3


def test_too_few_pictures_are_refused() -> None:
    _, _, views = hand_eye_set(np.random.default_rng(3), 5)
    assert refusal(views).startswith("5 pictures show the board, needed are 8")


def test_turns_about_one_axis_are_refused() -> None:
    random = np.random.default_rng(4)
    first = board_before_camera(BOARD, random, tilt=10.0)
    # The hand turns about the optical axis alone, wherever it goes.
    cameras = [axis_angle_matrix((0, 0, 1), angle) @ first for angle in np.linspace(-1.0, 1.0, 12)]
    for camera in cameras:
        camera[:3, 3] += random.uniform(-0.05, 0.05, 3)
    assert "about one axis" in refusal(hand_eye_set(random, 12, cameras=cameras)[2])


def test_an_arm_that_only_shifts_is_refused() -> None:
    random = np.random.default_rng(5)
    first = board_before_camera(BOARD, random)
    cameras = [matrix_from_vector([0, 0, 0, *random.uniform(-0.1, 0.1, 3)]) @ first for _ in range(12)]
    assert "the hand is turned by 0.0 degrees" in refusal(hand_eye_set(random, 12, cameras=cameras)[2])


@pytest.mark.parametrize("split", [4, 8, 11])
def test_a_board_that_was_moved_in_between_is_named_with_the_picture(split: int) -> None:
    random = np.random.default_rng(6)
    _, board, views = hand_eye_set(random, 15)
    moved = board @ matrix_from_vector([0.0, 0.1, 0.0, 0.03, 0.0, 0.01]) @ np.linalg.inv(board)
    views = [
        replace(view, anchor_from_parent=np.linalg.inv(moved) @ view.anchor_from_parent) if i >= split else view
        for i, view in enumerate(views)
    ]
    assert f"between pictures {split - 1} and {split}" in refusal(views)


def test_frozen_joint_states_are_refused() -> None:
    _, _, views = hand_eye_set(np.random.default_rng(7), 12)
    frozen = [replace(view, anchor_from_parent=views[min(i, 5)].anchor_from_parent) for i, view in enumerate(views)]
    assert "the joints by none" in refusal(frozen)


def test_joints_of_the_picture_before_are_recognised() -> None:
    _, _, views = hand_eye_set(np.random.default_rng(8), 15)
    late = [replace(now, anchor_from_parent=old.anchor_from_parent) for old, now in pairwise(views)]
    assert "has the joints of the one before" in refusal(late)


@pytest.mark.parametrize("factor", [0.8, 0.97, 1.03, 1.25])
def test_squares_of_another_size_are_refused_with_the_size_that_they_have(factor: float) -> None:
    printed = replace(BOARD, square=BOARD.square * factor, marker=BOARD.marker * factor)
    _, _, views = hand_eye_set(np.random.default_rng(9), 15, shown=printed)
    message = refusal(views)
    measured = re.search(r"a square measures ([\d.]+) mm", message)
    assert measured is not None
    assert float(measured[1]) == pytest.approx(1e3 * printed.square, rel=3e-3)
    assert "given are 30.00 mm" in message


def test_a_mirrored_picture_is_refused() -> None:
    _, _, views = hand_eye_set(np.random.default_rng(10), 10)
    seen = views[3].sighting
    flipped = BoardSighting(
        seen.picture, seen.corners, (LENS.width - 1 - seen.pixels[:, 0:1]) * [1, 0] + seen.pixels * [0, 1]
    )
    views[3] = replace(views[3], sighting=flipped)
    assert refusal(views).startswith("picture 3 shows the board mirrored")


def test_joints_of_another_robot_are_refused() -> None:
    random = np.random.default_rng(11)
    _, _, views = hand_eye_set(random, 12)
    turns = Rotation.random(12, rng=random).as_matrix()
    wrong = []
    for view, turn in zip(views, turns, strict=True):
        pose = view.anchor_from_parent.copy()
        pose[:3, :3] = turn
        wrong.append(replace(view, anchor_from_parent=pose))
    assert "contradict each other" in refusal(wrong)


def test_a_sighting_of_few_corners_still_counts() -> None:
    random = np.random.default_rng(12)
    camera, _, views = hand_eye_set(random, 12)
    views[0] = replace(
        views[0],
        sighting=BoardSighting("0", views[0].sighting.corners[:16], views[0].sighting.pixels[:16]),
    )
    assert shift_between(solve_hand_eye(views, BOARD, LENS).parent_from_camera, camera).metres < 2e-3
