"""Goals that are refused before anything is planned, and the planner's parameters."""

from __future__ import annotations

from typing import Any

import pytest
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import KeyframeMode
from std_msgs.msg import Header

from mini_diffuser_ros.motion import AllRefused, MotionRefused, StaticBox
from mini_diffuser_ros.motion.refusals import InCollision, JointLimit, NoPath, NotFinite, OutsideWorkspace
from mini_diffuser_ros.nodes.motion.motion_goal import refusal_of, refused
from mini_diffuser_ros.nodes.ros.cell_parameter import boxes_from
from mini_diffuser_ros.support.settings import SettingsError

NAN, INF = float("nan"), float("inf")


def refusal(candidates: list[KeyframeMode], frame: str = "panda_link0", held: float = 0.0) -> str | None:
    goal = MoveToKeyframe.Goal(header=Header(frame_id=frame), candidates=candidates, held=held)
    return refusal_of(goal, "panda_link0", 3, 0.08)


@pytest.mark.parametrize("frame", ["", "panda_link0"])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_the_planner_can_judge_passes(frame: str, share: float) -> None:
    assert refusal([KeyframeMode(share=share)], frame) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"share": -0.1}, "share -0.1"),
        ({"share": 1.5}, "share 1.5"),
        ({"share": NAN}, "share nan"),
        ({"spread": -1.0}, "spread -1.0"),
        ({"spread": INF}, "spread inf"),
    ],
)
def test_numbers_that_make_no_sense_are_named_with_their_candidate(fields: dict[str, Any], words: str) -> None:
    reason = refusal([KeyframeMode(), KeyframeMode(**fields)])
    assert reason is not None
    assert reason.startswith(f"candidate 2 of 2 has the {words[:12]}")


def test_another_frame_and_another_number_of_candidates_are_refused() -> None:
    assert "'map'" in (refusal([KeyframeMode()], "map") or "")
    assert "0 candidates, expected are 1 to 3" in (refusal([]) or "")
    assert "4 candidates" in (refusal([KeyframeMode()] * 4) or "")
    assert len(refusal([KeyframeMode()], "x" * 10**6) or "") < 300


@pytest.mark.parametrize("held", [40.0, 0.1, -0.01, NAN, INF])
def test_what_no_gripper_holds_is_refused(held: float) -> None:
    assert refusal([KeyframeMode()], held=0.081) is None
    assert "expected metres from 0 to 0.08" in (refusal([KeyframeMode()], held=held) or "")


def test_boxes_are_seven_numbers_each() -> None:
    numbers = (0.5, 0.0, 0.2, 0.1, 0.02, 0.2, 0.3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0)
    assert boxes_from(numbers) == (
        StaticBox("box_1", (0.5, 0.0, 0.2), (0.1, 0.02, 0.2), 0.3),
        StaticBox("box_2", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 0.0),
    )
    assert boxes_from(()) == ()
    metres = (0.95, 0.0, 0.5, 0.02, 1.0, 0.5, 0.0)
    for box, named in (
        (
            tuple(1e3 * number for number in metres),
            "center of box 2, is .* write .0.95, 0, 0.5. if these",
        ),
        ((*metres[:3], 20.0, 1.0, 0.5, 0.0), "half_extents of box 2, is .20, 1, 0.5."),
        ((*metres[:6], 90.0), "yaw of box 2, is 90, .* write 1.5708 if these are degrees"),
    ):
        with pytest.raises(SettingsError, match=named):
            boxes_from((*metres, *box))
    with pytest.raises(SettingsError, match=r"planner.boxes is '6 numbers', expected seven numbers a box"):
        boxes_from((0.0,) * 6)


BEYOND = JointLimit("candidate 1", "panda_joint4", 0.1, -3.0, -0.07)
OUTSIDE = OutsideWorkspace("candidate 2", "x", 3.0, 0.2, 0.8)
TOUCHING = InCollision("home", "at the goal", "hand", "a seen object", -0.01, 0.02)
ENCLOSED = NoPath("candidate 1", 2.0, "a seen object is in the way")
NO_NUMBER = NotFinite("candidate 1", "x", NAN)


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (TOUCHING, MoveToKeyframe.Result.IN_COLLISION),
        (AllRefused([ENCLOSED, TOUCHING]), MoveToKeyframe.Result.IN_COLLISION),
        (AllRefused([BEYOND, OUTSIDE]), MoveToKeyframe.Result.UNREACHABLE),
        (AllRefused([BEYOND, TOUCHING]), MoveToKeyframe.Result.REFUSED),
        (AllRefused([NO_NUMBER]), MoveToKeyframe.Result.REFUSED),
    ],
)
def test_a_refused_motion_is_numbered_by_what_its_refusals_have_in_common(refusal: MotionRefused, outcome: int) -> None:
    ended = refused(refusal)
    assert (ended.outcome, ended.message, ended.chosen) == (outcome, str(refusal), -1)
    assert all(any(str(each) == line for line in ended.refusals) for each in getattr(refusal, "refusals", [refusal]))
