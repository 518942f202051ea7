"""Stops and resumes that come close together, served by motion_node's own functions; the arm is made up."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from mini_diffuser_msgs.msg import Heartbeat

from mini_diffuser_ros.nodes.motion import stopping as under_test
from mini_diffuser_ros.nodes.motion.stopping import GUARD_ANSWER, Stopping
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.support.awake import AwakeClock

FIRST = 70  # number of the guard's first stop
PROMPT = GUARD_ANSWER / 2.0  # seconds within which who waits for nothing has answered


class MadeUp:
    """A stopping whose guard is told by hand what it holds, and whose arm comes to rest when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.services: dict[str, Any] = {}
        self.told: list[bool] = []
        self.may_rest, self.is_braking = threading.Event(), threading.Event()
        self.may_rest.set()
        heart = SimpleNamespace(instance=1, beat=lambda: self.guard(0))
        monkeypatch.setattr(under_test, "Heart", lambda *_: heart)
        monkeypatch.setattr(under_test, "Listener", lambda *_: SimpleNamespace(silence=lambda: 0.0))
        monkeypatch.setattr(under_test, "steady_timer", lambda *_: None)
        awake = AwakeClock(longest_look=60.0)
        logger = SimpleNamespace(info=lambda _: None, warning=lambda _: None)
        node: Any = SimpleNamespace(
            get_logger=lambda: logger,
            awake=awake,
            create_publisher=lambda *_: SimpleNamespace(publish=lambda message: self.told.append(message.data)),
            create_service=lambda _, name, serve, callback_group: self.services.update({name: (serve, callback_group)}),
        )
        arm: Any = SimpleNamespace(
            cancel_all=lambda: None,
            await_quiet=lambda _: None,
            brake=SimpleNamespace(bring_to_rest=self._brake),
        )
        joints: Any = SimpleNamespace(describe_stop=lambda _: (False, "joint states are stale"))
        speed: Any = SimpleNamespace(hold=lambda: "")
        self.latch = StopLatch()
        self.stopping = Stopping(node, self.latch, arm, arm, joints, lambda _: None, lambda _: None, 60.0, speed)
        self.guard(0)

    def guard(self, stop: int) -> None:
        self.stopping._on_guard(Heartbeat(stop=stop, hears=1, reason="a stop was called" if stop else ""))

    def call(self, name: str) -> Any:
        return self.services[f"mini_diffuser/{name}"][0](None, SimpleNamespace(success=False, message=""))

    def calling(self, name: str) -> tuple[threading.Thread, list[Any]]:
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(self.call(name)))
        thread.start()
        return thread, answers

    def _brake(self, _: float) -> None:
        self.is_braking.set()
        self.may_rest.wait(60.0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    return MadeUp(monkeypatch)


def test_a_second_stop_does_not_wait_for_a_number_that_the_guard_gave_it_already(made: MadeUp) -> None:
    made.guard(FIRST)
    made.guard(FIRST + 1)
    began = time.monotonic()
    made.call("stop")
    # The first number that is heard may belong to any call: from the second pair on each has its own.
    assert made.call("resume").success
    made.guard(FIRST + 2)
    made.guard(FIRST + 3)
    began = time.monotonic()
    made.call("stop")
    made.call("stop")
    assert time.monotonic() - began < PROMPT


def test_a_resume_is_heard_while_a_stop_is_answered_and_served_after_it(made: MadeUp) -> None:
    groups = [group for _, group in made.services.values()]
    assert groups[0] is not groups[1]
    made.may_rest.clear()
    stop, _ = made.calling("stop")
    assert made.is_braking.wait(60.0)
    made.guard(FIRST)
    resume, answers = made.calling("resume")
    made.may_rest.set()
    stop.join()
    resume.join()
    assert answers[0].success
    assert not made.latch.reason
    assert made.told[-1] is False


def test_a_resume_that_a_later_stop_overtook_undoes_nothing(made: MadeUp) -> None:
    made.may_rest.clear()
    stop, _ = made.calling("stop")
    assert made.is_braking.wait(60.0)
    made.guard(FIRST)
    resume, answers = made.calling("resume")
    resume.join(0.2)  # it waits for the stop under way
    assert resume.is_alive()
    made.guard(FIRST + 1)  # the guard hears the later stop at once
    made.may_rest.set()
    stop.join()
    resume.join()
    assert not answers[0].success
    assert "a stop came after this resume" in answers[0].message
    assert made.latch.reason
    assert made.told[-1] is True
