"""What cameras show is compared with where they were, in this episode or in its part that is on the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.cell.cell import frame_from_optical
from mini_diffuser_ros.geometry import axis_angle_matrix
from mini_diffuser_ros.perception.content import ContentConfig
from mini_diffuser_ros.records import CameraView, Workspace
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.sensing.camera_places import CalibratedPlace, camera_places
from mini_diffuser_ros.sensing.content_watch import ContentWatch, Pictures

WORKSPACE = Workspace((0.2, -0.5, 0.0), (0.8, 0.5, 0.6))
ANEW = "begin another episode"


def view(name: str, x: float = 0.5, depth: float = 0.9) -> CameraView:
    """Of a camera that looks down."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = x, 0.0, 1.0
    image = np.zeros((24, 32, 3), np.uint8)
    intrinsics = np.array([[40.0, 0.0, 15.5], [0.0, 40.0, 11.5], [0.0, 0.0, 1.0]])
    return CameraView(name, image, np.full((24, 32), depth, np.float32), intrinsics, pose, 0.0)


def changed(one: CameraView) -> CameraView:
    """The same with the noise of another moment."""
    noise = np.random.default_rng().normal(0.0, 0.001, one.depth.shape)
    color = np.random.default_rng().integers(0, 4, one.color.shape, np.uint8)
    return replace(one, color=color, depth=(one.depth + noise).astype(np.float32))


def faults(watch: ContentWatch, views: Sequence[CameraView], frame: str = "", steady: float = 0.0) -> dict[str, str]:
    pictures = [Pictures(one.name, frame or one.name, one.color.tobytes(), one.depth.tobytes()) for one in views]
    return watch.faults(pictures, views, watch.blind(views), dict, steady)


@pytest.fixture
def watch() -> ContentWatch:
    return ContentWatch(("front", "side"), WORKSPACE, "base", ContentConfig(), "the first keyframe", ANEW)


def test_a_camera_is_held_against_where_it_was_in_views_of_before(watch: ContentWatch) -> None:
    watch.remember([view("front"), view("gone")], dict)
    assert faults(watch, [view("front", x=0.503), view("side", x=0.2)]) == {}
    [(camera, fault)] = faults(watch, [view("front", x=0.53), view("side", x=0.2)]).items()
    assert camera == "front"
    assert "has moved by 0.030 m" in fault
    assert "since the first keyframe" in fault
    assert fault.endswith(ANEW)


@pytest.mark.parametrize(
    ("depth", "words"),
    [(0.0, "measures nothing: 0.0%"), (np.nan, "measures nothing"), (900.0, "median of 900 m"), (9e-4, "another unit")],
)
def test_depth_of_nothing_or_in_another_unit_is_named(watch: ContentWatch, depth: float, words: str) -> None:
    bad = replace(view("side"), depth=np.full((24, 32), depth, np.float32))
    found = faults(watch, [view("front"), bad])
    assert list(found) == ["side"]
    assert words in found["side"]


def test_two_cameras_in_one_frame_are_both_named(watch: ContentWatch) -> None:
    found = faults(watch, [view("front"), view("side")], frame="camera")
    assert set(found) == {"front", "side"}
    assert "in frame 'camera' like those of side" in found["front"]


def test_what_was_shown_before_time_began_anew_may_be_shown_again(watch: ContentWatch) -> None:
    shown = [[changed(view("front")), changed(view("side"))] for _ in range(60)]
    for number in range(120):
        if number == 60:
            watch.forget_pictures()
        assert faults(watch, shown[number % 60], steady=0.1 * number) == {}
    for number in range(120, 250):
        found = faults(watch, shown[number % 60], steady=0.1 * number)
    assert "has been the same bit for bit" in found["front"]


