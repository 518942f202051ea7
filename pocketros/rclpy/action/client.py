"""Action clients."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from pocketros.errors import refuse
from unique_identifier_msgs.msg import UUID

from rclpy.entities import wait_for, wait_until
from rclpy.node import _check_type
from rclpy.qos import qos_profile_action_status_default
from rclpy.task import Future

ENDS = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_CANCELED)


@dataclass
class _Sent:
    """What a client knows of a goal, from the moment on when it sends it."""

    feedback_callback: Callable[[Any], Any] | None
    status: int = GoalStatus.STATUS_UNKNOWN


class ClientGoalHandle:
    """A goal that was sent; `accepted` tells whether the server took it, `status` what was heard of it last."""

    def __init__(self, action_client: ActionClient, sent: _Sent, goal_id: Any, goal_response: Any) -> None:
        self._action_client, self._sent, self.goal_id = action_client, sent, goal_id
        self.accepted, self.stamp = bool(goal_response.accepted), goal_response.stamp

    @property
    def status(self) -> int:
        """One of the constants of action_msgs/GoalStatus."""
        return self._sent.status

    def __repr__(self) -> str:
        return f"ClientGoalHandle <id={bytes(self.goal_id.uuid).hex()}, accepted={self.accepted}>"

    def cancel_goal_async(self) -> Future:
        """Ask to cancel; the future gets the CancelGoal response."""
        request = CancelGoal.Request()
        request.goal_info.goal_id = self.goal_id
        return self._action_client._cancel_client.call_async(request)

    def get_result_async(self) -> Future:
        """Ask for the result; the future gets the response with `status` and `result`."""
        return self._action_client._get_result_async(self)

    def cancel_goal(self) -> Any:
        """Ask to cancel and wait for the answer; needs an executor that spins in another thread."""
        return self._action_client._wait(self.cancel_goal_async())

    def get_result(self) -> Any:
        """Wait for the result; needs an executor that spins in another thread."""
        return self._action_client._wait(self.get_result_async())


class ActionClient:
    """Sends goals to an action server, over three services and two topics below `<name>/_action`."""

    def __init__(
        self,
        node: Any,
        action_type: Any,
        action_name: str,
        *,
        callback_group: Any = None,
        **options: Any,
    ) -> None:
        refuse(**options)
        _check_type(action_type, "Impl", "an action type; expected one like control_msgs.action.FollowJointTrajectory")
        self._node, self._action_type = node, action_type
        self._goals: dict[bytes, _Sent] = {}
        base = node.resolve_topic_name(action_name)

        def named(name: str) -> str:
            return f"{base}/_action/{name}"

        def client(kind: Any, name: str) -> Any:
            return node.create_client(kind, named(name), callback_group=callback_group)

        def subscription(kind: Any, name: str, callback: Callable[[Any], Any], qos: Any) -> Any:
            return node.create_subscription(kind, named(name), callback, qos, callback_group=callback_group)

        # The topics come first, so that a server that has discovered where replies go has discovered them, too
        self._topics = [
            subscription(action_type.Impl.FeedbackMessage, "feedback", self._on_feedback, 10),
            subscription(GoalStatusArray, "status", self._on_status, qos_profile_action_status_default),
        ]
        self._goal_client = client(action_type.Impl.SendGoalService, "send_goal")
        self._result_client = client(action_type.Impl.GetResultService, "get_result")
        self._cancel_client = client(CancelGoal, "cancel_goal")
        self._services = [self._goal_client, self._result_client, self._cancel_client]

    def _on_feedback(self, message: Any) -> Any:
        sent = self._goals.get(bytes(message.goal_id.uuid))
        return sent.feedback_callback(message) if sent is not None and sent.feedback_callback is not None else None

    def _on_status(self, message: Any) -> None:
        for status in message.status_list:
            sent = self._goals.get(bytes(status.goal_info.goal_id.uuid))
            if sent is not None and sent.status not in ENDS:  # the result may have come first
                sent.status = status.status

    def send_goal_async(
        self, goal: Any, feedback_callback: Callable[[Any], Any] | None = None, goal_uuid: Any = None
    ) -> Future:
        """Send a goal; the future gets a ClientGoalHandle.

        Args:
            feedback_callback: gets messages with `goal_id` and `feedback`.
            goal_uuid: a unique_identifier_msgs/UUID, None for a random one.

        Raises:
            TypeError: a goal of another type.
        """
        if not isinstance(goal, self._action_type.Goal):
            raise TypeError(f"Expected {self._action_type.Goal}, got {type(goal)}")
        goal_id = goal_uuid or UUID(uuid=list(uuid.uuid4().bytes))
        key, handle_future, sent = bytes(goal_id.uuid), Future(), _Sent(feedback_callback)
        # Feedback may come after the end of its goal, but hardly after the beginning of another one
        for one, known in list(self._goals.items()):
            if known.status in ENDS:
                self._goals.pop(one, None)
        self._goals[key] = sent

        def answered(response: Future) -> None:
            if response.cancelled() or response.exception() is not None:
                return
            handle = ClientGoalHandle(self, sent, goal_id, response.result())
            if not handle.accepted:
                self._goals.pop(key, None)
            handle_future.set_result(handle)

        request = self._action_type.Impl.SendGoalService.Request(goal_id=goal_id, goal=goal)
        self._goal_client.call_async(request).add_done_callback(answered)
        return handle_future

    def send_goal(self, goal: Any, feedback_callback: Callable[[Any], Any] | None = None, goal_uuid: Any = None) -> Any:
        """Send a goal and wait for the result; needs an executor that spins in another thread."""
        handle = self._wait(self.send_goal_async(goal, feedback_callback, goal_uuid))
        return handle.get_result() if handle is not None and handle.accepted else None

    def _get_result_async(self, handle: ClientGoalHandle) -> Future:
        def ended(response: Future) -> None:
            if not response.cancelled() and response.exception() is None:
                handle._sent.status = response.result().status

        request = self._action_type.Impl.GetResultService.Request(goal_id=handle.goal_id)
        future: Future = self._result_client.call_async(request)
        future.add_done_callback(ended)
        return future

    def _wait(self, future: Future) -> Any:
        wait_for(future, self._node.context)
        return future.result()

    def server_is_ready(self) -> bool:
        """Whether a server is there, with all services and topics."""
        ready = all(one.service_is_ready() for one in self._services)
        return ready and all(one.get_publisher_count() > 0 for one in self._topics)

    def wait_for_server(self, timeout_sec: float | None = None) -> bool:
        """Wait until the server is there; False when the time is over or the context is shut down."""
        return wait_until(self.server_is_ready, self._node.context, timeout_sec)

    def destroy(self) -> None:
        """Withdraw the client; harmless when called twice."""
        for entity in (*self._services, *self._topics):
            entity.destroy()
