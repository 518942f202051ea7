"""What has been shown is remembered until a camera looks through the place, and by nothing less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.perception.seen_places import BLANK, MOST, NEAR_TOOL, SeenPlaces
from mini_diffuser_ros.records import CameraView, Distortion
from mini_diffuser_ros.simulation.cameras import look_at

Box = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Lower and upper corner, metres."""

SIZE = 96
INTRINSICS = np.array([[90.0, 0.0, 47.5], [0.0, 90.0, 47.5], [0.0, 0.0, 1.0]])
BLOCK: Box = ((0.46, 0.08, 0.0), (0.54, 0.16, 0.12))
WALL: Box = ((0.3, -0.05, 0.0), (0.7, -0.03, 0.4))  # the right camera sees nothing of the block for it
RIGHT, LEFT = (0.5, -1.0, 0.3), (0.5, 1.0, 0.3)
TARGET = (0.5, 0.0, 0.1)


def _depth(pose: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """(SIZE, SIZE) metres to a floor of 20 m and boxes, 0 where there is neither."""
    v, u = np.mgrid[0:SIZE, 0:SIZE]
    rays = np.stack([(u - 47.5) / 90.0, (v - 47.5) / 90.0, np.ones_like(u, float)], axis=-1) @ pose[:3, :3].T
    best = np.full((SIZE, SIZE), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for low, high in [((-10.0, -10.0, -0.1), (10.0, 10.0, 0.0)), *boxes]:
            one, other = ((np.array(corner) - pose[:3, 3]) / rays for corner in (low, high))
            enters, leaves = np.minimum(one, other).max(axis=-1), np.maximum(one, other).min(axis=-1)
            best = np.where((enters < leaves) & (enters > 0.0), np.minimum(best, enters), best)
    return np.where(np.isfinite(best), best, 0.0).astype(np.float32)


def _view(name: str, place: Sequence[float], boxes: Sequence[Box], target: Sequence[float] = TARGET) -> CameraView:
    pose = look_at(place, target)
    return CameraView(name, np.zeros((SIZE, SIZE, 3), np.uint8), _depth(pose, boxes), INTRINSICS, pose)


def _right(boxes: Sequence[Box]) -> CameraView:
    return _view("right", RIGHT, boxes)


def _left(boxes: Sequence[Box]) -> CameraView:
    return _view("left", LEFT, boxes)


def _take(memory: SeenPlaces, *views: CameraView, times: int = 1, tool: np.ndarray | None = None) -> np.ndarray:
    """What is remembered after the cloud of these views has come so many times."""
    points = fuse_views(views, FusionConfig()).points
    return [memory.update(points, views, tool) for _ in range(times)][-1]


def _of_block(points: np.ndarray) -> int:
    """Places that are higher than what the planner takes for the table."""
    low, high = np.add(BLOCK[0], (-0.01, -0.01, 0.015)), np.add(BLOCK[1], 0.01)
    return int(np.all((points > low) & (points < high), axis=1).sum())


@pytest.fixture
def memory() -> SeenPlaces:
    """Of a block that the left camera alone sees, as a wall stands before the right one."""
    memory = SeenPlaces(["right", "left"])
    assert _of_block(_take(memory, _right([BLOCK, WALL]), _left([BLOCK, WALL]), times=3)) == 0
    return memory


def test_what_a_camera_has_shown_stays_for_as_long_as_it_is_silent(memory: SeenPlaces) -> None:
    left = _take(memory, _right([BLOCK, WALL]), times=200)
    assert _of_block(left) > 10
    assert memory.unseen["left"] >= _of_block(left)
    assert memory.unseen["right"] == 0


def test_when_the_camera_is_back_it_tells_whether_the_thing_is_there(memory: SeenPlaces) -> None:
    _take(memory, _right([BLOCK, WALL]), times=5)
    there = _take(memory, _right([BLOCK, WALL]), _left([BLOCK, WALL]))
    assert _of_block(there) == 0  # as the cloud shows it
    assert _of_block(_take(memory, _right([BLOCK, WALL]))) > 10
    assert _of_block(_take(memory, _right([WALL]), _left([WALL]))) == 0
    assert _of_block(_take(memory, _right([WALL]), times=3)) == 0
    assert memory.unseen["left"] < 10 or _of_block(_take(memory, _right([WALL]))) == 0


def test_another_camera_that_looks_through_it_takes_it_away_and_one_that_cannot_does_not(memory: SeenPlaces) -> None:
    assert _of_block(_take(memory, _right([WALL]), times=10)) > 10  # gone, and the right one cannot know
    assert _of_block(_take(memory, _right([]))) == 0


def test_holes_in_a_depth_do_not_keep_what_is_gone(memory: SeenPlaces) -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        view = _right([])
        view.depth[rng.random(view.depth.shape) < 0.3] = 0.0
        left = _take(memory, view)
    assert _of_block(left) == 0


@pytest.mark.parametrize("depth", [0.0, np.nan, np.inf])
def test_what_is_not_measured_is_not_free(memory: SeenPlaces, depth: float) -> None:
    """The right camera looks there without the wall, and has no depth: it has never seen the block."""
    view = _right([])
    view.depth[:] = depth
    assert _of_block(_take(memory, view, times=10)) > 10


def test_a_camera_that_saw_it_and_measures_nothing_there_for_a_while_has_seen_it_go() -> None:
    """Behind it there may be nothing within reach. A hole in its depth does not last as long."""
    memory = SeenPlaces(["right", "left"])
    _take(memory, _left([BLOCK]), times=3)
    view = _left([])
    view.depth[:] = 0.0
    assert _of_block(_take(memory, view, times=BLANK - 1)) > 10
    assert _of_block(_take(memory, view)) == 0


def test_what_the_arm_hides_is_not_gone() -> None:
    memory = SeenPlaces(["right", "left"])
    _take(memory, _right([BLOCK]), _left([BLOCK]), times=3)
    arm: list[Box] = [((0.3, 0.3, 0.0), (0.7, 0.32, 0.8)), ((0.3, -0.3, 0.0), (0.7, -0.28, 0.8))]
    hidden = [_right([BLOCK, *arm]), _left([BLOCK, *arm])]
    for _ in range(20):
        left = memory.update(np.empty((0, 3), np.float32), hidden)  # without the arm, and without the block
    assert _of_block(left) > 10
    assert sum(memory.unseen.values()) == 0  # of no silent camera
    assert _of_block(_take(memory, _right([]), _left([]))) == 0


def test_what_a_moving_camera_has_left_behind_stays() -> None:
    memory = SeenPlaces(["wrist"])
    _take(memory, _view("wrist", LEFT, [BLOCK]), times=2)
    away = _view("wrist", (0.5, 1.0, 0.5), [BLOCK], target=(0.5, 3.0, 0.0))
    assert _of_block(_take(memory, away, times=30)) > 10


def test_a_lens_that_bends_sees_nothing_far_beside_its_picture(memory: SeenPlaces) -> None:
    """There its formula leads back into the picture."""
    view = _view("right", (0.5, -0.8, 0.1), [], target=(2.0, 0.2, 0.1))  # the block is 56 degrees from its axis
    view.depth[:] = 5.0
    bent = replace(view, distortion=Distortion("plumb_bob", (-0.4, 0.0, 0.0, 0.0, 0.0)))
    assert _of_block(_take(memory, bent, times=5)) > 10


def test_what_was_shown_once_is_noise() -> None:
    memory = SeenPlaces(["right", "left"])
    _take(memory, _right([BLOCK, WALL]), _left([BLOCK, WALL]))
    assert len(_take(memory, _right([BLOCK, WALL]))) == 0


def test_what_the_hand_holds_leaves_no_trail(memory: SeenPlaces) -> None:
    del memory
    trail = SeenPlaces(["right", "left"])
    tool = np.mean(BLOCK, axis=0)
    _take(trail, _left([BLOCK]), times=5, tool=tool)
    points = _take(trail, _right([BLOCK, WALL]))
    assert not (np.linalg.norm(points - tool, axis=1) < NEAR_TOOL).any()


def test_noise_of_depth_does_not_thicken_what_is_remembered() -> None:
    rng = np.random.default_rng(0)
    memory = SeenPlaces(["right", "left"])
    clean = _left([BLOCK])
    for _ in range(100):
        noisy = clean.depth + rng.normal(0.0, 0.006, clean.depth.shape).astype(np.float32)
        view = CameraView("left", clean.color, noisy, INTRINSICS, clean.base_from_camera)
        _take(memory, view)
    points = _take(memory, _right([BLOCK, WALL]))
    points = points[points[:, 2] > 0.03]
    assert _of_block(points) > 10
    outside = np.maximum(np.array(BLOCK[0]) - points, points - np.array(BLOCK[1])).max(axis=1)
    assert outside.max() < 0.03


def test_no_more_than_so_many_places_are_remembered() -> None:
    memory = SeenPlaces(["right"])
    points = np.random.default_rng(0).uniform(-2.0, 2.0, (3 * MOST, 3)).astype(np.float32)
    for _ in range(2):
        memory.update(points, [])
    assert len(memory.update(np.empty((0, 3), np.float32), [])) <= MOST


def test_who_is_told_to_forgets(memory: SeenPlaces) -> None:
    memory.forget()
    assert len(_take(memory, _right([BLOCK, WALL]))) == 0
    assert memory.unseen == {"right": 0, "left": 0}
