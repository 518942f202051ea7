"""Pictures show the points and the grippers where they are."""

import numpy as np
import pytest

from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.support.drawing import FIRST_COLOR, GripperGlyph, draw_cloud, glyphs_of_modes

POSE = np.concatenate([(0.5, 0.0, 0.2), top_down_quaternion(0.3)])


def blue_cube(center: tuple[float, float, float]) -> Cloud:
    points = np.random.default_rng(0).uniform(-0.03, 0.03, (500, 3)) + center
    return Cloud(points.astype(np.float32), np.full((500, 3), (0, 0, 255), np.uint8), "panda_link0")


def count(image: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((np.abs(image.astype(int) - color).max(axis=2) < 12).sum())


def is_bluish(image: np.ndarray) -> np.ndarray:
    return image[..., 2].astype(int) - image[..., 0] > 100


def test_both_views_show_cloud_and_gripper() -> None:
    image = np.asarray(draw_cloud(blue_cube((0.4, 0.1, 0.05)), [GripperGlyph(POSE, True, "1: 80 %")], "a title"))
    assert image.shape == (640, 1280, 3)
    for half in (image[:, :640], image[:, 640:]):
        assert is_bluish(half).sum() > 50
        assert count(half, FIRST_COLOR) > 50


def test_from_above_y_is_to_the_right_and_x_towards_the_viewer() -> None:
    near_right, far_left = blue_cube((0.7, 0.3, 0.03)), blue_cube((0.3, -0.3, 0.03))
    both = Cloud(
        np.concatenate([near_right.points, far_left.points]),
        np.repeat(np.array([[0, 0, 255], [255, 0, 0]], np.uint8), 500, axis=0),
        "panda_link0",
    )
    above = np.asarray(draw_cloud(both))[:, 640:]
    rows_blue, columns_blue = np.nonzero(is_bluish(above))
    rows_red, columns_red = np.nonzero(is_bluish(above[..., ::-1]))
    assert rows_blue.mean() > rows_red.mean() + 50
    assert columns_blue.mean() > columns_red.mean() + 50


def test_an_empty_cloud_can_be_drawn() -> None:
    empty = Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "base")
    assert draw_cloud(empty, size=(400, 200)).size == (400, 200)


@pytest.mark.parametrize("count_of_modes", [0, 1, 9])
def test_candidates_are_labelled_by_rank_share_and_end(count_of_modes: int) -> None:
    modes = [KeyframeMode(POSE, True, rank == 0, 1.0 / (rank + 2), 0.01) for rank in range(count_of_modes)]
    glyphs = glyphs_of_modes(modes)
    assert [glyph.label for glyph in glyphs[:2]] == ["1: 50 % ends", "2: 33 %"][:count_of_modes]
    assert len({glyph.color for glyph in glyphs}) == min(count_of_modes, 5)


@pytest.mark.parametrize("place", [(0.5, 4e200, 0.2), (-np.inf, 0.0, 0.2), (0.5, np.nan, 0.2)])
def test_a_gripper_that_is_nowhere_leaves_the_picture_of_the_others(place: tuple[float, float, float]) -> None:
    nowhere = GripperGlyph(np.concatenate([place, top_down_quaternion(0.3)]), True, "2: 10 %")
    there = GripperGlyph(POSE, True, "1: 80 %")
    image = np.asarray(draw_cloud(blue_cube((0.4, 0.1, 0.05)), [there, nowhere]))
    alone = np.asarray(draw_cloud(blue_cube((0.4, 0.1, 0.05)), [there], "not drawn"))
    assert count(image[60:], FIRST_COLOR) == count(alone[60:], FIRST_COLOR) > 100
