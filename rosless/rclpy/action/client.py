"""Action clients."""

from __future__ import annotations

import time
import uuid
import weakref
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from rosless.wakeup import Wakeup
from unique_identifier_msgs.msg import UUID

from rclpy.qos import QoSProfile, qos_profile_action_status_default, qos_profile_services_default
from rclpy.task import Future

SERVER_POLL = 0.01


class ClientGoalHandle:
    """A goal that was sent; `accepted` tells whether the server took it."""

    def __init__(self, action_client: ActionClient, goal_id: Any, goal_response: Any) -> None:
        self._action_client, self._goal_id, self._goal_response = action_client, goal_id, goal_response
        self._status = GoalStatus.STATUS_UNKNOWN

    def __repr__(self) -> str:
        return f"ClientGoalHandle <id={bytes(self._goal_id.uuid).hex()}, accepted={self.accepted}>"

    @property
    def goal_id(self) -> Any:
        return self._goal_id

    @property
    def stamp(self) -> Any:
        return self._goal_response.stamp

    @property
    def accepted(self) -> bool:
        return bool(self._goal_response.accepted)

    @property
    def status(self) -> int:
        """The status that was heard of last."""
        return self._status

    def cancel_goal_async(self) -> Future:
        """Ask to cancel; the future gets the CancelGoal response."""
        return self._action_client._cancel_goal_async(self)

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
    """Sends goals to an action server."""

    def __init__(
        self,
        node: Any,
        action_type: Any,
        action_name: str,
        *,
        callback_group: Any = None,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_sub_qos_profile: QoSProfile | None = None,
        status_sub_qos_profile: QoSProfile = qos_profile_action_status_default,
    ) -> None:
        if not hasattr(action_type, "Impl"):
            raise TypeError(
                f"{action_type!r} is not an action type; expected one like control_msgs.action.FollowJointTrajectory"
            )
        self._node, self._action_type, self._action_name = node, action_type, action_name
        self._destroyed = False
        base, implementation = f"{action_name}/_action", action_type.Impl
        group = callback_group or node.default_callback_group
        self._handles: weakref.WeakValueDictionary[bytes, ClientGoalHandle] = weakref.WeakValueDictionary()
        self._feedback_callbacks: dict[bytes, Callable[[Any], Any]] = {}
        self._goal_client = node.create_client(
            implementation.SendGoalService,
            f"{base}/send_goal",
            qos_profile=goal_service_qos_profile,
            callback_group=group,
        )
        self._result_client = node.create_client(
            implementation.GetResultService,
            f"{base}/get_result",
            qos_profile=result_service_qos_profile,
            callback_group=group,
        )
        self._cancel_client = node.create_client(
            CancelGoal, f"{base}/cancel_goal", qos_profile=cancel_service_qos_profile, callback_group=group
        )
        self._feedback = node.create_subscription(
            implementation.FeedbackMessage,
            f"{base}/feedback",
            self._on_feedback,
            feedback_sub_qos_profile or QoSProfile(depth=10),
            callback_group=group,
        )
        self._status = node.create_subscription(
            GoalStatusArray, f"{base}/status", self._on_status, status_sub_qos_profile, callback_group=group
        )

    def _on_feedback(self, message: Any) -> Any:
        callback = self._feedback_callbacks.get(bytes(message.goal_id.uuid))
        return callback(message) if callback is not None else None

    def _on_status(self, message: Any) -> None:
        for status in message.status_list:
            handle = self._handles.get(bytes(status.goal_info.goal_id.uuid))
            if handle is not None:
                handle._status = status.status

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
        key = bytes(goal_id.uuid)
        if feedback_callback is not None:
            self._feedback_callbacks[key] = feedback_callback
        request = self._action_type.Impl.SendGoalService.Request(goal_id=goal_id, goal=goal)
        handle_future = Future()

        def answered(response: Future) -> None:
            if response.cancelled():
                return
            if (error := response.exception()) is not None:
                handle_future.set_exception(error)
                return
            handle = ClientGoalHandle(self, goal_id, response.result())
            if handle.accepted:
                self._handles[key] = handle
            else:
                self._feedback_callbacks.pop(key, None)
            handle_future.set_result(handle)

        self._goal_client.call_async(request).add_done_callback(answered)
        return handle_future

    def send_goal(self, goal: Any, feedback_callback: Callable[[Any], Any] | None = None, goal_uuid: Any = None) -> Any:
        """Send a goal and wait for the result; needs an executor that spins in another thread."""
        handle = self._wait(self.send_goal_async(goal, feedback_callback, goal_uuid))
        return handle.get_result() if handle is not None and handle.accepted else None

    def _get_result_async(self, handle: ClientGoalHandle) -> Future:
        request = self._action_type.Impl.GetResultService.Request(goal_id=handle.goal_id)
        future = self._result_client.call_async(request)

        def ended(response: Future) -> None:
            if not response.cancelled() and response.exception() is None:
                handle._status = response.result().status
            self._feedback_callbacks.pop(bytes(handle.goal_id.uuid), None)

        future.add_done_callback(ended)
        return future

    def _cancel_goal_async(self, handle: ClientGoalHandle) -> Future:
        request = CancelGoal.Request()
        request.goal_info.goal_id = handle.goal_id
        return self._cancel_client.call_async(request)

    def _wait(self, future: Future) -> Any:
        done = Wakeup()
        forget = self._node.context._on_wake(done.set)
        future.add_done_callback(done.set)
        done.wait()
        forget()
        return future.result()

    def server_is_ready(self) -> bool:
        """Whether a server is there, with all services and topics."""
        clients = (self._goal_client, self._result_client, self._cancel_client)
        topics = (self._feedback, self._status)
        return all(one.service_is_ready() for one in clients) and all(one.get_publisher_count() > 0 for one in topics)

    def wait_for_server(self, timeout_sec: float | None = None) -> bool:
        """Wait until the server is there; False when the time is over or the context is shut down."""
        deadline = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        while self._node.context.ok() and not self.server_is_ready():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(SERVER_POLL)
        return self._node.context.ok()

    def destroy(self) -> None:
        """Withdraw the client; harmless when called twice."""
        if not self._destroyed:
            self._destroyed = True
            for entity in (self._goal_client, self._result_client, self._cancel_client, self._feedback, self._status):
                entity.destroy()
