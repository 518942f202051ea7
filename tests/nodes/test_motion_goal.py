"""Goals that are refused before anything is planned, and the planner's parameters."""

from __future__ import annotations

from typing import Any

import pytest
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import KeyframeMode
from std_msgs.msg import Header

from mini_diffuser_ros.motion import StaticBox
from mini_diffuser_ros.nodes.motion.motion_goal import refusal_of
from mini_diffuser_ros.nodes.motion_node import boxes_from
from mini_diffuser_ros.support.settings import SettingsError

NAN, INF = float("nan"), float("inf")


def refusal(candidates: list[KeyframeMode], frame: str = "panda_link0") -> str | None:
    return refusal_of(MoveToKeyframe.Goal(header=Header(frame_id=frame), candidates=candidates), "panda_link0", 3)


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


def test_boxes_are_seven_numbers_each() -> None:
    numbers = (0.5, 0.0, 0.2, 0.1, 0.02, 0.2, 0.3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0)
    assert boxes_from(numbers) == (
        StaticBox("box_1", (0.5, 0.0, 0.2), (0.1, 0.02, 0.2), 0.3),
        StaticBox("box_2", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 0.0),
    )
    assert boxes_from(()) == ()
    with pytest.raises(SettingsError, match=r"planner.boxes is '6 numbers', expected seven numbers a box"):
        boxes_from((0.0,) * 6)
