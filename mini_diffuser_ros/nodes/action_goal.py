"""Sending one action goal and seeing it through to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node

from mini_diffuser_ros.nodes.errors import ActionRejectedError, ActionUnavailableError, InterruptionError
from mini_diffuser_ros.nodes.watch import Watch

ACCEPT_TIMEOUT = 5.0  # seconds; a server that lives answers at once
CANCEL_TIMEOUT = 1.5  # seconds for a server to end a canceled goal; Ctrl-C may have to wait for it


def wait_for_server(client: ActionClient, name: str, watch: Watch, timeout: float) -> None:
    """Wait until a server of the action is there.

    Raises:
        ActionUnavailableError: after ``timeout`` seconds.
        InterruptionError: when the watch is interrupted.
    """
    poll = 0.1  # seconds; the graph has no event for it in every distribution
    for _ in range(max(1, round(timeout / poll))):
        if client.server_is_ready():
            return
        try:
            watch.wait_for(lambda: None, poll)
        except TimeoutError:
            continue
    raise ActionUnavailableError(f"no action server on {name} within {timeout:.1f} s")


def actions_of_kind(node: Node, kind: str) -> list[str]:
    """Names of the actions of a type, e.g. ``control_msgs/action/GripperCommand``, that the graph knows."""
    ending = "/_action/feedback"
    return sorted(
        topic.removesuffix(ending)
        for topic, types in node.get_topic_names_and_types()
        if topic.endswith(ending) and f"{kind}_FeedbackMessage" in types and node.count_publishers(topic) > 0
    )


def carry_out(
    client: ActionClient,
    goal: Any,
    watch: Watch,
    *,
    name: str,
    timeout: float,
    on_feedback: Callable[[Any], None] | None = None,
) -> Any:
    """Send a goal and return its wrapped result (``.status``, ``.result``).

    An interruption cancels the goal and waits for its end before it is passed on, so that whoever called knows the
    server is at rest.

    Args:
        client: of the action.
        goal: goal message.
        watch: what may interrupt.
        name: of the action, for messages.
        timeout: seconds from acceptance to the result.
        on_feedback: takes each feedback message.

    Raises:
        ActionUnavailableError: no server, or no result in time.
        ActionRejectedError: the server did not accept the goal.
        InterruptionError: the watch was interrupted.
    """
    watch.check()
    wait_for_server(client, name, watch, ACCEPT_TIMEOUT)
    feedback = None if on_feedback is None else (lambda message: on_feedback(message.feedback))
    accepted = client.send_goal_async(goal, feedback_callback=feedback)
    try:
        handle = watch.result_of(accepted, ACCEPT_TIMEOUT)
    except TimeoutError:
        raise ActionUnavailableError(f"{name} did not answer to a goal within {ACCEPT_TIMEOUT:.1f} s") from None
    except InterruptionError:
        _cancel_on_acceptance(accepted)
        raise
    if not handle.accepted:
        raise ActionRejectedError(f"{name} rejected the goal")
    result = handle.get_result_async()
    try:
        return watch.result_of(result, timeout)
    except (InterruptionError, TimeoutError) as reason:
        _cancel(handle, result)
        if isinstance(reason, TimeoutError):
            raise ActionUnavailableError(f"{name} gave no result within {timeout:.1f} s; canceled") from None
        raise


def _cancel_on_acceptance(accepted: Any) -> None:
    try:
        handle = Watch().result_of(accepted, CANCEL_TIMEOUT)
    except TimeoutError:
        return
    if handle.accepted:
        _cancel(handle, handle.get_result_async())


def _cancel(handle: Any, result: Any) -> None:
    handle.cancel_goal_async()
    try:
        Watch().result_of(result, CANCEL_TIMEOUT)
    except TimeoutError:
        return  # the server is gone or stuck: the caller's own message says what was under way
