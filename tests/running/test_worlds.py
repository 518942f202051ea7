"""Sentences in a world of one's own, through the public function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mini_diffuser_ros.policy.knowledge.facts import SentenceFamiliarity
from mini_diffuser_ros.records import Assessment, Cloud, KeyframeMode
from mini_diffuser_ros.running import Ending, LoopSettings, MotionReport, run_instruction
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import SettingsError


class Line:
    """A world of one point on a line, which the hand has to reach."""

    def __init__(self, goal: float) -> None:
        self.goal, self.hand, self.stuck = goal, 0.0, False

    def look(self, settle_time: float) -> Cloud:
        points = np.array([[self.goal - self.hand, 0.0, 0.0]], np.float32)
        return Cloud(points, np.zeros((1, 3), np.uint8), "hand")

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        if self.stuck:
            raise UserError("the hand is stuck")
        for index, candidate in enumerate(candidates):
            if abs(candidate.pose[0]) <= 0.5:
                self.hand += float(candidate.pose[0])
                return MotionReport(index, "moved")
        return MotionReport(None, "longer than the arm")


class Follower:
    """Wants to go to the point at once, or half the way."""

    def decide(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> list[KeyframeMode]:
        if sentence == "sing":
            raise ValueError("nothing to go to")
        way = cloud.points[0]
        poses = [np.array([*(way * part), 1.0, 0.0, 0.0, 0.0]) for part in (1.0, 0.5)]
        return [KeyframeMode(pose, True, part == 0, 0.5, 0.0) for part, pose in enumerate(poses)]


def test_a_sentence_is_obeyed_to_its_end() -> None:
    world, told = Line(goal=0.8), list[str]()
    result = run_instruction(world, Follower(), "go there", tell=lambda phase, number, text: told.append(phase))
    assert (result.ending, result.keyframes) == (Ending.TERMINATED, 2)
    assert [decision.report.chosen for decision in result.decisions] == [1, 0]
    assert world.hand == pytest.approx(0.8)
    assert told == [*["looking", "deciding"] * 2, "looking"]


def test_with_one_candidate_the_first_refusal_is_the_end_of_it() -> None:
    result = run_instruction(Line(goal=0.8), Follower(), "go there", LoopSettings(candidates=1))
    assert (result.ending, result.message) == (Ending.FAILED, "longer than the arm")
    assert [decision.seed for decision in result.decisions] == [0, 15]


class Hidden(Follower):
    """One that sees what a sentence names at its first look alone: then the hand is in the way."""

    def __init__(self) -> None:
        self.looks = 0

    def assess(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> Assessment:
        self.looks += 1
        modes = self.decide(cloud, sentence, samples, steps, seed)
        return Assessment(modes, not_found="hidden" if self.looks > 1 else "")


def test_what_was_found_before_anything_moved_is_not_given_up_on_the_way_to_it() -> None:
    policy = Hidden()
    result = run_instruction(Line(goal=0.8), policy, "go there")
    assert policy.looks > 1
    assert result.ending is Ending.TERMINATED


def test_a_motion_that_fails_and_a_policy_that_cannot_decide_end_the_sentence_with_the_reason() -> None:
    world = Line(goal=0.3)
    world.stuck = True
    stuck = run_instruction(world, Follower(), "go there")
    assert (stuck.ending, stuck.message) == (Ending.FAILED, "the hand is stuck")
    assert len(stuck.decisions) == 1
    undecided = run_instruction(Line(goal=0.3), Follower(), "sing")
    assert (undecided.ending, undecided.decisions) == (Ending.FAILED, ())
    assert undecided.message == "the policy cannot decide: nothing to go to"


class Choosy(Follower):
    """Knows one sentence."""

    def familiarity(self, sentence: str) -> SentenceFamiliarity | None:
        return SentenceFamiliarity(1.0 if sentence == "go there" else 0.25, 0.5, ("go there",))


def test_a_sentence_that_the_policy_was_not_taught_moves_nothing_unless_it_is_accepted_all_the_same() -> None:
    world = Line(goal=0.3)
    assert run_instruction(world, Choosy(), "go there").ending is Ending.TERMINATED
    world = Line(goal=0.3)
    refused = run_instruction(world, Choosy(), "dance")
    assert (refused.ending, refused.decisions, world.hand) == (Ending.UNFAMILIAR, (), 0.0)
    assert "familiarity 0.250" in refused.message
    assert "nearest that it knows: 'go there'" in refused.message
    accepted = run_instruction(world, Choosy(), "dance", LoopSettings(accept_unfamiliar=True))
    assert accepted.ending is Ending.TERMINATED


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"candidates": 0}, "candidates"), ({"settle_time": float("nan")}, "settle_time"), ({"ends_on": "x"}, "ends_on")],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        LoopSettings(**settings)


class Doubter(Follower):
    """One that knows that what 'dance' names is not there."""

    def assess(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> Assessment:
        modes = self.decide(cloud, sentence, samples, steps, seed)
        return Assessment(modes, not_found="nobody to dance with" if sentence == "dance" else "")


def test_what_nothing_fits_is_given_up_without_a_move() -> None:
    world = Line(goal=0.4)
    result = run_instruction(world, Doubter(), "dance")
    assert (result.ending, result.message, world.hand) == (Ending.NOT_FOUND, "nobody to dance with", 0.0)
    assert run_instruction(world, Doubter(), "go there").ending is Ending.TERMINATED
