"""The actions that a Franka's drivers serve, on the simulated arm and gripper."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory, GripperCommand
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMessage

from mini_diffuser_ros.nodes.ros.goal_tokens import GoalTokens, end_goal
from mini_diffuser_ros.nodes.ros.messages import (
    MalformedMessageError,
    duration_from_seconds,
    stamp_from_seconds,
    trajectory_from_message,
)
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.simulation.realtime.trajectory_sampling import CUBIC, LINEAR, QUINTIC
from mini_diffuser_ros.simulation.realtime.world_driver import FINGER_TOLERANCE, WorldDriver
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError

ArmResult = FollowJointTrajectory.Result

CANCELED, REPLACED, ENDED = range(3)
FEEDBACK_PERIOD = 0.05  # seconds, as the real controller's by default
GOAL_TOLERANCE = 0.03  # radians by which a joint may miss the end of a trajectory
BRAKE_TIMEOUT = 2.0  # seconds
BRAKE_POLL = 0.01  # seconds
GRIPPER_TIMEOUT = 5.0  # seconds


def degree_of(message: JointTrajectoryMessage) -> int:
    """Of the polynomials between the points: what is given at the points is what they pass through."""
    if any(not len(point.velocities) for point in message.points):
        return LINEAR
    return CUBIC if any(not len(point.accelerations) for point in message.points) else QUINTIC


class _Serving(ABC):
    """Serves an action. Of the goals under way the newest counts, those before it are being replaced."""

    def __init__(self, node: Node, kind: type, name: str, driver: WorldDriver) -> None:
        self._node = node
        self._driver = driver
        self._goals = GoalTokens()
        self._newest: CancellationToken | None = None
        self._commands = threading.Lock()  # held while the world is told what to do
        self._server = ActionServer(
            node,
            kind,
            name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )

    @abstractmethod
    def _on_goal(self, goal: Any) -> GoalResponse:
        """Whether a goal can be followed."""

    @abstractmethod
    def _execute(self, goal: Any) -> Any:
        """Carry out a goal, in a thread of the executor; returns its result."""

    def notify(self) -> None:
        """The world has moved on."""
        self._goals.notify_all()

    def await_none(self, timeout: float) -> bool:
        """Wait until no goal is under way; whether it came to that in time."""
        return self._goals.await_none(timeout)

    def is_busy(self) -> bool:
        """Whether a goal is under way."""
        return not self._goals.await_none(0.0)

    def end(self, reason: str) -> None:
        """Abort the goal under way."""
        self._goals.interrupt_all(ENDED, reason)

    def _on_accepted(self, goal: Any) -> None:
        self._goals.interrupt_all(REPLACED, "a newer goal took over")
        self._newest = self._goals.begin(goal)
        goal.execute()

    def _on_cancel(self, goal: Any) -> CancelResponse:
        return self._goals.cancel(goal, CANCELED)

    @contextmanager
    def _commanding(self, token: CancellationToken) -> Iterator[bool]:
        """Around telling the world something; whether the goal of this token still has a say."""
        with self._commands:
            yield self._newest is token


class ArmActionServer(_Serving):
    """FollowJointTrajectory as ros2_control's joint trajectory controller serves it: a new goal replaces the old one.

    Args:
        node: that serves.
        name: of the action.
        driver: of the world.
    """

    def __init__(self, node: Node, name: str, driver: WorldDriver) -> None:
        self._joint_names = driver.robot.arm_joint_names
        super().__init__(node, FollowJointTrajectory, name, driver)

    def _on_goal(self, goal: FollowJointTrajectory.Goal) -> GoalResponse:
        try:
            trajectory_from_message(goal.trajectory, self._joint_names)
        except MalformedMessageError as error:
            self._node.get_logger().error(f"trajectory rejected: {error}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _execute(self, goal: Any) -> FollowJointTrajectory.Result:
        """Runs in a thread of the executor until the arm has arrived or the goal was taken away."""
        now = ros_seconds(self._node)
        trajectory = trajectory_from_message(goal.request.trajectory, self._joint_names, now)
        canceled = False
        with self._goals.of(goal) as token:
            try:
                self._follow(goal, trajectory, token)
                result = self._judge(trajectory.positions[-1])
            except InterruptionError as interruption:
                canceled = interruption.outcome == CANCELED
                result = ArmResult(error_code=ArmResult.INVALID_GOAL, error_string=str(interruption))
        if canceled:
            self._brake(token)
        end_goal(goal, succeeded=result.error_code == ArmResult.SUCCESSFUL, canceled=canceled)
        return result

    def _follow(self, goal: Any, trajectory: JointTrajectory, token: CancellationToken) -> None:
        with self._commanding(token) as has_a_say:
            token.check()
            if has_a_say:
                self._driver.follow(trajectory, degree_of(goal.request.trajectory))
        while True:
            try:
                token.wait_for(self._driver.has_arrived, FEEDBACK_PERIOD)
                return
            except TimeoutError:
                self._publish_feedback(goal)

    def _judge(self, end: np.ndarray) -> FollowJointTrajectory.Result:
        misses = np.abs(self._driver.arm_state().measured - end)
        worst = int(np.argmax(misses))
        if misses[worst] <= GOAL_TOLERANCE:
            return ArmResult(error_code=ArmResult.SUCCESSFUL)
        return ArmResult(
            error_code=ArmResult.GOAL_TOLERANCE_VIOLATED,
            error_string=f"{self._joint_names[worst]} misses its goal by {misses[worst]:.3f} rad",
        )

    def _brake(self, canceled: CancellationToken) -> None:
        """Bring the arm to rest, and wait for it: a canceled goal has ended when nothing moves any more."""
        with self._commanding(canceled) as has_a_say:
            if not has_a_say:
                return
            self._driver.brake()
        for _ in range(round(BRAKE_TIMEOUT / BRAKE_POLL)):
            if self._driver.reference_rests() or self._newest is not canceled:
                return
            time.sleep(BRAKE_POLL)
        self._node.get_logger().warning(f"the arm did not come to rest within {BRAKE_TIMEOUT} s")

    def _publish_feedback(self, goal: Any) -> None:
        state = self._driver.arm_state()
        if state.stamp is None:
            return  # the goal is about to be ended
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._joint_names))
        feedback.header.stamp = stamp_from_seconds(state.stamp)
        feedback.desired.positions = state.wanted.tolist()
        feedback.desired.velocities = state.wanted_velocities.tolist()
        feedback.desired.time_from_start = duration_from_seconds(state.elapsed)
        feedback.actual.positions = state.measured.tolist()
        feedback.error.positions = (state.wanted - state.measured).tolist()
        goal.publish_feedback(feedback)


class GripperActionServer(_Serving):
    """GripperCommand as franka_gripper serves it: positions are those of one finger, metres.

    Args:
        node: that serves.
        name: of the action.
        driver: of the world.
    """

    def __init__(self, node: Node, name: str, driver: WorldDriver) -> None:
        super().__init__(node, GripperCommand, name, driver)

    def _on_goal(self, goal: GripperCommand.Goal) -> GoalResponse:
        position = goal.command.position
        lower, upper = self._driver.robot.finger_position_limits
        # A thousandth of slack: clients compute the limit from a width.
        if not lower - 1e-3 <= position <= upper + 1e-3:
            self._node.get_logger().error(f"gripper position {position} rejected: not in [{lower}, {upper}] m")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _execute(self, goal: Any) -> GripperCommand.Result:
        """Runs in a thread of the executor until the fingers rest or the goal was taken away."""
        wanted = float(np.clip(goal.request.command.position, *self._driver.robot.finger_position_limits))
        outcome: int | None = None
        with self._goals.of(goal) as token:
            try:
                self._move(wanted, token)
            except InterruptionError as interruption:
                outcome = interruption.outcome
            except TimeoutError:
                self._node.get_logger().warning("the gripper did not come to rest")
        if outcome == CANCELED:
            with self._commanding(token) as has_a_say:
                if has_a_say:
                    self._driver.move_fingers(self._driver.finger_position())
        position = self._driver.finger_position()
        reached = abs(position - wanted) < FINGER_TOLERANCE
        end_goal(goal, succeeded=outcome is None, canceled=outcome == CANCELED)
        return GripperCommand.Result(position=position, effort=0.0, stalled=not reached, reached_goal=reached)

    def _move(self, wanted: float, token: CancellationToken) -> None:
        with self._commanding(token) as has_a_say:
            token.check()
            arrival = self._driver.move_fingers(wanted) if has_a_say else 0.0
        token.wait_for(lambda: self._driver.fingers_rest(wanted, arrival), GRIPPER_TIMEOUT)
