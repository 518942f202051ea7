"""Motions that are shown before they begin: consent, refusal, an arm that was stirred meanwhile, and dry runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.motion import AllRefused, MotionPlanner
from mini_diffuser_ros.records import JointTrajectory, KeyframeMode
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running import keyframe_motion
from mini_diffuser_ros.running.dry_run import PlannedOnlyError, StillArm, StillGripper
from mini_diffuser_ros.running.keyframe_motion import KeyframeMotion, PlannedMotion, StirredError
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.support.cancellation import CancellationToken

ROBOT = load_robot("fr3")
START = np.array(ROBOT.home) + 0.1
DOWN = KeyframeMode(np.array([0.45, 0.1, 0.4, 1.0, 0.0, 0.0, 0.0]), False, False, 1.0, 0.0)


class RecordingArm:
    """An arm that arrives at once, and its gripper, both with all that they were told."""

    def __init__(self) -> None:
        self.place = START
        self.followed: list[JointTrajectory] = []
        self.gripper_told: list[bool] = []

    def await_rest(self, token: CancellationToken) -> Any:
        return self.place

    def await_server(self, token: CancellationToken) -> None:
        token.check()

    def follow(self, trajectory: JointTrajectory, token: CancellationToken, on_progress: Callable[..., None]) -> None:
        self.followed.append(trajectory)
        self.place = trajectory.positions[-1]

    def has_to_act(self, wanted_open: bool) -> bool:
        return True

    def take_state(self, wanted_open: bool, token: CancellationToken) -> float:
        self.gripper_told.append(wanted_open)
        return 0.0

    def check_held(self, expected: float) -> None:
        assert expected == 0.0

    def is_empty(self) -> bool:
        return True

    def holding(self) -> float:
        return 0.0

    @contextmanager
    def carrying(self, token: CancellationToken) -> Iterator[None]:
        yield


@pytest.fixture(scope="module")
def planner() -> MotionPlanner:
    return MotionPlanner(ROBOT)


@pytest.fixture
def arm() -> RecordingArm:
    return RecordingArm()


def motion(planner: MotionPlanner, arm: RecordingArm, review: Any = lambda *_: True) -> KeyframeMotion:
    return KeyframeMotion(planner, arm, StopLatch(), arm, arm, review=review)


def test_a_motion_is_shown_as_it_will_be_followed(planner: MotionPlanner, arm: RecordingArm) -> None:
    shown: list[PlannedMotion] = []

    def consent(planned: PlannedMotion, *_: Any) -> bool:
        assert arm.followed == []
        shown.append(planned)
        return True

    motion(planner, arm, consent).carry_out([DOWN], CancellationToken())
    assert shown[0].target == "candidate 1 of 1"
    assert shown[0].gripper_open is False
    assert arm.followed == [shown[0].trajectory]


def test_what_is_declined_is_refused_and_nothing_moves(planner: MotionPlanner, arm: RecordingArm) -> None:
    careful = motion(planner, arm, lambda *_: False)
    for attempt in (
        lambda: careful.carry_out([DOWN], CancellationToken()),
        lambda: careful.go_home(CancellationToken()),
    ):
        with pytest.raises(AllRefused, match="declined by the person"):
            attempt()
    assert arm.followed == []
    assert arm.gripper_told == []


def test_an_arm_that_was_led_away_while_somebody_thought_does_not_jump_back(
    planner: MotionPlanner, arm: RecordingArm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyframe_motion, "PROMPT", -1.0)

    def lead_away(*_: Any) -> bool:
        arm.place = START + 0.05
        return True

    with pytest.raises(StirredError, match=r"moved by 0\.050 rad"):
        motion(planner, arm, lead_away).carry_out([DOWN], CancellationToken())
    assert arm.followed == []


def test_home_is_reached_and_leaves_the_gripper_as_it_is(planner: MotionPlanner, arm: RecordingArm) -> None:
    report = motion(planner, arm).go_home(CancellationToken())
    assert report.message == "reached home"
    assert arm.place == pytest.approx(ROBOT.home)
    assert arm.followed[0].positions[0] == pytest.approx(START)
    assert arm.gripper_told == []


def test_a_dry_run_plans_and_shows_and_knows_nothing_that_could_move(planner: MotionPlanner, arm: RecordingArm) -> None:
    shown: list[PlannedMotion] = []
    dry = KeyframeMotion(
        planner, arm, StopLatch(), StillArm(), StillGripper(), review=lambda planned, *_: not shown.append(planned)
    )
    token = CancellationToken()
    for attempt in (lambda: dry.carry_out([DOWN], token), lambda: dry.go_home(token)):
        with pytest.raises(PlannedOnlyError, match="nothing was moved"):
            attempt()
    assert [one.target for one in shown] == ["candidate 1 of 1", "home"]
    assert arm.followed == []
