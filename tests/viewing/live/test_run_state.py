"""What a stack does in words."""

from __future__ import annotations

import json

import pytest

from mini_diffuser_ros.viewing.live import run_state
from mini_diffuser_ros.viewing.live.run_state import KEPT_LINES, SILENT_AFTER, RunState
from mini_diffuser_ros.viewing.run_report import LoggedDecision, LoggedMode

from ..pages import HOSTILE

MODES = [
    LoggedMode([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0], True, False, 0.8, 0.002),
    LoggedMode([0.4, 0.1, 0.3, 1.0, 0.0, 0.0, 0.0], False, True, 0.2, 0.001),
]


def test_a_stack_of_which_nothing_is_heard_is_silent_though_what_it_said_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(run_state.time, "monotonic", lambda: now)
    state = RunState()
    state.tell(ready=True)
    assert not state.values()["silent"]  # it has not begun
    state.health("motion_node: arm", 0, "moving", {})
    now += SILENT_AFTER - 1.0
    state.health("policy_node: policy", 0, "ready", {})
    now += 2.0
    assert not state.values()["silent"]  # one of two
    now += SILENT_AFTER
    assert state.values()["silent"]
    assert state.values()["ready"]
    state.health("motion_node: arm", 0, "at rest", {})
    assert not state.values()["silent"]


def test_a_sentence_is_followed_from_its_begin_to_its_end() -> None:
    state = RunState()
    assert state.values()["phase"] == ""
    state.begin("press the red button")
    state.progress("deciding", 1, "749 points")
    state.decided(LoggedDecision(0.0, None, MODES, keyframe=1, familiarity=0.98, sureness=[0.9, None]))
    state.progress("moving", 1, "40%")
    values = state.values()
    assert (values["sentence"], values["phase"], values["progress"]) == ("press the red button", "moving", 40)
    assert values["beliefs"] == ["familiarity of the sentence 98 %"]
    assert [entry["row"][1] for entry in values["candidates"]] == ["80 %", "20 %"]
    assert values["modes"][0] == [0.5, 0.0, 0.2, 0.8, 0.002]
    state.moved(1, ["candidate 1: 3 mm from the table"])
    assert [entry["became"] for entry in state.values()["candidates"]] == ["refused", "executed"]
    assert [glyph.label for glyph in state.glyphs()] == ["1: 80 % refused", "2: 20 % ends"]
    state.end(True, "TERMINATED: done, 1 keyframes, 3.0 s")
    values = state.values()
    assert values["ended"] == {"good": True, "text": "TERMINATED: done, 1 keyframes, 3.0 s"}
    assert values["phase"] == ""
    told = [line.split(" ", 1)[1] for line in values["lines"]]
    assert told == [
        "'press the red button'",
        "keyframe 1: deciding 749 points",
        "keyframe 1: moving 40%",
        "refused: candidate 1: 3 mm from the table",
        "TERMINATED: done, 1 keyframes, 3.0 s",
    ]


def test_what_is_not_well_comes_first_and_what_is_held_is_told() -> None:
    state = RunState()
    state.health("guard_node: guard", 0, "watching", {})
    state.health("perception_node: camera front", 2, "no colour for 3.0 s", {})
    state.health("motion_node: gripper", 0, "fingers 41 mm apart", {"held (mm)": "41.2"})
    values = state.values()
    assert [entry["row"][:2] for entry in values["health"]] == [
        ["perception_node: camera front", "ERROR"],
        ["guard_node: guard", "OK"],
        ["motion_node: gripper", "OK"],
    ]
    assert values["held"] == "holds 41.2 mm"


def test_no_stream_of_words_grows_for_ever() -> None:
    state = RunState()
    state.begin("z" * 1_000_000)
    state.decided(LoggedDecision(0.0, None, MODES))
    for number in range(5000):
        state.note("x" * 10_000)
        state.health(f"node: part {number}" + "u" * 10_000, 2, "y" * 10_000, {"held (mm)": "v" * 10_000})
    state.tell(question={"id": "1", "text": "w" * 1_000_000}, speed_reason="a" * 1_000_000)
    state.progress("b" * 1_000_000, 1, "c" * 1_000_000)
    state.moved(None, ["d" * 1_000_000] * 2)
    state.end(False, "e" * 1_000_000)
    values = state.values()
    assert len(values["lines"]) == KEPT_LINES
    assert len(json.dumps(values)) < 100_000


def test_words_of_others_stay_what_they_are() -> None:
    state = RunState()
    state.begin(HOSTILE)
    state.progress("moving", 1, HOSTILE)
    assert state.values()["sentence"] == HOSTILE


def test_a_fact_that_the_page_does_not_show_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="no facts"):
        RunState().tell(colour="red")
