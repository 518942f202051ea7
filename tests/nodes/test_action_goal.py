"""Goals whose servers fall silent."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rclpy.task import Future
from unique_identifier_msgs.msg import UUID

from mini_diffuser_ros.nodes.ros.action_goal import ActionRejectedError, ActionUnavailableError, carry_out
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError


class Handle:
    """The client's side of a goal; canceling it ends it."""

    def __init__(self, accepted: bool) -> None:
        self.accepted = accepted
        self.canceled = False
        self.goal_id = UUID()
        self.ended = Future()

    def get_result_async(self) -> Future:
        return self.ended

    def cancel_goal_async(self) -> None:
        self.canceled = True
        self.ended.set_result(SimpleNamespace(status=5, result=None))


class Client:
    """The part of an action client that counts; its server is there and answers at once."""

    def __init__(self, accepts: bool = True) -> None:
        self.handle = Handle(accepts)
        self.on_sent: Callable[[], None] = lambda: None
        self.is_there = True

    def server_is_ready(self) -> bool:
        return self.is_there

    def send_goal_async(self, goal: Any, feedback_callback: Any = None, goal_uuid: Any = None) -> Future:
        self.on_sent()
        accepted = Future()
        accepted.set_result(self.handle)
        return accepted


def send(client: Any, token: CancellationToken, timeout: float = 60.0, max_silence: float | None = None) -> Any:
    return carry_out(client, "goal", token, name="move", timeout=timeout, max_silence=max_silence)


def test_a_result_is_returned() -> None:
    client = Client()
    client.handle.ended.set_result(SimpleNamespace(status=4, result="done"))
    assert send(client, CancellationToken()).result == "done"


def test_a_rejected_goal_is_told() -> None:
    with pytest.raises(ActionRejectedError, match="move rejected the goal"):
        send(Client(accepts=False), CancellationToken())


def test_a_server_without_a_sign_of_life_is_given_up_and_told_so() -> None:
    client = Client()
    with pytest.raises(ActionUnavailableError, match="move gave no sign of life for"):
        send(client, CancellationToken(), max_silence=0.05)
    assert client.handle.canceled


def test_a_server_that_goes_while_its_result_is_waited_for_is_noticed() -> None:
    client = Client()
    client.on_sent = lambda: setattr(client, "is_there", False)
    with pytest.raises(ActionUnavailableError, match="move is gone: no server is left that could answer"):
        send(client, CancellationToken())


def test_a_goal_that_takes_too_long_is_canceled() -> None:
    client = Client()
    with pytest.raises(ActionUnavailableError, match=r"move gave no result within 0\.1 s; canceled"):
        send(client, CancellationToken(), timeout=0.1)
    assert client.handle.canceled


def test_an_interruption_cancels_the_goal() -> None:
    client, token = Client(), CancellationToken()
    client.on_sent = lambda: token.interrupt(3, "a stop was called")
    with pytest.raises(InterruptionError, match="a stop was called"):
        send(client, token)
    assert client.handle.canceled
