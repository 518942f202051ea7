"""What a stack does in words."""

from __future__ import annotations

import json

import pytest

from mini_diffuser_ros.viewing.live import run_state
from mini_diffuser_ros.viewing.live.run_state import CONFIRMS, DENIES, KEPT_LINES, SILENT_AFTER, RunState
from mini_diffuser_ros.viewing.run_report import LoggedDecision, LoggedMode

from ..pages import HOSTILE

MODES = [
    LoggedMode([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0], True, False, 0.8, 0.002),
    LoggedMode([0.4, 0.1, 0.3, 1.0, 0.0, 0.0, 0.0], False, True, 0.2, 0.001),
]


class Steady:
    """A steady clock that is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(run_state.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Steady:
    return Steady(monkeypatch)


def test_a_stack_of_which_nothing_is_heard_is_silent_though_what_it_said_stays(clock: Steady) -> None:
    state = RunState()
    assert state.values()["silent"]  # nobody was ever heard
    state.begin("press the red button")
    state.health("motion_node: arm", 0, "moving", {})
    clock.now += SILENT_AFTER - 1.0
    state.health("policy_node: policy", 0, "ready", {})
    clock.now += 2.0
    assert not state.values()["silent"]  # one of two
    clock.now += SILENT_AFTER
    assert state.values()["silent"]
    assert state.values()["sentence"] == "press the red button"
    state.health("motion_node: arm", 0, "at rest", {})
    assert not state.values()["silent"]


def test_words_count_as_long_as_the_node_says_how_it_is_whose_they_are(clock: Steady) -> None:
    state = RunState()
    state.tell(ready=True, question={"id": "7", "text": "may it begin?"})
    values = state.values()
    assert (values["ready"], values["question"]) == (False, None)
    assert (values["policy"], values["motion"]) == ("policy_node was not heard yet", "motion_node was not heard yet")
    state.begin("press the red button")
    state.progress("moving", 2, "40%")
    state.health("policy_node: policy", 0, "obeying", {})
    state.health("motion_node: motion", 0, "moving", {})
    values = state.values()
    assert (values["ready"], values["question"]["id"]) == (True, "7")
    assert (values["policy"], values["motion"]) == ("", "")
    clock.now += 3600.0
    state.health("policy_node_2: policy", 0, "obeying", {})  # which is another
    state.health("motion_node: speed", 0, "100 %", {})  # another part of the same
    values = state.values()
    assert (values["ready"], values["policy"]) == (False, "policy_node has said nothing for 3600 s")
    assert (values["question"]["id"], values["motion"]) == ("7", "")
    assert (values["phase"], values["keyframe"]) == ("moving", 2)  # its last word
    clock.now += SILENT_AFTER + 1.0
    state.health("policy_node: cloud", 0, "fresh", {})
    values = state.values()
    assert (values["ready"], values["policy"]) == (True, "")
    assert (values["question"], values["motion"]) == (None, "motion_node has said nothing for 6 s")


@pytest.mark.parametrize(
    ("judged", "world", "done", "good", "said"),
    [
        (True, None, True, True, "TERMINATED: done"),  # no world there
        (True, True, True, True, f"TERMINATED: done; {CONFIRMS}"),
        (True, False, True, False, f"TERMINATED: done; {DENIES}"),
        (False, False, True, True, "TERMINATED: done"),  # as a dry run, which changes nothing
        (True, True, False, False, "TERMINATED: done"),  # whatever the world says
    ],
)
def test_what_a_world_does_not_see_done_is_no_success(
    judged: bool, world: bool | None, done: bool, good: bool, said: str
) -> None:
    state = RunState()
    state.end(done, "TERMINATED: done", judged)
    state.tell(world=world)
    assert state.values()["ended"] == {"good": good, "text": said}
    state.begin("press the blue button")
    assert state.values()["ended"] is None


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
        state.note(f"{number} " + "x" * 10_000)
        state.health(f"node: part {number}" + "u" * 10_000, 2, "y" * 10_000, {"held (mm)": "v" * 10_000})
    state.tell(question={"id": "1", "text": "w" * 1_000_000}, speed_reason="a" * 1_000_000)
    state.progress("b" * 1_000_000, 1, "c" * 1_000_000)
    state.moved(None, ["d" * 1_000_000] * 2)
    state.end(False, "e" * 1_000_000)
    values = state.values()
    assert len(values["lines"]) == KEPT_LINES
    assert len(json.dumps(values)) < 100_000


def test_a_stop_that_comes_two_ways_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter("1112")
    monkeypatch.setattr(run_state.time, "strftime", lambda _: next(seconds))
    state = RunState()
    for line in ("Stop was pressed", "Stop was pressed", "stopped", "stopped"):
        state.note(line)
    assert state.values()["lines"] == ["1 Stop was pressed", "1 stopped", "2 stopped"]


def test_words_of_others_stay_what_they_are() -> None:
    state = RunState()
    state.begin(HOSTILE)
    state.progress("moving", 1, HOSTILE)
    assert state.values()["sentence"] == HOSTILE


def test_a_fact_that_the_page_does_not_show_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="no facts"):
        RunState().tell(colour="red")
