"""Action servers."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from enum import Enum
from struct import error as struct_error
from typing import Any

from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal

from rclpy.entities import Service
from rclpy.executors import await_or_execute
from rclpy.qos import QoSProfile, qos_profile_action_status_default, qos_profile_services_default
from rclpy.task import Future

TERMINAL = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED, GoalStatus.STATUS_ABORTED)
ACTIVE = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


class GoalResponse(Enum):
    """Answers of a goal callback."""

    REJECT = 1
    ACCEPT = 2


class CancelResponse(Enum):
    """Answers of a cancel callback."""

    REJECT = 1
    ACCEPT = 2


class ServerGoalHandle:
    """A goal that the server accepted."""

    def __init__(self, server: ActionServer, goal_info: Any, request: Any) -> None:
        self._server, self._goal_info, self._request = server, goal_info, request
        self._status = GoalStatus.STATUS_ACCEPTED
        self._lock = threading.RLock()
        self._result: Future = Future()
        self._ended_at: float | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServerGoalHandle) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> bytes:
        return bytes(self._goal_info.goal_id.uuid)

    @property
    def request(self) -> Any:
        """The goal message."""
        return self._request

    @property
    def goal_id(self) -> Any:
        """The goal's unique_identifier_msgs/UUID."""
        return self._goal_info.goal_id

    @property
    def is_active(self) -> bool:
        """Whether it is not at its end."""
        return self._status in ACTIVE

    @property
    def is_cancel_requested(self) -> bool:
        """Whether a cancel request was accepted."""
        return self._status == GoalStatus.STATUS_CANCELING

    @property
    def status(self) -> int:
        """One of the constants of action_msgs/GoalStatus."""
        return self._status

    def _transition(self, status: int, allowed: tuple[int, ...], event: str) -> None:
        from rclpy.exceptions import RCLError

        with self._lock:
            if self._status not in allowed:
                raise RCLError(
                    f"Failed to update goal state: goal_handle attempted invalid transition from state "
                    f"{STATUS_NAMES[self._status]} with event {event}"
                )
            self._status = status
        self._server._publish_status()

    def execute(self, execute_callback: Callable[..., Any] | None = None) -> None:
        """Begin to execute the goal in the server's executor."""
        if not self.is_cancel_requested:
            self._transition(GoalStatus.STATUS_EXECUTING, (GoalStatus.STATUS_ACCEPTED,), "EXECUTE")
        self._server.notify_execute(self, execute_callback)

    def publish_feedback(self, feedback: Any) -> None:
        """Send feedback to whoever asked for it.

        Raises:
            TypeError: feedback of another type.
        """
        action = self._server.action_type
        if not isinstance(feedback, action.Feedback):
            raise TypeError(f"Expected {action.Feedback}, got {type(feedback)}")
        if self._server._destroyed:
            return
        self._server._feedback.publish(action.Impl.FeedbackMessage(goal_id=self.goal_id, feedback=feedback))

    def succeed(self, response: Any = None) -> None:
        """End the goal as succeeded, with a result message unless the execute callback returns it."""
        self._finish(
            GoalStatus.STATUS_SUCCEEDED, (GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING), "SUCCEED", response
        )

    def abort(self, response: Any = None) -> None:
        """End the goal as aborted."""
        self._finish(
            GoalStatus.STATUS_ABORTED, (GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING), "ABORT", response
        )

    def canceled(self, response: Any = None) -> None:
        """End the goal as canceled; a cancel request must have been accepted before."""
        self._finish(GoalStatus.STATUS_CANCELED, (GoalStatus.STATUS_CANCELING,), "CANCELED", response)

    def _finish(self, status: int, allowed: tuple[int, ...], event: str, response: Any) -> None:
        self._transition(status, allowed, event)
        if response is not None:
            self._set_result(response)

    def _set_result(self, result: Any) -> None:
        self._ended_at = time.monotonic()
        if not self._result.done():
            self._result.set_result(
                self._server.action_type.Impl.GetResultService.Response(status=self._status, result=result)
            )

    def destroy(self) -> None:
        """Forget the goal."""
        self._server._forget_goal(self)


STATUS_NAMES = {
    value: name.removeprefix("STATUS_") for name, value in vars(GoalStatus).items() if name.startswith("STATUS_")
}


def default_handle_accepted_callback(goal_handle: ServerGoalHandle) -> None:
    """Execute the goal at once."""
    goal_handle.execute()


def default_goal_callback(goal_request: Any) -> GoalResponse:
    """Accept every goal."""
    return GoalResponse.ACCEPT


def default_cancel_callback(cancel_request: Any) -> CancelResponse:
    """Accept no cancel request."""
    return CancelResponse.REJECT


