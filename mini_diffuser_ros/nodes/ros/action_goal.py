"""Sending one action goal and seeing it through to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NoReturn

from rclpy.action import ActionClient
from rclpy.node import Node
from unique_identifier_msgs.msg import UUID

from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.support.awake import AwakeClock
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError

ACCEPT_TIMEOUT = 5.0  # seconds; a server that lives answers at once
OURS = "mini_diffuser/"  # in the names of what our nodes serve
POLL_PERIOD = 0.1  # seconds
GONE_AFTER = 0.4  # seconds for which a server has to be missing from the graph to count as gone
CANCEL_TIMEOUT = 1.5  # seconds for a server to end a canceled goal; Ctrl-C may have to wait for it


class ActionUnavailableError(NodeError):
    """No server answers on an action's name, or not in time."""


class ActionRejectedError(NodeError):
    """A server did not accept a goal."""


def poll(ready: Callable[[], bool], token: CancellationToken, timeout: float) -> bool:
    """Wait for something in the graph, which has no event for it in every distribution; whether it came in time.

    Raises:
        InterruptionError: when the token is interrupted.
    """
    for _ in range(max(1, round(timeout / POLL_PERIOD))):
        if ready():
            return True
        try:
            token.wait_for(lambda: None, POLL_PERIOD)
        except TimeoutError:
            continue
    return False


def wait_for_server(client: ActionClient, name: str, token: CancellationToken, timeout: float) -> None:
    """Wait until a server of the action is there.

    Raises:
        ActionUnavailableError: after ``timeout`` seconds.
        InterruptionError: when the token is interrupted.
    """
    if not poll(client.server_is_ready, token, timeout):
        ours = ": start the stack, ros2 launch mini_diffuser_ros bringup.launch.py" if OURS in name else ""
        raise ActionUnavailableError(f"no action server on {name} within {timeout:.1f} s{ours}")


def actions_of_kind(node: Node, kind: str) -> list[str]:
    """Names of the actions of a type, e.g. ``control_msgs/action/GripperCommand``, that the graph knows."""
    ending = "/_action/feedback"
    return sorted(
        topic.removesuffix(ending)
        for topic, types in node.get_topic_names_and_types()
        if topic.endswith(ending) and f"{kind}_FeedbackMessage" in types and node.count_publishers(topic) > 0
    )


class SentGoal:
    """A goal that a server has accepted.

    Attributes:
        key: id of the goal.
        sent_at, accepted_at: monotonic seconds of sending the goal and of hearing that it was accepted.
    """

    def __init__(self, client: ActionClient, name: str, handle: Any, life: _SignsOfLife, sent_at: float) -> None:
        self._client, self._name, self._handle, self._life = client, name, handle, life
        self.key = bytes(handle.goal_id.uuid)
        self.sent_at, self.accepted_at = sent_at, time.monotonic()
        self._result = handle.get_result_async()

    def result(
        self,
        token: CancellationToken,
        timeout: float,
        max_silence: float | None = None,
        or_when: Callable[[], bool] = lambda: False,
    ) -> Any:
        """The wrapped result (``.status``, ``.result``).

        Args:
            token: what may interrupt; the goal goes on then.
            timeout: seconds from now.
            max_silence: seconds without feedback after which the server counts as gone; None for servers that give
                none.
            or_when: ends the wait with None; looked at several times a second, and when the token is notified.

        Raises:
            ActionUnavailableError: no result in time, or a server that fell silent or is gone; the goal is canceled.
            InterruptionError: the token was interrupted.
        """
        awake = AwakeClock(3.0 * POLL_PERIOD)
        seen = began = awake.now()
        self._result.add_done_callback(lambda _: token.notify())
        while True:
            try:
                token.wait_for(lambda: self._result.done() or or_when(), POLL_PERIOD)
                return self._result.result() if self._result.done() else None
            except TimeoutError:
                now = awake.now()
            if self._client.server_is_ready():
                seen = now
            if now - seen >= GONE_AFTER:
                self._handle.cancel_goal_async()
                raise ActionUnavailableError(f"{self._name} is gone: no server is left that could answer")
            if now - began >= timeout:
                self._give_up(f"no result within {timeout:.1f} s")
            if max_silence is not None and (silence := awake.since(self._life.heard)) >= max_silence:
                self._give_up(f"no sign of life for {silence:.1f} s")

    def cancel(self) -> None:
        """Cancel it and wait a while for its end."""
        self._handle.cancel_goal_async()
        try:
            CancellationToken().result_of(self._result, CANCEL_TIMEOUT)
        except TimeoutError:
            return  # the server is gone or stuck: the caller's own message says what was under way

    def _give_up(self, reason: str) -> NoReturn:
        self.cancel()
        raise ActionUnavailableError(f"{self._name} gave {reason}; canceled") from None


