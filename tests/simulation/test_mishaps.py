"""What goes wrong on an unlucky table, with the scripted expert, which notices nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.simulation import run_expert
from mini_diffuser_ros.simulation.mishaps import Mishap, UnluckyWorld
from mini_diffuser_ros.simulation.placing import REGION


@pytest.fixture(scope="module")
def world() -> Iterator[UnluckyWorld]:
    made = UnluckyWorld()
    yield made
    made.close()


@pytest.fixture(scope="module")
def planner(world: UnluckyWorld) -> MotionPlanner:
    return MotionPlanner(world.robot, MotionConfig())


def tried(world: UnluckyWorld, planner: MotionPlanner, mishap: Mishap, task: str, seed: int) -> bool:
    """Whether the expert has succeeded all the same."""
    world.mishap = mishap
    world.reset(task, seed)
    assert not world.has_befallen
    run_expert(world, planner)
    return world.success()


@pytest.mark.parametrize("task", ["push_buttons", "stack_blocks", "put_item_in_bowl"])
def test_without_a_mishap_the_expert_succeeds(world: UnluckyWorld, planner: MotionPlanner, task: str) -> None:
    assert tried(world, planner, Mishap.NONE, task, seed=3)
    assert not world.has_befallen


@pytest.mark.parametrize(
    ("mishap", "task"),
    [
        (Mishap.SLIP_AT_LIFT, "stack_blocks"),
        (Mishap.SLIP_ON_THE_WAY, "put_item_in_bowl"),
        (Mishap.LANDS_BESIDE, "stack_blocks"),
        (Mishap.TAKEN_AWAY, "put_item_in_bowl"),
        (Mishap.SHORT_PRESS, "push_buttons"),
    ],
)
def test_a_mishap_befalls_once_and_the_task_is_not_done(
    world: UnluckyWorld, planner: MotionPlanner, mishap: Mishap, task: str
) -> None:
    assert not tried(world, planner, mishap, task, seed=3)
    assert world.has_befallen
    run_expert(world, planner)  # nothing goes wrong a second time
    assert world.success() or mishap is Mishap.SLIP_ON_THE_WAY


def test_what_is_put_aside_before_and_after_the_retreat_lies_in_two_places(
    world: UnluckyWorld, planner: MotionPlanner
) -> None:
    places = []
    for mishap in (Mishap.LANDS_BESIDE, Mishap.TAKEN_AWAY):
        assert not tried(world, planner, mishap, "stack_blocks", seed=3)
        places.append(np.sort([world.body_pose(name)[:2, 3] for name in world.free_bodies()], axis=0))
    assert np.abs(places[0] - places[1]).max() > 0.02


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_what_is_taken_away_lies_on_the_table_beside(world: UnluckyWorld, planner: MotionPlanner, seed: int) -> None:
    assert not tried(world, planner, Mishap.TAKEN_AWAY, "stack_blocks", seed)
    places = np.array([world.body_pose(name)[:3, 3] for name in world.free_bodies()])
    assert (places[:, 2] < 0.03).all()
    (x_low, x_high), (y_low, y_high) = REGION
    assert ((places[:, :2] > (x_low - 0.02, y_low - 0.02)) & (places[:, :2] < (x_high + 0.02, y_high + 0.02))).all()
