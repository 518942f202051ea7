"""Action servers."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable
from enum import Enum
from typing import Any

from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from pocketros.errors import refuse

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.exceptions import RCLError
from rclpy.node import _check_type
from rclpy.qos import qos_profile_action_status_default
from rclpy.task import Future, await_or_execute

ACCEPTED, EXECUTING, CANCELING = GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING
ENDS_TOLD_FOR = 1.0  # seconds for which the status of a goal is published after its end
# What may happen to a goal: in which states, and the state that follows
EVENTS = {
    "EXECUTE": ((ACCEPTED,), EXECUTING),
    "CANCEL_GOAL": ((ACCEPTED, EXECUTING), CANCELING),
    "SUCCEED": ((EXECUTING, CANCELING), GoalStatus.STATUS_SUCCEEDED),
    "ABORT": ((EXECUTING, CANCELING), GoalStatus.STATUS_ABORTED),
    "CANCELED": ((CANCELING,), GoalStatus.STATUS_CANCELED),
}


class GoalResponse(Enum):
    """Answers of a goal callback."""

    REJECT, ACCEPT = 1, 2


class CancelResponse(Enum):
    """Answers of a cancel callback."""

    REJECT, ACCEPT = 1, 2


class ServerGoalHandle:
    """A goal that the server accepted.

    Attributes:
        request: the goal message.
        goal_id: its unique_identifier_msgs/UUID.
        status: one of the constants of action_msgs/GoalStatus.
    """

    def __init__(self, server: ActionServer, goal_info: Any, request: Any) -> None:
        self._server, self._goal_info, self.request, self.goal_id = server, goal_info, request, goal_info.goal_id
        self.status = ACCEPTED
        self._lock = threading.Lock()
        self._result: Future = Future()
        self._ended_at = math.inf

    @property
    def is_active(self) -> bool:
        """Whether it is not at its end."""
        return self.status in (ACCEPTED, EXECUTING, CANCELING)

    @property
    def is_cancel_requested(self) -> bool:
        """Whether a cancel request was accepted."""
        return self.status == CANCELING

    def _update(self, event: str, result: Any = None) -> None:
        allowed, following = EVENTS[event]
        with self._lock:
            if self.status not in allowed:
                raise RCLError(
                    f"Failed to update goal state: goal_handle attempted invalid transition from state {self.status} "
                    f"with event {event}"
                )
            self.status = following
        self._server._publish_status()
        if result is not None:
            self._set_result(result)

    def _set_result(self, result: Any) -> None:
        self._ended_at = time.monotonic()
        if not self._result.done():
            self._result.set_result(result)

    def execute(self, execute_callback: Callable[..., Any] | None = None) -> None:
        """Begin to execute the goal in the server's executor."""
        try:
            self._update("EXECUTE")
        except RCLError:
            if not self.is_cancel_requested:  # which may have come just now
                raise
        self._server._start(self._server._execute, self, execute_callback or self._server._callbacks["execute"])

    def publish_feedback(self, feedback: Any) -> None:
        """Send feedback to whoever asked for it.

        Raises:
            TypeError: feedback of another type.
        """
        action = self._server._action_type
        if not isinstance(feedback, action.Feedback):
            raise TypeError(f"Expected {action.Feedback}, got {type(feedback)}")
        if not self._server._feedback._destroyed:
            self._server._feedback.publish(action.Impl.FeedbackMessage(goal_id=self.goal_id, feedback=feedback))

    def succeed(self, response: Any = None) -> None:
        """End the goal as succeeded, with a result message unless the execute callback returns it."""
        self._update("SUCCEED", response)

    def abort(self, response: Any = None) -> None:
        """End the goal as aborted."""
        self._update("ABORT", response)

    def canceled(self, response: Any = None) -> None:
        """End the goal as canceled; a cancel request must have been accepted before."""
        self._update("CANCELED", response)

    def destroy(self) -> None:
        """Forget the goal."""
        self._server._goals.pop(bytes(self.goal_id.uuid), None)


