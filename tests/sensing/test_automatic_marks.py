"""Where an arm that is led by hand leaves keyframes."""

from __future__ import annotations

import pytest

from mini_diffuser_ros.sensing.automatic_marks import AutoConfig, AutomaticMarks
from mini_diffuser_ros.sensing.rest import Rest

HERE, THERE = {"j1": 0.0, "j2": 0.5}, {"j1": 0.3, "j2": 0.5}


@pytest.fixture
def marks() -> AutomaticMarks:
    return AutomaticMarks(AutoConfig(rest_time=0.6, least_motion=0.05))


def test_the_first_rest_is_a_keyframe_once_it_has_lasted(marks: AutomaticMarks) -> None:
    assert not marks.is_due(None, HERE, True)
    assert not marks.is_due(Rest(1.0, 1.5), HERE, True)
    assert marks.is_due(Rest(1.0, 1.7), HERE, True)
    assert not marks.is_due(Rest(1.0, 1.8), HERE, True)


def test_a_later_rest_needs_a_motion_or_a_change_of_the_gripper(marks: AutomaticMarks) -> None:
    marks.go_on_from(HERE, True)
    assert not marks.is_due(Rest(2.0, 4.0), HERE, True)
    assert marks.is_due(Rest(5.0, 6.0), HERE, False)
    marks.go_on_from(HERE, False)
    assert marks.is_due(Rest(7.0, 8.0), THERE, False)
    marks.go_on_from(THERE, False)
    assert not marks.is_due(Rest(9.0, 10.0), {"j1": 0.31, "j2": 0.49}, False)


def test_a_rest_whose_keyframe_failed_is_not_tried_again(marks: AutomaticMarks) -> None:
    assert marks.is_due(Rest(1.0, 2.0), HERE, True)
    assert not marks.is_due(Rest(1.0, 9.0), HERE, True)
    assert marks.is_due(Rest(10.0, 11.0), HERE, True)


def test_a_new_episode_begins_with_a_keyframe(marks: AutomaticMarks) -> None:
    assert marks.is_due(Rest(1.0, 2.0), HERE, True)
    marks.go_on_from(HERE, True)
    marks.restart()
    assert marks.is_due(Rest(1.0, 3.0), HERE, True)