@pytest.mark.parametrize(("swing", "period"), [(0.02, 1.0), (0.01, 1.0), (0.006, 0.4), (0.03, 4.0)])
def test_a_camera_that_swings_is_not_believed_on_its_way_through_the_middle(
    watch: ContentWatch, swing: float, period: float
) -> None:
    """Until it has been where it belongs for a while."""
    times = np.arange(0.0, 12.0, 0.05)
    swinging = (times > 1.0) & (times < 8.0)
    places = 0.5 + np.where(swinging, swing * np.sin(2.0 * np.pi * times / period), 0.0)
    believed = np.array(
        [
            "front" not in faults(watch, [changed(view("front", x=x)), changed(view("side"))], steady=time)
            for time, x in zip(times, places, strict=True)
        ]
    )
    assert believed[times < 1.0].all()
    assert not believed[(times > 1.0 + period) & swinging].any()
    assert believed[times > 10.5].all()


def test_a_camera_that_sinks_slowly_is_found(watch: ContentWatch) -> None:
    """Compared with where it was at first, not a moment ago."""
    places = np.linspace(0.5, 0.51, 200)
    told = [
        faults(watch, [changed(view("front", x=x)), changed(view("side"))], steady=0.1 * number)
        for number, x in enumerate(places)
    ]
    assert told[80] == {}
    assert "has moved by 0.010 m" in told[-1]["front"]


def test_a_fault_that_comes_and_goes_stays_one(watch: ContentWatch) -> None:
    """Such as every other picture in another unit."""
    for number in range(20):
        front = changed(view("front", depth=900.0 if number % 2 == 0 else 0.9))
        assert "another unit" in faults(watch, [front, changed(view("side"))], steady=0.1 * number)["front"]


def test_a_camera_that_is_not_where_it_was_calibrated_is_named_from_the_start() -> None:
    """As where two publish its frame, and the wrong one was heard last."""
    places = {"front": CalibratedPlace("front_optical", "base", np.asarray(view("front").base_from_camera))}
    watch = ContentWatch(("front", "side"), WORKSPACE, "base", ContentConfig(), places=places)
    assert faults(watch, [view("front", x=0.503)], "front_optical") == {}
    other = ContentWatch(("front", "side"), WORKSPACE, "base", ContentConfig(), places=places)
    [(camera, fault)] = faults(other, [view("front", x=0.52)], "front_optical").items()
    assert camera == "front"
    assert "is 0.020 m and 0.0 degrees from where the cell has it: find out who else publishes" in fault


EXAMPLE = read_cell(Path(__file__).parents[2] / "config" / "cells" / "example.yaml")
ROBOT = load_robot(EXAMPLE.robot)


def links_at(turn: float) -> dict[str, np.ndarray]:
    names = [*ROBOT.arm_joint_names, *ROBOT.finger_joint_names]
    return ROBOT.forward_kinematics(dict(zip(names, [*np.array(ROBOT.home) + turn, 0.03, 0.03], strict=True)))


@pytest.mark.parametrize(("moved", "turned"), [(0.0, 0.0), (0.01, 0.0), (0.05, 0.0), (0.0, 0.1), (0.2, 1.0)])
def test_a_camera_on_the_hand_is_held_against_the_cell_wherever_the_hand_is(moved: float, turned: float) -> None:
    wrist = EXAMPLE.cameras["wrist"]
    offset = axis_angle_matrix((0.0, 0.6, 0.8), turned)
    offset[0, 3] = moved
    watch = ContentWatch(("wrist",), WORKSPACE, ROBOT.base_frame, ContentConfig(), places=camera_places(EXAMPLE))
    is_there = moved <= 0.015 and turned <= 0.03
    for turn in (0.0, 0.3, -0.2):
        links = links_at(turn)
        pose = links["fr3_hand"] @ wrist.parent_from_camera @ offset
        one = changed(replace(view("wrist"), base_from_camera=pose))
        pictures = [Pictures("wrist", EXAMPLE.frame_of("wrist"), one.color.tobytes(), one.depth.tobytes())]
        found = watch.faults(pictures, [one], {}, lambda links=links: links, 0.0)
        assert (found == {}) is is_there
        assert is_there or "from where the cell has it on fr3_hand: find out who else" in found["wrist"]