def send_goal(
    client: ActionClient,
    goal: Any,
    token: CancellationToken,
    *,
    name: str,
    on_feedback: Callable[[Any], None] | None = None,
    goal_id: UUID | None = None,
) -> SentGoal:
    """Send a goal and wait until it is accepted; one that is interrupted before that is canceled.

    Args:
        client: of the action.
        goal: goal message.
        token: what may interrupt.
        name: of the action, for messages.
        on_feedback: takes each feedback message.
        goal_id: of the goal; None for one that is drawn.

    Raises:
        ActionUnavailableError: no server, or no answer.
        ActionRejectedError: the server did not accept the goal.
        InterruptionError: the token was interrupted.
    """
    token.check()
    wait_for_server(client, name, token, ACCEPT_TIMEOUT)
    life, sent_at = _SignsOfLife(on_feedback), time.monotonic()
    accepted = client.send_goal_async(goal, feedback_callback=life.on_feedback, goal_uuid=goal_id)
    try:
        handle = token.result_of(accepted, ACCEPT_TIMEOUT)
    except TimeoutError:
        cancel_on_acceptance(accepted)
        raise ActionUnavailableError(f"{name} did not answer to a goal within {ACCEPT_TIMEOUT:.1f} s") from None
    except InterruptionError:
        _await_acceptance_and_cancel(client, accepted, name)
        raise
    if not handle.accepted:
        raise ActionRejectedError(f"{name} rejected the goal")
    return SentGoal(client, name, handle, life, sent_at)


def carry_out(
    client: ActionClient,
    goal: Any,
    token: CancellationToken,
    *,
    name: str,
    timeout: float,
    on_feedback: Callable[[Any], None] | None = None,
    max_silence: float | None = None,
    goal_id: UUID | None = None,
) -> Any:
    """Send a goal and return its wrapped result; arguments and errors as of :func:`send_goal` and SentGoal.result.

    An interruption cancels the goal and waits for its end before it is passed on, so that whoever called knows the
    server is at rest.
    """
    sent = send_goal(client, goal, token, name=name, on_feedback=on_feedback, goal_id=goal_id)
    try:
        return sent.result(token, timeout, max_silence)
    except InterruptionError:
        sent.cancel()
        raise


def cancel_on_acceptance(accepted: Any) -> None:
    """Cancel a goal that nobody waits for any more, should a server accept it after all.

    Args:
        accepted: future of the goal's handle.
    """

    def cancel(answered: Any) -> None:
        handle = answered.result()
        if handle is not None and handle.accepted:
            handle.cancel_goal_async()

    accepted.add_done_callback(cancel)


def _await_acceptance_and_cancel(client: ActionClient, accepted: Any, name: str) -> None:
    try:
        handle = CancellationToken().result_of(accepted, CANCEL_TIMEOUT)
    except TimeoutError:
        cancel_on_acceptance(accepted)
        return
    if handle.accepted:
        SentGoal(client, name, handle, _SignsOfLife(None), time.monotonic()).cancel()


class _SignsOfLife:
    """When a server was last heard of, seconds of the steady clock."""

    def __init__(self, on_feedback: Callable[[Any], None] | None) -> None:
        self._pass_on = on_feedback
        self.heard = time.monotonic()

    def on_feedback(self, message: Any) -> None:
        self.heard = time.monotonic()
        if self._pass_on is not None:
            self._pass_on(message.feedback)
