"""The simulated table in the loop of the nodes: the expert as a policy, refusals, and motions that do not arrive."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mini_diffuser_ros.evaluation import TabletopCell, roll_out
from mini_diffuser_ros.evaluation.expert_course import ExpertCourse
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Cloud, JointTrajectory, KeyframeMode
from mini_diffuser_ros.running import Ending, LoopSettings, run_instruction
from mini_diffuser_ros.simulation import TASKS, GripperResult, TabletopWorld

TASK = "push_buttons"


class Expert:
    """Decides what the expert would do on the table as it was laid; its first candidate may be out of reach."""

    def __init__(self, world: TabletopWorld, beyond_reach: bool = False) -> None:
        waypoints = TASKS[world.goal.task].expert(world, world.goal.slots)
        last = len(waypoints) - 1
        self.modes = [
            KeyframeMode(waypoint.pose, waypoint.gripper_open, index == last, 0.5, 0.0)
            for index, waypoint in enumerate(waypoints)
        ]
        self.beyond_reach = beyond_reach
        self.clouds: list[Cloud] = []

    def decide(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> list[KeyframeMode]:
        mode = self.modes[len(self.clouds)]
        self.clouds.append(cloud)
        if not self.beyond_reach:
            return [mode]
        far = KeyframeMode(mode.pose + np.array([2.0, 0, 0, 0, 0, 0, 0]), True, True, 0.5, 0.0)
        return [far, mode]


class Blocked(TabletopWorld):
    """Its arm does not move at all."""

    def execute(self, trajectory: JointTrajectory) -> float:
        return 1.0


class Jammed(TabletopWorld):
    """Its gripper does not move at all."""

    def set_gripper(self, open: bool) -> GripperResult:
        return GripperResult(self.gripper_width(), holding=False)


def laid(world: TabletopWorld) -> TabletopCell:
    world.reset(TASK, seed=3)
    return TabletopCell(world, FusionConfig())


@pytest.fixture
def cell() -> Iterator[TabletopCell]:
    made = laid(TabletopWorld(image_size=(96, 96)))
    yield made
    made.world.close()


def test_the_experts_keyframes_reach_the_goal_and_are_judged_as_the_experts(cell: TabletopCell) -> None:
    course = ExpertCourse.of(cell.world, cell.world.goal)
    expert = Expert(cell.world)
    result = roll_out(cell, expert, TASK, "press it", 3, LoopSettings(), course.judge)
    assert (result.success, result.outcome, result.keyframes) == (True, "terminated", len(expert.modes))
    assert [decision.distance for decision in result.decisions] == [0.0] * len(expert.modes)
    assert result.decisions[0].chooses_object
    assert all(len(cloud) and cloud.frame == cell.world.robot.base_frame for cloud in expert.clouds)


def test_a_look_shows_the_table_after_the_settle_time(cell: TabletopCell) -> None:
    before = cell.world.time
    assert cell.look(0.5).stamp == pytest.approx(before + 0.5, abs=0.01)


def test_candidates_out_of_reach_give_way_to_the_next_and_are_told(cell: TabletopCell) -> None:
    result = run_instruction(cell, Expert(cell.world, beyond_reach=True), "press it")
    assert result.ending is Ending.TERMINATED
    assert cell.success()
    assert {decision.report.chosen for decision in result.decisions} == {1}
    assert all("candidate 1 of 2" in decision.report.refusals[0] for decision in result.decisions)


def test_when_every_candidate_is_refused_a_second_decision_is_made_before_it_fails(cell: TabletopCell) -> None:
    course = ExpertCourse.of(cell.world, cell.world.goal)
    expert = Expert(cell.world, beyond_reach=True)
    settings = LoopSettings(candidates=1)
    result = roll_out(cell, expert, TASK, "press it", 3, settings, course.judge)
    assert (result.success, result.keyframes, len(result.decisions)) == (False, 0, 2)
    assert "all 1 candidates" in result.outcome
    assert [decision.distance for decision in result.decisions] == [None, None]


@pytest.mark.parametrize(("kind", "reason"), [(Blocked, "rad from its goal"), (Jammed, "the gripper did not")])
def test_arm_and_gripper_are_believed_by_measurement(kind: type[TabletopWorld], reason: str) -> None:
    cell = laid(kind(image_size=(32, 32)))
    was_open = cell.world.gripper_is_open()
    expert = Expert(cell.world)
    first = expert.modes[0]
    expert.modes[0] = KeyframeMode(first.pose, not was_open, False, 1.0, 0.0)
    result = run_instruction(cell, expert, "press it")
    cell.world.close()
    assert (result.ending, result.keyframes) == (Ending.FAILED, 0)
    assert reason in result.message
    assert result.decisions[-1].report.message == result.message