@pytest.mark.parametrize("where", [0.0, 0.02])
def test_images_in_a_frame_that_the_cell_knows_nothing_of_are_named(where: float) -> None:
    """The calibrated pose would be nobody's."""
    front = EXAMPLE.cameras["front"]
    pose = np.array(front.parent_from_camera)
    pose[0, 3] += where
    one = changed(replace(view("front"), base_from_camera=pose))
    watch = ContentWatch(("front",), WORKSPACE, ROBOT.base_frame, ContentConfig(), places=camera_places(EXAMPLE))
    assert (
        "has images in frame 'camera_optical', but the cell has the place of 'front_color_optical_frame'"
        in (faults(watch, [one], "camera_optical")["front"])
    )


@pytest.mark.parametrize(("moved", "is_there"), [(0.02, True), (0.3, False)])
def test_a_body_that_was_calibrated_has_its_lens_within(moved: float, is_there: bool) -> None:
    """Its driver says where in it the lens is, as realsense2_camera does."""
    body = replace(EXAMPLE.cameras["front"], frame="front_link")
    cell = replace(EXAMPLE, cameras={"front": body})
    pose = body.parent_from_camera @ frame_from_optical("front_link")
    pose[2, 3] += moved
    one = changed(replace(view("front"), base_from_camera=pose))
    watch = ContentWatch(("front",), WORKSPACE, ROBOT.base_frame, ContentConfig(), places=camera_places(cell))
    assert (faults(watch, [one], "front_color_optical_frame") == {}) is is_there


def test_cameras_are_compared_where_fusion_has_them() -> None:
    """What fusion mends is no reason to refuse a cloud; what it leaves is one."""
    flat = replace(view("front"), depth=np.full((24, 32), 0.5, np.float32))
    low = WORKSPACE.lower[2]
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = (0.5, 0.0, low + 0.55)  # so that the table lies 5 cm inside the workspace
    wrong = replace(flat, base_from_camera=pose)
    lowered = pose.copy()
    lowered[2, 3] -= 0.05

    def found(fused_as: Callable[[CameraView], CameraView]) -> dict[str, str]:
        watch = ContentWatch(("front",), WORKSPACE, "base", ContentConfig(), fused_as=fused_as)
        for steady in range(4):
            watch.survey([changed(wrong)], True, float(steady))
        return watch.findings()

    assert "above the lower bound of the workspace" in found(lambda one: one)["front"]
    assert found(lambda one: replace(one, base_from_camera=lowered)) == {}


FRONT = np.array([[0.0, 0.0, 1.0, 0.1], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.45], [0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize("mounted", ["fr3_hand", "fr3_link1", "base", "base of a cell"])
def test_a_camera_sees_a_table_once_it_is_known_not_to_be_on_the_arm(mounted: str) -> None:
    """Until the arm has moved one on the hand has not moved either, and a front or a lid may be all that it sees."""
    base = ROBOT.base_frame
    places = {"front": CalibratedPlace("front", base, FRONT)} if mounted == "base of a cell" else {}
    watch = ContentWatch(("front",), WORKSPACE, base, ContentConfig(), places=places)
    shown = replace(view("front", depth=0.4), base_from_camera=FRONT)  # a front that stands in the workspace
    start = links_at(0.0)

    def found(links: dict[str, np.ndarray], steady: float) -> dict[str, str]:
        one = changed(shown)
        if mounted in links:
            pose = links[mounted] @ np.linalg.solve(start[mounted], FRONT)
            one = replace(one, base_from_camera=pose)
        watch.remember([one], lambda: links)
        for more in range(4):
            watch.survey([one], True, steady + 10.0 * more, lambda: links)
        return watch.findings()

    assert bool(found(start, 0.0)) is (mounted == "base of a cell")
    turned = dict(links_at(0.3))
    assert ("sees no table" in found(turned, 100.0).get("front", "")) is mounted.startswith("base")
