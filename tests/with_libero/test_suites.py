"""LIBERO itself: `make test-libero`. No folder of tests is called ``libero`` here, as that would hide it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest

from mini_diffuser_ros.geometry import quaternion_angle, top_down_quaternion
from mini_diffuser_ros.libero.errors import LiberoError
from mini_diffuser_ros.libero.suites import SUITES, suites, tasks_of
from mini_diffuser_ros.libero.world import LiberoSettings, LiberoWorld
from mini_diffuser_ros.records import FusionConfig, KeyframeMode, Workspace
from mini_diffuser_ros.running import SeenWorld

pytestmark = [
    pytest.mark.libero,
    pytest.mark.process,  # llvmpipe and numba start some
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("robosuite") is None, reason="LIBERO is not installed; make test-libero"),
]

SEEN = FusionConfig(workspace=Workspace((0.1, -0.5, -0.05), (0.95, 0.5, 0.6)))


@pytest.fixture(scope="module")
def world() -> Iterator[LiberoWorld]:
    made = LiberoWorld(LiberoSettings(suite="libero_object", renderer="rays", image_size=96))
    yield made
    made.close()


@pytest.fixture(scope="module")
def table() -> Iterator[LiberoWorld]:
    made = LiberoWorld(LiberoSettings(suite="libero_spatial", layouts="sampled", renderer="rays", image_size=96))
    yield made
    made.close()


def mode(x: float, y: float, z: float, gripper_open: bool = True) -> KeyframeMode:
    return KeyframeMode(np.array([x, y, z, *top_down_quaternion(0.0)]), gripper_open, False, 1.0, 0.0)


def test_all_suites_have_their_tasks_and_start_states() -> None:
    assert set(SUITES) < set(suites())
    assert {suite: len(tasks_of(suite)) for suite in SUITES} == dict(zip(SUITES, (10, 10, 10, 10, 90), strict=True))
    assert all(f"{suite}_{variant}" in suites() for suite in SUITES[:4] for variant in ("swap", "lan", "task"))
    assert len(tasks_of("libero_10")[0].official_states()) == 50


def test_an_unknown_suite_is_told_with_the_nearest() -> None:
    with pytest.raises(LiberoError, match=r"unknown suite 'libero_objects'; did you mean 'libero_object'"):
        tasks_of("libero_objects")


def test_a_seed_is_the_same_layout_after_any_others(world: LiberoWorld) -> None:
    task = world.tasks[1]
    laid = world.lay_out(task, 3)
    assert laid.sentences[0] == "pick the cream cheese and place it in the basket"
    first, views = world.environment.data.qpos.copy(), world.views()
    world.move([mode(0.5, 0.1, 0.2, gripper_open=False)])
    world.lay_out(task, 4)
    assert not np.allclose(world.environment.data.qpos, first)
    world.lay_out(task, 53)
    assert np.array_equal(world.environment.data.qpos, first)
    assert [view.depth.tobytes() for view in world.views()] == [view.depth.tobytes() for view in views]
    assert not world.success()
    assert world.gripper_is_open()


def test_the_floor_is_where_things_stand_and_is_not_seen(world: LiberoWorld) -> None:
    world.lay_out(world.tasks[1], 0)
    assert world.environment.support_height == pytest.approx(0.0, abs=1e-3)
    low, high = world.environment.box("cream_cheese_1")
    assert low[2] == pytest.approx(0.0, abs=2e-3)
    assert high[2] == pytest.approx(0.019, abs=2e-3)
    cloud = SeenWorld(world, SEEN).look(0.0)
    on_it = np.all((cloud.points > low - 0.002) & (cloud.points < high + 0.002), axis=1)
    assert on_it.sum() > 20
    assert cloud.points[:, 2].min() > 0.003


def test_the_tool_comes_to_where_it_is_sent_within_a_millimetre(world: LiberoWorld) -> None:
    world.lay_out(world.tasks[1], 0)
    for goal in (mode(0.5, 0.0, 0.15), mode(0.45, -0.1, 0.25), mode(0.6, 0.15, 0.3)):
        report = world.move([goal])
        assert not report.missed
        assert report.reached is not None
        assert np.abs(report.reached[:3] - goal.pose[:3]).max() < 1e-3
        assert quaternion_angle(report.reached[3:], goal.pose[3:]) < 0.01


def test_a_thing_is_grasped_lifted_and_put_into_the_basket(world: LiberoWorld) -> None:
    world.lay_out(world.tasks[1], 0)
    low, high = world.environment.box("cream_cheese_1")
    x, y, _ = (low + high) / 2.0
    basket = world.environment.pose("basket_1")
    world.move([mode(x, y, 0.15)])
    assert world.move([mode(x, y, 0.010, gripper_open=False)]).held > 0.01
    assert world.move([mode(x, y, 0.25, gripper_open=False)]).held > 0.01
    assert world.environment.box("cream_cheese_1")[0][2] > 0.15
    world.move([mode(basket[0], basket[1], 0.25, gripper_open=False)])
    assert not world.success()
    world.move([mode(basket[0], basket[1], 0.14)])
    world.settle(0.5)
    assert world.success()


def test_what_is_out_of_reach_is_refused_and_the_next_candidate_taken(world: LiberoWorld) -> None:
    world.lay_out(world.tasks[1], 0)
    report = world.move([mode(0.9, 0.6, 0.3), mode(0.5, 0.0, 0.2)])
    assert report.chosen == 1
    assert len(report.refusals) == 1
    assert world.move([mode(0.9, 0.6, 0.3)]).chosen is None


def test_layouts_that_are_drawn_are_valid_and_their_fixtures_where_things_are(table: LiberoWorld) -> None:
    places = []
    task = next(name for name in table.tasks if name.endswith("on_the_stove_and_place_it_on_the_plate"))
    for seed in (1000, 1001, 1000):
        table.lay_out(task, seed)
        assert table.environment.invalid() == ""
        assert table.environment.holds(("on", "akita_black_bowl_1", "flat_stove_1_cook_region"))
        places.append(table.environment.pose("akita_black_bowl_1"))
    assert table.environment.support_height == pytest.approx(-0.012, abs=1e-3)
    assert np.array_equal(places[0], places[2])
    assert not np.allclose(places[0], places[1], atol=1e-4)


def test_a_bowl_that_bounces_off_what_it_is_dropped_on_stands_on_it(table: LiberoWorld) -> None:
    task = next(name for name in table.tasks if "on_the_ramekin" in name)
    table.lay_out(task, 1000)
    assert table.environment.holds(("on", "akita_black_bowl_1", "glazed_rim_porcelain_ramekin_1"))
    assert table.environment.invalid() == ""


def test_things_are_rearranged_and_the_bowl_is_still_where_the_sentence_has_it() -> None:
    world = LiberoWorld(LiberoSettings(suite="libero_spatial", layouts="rearranged", renderer="rays", image_size=48))
    task = next(name for name in world.tasks if "next_to_the_ramekin" in name)
    plates = []
    for seed in (1000, 1001, 1002):
        world.lay_out(task, seed)
        bowl, other, ramekin, plate = (
            world.environment.pose(name)[:2]
            for name in ("akita_black_bowl_1", "akita_black_bowl_2", "glazed_rim_porcelain_ramekin_1", "plate_1")
        )
        assert world.environment.invalid() == ""
        assert np.linalg.norm(bowl - ramekin) < 0.15 < np.linalg.norm(other - ramekin)
        plates.append(plate)
    assert np.ptp(plates, axis=0).max() > 0.1
    world.close()
