"""A run of the stack, told from what its actions publish."""

from __future__ import annotations

from action_msgs.msg import GoalStatus

from mini_diffuser_ros.data.task_names import task_of
from mini_diffuser_ros.nodes.recording.followed_run import FollowedRun, GoalState, RunEvent

EXECUTING, SUCCEEDED, ABORTED = GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_ABORTED


def goal(name: str, accepted: float, status: int) -> GoalState:
    return GoalState(name.encode(), accepted, status)


def test_a_run_from_its_sentence_to_its_end() -> None:
    run = FollowedRun()
    assert run.executions([goal("a", 1.0, EXECUTING)]) == []
    assert run.instructed("press the button") == [RunEvent.STARTED]
    assert run.sentence == "press the button"
    assert run.motions([goal("m1", 2.0, EXECUTING)]) == []
    assert run.motions([goal("m1", 2.0, SUCCEEDED)]) == [RunEvent.REACHED]
    assert run.motions([goal("m1", 2.0, SUCCEEDED), goal("m2", 3.0, ABORTED)]) == []
    assert run.executions([goal("a", 1.0, SUCCEEDED)]) == [RunEvent.TERMINATED]
    assert run.sentence == ""
    assert run.motions([goal("m3", 4.0, SUCCEEDED)]) == []


def test_a_newer_sentence_ends_the_older_run_and_is_not_ended_by_it() -> None:
    run = FollowedRun()
    run.executions([goal("a", 1.0, EXECUTING)])
    run.instructed("press the button")
    run.executions([goal("a", 1.0, EXECUTING), goal("b", 2.0, EXECUTING)])
    assert run.instructed("stack the blocks") == [RunEvent.FAILED, RunEvent.STARTED]
    assert run.executions([goal("a", 1.0, ABORTED), goal("b", 2.0, EXECUTING)]) == []
    assert run.executions([goal("a", 1.0, ABORTED), goal("b", 2.0, ABORTED)]) == [RunEvent.FAILED]


def test_a_sentence_that_becomes_known_before_its_goal() -> None:
    run = FollowedRun()
    assert run.executions([goal("old", 0.5, SUCCEEDED)]) == []
    assert run.instructed("press the button") == [RunEvent.STARTED]
    assert run.executions([goal("old", 0.5, SUCCEEDED), goal("a", 1.0, EXECUTING)]) == []
    assert run.executions([goal("a", 1.0, SUCCEEDED)]) == [RunEvent.TERMINATED]


def test_keyframes_reached_before_the_run_do_not_count() -> None:
    run = FollowedRun()
    assert run.motions([goal("m1", 1.0, SUCCEEDED)]) == []
    run.instructed("press the button")
    assert run.motions([goal("m1", 1.0, SUCCEEDED), goal("m2", 2.0, SUCCEEDED)]) == [RunEvent.REACHED]


def test_a_sentence_names_its_task() -> None:
    assert task_of("Press the blue button!") == "press_the_blue_button"
    assert task_of("把红色的放好") == "sentence"
    assert len(task_of("very " * 50)) <= 60
