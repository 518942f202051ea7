"""Scripted experts on a table of toys: which keyframes they choose, and what they do when something goes wrong."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.geometry import matrix_from_pose
from mini_diffuser_ros.libero.experts import DemonstrationFailed, Expert
from mini_diffuser_ros.libero.grasps import Annotations, GraspAnnotation, HandleAnnotation
from mini_diffuser_ros.running.task_world import KeyframeAction

from .toy_table import BAR, ToyStage

ANNOTATIONS = Annotations({"bowl": GraspAnnotation("rim")}, {"cabinet": HandleAnnotation("drawer")})


def demonstrate(stage: ToyStage, mishap: np.random.Generator | None = None) -> list[KeyframeAction]:
    actions = []
    for action in Expert(stage, ANNOTATIONS, mishap).actions():
        stage.carry_out(action)
        actions.append(action)
    return actions


@pytest.mark.parametrize("goal", ["(On bowl_1 plate_1)", "(On cheese_1 plate_1)", "(On cheese_1 table_corner_region)"])
def test_a_thing_is_put_where_it_belongs_in_six_keyframes(goal: str) -> None:
    stage = ToyStage(goal)
    actions = demonstrate(stage)
    assert stage.holds(stage.bddl.goal[0])
    assert [action.gripper_open for action in actions] == [True, False, False, False, True, True]
    assert not any(action.begins for action in actions)


def test_a_rim_is_gripped_at_its_wall_and_the_bowl_let_go_above_the_plate_not_in_it() -> None:
    stage = ToyStage("(On bowl_1 plate_1)")
    bowl, plate = stage.scene.pose("bowl_1")[:3, 3], stage.scene.pose("plate_1")[:3, 3]
    actions = demonstrate(stage)
    grasp, place = actions[1].pose, actions[4].pose
    assert 0.047 < np.linalg.norm(grasp[:2] - bowl[:2]) < 0.056
    np.testing.assert_allclose(place[:2] - grasp[:2], plate[:2] - bowl[:2], atol=0.002)
    assert 0.008 < stage.scene.pose("bowl_1")[2, 3] < 0.02


def test_after_a_grasp_in_vain_the_demonstration_begins_anew() -> None:
    stage = ToyStage("(On cheese_1 plate_1)", slips=1)
    actions = demonstrate(stage)
    assert stage.holds(stage.bddl.goal[0])
    assert [number for number, action in enumerate(actions) if action.begins] == [3]
    assert len(actions) == 9


def test_a_thing_that_always_slips_is_given_up() -> None:
    with pytest.raises(DemonstrationFailed, match="could not put cheese_1 on plate_1 in 4 attempts"):
        demonstrate(ToyStage("(On cheese_1 plate_1)", slips=100))


def test_some_demonstrations_begin_after_a_mishap_that_nobody_learns() -> None:
    lengths = set()
    for seed in (3, 4):
        stage = ToyStage("(On cheese_1 plate_1)")
        actions = demonstrate(stage, np.random.default_rng(seed))
        assert stage.holds(stage.bddl.goal[0])
        assert [action.begins for action in actions[-6:]] == [len(actions) == 7, *[False] * 5]
        lengths.add(len(actions))
    assert lengths == {6, 7}


def test_a_mishap_that_is_out_of_reach_does_not_happen() -> None:
    goal = "(On cheese_1 plate_1)"
    mishap = demonstrate(ToyStage(goal), np.random.default_rng(3))[0].pose[:3]
    actions = demonstrate(ToyStage(goal, out_of_reach=(mishap, 0.01)), np.random.default_rng(3))
    assert len(actions) == 6
    assert not any(action.begins for action in actions)


def test_what_is_out_of_reach_is_gripped_from_another_side() -> None:
    usual = demonstrate(ToyStage("(On bowl_1 plate_1)"))[1].pose[:3]
    other = demonstrate(ToyStage("(On bowl_1 plate_1)", out_of_reach=(usual, 0.02)))[1].pose[:3]
    assert np.linalg.norm(other - usual) > 0.02
    with pytest.raises(DemonstrationFailed, match="grasps of bowl_1 can be reached"):
        demonstrate(ToyStage("(On bowl_1 plate_1)", out_of_reach=(usual, 2.0)))


def test_a_way_that_leads_too_high_for_the_arm_is_taken_lower() -> None:
    usual = demonstrate(ToyStage("(On cheese_1 plate_1)"))[3].pose[:3]
    stage = ToyStage("(On cheese_1 plate_1)", out_of_reach=(usual, 0.03))
    lower = demonstrate(stage)[3].pose[:3]
    assert stage.reaches(matrix_from_pose((*lower, 1.0, 0.0, 0.0, 0.0)))
    np.testing.assert_allclose(lower - usual, [0.0, 0.0, -0.04], atol=0.002)
    assert stage.holds(stage.bddl.goal[0])


def test_a_closed_drawer_is_pulled_by_its_bar_and_then_filled() -> None:
    stage = ToyStage("(In cheese_1 cabinet_1_top_region)")
    actions = demonstrate(stage)
    np.testing.assert_allclose(actions[1].pose[:3], BAR, atol=0.008)
    assert stage.data.joint("cabinet_1_top_level").qpos[0] < -0.14
    assert stage.holds(stage.bddl.goal[0])


def test_what_is_done_already_is_left_alone() -> None:
    stage = ToyStage("(On cheese_1 plate_1)")
    demonstrate(stage)
    assert demonstrate(stage) == []


def test_what_slides_is_drawn_along_the_table() -> None:
    slides = Annotations({"cheese": GraspAnnotation(slides=True)}, {})
    stage = ToyStage("(On cheese_1 table_corner_region)")
    heights = []
    for action in Expert(stage, slides).actions():
        stage.carry_out(action)
        heights.append(action.pose[2])
    assert stage.holds(stage.bddl.goal[0])
    assert heights[1] == heights[2]
    assert len(heights) == 4
