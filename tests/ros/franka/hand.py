"""The Franka hand and its driver: how the fingers move, and what franka_gripper makes of it for its clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from control_msgs.action import GripperCommand
from franka_msgs.action import Grasp, Homing, Move
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from std_srvs.srv import Trigger

MAX_WIDTH = 0.08  # metres
SPEED = 0.1  # m/s of the fingers' distance
EPSILON = 0.005  # metres, the driver's default for what gripper_action grasps
PERIOD = 0.005  # seconds
STATE_PERIOD = 1.0 / 15.0  # seconds
SAME = 1e-4  # metres that gripper_action takes for no motion


class RefusedError(Exception):
    """The hand does not take a command."""


class Hand:
    """Two fingers and what is between them. Thread-safe.

    Args:
        homed: whether the homing has run since power-on; without it the hand knows no widths.
        object_width: metres of what is between the fingers, 0.0 for nothing.
        dead: whether the fingers never move, whatever the hand reports.
    """

    def __init__(self, homed: bool, object_width: float, dead: bool) -> None:
        self.max_width = MAX_WIDTH if homed else 0.0
        self.object_width = object_width
        self.width = 0.02 if not homed else MAX_WIDTH
        self._slips_after = float("inf")  # seconds
        self._dead = dead
        self._target, self._speed = self.width, SPEED
        self._still = 0  # steps for which the fingers have not moved
        self._touched: float | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self._move_on, daemon=True).start()

    def put(self, message: Float64) -> None:
        """Put something of this width, metres, between the fingers; 0.0 takes it away."""
        self._touched, self.object_width = None, message.data

    def let_slip(self, message: Float64) -> None:
        """Have what the fingers close on slip out after so many seconds."""
        self._slips_after = message.data

    def homing(self) -> bool:
        """Close, then open fully, to measure the range; what is held is let go."""
        for target in (0.0, MAX_WIDTH):
            self._go(target, SPEED)
        self.max_width = MAX_WIDTH
        return self.width > MAX_WIDTH - SAME

    def move(self, width: float, speed: float) -> bool:
        """Whether the fingers came to this distance."""
        self._check(width)
        self._go(width, speed)
        return abs(self.width - width) < 1e-3

    def grasp(self, width: float, speed: float, inner: float, outer: float) -> bool:
        """Close until something resists; whether it is as wide as it was said to be."""
        self._check(width)
        self._go(0.0, speed)
        return width - inner < self.width < width + outer

    def stop(self) -> None:
        """Halt where the fingers are."""
        self._stopped.set()
        self._target = self.width

    def _check(self, width: float) -> None:
        if not self.max_width:
            raise RefusedError("libfranka gripper: command failed")
        if not 0.0 <= width <= self.max_width:
            raise RefusedError("libfranka gripper: command not possible: width out of range")

    def _go(self, target: float, speed: float) -> None:
        self._stopped.clear()
        self._target, self._speed, self._still = target, speed, 0
        while self._still < 10 and not self._stopped.is_set():
            time.sleep(PERIOD)

    def _move_on(self) -> None:
        while True:
            time.sleep(PERIOD)
            step = self._speed * PERIOD
            goal = self._target
            if goal < self.width:  # closing: whatever lies between stops the fingers
                goal = max(goal, min(self._resistance(), self.width))
            moved = 0.0 if self._dead else min(step, max(-step, goal - self.width))
            self.width += moved
            self._still = 0 if moved else self._still + 1

    def _resistance(self) -> float:
        """Distance at which something stops closing fingers."""
        if self.object_width and self.width <= self.object_width + SAME:
            self._touched = time.monotonic() if self._touched is None else self._touched
            if time.monotonic() - self._touched > self._slips_after:
                self.object_width = 0.0
        return self.object_width


class HandDriver:
    """franka_gripper: its actions, its stop, its joint states; and a topic that puts something between the fingers.

    Args:
        node: whose name leads all names.
        hand: that is driven.
        finger_joints: names.
        with_actions: whether there are any; the fake hardware has none.
    """

    def __init__(self, node: Node, hand: Hand, finger_joints: tuple[str, ...], with_actions: bool) -> None:
        self._node, self._hand, self._joints = node, hand, finger_joints
        self.published = hand.width  # what its joint states said last
        self._states = node.create_publisher(JointState, "~/joint_states", qos_profile_sensor_data)
        node.create_timer(STATE_PERIOD, self._publish)
        node.create_subscription(Float64, "~/object", hand.put, 1)
        node.create_subscription(Float64, "~/slips_after", hand.let_slip, 1)
        if not with_actions:
            hand.width = hand.stop() or 0.07  # as fake_gripper_state_publisher says for ever
            return
        self._servers = [
            self._serve(Homing, "homing", lambda _: hand.homing()),
            self._serve(Move, "move", lambda goal: hand.move(goal.width, goal.speed)),
            self._serve(Grasp, "grasp", self._grasp),
            self._make(GripperCommand, "gripper_action", self._gripper_action),
        ]
        node.create_service(Trigger, "~/stop", self._on_stop)

    def _make(self, kind: Any, name: str, execute: Callable[[Any], Any]) -> ActionServer:
        return ActionServer(
            self._node,
            kind,
            f"~/{name}",
            execute_callback=execute,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )

    def _serve(self, kind: Any, name: str, command: Callable[[Any], bool]) -> ActionServer:
        def execute(goal: Any) -> Any:
            result = kind.Result()
            try:
                result.success = command(goal.request)
            except RefusedError as error:
                result.error = str(error)
            self._end(goal, result.success)
            return result

        return self._make(kind, name, execute)

    def _grasp(self, goal: Any) -> bool:
        return self._hand.grasp(goal.width, goal.speed, goal.epsilon.inner, goal.epsilon.outer)

    def _gripper_action(self, goal: Any) -> Any:
        """Moves to open and grasps to close, so that a grasp of anything wider than the epsilon is aborted."""
        target, width, result = 2.0 * goal.request.command.position, self.published, GripperCommand.Result()
        if not 0.0 <= target <= self._hand.max_width:
            goal.abort()
            return result
        try:
            if abs(target - width) < SAME:
                result.reached_goal = True
            elif target >= width:
                result.reached_goal = self._hand.move(target, SPEED)
            else:
                result.reached_goal = self._hand.grasp(target, SPEED, EPSILON, EPSILON)
        except RefusedError as error:
            self._node.get_logger().error(str(error))
        result.position = self.published / 2.0
        self._end(goal, result.reached_goal)
        return result

    @staticmethod
    def _end(goal: Any, succeeded: bool) -> None:
        if goal.is_cancel_requested:
            goal.canceled()
        elif succeeded:
            goal.succeed()
        else:
            goal.abort()

    def _on_cancel(self, _: Any) -> CancelResponse:
        self._hand.stop()
        return CancelResponse.ACCEPT

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._hand.stop()
        response.success = True
        return response

    def _publish(self) -> None:
        self.published = self._hand.width
        state = JointState(name=list(self._joints), position=[self.published / 2.0] * 2, velocity=[0.0] * 2)
        state.header.stamp = self._node.get_clock().now().to_msg()
        self._states.publish(state)
