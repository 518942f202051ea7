"""Boards in rendered pictures, and the lens that they were seen through."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2", reason="the extra 'calibration' is not installed")

from mini_diffuser_ros.calibration.board import BoardConfig, BoardSighting, board_pose, find_board
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.intrinsics import calibrate_intrinsics
from mini_diffuser_ros.calibration.lens import Lens, read_lens, write_lens
from mini_diffuser_ros.calibration.rigid import matrix_from_vector, shift_between
from mini_diffuser_ros.simulation.boards import board_before_camera, render_board
from mini_diffuser_ros.support.settings import SettingsError

from .sets import BOARD, LENS, sighting


@pytest.fixture(scope="module")
def picture() -> tuple[np.ndarray, np.ndarray]:
    pose = board_before_camera(BOARD, np.random.default_rng(1), (0.4, 0.5), tilt=25.0)
    return pose, render_board(BOARD, LENS, pose)


def test_corners_of_a_rendered_board_are_found_to_a_fraction_of_a_pixel(picture: tuple[np.ndarray, np.ndarray]) -> None:
    pose, image = picture
    found = find_board("0", image, BOARD)
    assert found is not None
    assert len(found.corners) > 25
    points = BOARD.points[found.corners] @ pose[:3, :3].T + pose[:3, 3]
    assert np.abs(found.pixels - LENS.project(points)).mean() < 0.15
    error = shift_between(board_pose(found, BOARD, LENS), pose)
    assert error.metres < 0.002
    assert error.degrees < 0.5


def test_a_mirrored_image_is_refused(picture: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(CalibrationError, match="picture 7 shows the board mirrored"):
        find_board("7", np.ascontiguousarray(picture[1][:, ::-1]), BOARD)


def test_an_image_without_the_board_shows_none() -> None:
    assert find_board("0", np.full((480, 640, 3), 90, np.uint8), BOARD) is None


def test_a_board_that_cannot_be_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"marker is 0\.03.* less than square 0\.02"):
        BoardConfig(square=0.02, marker=0.03)
    with pytest.raises(SettingsError, match="dictionary"):
        BoardConfig(columns=20, rows=20, dictionary="4X4_50")
    with pytest.raises(SettingsError, match="dictionary is 'aruco'"):
        BoardConfig(dictionary="aruco")


def lens_set(count: int, tilt: float = 40.0) -> list[BoardSighting]:
    """Pictures with the board all over the image."""
    random = np.random.default_rng(3)
    taken = []
    while len(taken) < count:
        pose = board_before_camera(BOARD, random, (0.25, 0.5), tilt)
        pose[:3, 3] += [*(random.uniform(-0.12, 0.12, 2) * pose[2, 3] / 0.4), 0.0]
        seen = sighting(str(len(taken)), pose, random)
        if len(seen.corners) >= 12:
            taken.append(seen)
    return taken


def test_the_lens_is_found() -> None:
    found = calibrate_intrinsics(lens_set(24), BOARD, 640, 480)
    assert found.lens.intrinsics[0, 0] == pytest.approx(LENS.intrinsics[0, 0], rel=4e-3)
    assert found.lens.intrinsics[1, 1] == pytest.approx(LENS.intrinsics[1, 1], rel=4e-3)
    edges = np.array([[-0.4, -0.3, 1.0], [0.4, 0.3, 1.0], [0.0, 0.0, 1.0]])
    assert np.abs(found.lens.project(edges) - LENS.project(edges)).max() < 2.0
    assert 0.3 < found.residual < 0.6
    assert found.held_out < 0.7


def test_pictures_that_give_no_lens_are_refused() -> None:
    with pytest.raises(CalibrationError, match="9 pictures show the board, needed are 10"):
        calibrate_intrinsics(lens_set(9), BOARD, 640, 480)
    with pytest.raises(CalibrationError, match="the focal length is known to"):
        calibrate_intrinsics(lens_set(14, tilt=1.0), BOARD, 640, 480)
    random = np.random.default_rng(4)
    middle = [matrix_from_vector([*random.uniform(-0.5, 0.5, 3), -0.12, -0.09, 0.9]) for _ in range(12)]
    with pytest.raises(CalibrationError, match="of the image, needed are 60%"):
        calibrate_intrinsics([sighting(str(i), m, random) for i, m in enumerate(middle)], BOARD, 640, 480)


def test_corners_of_no_flat_board_are_refused() -> None:
    random = np.random.default_rng(5)
    bent = [replace(one, pixels=one.pixels + 4.0 * random.standard_normal(one.pixels.shape)) for one in lens_set(14)]
    with pytest.raises(CalibrationError, match="is the board flat"):
        calibrate_intrinsics(bent, BOARD, 640, 480)


def test_a_lens_is_read_back_as_it_was_written(tmp_path) -> None:
    write_lens(LENS, "front", tmp_path / "front.yaml")
    again = read_lens(tmp_path / "front.yaml")
    np.testing.assert_array_equal(again.intrinsics, LENS.intrinsics)
    assert again.distortion == LENS.distortion
    assert (again.width, again.height) == (640, 480)


def test_rays_undo_the_distortion() -> None:
    pixels = np.array([[3.0, 5.0], [630.0, 470.0], [320.0, 240.0]])
    rays = np.concatenate([LENS.rays(pixels), np.ones((3, 1))], axis=1)
    np.testing.assert_allclose(LENS.project(2.5 * rays), pixels, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("image_width: 640", "lacks 'distortion_coefficients'"),
        ("[1, 2]", "lacks"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_camera_file_that_says_nothing_is_refused(tmp_path, text: str, cause: str) -> None:
    file = tmp_path / "camera_info.yaml"
    file.write_text(text)
    with pytest.raises(CalibrationError, match=cause):
        read_lens(file)


def test_focal_lengths_below_zero_are_refused() -> None:
    with pytest.raises(CalibrationError, match="focal lengths are -600"):
        Lens(640, 480, np.diag([-600.0, 600.0, 1.0]))
