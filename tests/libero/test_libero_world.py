"""Laying out, looking at and working on a task of LIBERO, in a stand-in for it; `make test-libero` is LIBERO itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.libero import environment, suites
from mini_diffuser_ros.libero.errors import LiberoError
from mini_diffuser_ros.libero.world import LiberoSettings, LiberoWorld
from mini_diffuser_ros.records import FusionConfig, KeyframeMode, Workspace
from mini_diffuser_ros.running import LayoutError, SeenWorld, WorldError, WorldStartError
from mini_diffuser_ros.support.settings import SettingsError

from . import libero_double as double

NAME = double.TASK.lower()
SEEN = FusionConfig(workspace=Workspace((0.2, -0.5, -0.1), (0.9, 0.5, 0.6)))


@pytest.fixture(autouse=True)
def _libero(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    double.make_files(tmp_path)
    for user in (environment, suites):
        monkeypatch.setattr(user, "libero_module", double.module)
    suites.tasks_of.cache_clear()
    yield
    suites.tasks_of.cache_clear()


def world_of(**settings: object) -> LiberoWorld:
    common = {"cameras": ("agentview",), "renderer": "rays", "image_size": 96}
    return LiberoWorld(LiberoSettings(**{**common, **settings}))  # type: ignore[arg-type]


@pytest.fixture
def world() -> LiberoWorld:
    made = world_of()
    made.lay_out(NAME, 0)
    return made


def mode(place: np.ndarray, gripper_open: bool = True) -> KeyframeMode:
    return KeyframeMode(np.array([*place, *top_down_quaternion(0.0)]), gripper_open, False, 1.0, 0.0)


def test_suites_are_those_whose_tasks_are_installed() -> None:
    assert suites.suites() == ("libero_object",)
    assert list(world_of().tasks) == [NAME]


@pytest.mark.parametrize(
    ("suite", "task", "said"),
    [
        ("libero_objet", NAME, "unknown suite 'libero_objet'; did you mean 'libero_object'"),
        ("libero_object_env", NAME, "unknown suite 'libero_object_env'"),
        ("libero_object", "put_the_ham", "libero_object: unknown task 'put_the_ham'"),
    ],
)
def test_what_is_not_there_is_told_by_name(suite: str, task: str, said: str) -> None:
    with pytest.raises(LiberoError, match=said):
        world_of(suite=suite).lay_out(task, 0)


@pytest.mark.parametrize(("source", "first"), [("environment", double.SENTENCE), ("file-name", double.FILE_SENTENCE)])
def test_the_sentence_comes_from_where_it_is_asked_from(source: str, first: str) -> None:
    sentences = world_of(sentences=source).lay_out(NAME, 0).sentences
    assert sentences[0] == first
    assert set(sentences) == {double.SENTENCE, double.FILE_SENTENCE}


@pytest.mark.parametrize("layouts", ["official", "sampled", "rearranged"])
def test_a_seed_is_the_same_layout_whatever_was_there_before(layouts: str) -> None:
    def state(world: LiberoWorld, seed: int) -> tuple[bytes, bytes]:
        world.lay_out(NAME, seed)
        return world.environment.data.qpos.tobytes(), world.environment.model.body_pos.tobytes()

    world = world_of(layouts=layouts)
    first, other = state(world, 1), state(world, 2)
    world.move([mode(np.array([0.4, -0.1, 0.1]), gripper_open=False)])
    assert state(world, 1) == first == state(world_of(layouts=layouts), 1)
    assert other != first
    assert (state(world, 4) == first) == (layouts == "official")  # three start states


def test_laying_out_leaves_the_global_generator_as_it_was() -> None:
    np.random.seed(7)
    expected = np.random.random(3)
    np.random.seed(7)
    world_of(layouts="sampled").lay_out(NAME, 0)
    assert np.array_equal(np.random.random(3), expected)


def test_what_stands_on_a_fixture_stands_there_in_the_second_layout_too() -> None:
    world = world_of(layouts="sampled")
    for seed in range(4):
        world.lay_out(NAME, seed)
        assert world.environment.holds(("on", "cup_1", double.SHELF_REGION))
        shelf = world.environment.pose("shelf_1")[:3]
        assert abs(shelf[0] - 0.6) < 0.051
        assert abs(shelf[1] - 0.25) < 0.011


def test_what_the_sentence_does_not_speak_of_is_elsewhere_where_things_are_rearranged() -> None:
    world = world_of(layouts="rearranged")
    places = {}
    for seed in range(12):
        world.lay_out(NAME, seed)
        assert world.environment.invalid() == ""
        places[seed] = world.environment.pose("cup_1")[:3]
        assert np.abs(world.environment.pose("cheese_1")[:2] - (0.5, 0.0)).max() < 0.011
    away = [seed for seed, place in places.items() if abs(place[1] + 0.3) < 0.011 and place[2] < 0.05]
    assert 0 < len(away) < 12
    sampled = world_of(layouts="sampled")
    sampled.lay_out(NAME, away[0])
    assert sampled.environment.holds(("on", "cup_1", double.SHELF_REGION))


def test_official_states_are_what_they_were_once_things_have_been_rearranged() -> None:
    world, official = world_of(layouts="rearranged"), world_of()
    official.lay_out(NAME, 1)
    for seed in range(6):
        world.lay_out(NAME, seed)
    world.environment.take_state(world.environment.task.official_states()[1], 1)
    assert world.environment.initial == official.environment.initial
    assert world.environment.pose("shelf_1") == pytest.approx(official.environment.pose("shelf_1"))


def test_suites_whose_sentences_speak_of_other_places_are_not_rearranged() -> None:
    with pytest.raises(SettingsError, match="not for libero_10"):
        LiberoSettings(suite="libero_10", layouts="rearranged")


def test_poses_and_boxes_are_in_the_frame_of_the_arm(world: LiberoWorld) -> None:
    assert world.environment.support_height == pytest.approx(-0.012, abs=1e-6)
    low, high = world.environment.box("cheese_1")
    assert low[2] == pytest.approx(-0.012, abs=1e-3)
    assert high - low == pytest.approx([2 * double.SIDE] * 3, abs=1e-3)
    assert (low + high) / 2 == pytest.approx(world.environment.pose("cheese_1")[:3], abs=1e-4)
    with pytest.raises(LiberoError, match=r"nothing is called 'ham_1'; there are cheese_1"):
        world.environment.pose("ham_1")


def test_the_cheese_is_seen_where_it_is_and_the_table_is_not(world: LiberoWorld) -> None:
    cloud = SeenWorld(world, SEEN).look(0.0)
    colors = cloud.colors.astype(int)
    cheese = cloud.points[(colors[:, 2] > 2 * colors[:, 0]) & (colors[:, 2] > 60)]
    low, high = world.environment.box("cheese_1")
    assert len(cheese) > 5
    assert np.all((cheese > low - 0.002) & (cheese < high + 0.002))
    assert cloud.points[:, 2].min() > -0.012 + 0.003


def test_the_cheese_is_put_on_the_shelf_and_success_is_told(world: LiberoWorld) -> None:
    cheese, shelf = world.environment.pose("cheese_1")[:3], world.environment.pose("shelf_1")[:3]
    above, there = np.array([0, 0, 0.12]), shelf + np.array([0, -0.05, 0.06 + double.SIDE + 0.005])
    assert world.gripper_is_open()
    assert not world.success()
    moves = [(cheese + above, True), (cheese, False), (cheese + above, False), (there + above, False), (there, True)]
    for place, gripper_open in moves:
        report = world.move([mode(place, gripper_open)])
        assert not report.missed
        assert report.reached is not None
        assert np.abs(report.reached[:3] - place).max() < 2e-3
        assert report.held == (0.0 if gripper_open else pytest.approx(2 * double.SIDE, abs=2e-3))
        assert world.gripper_is_open() == gripper_open
    world.settle(0.3)
    assert world.success()
    joints = world.joint_positions()
    assert next(iter(joints)) == "panda_joint1"
    assert joints["panda_finger_joint2"] == pytest.approx(0.04, abs=2e-3)


def test_a_motion_that_something_is_in_the_way_of_is_missed(world: LiberoWorld) -> None:
    shelf = world.environment.pose("shelf_1")[:3]
    report = world.move([mode(shelf + np.array([0, -0.04, 0.03]))])
    assert report.missed
    assert report.reached is not None
    assert report.reached[2] > shelf[2] + 0.04
    assert np.linalg.norm(world.tcp_pose()[:3] - shelf) < 0.2


def test_what_cannot_be_reached_is_refused_and_the_next_candidate_taken(world: LiberoWorld) -> None:
    far, under, near = np.array([0.9, 0.6, 0.3]), np.array([0.5, 0.0, -0.05]), np.array([0.5, 0.0, 0.2])
    report = world.move([mode(far), mode(under), mode(near)])
    assert report.chosen == 2
    assert len(report.refusals) == 2
    before = world.tcp_pose()
    assert world.move([mode(far)]).chosen is None
    assert np.array_equal(world.tcp_pose(), before)


def test_things_that_tilt_in_official_states_may_in_others_and_only_those(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(layouts="sampled")
    world.lay_out(NAME, 0)
    monkeypatch.setattr(double._Environment, "tilts", True)
    with pytest.raises(LayoutError, match=r"seed 5: 25 layouts drawn, none valid; last: cup_1 has tilted by"):
        world.lay_out(NAME, 5)


@pytest.mark.parametrize("layouts", ["official", "sampled"])
def test_what_comes_to_lie_elsewhere_when_it_is_dropped_is_let_down(
    monkeypatch: pytest.MonkeyPatch, layouts: str
) -> None:
    monkeypatch.setattr(double._Environment, "skids", True)
    world = world_of(layouts=layouts)
    world.lay_out(NAME, 2)
    assert world.environment.invalid() == ""
    assert world.environment.holds(("on", "cup_1", double.SHELF_REGION))
    assert not world.environment.model.dof_damping[-12:].any()  # as it was, once things are at rest


def test_no_place_for_things_is_told_after_many_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(layouts="sampled")
    world.lay_out(NAME, 0)
    monkeypatch.setattr(double._Environment, "finds_no_place", True)
    with pytest.raises(LayoutError, match="Cannot place all objects"):
        world.lay_out(NAME, 5)


def test_start_states_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch, world: LiberoWorld) -> None:
    monkeypatch.setattr(suites.LiberoTask, "official_states", lambda _: np.zeros((2, 11)))
    with pytest.raises(LiberoError, match="a start state has 11 numbers, this MuJoCo model has"):
        world.lay_out(NAME, 0)


def test_nothing_is_demonstrated_where_policies_are_evaluated_unless_told_to(world: LiberoWorld) -> None:
    with pytest.raises(LiberoError, match="official start states are for evaluation; record with --world-options"):
        world.expert()


def test_physics_that_diverges_is_the_worlds_failure(world: LiberoWorld) -> None:
    world.environment.data.qvel[:] = 1e12
    with pytest.raises(WorldError, match="the physics has diverged"):
        world.settle(0.1)
    world.lay_out(NAME, 1)
    world.settle(0.1)


def test_a_task_that_cannot_be_made_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, **_: object) -> None:
        raise KeyError("wine_rack\nis unknown")

    monkeypatch.setattr(double.ControlEnv, "__init__", fail)
    monkeypatch.setattr(suites.LiberoTask, "official_states", lambda _: np.zeros((1, 1)))
    with pytest.raises(WorldStartError, match="LIBERO cannot make it: KeyError: 'wine_rack") as caught:
        world_of().lay_out(NAME, 0)
    assert "\n" not in str(caught.value)
