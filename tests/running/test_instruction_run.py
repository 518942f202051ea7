"""The loop over keyframes, with scripted eyes, mind and arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running.instruction_run import Ending, InstructionRun, MotionReport, refusal_of
from mini_diffuser_ros.support.errors import UserError

CLOUD = Cloud(np.zeros((3, 3), np.float32), np.zeros((3, 3), np.uint8), "base")


def mode(terminate: bool = False) -> KeyframeMode:
    return KeyframeMode(np.array([0.5, 0, 0.2, 1, 0, 0, 0]), True, terminate, 1.0, 0.0)


class Script:
    """Decisions and what motion says to them, in order; remembers what happened."""

    def __init__(self, decisions: Sequence[Sequence[KeyframeMode]], motions: Sequence[int | None]) -> None:
        self.decisions = list(decisions)
        self.motions = list(motions)
        self.log: list[str] = []
        self.seeds: list[int] = []

    def look(self) -> Cloud:
        self.log.append("look")
        return CLOUD

    def decide(self, cloud: Cloud, count: int) -> Sequence[KeyframeMode]:
        self.log.append("decide")
        self.seeds.append(count)
        return self.decisions.pop(0)

    def move(self, modes: Sequence[KeyframeMode], cloud: Cloud) -> MotionReport:
        self.log.append("move")
        chosen = self.motions.pop(0)
        return MotionReport(chosen, "reached" if chosen is not None else "out of reach")

    def run(self, limit: int = 10) -> InstructionRun:
        return InstructionRun(self.look, self.decide, self.move, lambda *_: None, limit, 2)


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

    def blind() -> Cloud:
        raise UserError("no cloud")

    run = InstructionRun(blind, script.decide, script.move, lambda *_: None, 5, 2)
    with pytest.raises(UserError, match="no cloud"):
        run.obey()


@pytest.mark.parametrize("sentence", ["", "  \t ", "x" * 201, "press\x00it"])
def test_sentences_that_are_none_are_refused(sentence: str) -> None:
    assert refusal_of(sentence, 200)


@pytest.mark.parametrize("sentence", ["press the blue button", " stack ", "x" * 200, "drücke den blauen Knopf"])
def test_other_sentences_are_not(sentence: str) -> None:
    assert refusal_of(sentence, 200) is None
