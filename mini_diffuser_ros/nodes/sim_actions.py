"""The actions that a Franka's drivers serve, on the simulated arm and gripper."""

from __future__ import annotations

from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory, GripperCommand
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from mini_diffuser_ros.nodes.errors import InterruptionError, MalformedMessageError
from mini_diffuser_ros.nodes.goal_ending import end_goal
from mini_diffuser_ros.nodes.messages import duration_from_seconds, trajectory_from_message
from mini_diffuser_ros.nodes.trajectory_sampling import degree_of
from mini_diffuser_ros.nodes.watch import Watch
from mini_diffuser_ros.nodes.world_driver import FINGER_TOLERANCE, WorldDriver

ArmResult = FollowJointTrajectory.Result

CANCELED, REPLACED, ENDED = range(3)
FEEDBACK_PERIOD = 0.1  # seconds
GOAL_TOLERANCE = 0.03  # radians by which a joint may miss the end of a trajectory
BRAKE_TIMEOUT = 2.0  # seconds
GRIPPER_TIMEOUT = 5.0  # seconds


class _Serving:
    """The goal that a server has under way; a newer one replaces it."""

    def __init__(self) -> None:
        self._watch: Watch | None = None

    def notify(self) -> None:
        """The world has moved on."""
        watch = self._watch
        if watch is not None:
            watch.notify()

    def end(self, reason: str) -> None:
        """Abort the goal under way."""
        self._interrupt(ENDED, reason)

    def _begin(self, goal: Any) -> Watch:
        self._interrupt(REPLACED, "a newer goal took over")
        self._watch = watch = Watch()
        if goal.is_cancel_requested:  # before there was anything to interrupt
            watch.interrupt(CANCELED, "canceled by its client")
        return watch

    def _finish(self, watch: Watch) -> None:
        if self._watch is watch:
            self._watch = None

    def _on_cancel(self, _: Any) -> CancelResponse:
        self._interrupt(CANCELED, "canceled by its client")
        return CancelResponse.ACCEPT

    def _interrupt(self, outcome: int, reason: str) -> None:
        watch = self._watch
        if watch is not None:
            watch.interrupt(outcome, reason)


class ArmActionServer(_Serving):
    """FollowJointTrajectory as ros2_control's joint trajectory controller serves it: a new goal replaces the old one.

    Args:
        node: that serves.
        name: of the action.
        driver: of the world.
    """

    def __init__(self, node: Node, name: str, driver: WorldDriver) -> None:
        super().__init__()
        self._node = node
        self._driver = driver
        self._joint_names = driver.robot.arm_joint_names
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )

    def _on_goal(self, goal: FollowJointTrajectory.Goal) -> GoalResponse:
        try:
            trajectory_from_message(goal.trajectory, self._joint_names)
        except MalformedMessageError as error:
            self._node.get_logger().error(f"trajectory rejected: {error}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _execute(self, goal: Any) -> FollowJointTrajectory.Result:
        """Runs in a thread of the executor until the arm has arrived or the goal was taken away."""
        trajectory = trajectory_from_message(goal.request.trajectory, self._joint_names)
        watch = self._begin(goal)
        self._driver.follow(trajectory, degree_of(goal.request.trajectory))
        canceled = False
        try:
            self._await_arrival(goal, watch)
            result = self._judge(trajectory.positions[-1])
        except InterruptionError as interruption:
            canceled = interruption.outcome == CANCELED
            result = ArmResult(error_code=ArmResult.INVALID_GOAL, error_string=str(interruption))
            if canceled:
                self._brake(watch)
        self._finish(watch)
        end_goal(goal, succeeded=result.error_code == ArmResult.SUCCESSFUL, canceled=canceled)
        return result

    def _await_arrival(self, goal: Any, watch: Watch) -> None:
        while True:
            try:
                watch.wait_for(self._driver.has_arrived, FEEDBACK_PERIOD)
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

    def _brake(self, interrupted: Watch) -> None:
        """Bring the arm to rest, and wait for it: a canceled goal has ended when nothing moves any more."""
        braking = Watch()
        if self._watch is interrupted:
            self._watch = braking
        self._driver.brake()
        try:
            braking.wait_for(self._driver.reference_rests, BRAKE_TIMEOUT)
        except (InterruptionError, TimeoutError) as reason:
            self._node.get_logger().warning(f"braking ended early: {reason}")
        self._finish(braking)

    def _publish_feedback(self, goal: Any) -> None:
        state = self._driver.arm_state()
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._joint_names))
        feedback.header.stamp = self._node.get_clock().now().to_msg()
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
        super().__init__()
        self._node = node
        self._driver = driver
        self._server = ActionServer(
            node,
            GripperCommand,
            name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )

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
        watch = self._begin(goal)
        arrival = self._driver.move_fingers(wanted)
        outcome: int | None = None
        try:
            watch.wait_for(lambda: self._driver.fingers_rest(wanted, arrival), GRIPPER_TIMEOUT)
        except InterruptionError as interruption:
            outcome = interruption.outcome
            if outcome == CANCELED:
                self._driver.move_fingers(self._driver.finger_position())
        except TimeoutError:
            self._node.get_logger().warning("the gripper did not come to rest")
        self._finish(watch)
        position = self._driver.finger_position()
        reached = abs(position - wanted) < FINGER_TOLERANCE
        end_goal(goal, succeeded=outcome is None, canceled=outcome == CANCELED)
        return GripperCommand.Result(position=position, effort=0.0, stalled=not reached, reached_goal=reached)
