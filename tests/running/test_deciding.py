"""Decisions that others need not wait for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running import LoopSettings
from mini_diffuser_ros.running.deciding import Decider
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.errors import UserError

CLOUD = Cloud(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), "base")
MODE = KeyframeMode(np.zeros(7), True, False, 1.0, 0.0)


class ScriptedPolicy:
    """Decides when it is allowed to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.allowed = threading.Event()
        self.seeds: list[int] = []

    def decide(self, cloud: Cloud, sentence: str, *, samples: int, steps: int, seed: int) -> list[KeyframeMode]:
        self.seeds.append(seed)
        if sentence == "nonsense":
            raise ValueError("no finite point in the workspace")
        self.begun.set()
        self.allowed.wait(60.0)
        return [MODE]


@pytest.fixture
def policy() -> Iterator[ScriptedPolicy]:
    scripted = ScriptedPolicy()
    yield scripted
    scripted.allowed.set()


def decider(policy: Any) -> Decider:
    return Decider(policy, LoopSettings(samples=8, steps=2))


def test_modes_come_back_and_each_decision_draws_other_noise(policy: ScriptedPolicy) -> None:
    policy.allowed.set()
    deciding = decider(policy)
    for seed in (100, 103):
        assert deciding.decide(CLOUD, "press", seed, CancellationToken()).modes == [MODE]
    assert policy.seeds == [100, 103]
    assert "decision p50 (ms)" in deciding.latencies()


def test_what_the_policy_cannot_decide_on_is_told(policy: ScriptedPolicy) -> None:
    with pytest.raises(UserError, match="the policy cannot decide: no finite point in the workspace"):
        decider(policy).decide(CLOUD, "nonsense", 0, CancellationToken())


def test_an_interruption_ends_the_wait_while_the_decision_goes_on(policy: ScriptedPolicy) -> None:
    deciding, token = decider(policy), CancellationToken()

    def interrupt() -> None:
        policy.begun.wait(60.0)
        token.interrupt(3, "a stop was called")

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(InterruptionError, match="a stop was called"):
        deciding.decide(CLOUD, "press", 0, token)
    thread.join()
    assert not policy.allowed.is_set()
    assert deciding.latencies() == {}


def test_a_decision_that_has_not_begun_is_not_made(policy: ScriptedPolicy) -> None:
    deciding, first = decider(policy), CancellationToken()
    waiting = threading.Thread(target=lambda: deciding.decide(CLOUD, "press", 100, first))
    waiting.start()
    policy.begun.wait(60.0)
    second = CancellationToken()
    second.interrupt(4, "preempted")
    with pytest.raises(InterruptionError):
        deciding.decide(CLOUD, "press", 101, second)
    policy.allowed.set()
    waiting.join(60.0)
    assert deciding.decide(CLOUD, "press", 102, CancellationToken()).modes == [MODE]
    assert policy.seeds == [100, 102]
