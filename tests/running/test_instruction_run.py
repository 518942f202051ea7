"""The loop over keyframes, with scripted eyes, mind and arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.records import Assessment, Cloud, EndJudgement, KeyframeMode, SeenEnd
from mini_diffuser_ros.running import Ending, InstructionRun, LoopSettings, MotionReport, RunResult
from mini_diffuser_ros.running.instruction_run import refusal_of
from mini_diffuser_ros.support.errors import UserError

CLOUD = Cloud(np.zeros((3, 3), np.float32), np.zeros((3, 3), np.uint8), "base")


def mode(terminate: bool = False) -> KeyframeMode:
    return KeyframeMode(np.array([0.5, 0, 0.2, 1, 0, 0, 0]), True, terminate, 1.0, 0.0)


class Script:
    """Decisions and what motion says to them, in order; remembers what happened."""

    def __init__(
        self, decisions: Sequence[Sequence[KeyframeMode]], motions: Sequence[int | MotionReport | None]
    ) -> None:
        self.decisions = list(decisions)
        self.motions = list(motions)
        self.log: list[str] = []
        self.seeds: list[int] = []
        self.settled: list[float] = []
        self.offered: list[Sequence[KeyframeMode]] = []

    def look(self, settle_time: float) -> Cloud:
        self.log.append("look")
        self.settled.append(settle_time)
        return CLOUD

    def decide(self, cloud: Cloud, seed: int) -> Assessment:
        self.log.append("decide")
        self.seeds.append(seed)
        return Assessment(self.decisions.pop(0))

    def move(self, modes: Sequence[KeyframeMode], cloud: Cloud) -> MotionReport:
        self.log.append("move")
        self.offered.append(modes)
        motion = self.motions.pop(0)
        if isinstance(motion, MotionReport):
            return motion
        return MotionReport(motion, "reached" if motion is not None else "out of reach")

    def run(self, limit: int = 10, settings: LoopSettings | None = None, seed: int = 0) -> InstructionRun:
        settings = settings or LoopSettings(keyframe_limit=limit)
        return InstructionRun(self.look, self.decide, self.move, lambda *_: None, settings, seed)


def test_the_end_signal_counts_after_its_keyframe_was_executed() -> None:
    script = Script([[mode()], [mode(terminate=True)]], [0, 0])
    report = script.run().obey()
    assert (report.ending, report.keyframes) == (Ending.TERMINATED, 2)
    assert script.log == ["look", "decide", "move"] * 2


def test_the_end_signal_of_a_candidate_that_was_not_executed_does_not_count() -> None:
    script = Script([[mode(terminate=True), mode()], [mode(terminate=True)]], [1, 0])
    assert script.run().obey().keyframes == 2


def test_the_keyframe_limit_ends_a_run() -> None:
    script = Script([[mode()]] * 3, [0] * 3)
    report = script.run(limit=3).obey()
    assert (report.ending, report.keyframes) == (Ending.KEYFRAME_LIMIT, 3)


def test_after_a_refusal_of_all_candidates_another_look_with_other_noise_is_taken() -> None:
    script = Script([[mode()], [mode(terminate=True)]], [None, 0])
    report = script.run().obey()
    assert (report.ending, report.keyframes) == (Ending.TERMINATED, 1)
    assert len(set(script.seeds)) == 2


def test_when_everything_is_refused_the_run_fails_with_the_reason() -> None:
    script = Script([[mode()], [mode()], [mode()]], [0, None, None])
    report = script.run().obey()
    assert (report.ending, report.message, report.keyframes) == (Ending.FAILED, "out of reach", 1)


def test_what_interrupts_a_wait_passes_through() -> None:
    script = Script([[mode()]], [])

    def blind(settle_time: float) -> Cloud:
        raise UserError("no cloud")

    run = InstructionRun(blind, script.decide, script.move, lambda *_: None, LoopSettings())
    with pytest.raises(UserError, match="no cloud"):
        run.obey()


def test_only_so_many_candidates_are_offered_after_the_settle_time() -> None:
    script = Script([[mode(), mode(), mode(terminate=True)]], [0])
    script.run(settings=LoopSettings(candidates=2, settle_time=0.7, keyframe_limit=1)).obey()
    assert [len(modes) for modes in script.offered] == [2]
    assert script.settled == [0.7]


def test_decisions_are_kept_with_what_became_of_them() -> None:
    refused = MotionReport(None, "out of reach", refusals=("too far", "too near"))
    script = Script([[mode(), mode()], [], [mode(terminate=True)]], [0, refused, 0])
    settings = LoopSettings(keyframe_limit=5, decisions_per_keyframe=3)
    script.decisions.insert(0, [mode()])
    result = script.run(settings=settings, seed=40).obey()
    assert [decision.keyframe for decision in result.decisions] == [1, 2, 2, 2]
    assert [decision.seed for decision in result.decisions] == script.seeds == [40, 41, 46, 51]
    assert [decision.executed is None for decision in result.decisions] == [False, True, True, False]
    assert result.decisions[1].report == refused
    assert "no keyframe" in result.decisions[2].report.message


def test_a_motion_that_fails_leaves_its_decision_behind() -> None:
    script = Script([[mode()]], [])

    def fail(modes: Sequence[KeyframeMode], cloud: Cloud) -> MotionReport:
        raise UserError("joint2 is 0.3 rad from its goal")

    run = InstructionRun(script.look, script.decide, fail, lambda *_: None, LoopSettings())
    with pytest.raises(UserError, match="joint2"):
        run.obey()
    assert [decision.report.message for decision in run.decisions] == ["joint2 is 0.3 rad from its goal"]


def test_a_candidate_that_was_missed_is_tried_again_on_its_own() -> None:
    first, second = mode(), mode(terminate=True)
    script = Script([[first, second]], [MotionReport(1, "missed", missed=True), MotionReport(0, "there")])
    result = script.run(settings=LoopSettings(max_tries=3)).obey()
    assert (result.ending, result.keyframes) == (Ending.TERMINATED, 1)
    assert script.offered == [(first, second), (second,)]
    assert result.decisions[0].executed is second


def test_in_the_published_protocol_a_reward_ends_and_the_policy_does_not() -> None:
    rewarded = MotionReport(0, "there", rewarded=True)
    script = Script([[mode(terminate=True)]] * 3, [0, rewarded])
    result = script.run(settings=LoopSettings.published_rlbench()).obey()
    assert (result.ending, result.keyframes) == (Ending.REWARDED, 2)


def test_in_the_published_protocol_the_first_refusal_ends() -> None:
    script = Script([[mode(), mode()]], [None])
    result = script.run(settings=LoopSettings.published_rlbench()).obey()
    assert (result.ending, result.keyframes) == (Ending.FAILED, 0)
    assert [len(modes) for modes in script.offered] == [1]


def test_without_the_published_protocol_a_reward_does_not_end() -> None:
    script = Script([[mode()], [mode(terminate=True)]], [MotionReport(0, "there", rewarded=True), 0])
    assert script.run().obey().ending is Ending.TERMINATED


@pytest.mark.parametrize("sentence", ["", "  \t ", "x" * 201, "press\x00it"])
def test_sentences_that_are_none_are_refused(sentence: str) -> None:
    assert refusal_of(sentence, 200)


@pytest.mark.parametrize("sentence", ["press the blue button", " stack ", "x" * 200, "drücke den blauen Knopf"])
def test_other_sentences_are_not(sentence: str) -> None:
    assert refusal_of(sentence, 200) is None


def doubting(script: Script, doubts: Sequence[str], asked: list[bool]) -> InstructionRun:
    left = list(doubts)

    def doubt(_: Assessment, unmoved: bool) -> str:
        asked.append(unmoved)
        return left.pop(0)

    return InstructionRun(
        script.look, script.decide, script.move, lambda *_: None, LoopSettings(keyframe_limit=3), doubt=doubt
    )


def test_a_policy_that_doubts_looks_once_more_and_gives_up_without_a_move() -> None:
    script = Script([[mode()]] * 2, [])
    result = doubting(script, ["nothing fits", "nothing fits still"], []).obey()
    assert (result.ending, result.message, result.keyframes) == (Ending.NOT_FOUND, "nothing fits still", 0)
    assert script.log == ["look", "decide"] * 2
    assert [decision.executed for decision in result.decisions] == [None, None]


def test_a_doubt_that_goes_away_at_the_second_look_costs_nothing_more() -> None:
    script = Script([[mode()], [mode(terminate=True)]], [0])
    result = doubting(script, ["nothing fits", ""], []).obey()
    assert (result.ending, script.log) == (Ending.TERMINATED, ["look", "decide", "look", "decide", "move"])


def test_it_is_said_whether_anything_has_moved() -> None:
    asked: list[bool] = []
    doubting(Script([[mode()]] * 4, [None, 0, 0, 0]), [""] * 4, asked).obey()
    assert asked == [True, True, False, False]


GOOD, BAD = EndJudgement(0.9, 0.5), EndJudgement(0.1, 0.5)


def ends(script: Script, judgements: Sequence[EndJudgement | None], **changed: Any) -> tuple[RunResult, list[SeenEnd]]:
    """The result of a run whose ends are judged so, one after another, and what was shown of them."""
    seen: list[SeenEnd] = []

    def confirm(end: SeenEnd) -> EndJudgement | None:
        seen.append(end)
        return judgements[len(seen) - 1]

    settings = LoopSettings(**changed)
    run = InstructionRun(script.look, script.decide, script.move, lambda *_: None, settings, confirm_end=confirm)
    return run.obey(), seen


def test_an_end_counts_after_one_more_look_that_confirms_it() -> None:
    script = Script([[mode()], [mode(terminate=True)]], [0, 0])
    result, seen = ends(script, [GOOD])
    assert (result.ending, result.keyframes) == (Ending.TERMINATED, 2)
    assert script.log == ["look", "decide", "move"] * 2 + ["look"]
    assert "0.900" in result.message
    assert len(seen) == 1


def test_after_an_end_that_is_doubted_the_policy_goes_on_with_a_new_look() -> None:
    script = Script([[mode(terminate=True)]] * 2, [0, 0])
    result, _ = ends(script, [BAD, GOOD])
    assert (result.ending, result.keyframes) == (Ending.TERMINATED, 2)
    assert script.log == ["look", "decide", "move", "look"] * 2
    assert len(set(script.seeds)) == 2


@pytest.mark.parametrize("rounds", [0, 2])
def test_ends_that_stay_doubted_are_not_confirmed(rounds: int) -> None:
    script = Script([[mode(terminate=True)]] * 5, [0] * 5)
    result, seen = ends(script, [BAD] * 5, further_rounds=rounds)
    assert (result.ending, result.keyframes) == (Ending.NOT_CONFIRMED, rounds + 1)
    assert len(seen) == rounds + 1
    assert "does not look done (0.100, good ends have 0.500 and more)" in result.message


def test_a_policy_that_does_not_know_ends_is_believed() -> None:
    result, _ = ends(Script([[mode(terminate=True)]], [0]), [None])
    assert result.ending is Ending.TERMINATED


def test_ends_are_believed_where_nobody_wants_them_confirmed() -> None:
    result, seen = ends(Script([[mode(terminate=True)]], [0]), [BAD], confirm_end=False)
    assert (result.ending, seen) == (Ending.TERMINATED, [])


def test_an_end_is_judged_by_where_the_hand_was_measured() -> None:
    deed, rest = np.arange(7.0), np.arange(7.0) + 10
    reached = [MotionReport(0, "reached", reached=pose) for pose in (np.zeros(7), deed, rest)]
    _, (seen,) = ends(Script([[mode()], [mode()], [mode(terminate=True)]], reached), [GOOD])
    np.testing.assert_array_equal(seen.deed, deed)
    np.testing.assert_array_equal(seen.rest, rest)
    assert seen.cloud is CLOUD


def test_where_nobody_measures_a_decided_pose_stands_for_it() -> None:
    only = mode(terminate=True)
    _, (seen,) = ends(Script([[only]], [0]), [GOOD])
    np.testing.assert_array_equal(seen.deed, only.pose)
    np.testing.assert_array_equal(seen.rest, only.pose)


def test_a_doubted_end_after_which_nothing_is_found_is_not_confirmed() -> None:
    script = Script([[mode(terminate=True)]] * 2, [0])
    doubts = iter(["", "nothing fits", "nothing fits"])
    run = InstructionRun(
        script.look,
        lambda *_: Assessment([mode(terminate=True)]),
        script.move,
        lambda *_: None,
        LoopSettings(decisions_per_keyframe=1),
        doubt=lambda *_: next(doubts),
        confirm_end=lambda _: BAD,
    )
    result = run.obey()
    assert result.ending is Ending.NOT_CONFIRMED
    assert "nothing fits" in result.message
