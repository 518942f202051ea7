"""What the simulated table is laid with for which sentence."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.simulation import SimulationError, TabletopWorld
from mini_diffuser_ros.simulation.realtime.table import Table


@pytest.fixture
def world() -> TabletopWorld:
    return TabletopWorld(image_size=(32, 32))


def block_positions(world: TabletopWorld) -> dict[str, np.ndarray]:
    return {name: world.body_pose(name)[:3, 3] for name in world.free_bodies()}


def test_the_table_is_laid_for_a_sentence(world: TabletopWorld) -> None:
    table = Table(world, "push_buttons", seed=3)
    table.lay_for("stack the red block on the green block")
    assert table.goal is not None
    assert (table.task, dict(table.goal.slots)) == ("stack_blocks", {"top": "red", "bottom": "green"})
    assert not table.succeeded()


def test_the_same_seed_and_sentence_lay_the_same_table(world: TabletopWorld) -> None:
    Table(world, "push_buttons", seed=3).lay_for("stack the red block on the green block")
    first = block_positions(world)
    Table(world, "push_buttons", seed=3).lay_for("stack the red block on the green block")
    for name, position in block_positions(world).items():
        assert np.allclose(position, first[name])


@pytest.mark.parametrize("sentence", ["", "make me a coffee"])
def test_without_a_sentence_that_it_knows_the_default_task_is_laid(world: TabletopWorld, sentence: str) -> None:
    table = Table(world, "push_buttons", seed=0)
    said = table.lay_for(sentence)
    assert table.task == "push_buttons"
    assert sentence in said


def test_what_is_on_the_table_stays_when_the_next_sentence_needs_nothing_else(world: TabletopWorld) -> None:
    table = Table(world, "push_buttons", seed=0)
    table.lay_for("stack the red block on the green block")
    model = world.model
    table.take_up("stack the green block on the red block")
    assert world.model is model
    assert table.goal is not None
    assert dict(table.goal.slots) == {"top": "green", "bottom": "red"}


def test_what_a_stop_has_left_in_the_hand_is_not_said_to_lie_on_the_table(world: TabletopWorld) -> None:
    table, sentence = Table(world, "push_buttons", seed=0), "stack the red block on the green block"
    table.lay_for(sentence)
    assert world.held_body() == ""
    assert "everything is on the table" in table.take_up(sentence)
    planner = MotionPlanner(world.robot)
    assert table.goal is not None
    for waypoint in world.tasks[table.task].expert(world, table.goal.slots):
        world.execute(planner.plan(world.arm_positions(), waypoint.pose))
        if world.gripper_is_open() != waypoint.gripper_open:
            world.set_gripper(waypoint.gripper_open)
        if world.held_body():
            break
    said = table.take_up(sentence)
    assert "the gripper holds block_red" in said
    assert "on the table" not in said
    world.set_gripper(True)
    assert "everything is on the table" in table.take_up(sentence)


def test_another_table_is_laid_for_a_sentence_that_needs_one(world: TabletopWorld) -> None:
    table = Table(world, "push_buttons", seed=0)
    table.lay_for("stack the red block on the green block")
    table.take_up("press the blue button")
    assert table.task == "push_buttons"


def test_a_sentence_without_a_seed_is_taken_up_and_with_one_has_the_table_laid_anew(world: TabletopWorld) -> None:
    table = Table(world, "push_buttons", seed=0)
    table.lay_for("stack the red block on the green block")
    model = world.model
    table.reset("", "stack the green block on the red block", -1)
    assert world.model is model
    table.reset("", "stack the green block on the red block", 7)
    assert world.model is not model
    assert table.goal is not None
    assert dict(table.goal.slots) == {"top": "green", "bottom": "red"}


@pytest.mark.parametrize("sentence", ["make me a coffee", "stack the red block on the red block"])
def test_a_sentence_of_no_task_leaves_the_table_and_is_never_a_success(world: TabletopWorld, sentence: str) -> None:
    table = Table(world, "push_buttons", seed=0)
    table.lay_for("press the blue button")
    model = world.model
    table.take_up(sentence)
    assert world.model is model
    assert table.goal is None
    assert table.task == ""
    assert not table.succeeded()


def test_an_obeyed_sentence_is_judged_only_if_what_it_names_lies_there(world: TabletopWorld) -> None:
    table = Table(world, "push_buttons", seed=0)
    table.lay_for("stack the red block on the green block")
    assert (table.task, table.sentence) == ("stack_blocks", "")
    model = world.model
    for sentence in ("press the blue button", "make me a coffee", "put the lemon in the bowl"):
        assert not table.judge_by(sentence)
        assert (table.task, table.sentence, table.succeeded()) == ("", "", False)
    assert table.judge_by("stack the green block on the red block")
    assert (table.task, table.sentence) == ("stack_blocks", "stack the green block on the red block")
    assert world.model is model
    table.reset("stack_blocks", "", 3)
    assert table.sentence == ""


def test_an_obeyed_sentence_that_is_done_already_is_not_judged(
    world: TabletopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(world, "push_buttons", seed=0)
    table.lay_for("stack the red block on the green block")
    monkeypatch.setattr(world, "success", lambda: True)
    assert not table.judge_by("stack the red block on the green block")
    assert not table.succeeded()


def test_unknown_tasks_and_sentences_are_refused_at_a_reset(world: TabletopWorld) -> None:
    table = Table(world, "push_buttons", seed=0)
    with pytest.raises(SimulationError, match="juggle"):
        table.reset("juggle", "", 1)
    with pytest.raises(SimulationError, match="coffee"):
        table.reset("", "make me a coffee", 1)
    with pytest.raises(SimulationError, match="unknown task 'juggle'"):
        Table(world, "juggle", seed=0)