class ActionServer:
    """Serves an action.

    Args:
        execute_callback: gets the goal handle, returns the result message; function or coroutine function.
        callback_group: of all its callbacks.
        goal_callback: gets the goal message, returns a GoalResponse.
        handle_accepted_callback: gets the handle of an accepted goal, and calls its `execute` now or later.
        cancel_callback: gets the goal handle, returns a CancelResponse.
        result_timeout: seconds for which results are kept.
    """

    def __init__(
        self,
        node: Any,
        action_type: Any,
        action_name: str,
        execute_callback: Callable[..., Any],
        *,
        callback_group: Any = None,
        goal_callback: Callable[..., Any] = default_goal_callback,
        handle_accepted_callback: Callable[..., Any] = default_handle_accepted_callback,
        cancel_callback: Callable[..., Any] = default_cancel_callback,
        goal_service_qos_profile: QoSProfile = qos_profile_services_default,
        result_service_qos_profile: QoSProfile = qos_profile_services_default,
        cancel_service_qos_profile: QoSProfile = qos_profile_services_default,
        feedback_pub_qos_profile: QoSProfile | None = None,
        status_pub_qos_profile: QoSProfile = qos_profile_action_status_default,
        result_timeout: float = 10.0,
    ) -> None:
        if not callable(execute_callback):
            raise TypeError("'execute_callback' must be a function")
        if not hasattr(action_type, "Impl"):
            raise TypeError(
                f"{action_type!r} is not an action type; expected one like control_msgs.action.FollowJointTrajectory"
            )
        self._node, self.action_type, self._action_name = node, action_type, action_name
        self.callback_group = callback_group or node.default_callback_group
        self._execute_callback = execute_callback
        self.register_goal_callback(goal_callback)
        self.register_cancel_callback(cancel_callback)
        self.register_handle_accepted_callback(handle_accepted_callback)
        self._result_timeout = result_timeout
        self._goals: dict[bytes, ServerGoalHandle] = {}
        self._lock = threading.RLock()
        self._destroyed = False
        base = f"{action_name}/_action"
        implementation = action_type.Impl
        self._status_publisher = node.create_publisher(GoalStatusArray, f"{base}/status", status_pub_qos_profile)
        self._feedback = node.create_publisher(
            implementation.FeedbackMessage, f"{base}/feedback", feedback_pub_qos_profile or QoSProfile(depth=10)
        )
        self._services = [
            node.create_service(
                implementation.SendGoalService,
                f"{base}/send_goal",
                self._on_goal,
                qos_profile=goal_service_qos_profile,
                callback_group=self.callback_group,
            ),
            node.create_service(
                CancelGoal,
                f"{base}/cancel_goal",
                self._on_cancel,
                qos_profile=cancel_service_qos_profile,
                callback_group=self.callback_group,
            ),
            node._add(
                _ResultService(
                    node,
                    implementation.GetResultService,
                    node.resolve_service_name(f"{base}/get_result"),
                    self._on_result,
                    result_service_qos_profile,
                    self.callback_group,
                )
            ),
        ]

    def register_execute_callback(self, execute_callback: Callable[..., Any]) -> None:
        if not callable(execute_callback):
            raise TypeError("Failed to register goal execution callback: not callable")
        self._execute_callback = execute_callback

    def register_goal_callback(self, goal_callback: Callable[..., Any] | None) -> None:
        self._goal_callback = goal_callback or default_goal_callback

    def register_cancel_callback(self, cancel_callback: Callable[..., Any] | None) -> None:
        self._cancel_callback = cancel_callback or default_cancel_callback

    def register_handle_accepted_callback(self, handle_accepted_callback: Callable[..., Any] | None) -> None:
        self._handle_accepted_callback = handle_accepted_callback or default_handle_accepted_callback

    async def _on_goal(self, request: Any, response: Any) -> Any:
        logger = self._node.get_logger()
        self._drop_old_results()
        key = bytes(request.goal_id.uuid)
        response.stamp = self._node.get_clock().now().to_msg()
        if key in self._goals:
            logger.error("Sending goal response to client failed: goal ID already exists")
            return response
        try:
            answer = await await_or_execute(self._goal_callback, request.goal)
            if not isinstance(answer, GoalResponse):
                logger.warning(f"Goal request callback did not return a GoalResponse. Got {answer!r}, rejecting goal")
        except Exception as error:
            logger.error(f"Error raised in goal callback: {error}\n{traceback.format_exc()}")
            answer = GoalResponse.REJECT
        if answer is not GoalResponse.ACCEPT:
            return response
        handle = ServerGoalHandle(self, GoalInfo(goal_id=request.goal_id, stamp=response.stamp), request.goal)
        with self._lock:
            self._goals[key] = handle
        response.accepted = True
        self._publish_status()
        # The client hears of the acceptance before anything of the goal runs
        self._start(self._accepted, handle)
        return response

    def _start(self, function: Callable[..., Any], *args: Any) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.create_task(function, *args)

    async def _accepted(self, handle: ServerGoalHandle) -> None:
        try:
            await await_or_execute(self._handle_accepted_callback, handle)
        except Exception as error:
            self._node.get_logger().error(
                f"Error raised in handle_accepted callback: {error}\n{traceback.format_exc()}"
            )

    def notify_execute(self, goal_handle: ServerGoalHandle, execute_callback: Callable[..., Any] | None) -> None:
        """Run the execute callback of a goal in the executor."""
        self._start(self._execute, goal_handle, execute_callback or self._execute_callback)

    async def _execute(self, handle: ServerGoalHandle, execute_callback: Callable[..., Any]) -> None:
        logger = self._node.get_logger()
        result = None
        try:
            result = await await_or_execute(execute_callback, handle)
        except Exception as error:
            logger.error(f"Error raised in execute callback: {error}\n{traceback.format_exc()}")
        if self._destroyed or not self._node.context.ok():
            return
        if handle.is_active:
            logger.warning(f"Goal state not set, assuming aborted. Goal ID: {bytes(handle.goal_id.uuid).hex()}")
            handle.abort()
        if not isinstance(result, self.action_type.Result):
            if result is not None:
                logger.error(
                    f"the execute callback returned {type(result).__name__} instead of "
                    f"{self.action_type.Result.__name__}"
                )
            result = self.action_type.Result()
        handle._set_result(result)

    async def _on_cancel(self, request: Any, response: Any) -> Any:
        wanted = bytes(request.goal_info.goal_id.uuid)
        stamp = (request.goal_info.stamp.sec, request.goal_info.stamp.nanosec)
        everything = not any(wanted)
        if not everything and wanted not in self._goals:
            response.return_code = CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID
            return response
        chosen = []
        for key, handle in list(self._goals.items()):
            accepted_at = (handle._goal_info.stamp.sec, handle._goal_info.stamp.nanosec)
            older = everything and (stamp == (0, 0) or accepted_at <= stamp)
            if (key == wanted or older or (any(stamp) and accepted_at <= stamp)) and handle.is_active:
                chosen.append(handle)
        if not chosen and not everything:
            response.return_code = CancelGoal.Response.ERROR_GOAL_TERMINATED
            return response
        response.return_code = CancelGoal.Response.ERROR_REJECTED
        for handle in chosen:
            if await self._cancel(handle):
                response.goals_canceling.append(handle._goal_info)
                response.return_code = CancelGoal.Response.ERROR_NONE
        if not chosen:
            response.return_code = CancelGoal.Response.ERROR_NONE
        return response

    async def _cancel(self, handle: ServerGoalHandle) -> bool:
        try:
            answer = await await_or_execute(self._cancel_callback, handle)
        except Exception as error:
            self._node.get_logger().error(f"Error raised in cancel callback: {error}\n{traceback.format_exc()}")
            return False
        if answer is not CancelResponse.ACCEPT:
            return False
        with handle._lock:
            if not handle.is_active:
                return False
            handle._status = GoalStatus.STATUS_CANCELING
        self._publish_status()
        return True

    def _on_result(self, request: Any) -> Future:
        handle = self._goals.get(bytes(request.goal_id.uuid))
        if handle is not None:
            return handle._result
        unknown = Future()
        unknown.set_result(self.action_type.Impl.GetResultService.Response(status=GoalStatus.STATUS_UNKNOWN))
        return unknown

    def _publish_status(self) -> None:
        if self._destroyed or not self._node.context.ok():
            return
        with self._lock:
            message = GoalStatusArray(
                status_list=[
                    GoalStatus(goal_info=handle._goal_info, status=handle.status) for handle in self._goals.values()
                ]
            )
            self._status_publisher.publish(message)

    def _forget_goal(self, handle: ServerGoalHandle) -> None:
        with self._lock:
            self._goals.pop(handle._key, None)

    def _drop_old_results(self) -> None:
        horizon = time.monotonic() - self._result_timeout
        with self._lock:
            for key, handle in list(self._goals.items()):
                if handle._ended_at is not None and handle._ended_at < horizon:
                    del self._goals[key]

    def destroy(self) -> None:
        """Withdraw the action; harmless when called twice."""
        if not self._destroyed:
            self._destroyed = True
            for entity in (*self._services, self._status_publisher, self._feedback):
                entity.destroy()


class _ResultService(Service):
    """Answers when the goal is at its end, and holds no callback group until then."""

    def _take(self) -> Any:
        from rosless.errors import CodecError

        from rclpy.entities import SERVICE_HEADER, RequestHeader

        try:
            data, info = self._queue.popleft()
        except IndexError:
            return None

        async def work() -> None:
            try:
                identity = SERVICE_HEADER.unpack_from(data, 4)
                request = self._requests.decode(data, SERVICE_HEADER.size)
            except (CodecError, struct_error) as error:
                self._node.get_logger().error(f"dropped a request of '{self.srv_name}': {error}")
                return
            header = RequestHeader(identity[0], identity[1], info.publication_handle)

            def reply(result: Future) -> None:
                if not self._destroyed and self._node.context.ok():
                    self.send_response(result.result(), header)

            self.callback(request).add_done_callback(reply)

        return work