class ActionServer:
    """Serves an action, over three services and two topics below `<name>/_action`.

    Args:
        execute_callback: gets the goal handle, returns the result message; function or coroutine function.
        callback_group: of all its callbacks.
        goal_callback: gets the goal message, returns a GoalResponse (default: accept).
        handle_accepted_callback: gets the handle of an accepted goal, and calls its `execute` now or later.
        cancel_callback: gets the goal handle, returns a CancelResponse (default: reject).
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
        goal_callback: Callable[..., Any] | None = None,
        handle_accepted_callback: Callable[..., Any] | None = None,
        cancel_callback: Callable[..., Any] | None = None,
        result_timeout: float = 10.0,
        **options: Any,
    ) -> None:
        refuse(**options)
        _check_type(action_type, "Impl", "an action type; expected one like control_msgs.action.FollowJointTrajectory")
        self._node, self._action_type, self._result_timeout = node, action_type, result_timeout
        self._callbacks: dict[str, Callable[..., Any]] = {}
        self.register_execute_callback(execute_callback)
        self.register_goal_callback(goal_callback)
        self.register_handle_accepted_callback(handle_accepted_callback)
        self.register_cancel_callback(cancel_callback)
        self._goals: dict[bytes, ServerGoalHandle] = {}
        self._status_lock = threading.Lock()
        base, carriers = f"{node.resolve_topic_name(action_name)}/_action", action_type.Impl
        self._status = node.create_publisher(GoalStatusArray, f"{base}/status", qos_profile_action_status_default)
        self._feedback = node.create_publisher(carriers.FeedbackMessage, f"{base}/feedback", 10)
        # Whoever asks for a result waits for the end of the goal, which must not keep other callbacks waiting
        waiting = ReentrantCallbackGroup()
        self._services = [
            node.create_service(kind, f"{base}/{name}", answer, callback_group=group)
            for kind, name, answer, group in (
                (carriers.SendGoalService, "send_goal", self._on_goal, callback_group),
                (CancelGoal, "cancel_goal", self._on_cancel, callback_group),
                (carriers.GetResultService, "get_result", self._on_result, waiting),
            )
        ]

    def register_execute_callback(self, execute_callback: Callable[..., Any]) -> None:
        """Execute goals with another function from now on."""
        if not callable(execute_callback):
            raise TypeError(f"Failed to register goal execution callback: not callable: {execute_callback!r}")
        self._callbacks["execute"] = execute_callback

    def register_goal_callback(self, goal_callback: Callable[..., Any] | None) -> None:
        """Ask another function for goals from now on; None accepts them, as here and below is the default."""
        self._callbacks["goal"] = goal_callback or (lambda goal: GoalResponse.ACCEPT)

    def register_handle_accepted_callback(self, handle_accepted_callback: Callable[..., Any] | None) -> None:
        """Give accepted goals to another function from now on; None executes them."""
        self._callbacks["accepted"] = handle_accepted_callback or ServerGoalHandle.execute

    def register_cancel_callback(self, cancel_callback: Callable[..., Any] | None) -> None:
        """Ask another function for cancel requests from now on; None rejects them."""
        self._callbacks["cancel"] = cancel_callback or (lambda handle: CancelResponse.REJECT)

    async def _ask(self, callback: str, argument: Any) -> Any:
        """The answer of a user's callback; None when it raises."""
        try:
            return await await_or_execute(self._callbacks[callback], argument)
        except Exception as error:
            self._node.get_logger().error(f"Error raised in {callback} callback: {error}\n{traceback.format_exc()}")
            return None

    async def _on_goal(self, request: Any, response: Any) -> Any:
        horizon, key = time.monotonic() - self._result_timeout, bytes(request.goal_id.uuid)
        for old in list(self._goals.values()):
            if old._ended_at < horizon:
                old.destroy()
        response.stamp = self._node.get_clock().now().to_msg()
        if key in self._goals:
            self._node.get_logger().error("Sending goal response to client failed: goal ID already exists")
        elif await self._ask("goal", request.goal) is GoalResponse.ACCEPT:
            goal_info = GoalInfo(goal_id=request.goal_id, stamp=response.stamp)
            self._goals[key] = ServerGoalHandle(self, goal_info, request.goal)
            response.accepted = True
            self._publish_status()
            # A task of its own: the client hears of the acceptance before anything of the goal runs
            self._start(self._ask, "accepted", self._goals[key])
        return response

    def _start(self, function: Callable[..., Any], *args: Any) -> None:
        if self._node.executor is not None:
            self._node.executor.create_task(function, *args)

    async def _execute(self, handle: ServerGoalHandle, execute_callback: Callable[..., Any]) -> None:
        logger, result = self._node.get_logger(), None
        try:
            result = await await_or_execute(execute_callback, handle)
        except Exception as error:
            logger.error(f"Error raised in execute callback: {error}\n{traceback.format_exc()}")
        if handle.is_active:
            logger.warning(f"Goal state not set, assuming aborted. Goal ID: {bytes(handle.goal_id.uuid).hex()}")
            handle._update("ABORT")
        if not isinstance(result, self._action_type.Result):
            if result is not None:
                logger.error(f"the execute callback returned {type(result)}, expected {self._action_type.Result}")
            result = self._action_type.Result()
        handle._set_result(result)

    async def _on_cancel(self, request: Any, response: Any) -> Any:
        wanted, stamp = bytes(request.goal_info.goal_id.uuid), _nanoseconds(request.goal_info.stamp)
        everything = not any(wanted) and not stamp
        if any(wanted) and wanted not in self._goals:
            response.return_code = CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID
            return response
        chosen = [
            handle
            for key, handle in list(self._goals.items())
            if handle.is_active
            and not handle.is_cancel_requested
            and (everything or key == wanted or 0 < _nanoseconds(handle._goal_info.stamp) <= stamp)
        ]
        for handle in chosen:
            if await self._ask("cancel", handle) is CancelResponse.ACCEPT and handle.is_active:
                if not handle.is_cancel_requested:  # by another request meanwhile
                    handle._update("CANCEL_GOAL")
                response.goals_canceling.append(handle._goal_info)
        if chosen and not response.goals_canceling:
            response.return_code = CancelGoal.Response.ERROR_REJECTED
        elif not chosen and any(wanted):
            response.return_code = CancelGoal.Response.ERROR_GOAL_TERMINATED
        return response

    async def _on_result(self, request: Any, response: Any) -> Any:
        if (handle := self._goals.get(bytes(request.goal_id.uuid))) is not None:
            response.result = await handle._result
            response.status = handle.status
        return response

    def _publish_status(self) -> None:
        if not self._status._destroyed and self._node.context.ok():
            with self._status_lock:
                told_since = time.monotonic() - ENDS_TOLD_FOR
                goals = [one for one in list(self._goals.values()) if one._ended_at > told_since]
                states = [GoalStatus(goal_info=one._goal_info, status=one.status) for one in goals]
                self._status.publish(GoalStatusArray(status_list=states))

    def destroy(self) -> None:
        """Withdraw the action; harmless when called twice."""
        for entity in (*self._services, self._status, self._feedback):
            entity.destroy()


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec * 10**9 + stamp.nanosec)
