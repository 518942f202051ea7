"""Goals of LIBERO: BDDL texts, and the steps that fulfil them."""

from __future__ import annotations

import pytest

from mini_diffuser_ros.libero.goals import Fact, GoalError, GoalStep, Verb, read_bddl, steps_of

KITCHEN = """
(define (problem a_kitchen)
  (:domain robosuite)
  (:language put the Red cup in the cupboard and close it)
  (:regions
    (cup_region (:target kitchen_table) (:ranges ((-0.1 0.0 0.1 0.2))) (:yaw_rotation ((0 0))))
    (inside (:target cupboard_1))
    (burner (:target stove_1)))
  (:fixtures kitchen_table - table  cupboard_1 - cupboard  stove_1 - stove)
  (:objects cup_1 cup_2 - red_cup  saucer_1 - saucer) ; of which one is wanted
  (:obj_of_interest cup_1)
  (:init (On cup_1 kitchen_table_cup_region) {initial})
  (:goal (And {goal})))
"""


def kitchen(goal: str, initial: str = "") -> str:
    return KITCHEN.format(goal=goal, initial=initial)


def test_a_text_is_read_into_names_and_facts() -> None:
    task = read_bddl(kitchen("(In cup_1 cupboard_1_inside) (Close cupboard_1)"))
    assert task.sentence == "put the Red cup in the cupboard and close it"
    assert task.objects == {"cup_1": "red_cup", "cup_2": "red_cup", "saucer_1": "saucer"}
    assert task.fixtures["cupboard_1"] == "cupboard"
    assert task.initial == (Fact("on", ("cup_1", "kitchen_table_cup_region")),)
    assert task.goal == (Fact("in", ("cup_1", "cupboard_1_inside")), Fact("close", ("cupboard_1",)))
    assert task.owner("cupboard_1_inside") == "cupboard_1"
    assert task.category("stove_1_burner") == "stove"


def test_what_is_put_inside_comes_before_the_door_is_closed_and_after_it_is_opened() -> None:
    task = read_bddl(kitchen("(Close cupboard_1) (In cup_1 cupboard_1_inside) (Turnon stove_1)"))
    assert steps_of(task) == (
        GoalStep(Verb.TURN_ON, "stove_1"),
        GoalStep(Verb.PUT, "cup_1", "cupboard_1_inside", inside=True),
        GoalStep(Verb.CLOSE, "cupboard_1"),
    )


def test_a_closed_door_that_the_goal_does_not_speak_of_is_opened_first() -> None:
    goal = "(In cup_1 cupboard_1_inside)"
    closed, opened = read_bddl(kitchen(goal)), read_bddl(kitchen(goal, "(Open cupboard_1)"))
    assert steps_of(closed, {"cupboard"})[0] == GoalStep(Verb.OPEN, "cupboard_1_inside")
    assert [step.verb for step in steps_of(opened, {"cupboard"})] == [Verb.PUT]
    asked = read_bddl(kitchen("(In cup_1 cupboard_1_inside) (Open cupboard_1_inside)"))
    assert [step.verb for step in steps_of(asked, {"cupboard"})] == [Verb.OPEN, Verb.PUT]


def test_each_step_knows_the_fact_that_it_brings_about() -> None:
    task = read_bddl(kitchen("(On cup_1 saucer_1) (On cup_2 saucer_1) (Turnoff stove_1) (Open cupboard_1)"))
    assert {step.fact for step in steps_of(task)} == {*task.goal}
    assert str(steps_of(task)[-1]) == "put cup_2 on saucer_1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "define"),
        ("(define (problem a)", "1 parentheses open"),
        ("(define (problem a)))", "never opened"),
        ("(define (problem a) (:language b))", ":objects"),
        ("(" * 1000, "nested deeper"),
        (kitchen("(In cup_1)"), "no step"),
        (kitchen("(Fold cup_1)"), "fold cup_1"),
        (kitchen("cup_1"), "'cup_1'"),
        (kitchen("(Open cup_1)").replace("- red_cup  saucer_1 - saucer", ""), "'cup_1'"),
        (kitchen("(Open cup_1)").replace("(:target stove_1)", ""), "burner"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str) -> None:
    with pytest.raises(GoalError, match=complaint) as caught:
        steps_of(read_bddl(text))
    assert "\n" not in str(caught.value)


def test_a_name_that_the_task_does_not_have_is_named() -> None:
    task = read_bddl(kitchen("(In cup_1 attic_region)"))
    with pytest.raises(GoalError, match="attic_region"):
        steps_of(task, {"cupboard"})
