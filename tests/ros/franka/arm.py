"""The arm: a joint trajectory controller without physics, and joint states with the noise of encoders."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory
from geometry_msgs.msg import TransformStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from mini_diffuser_ros.nodes.ros.goal_tokens import end_goal
from mini_diffuser_ros.nodes.ros.messages import (
    duration_from_seconds,
    trajectory_from_message,
    transform_from_matrix,
)
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.realtime.trajectory_sampling import QUINTIC, JointReference, preceded, sample

from .hand import HandDriver

STATE_PERIOD = 1.0 / 30.0  # seconds, of the joint_state_publisher that merges arm and hand
FEEDBACK_PERIOD = 0.05  # seconds
NOISE = 1e-5  # radians
LEAD_TIME, LEAD_STEP = 0.4, 0.01  # seconds


class Arm:
    """Follows trajectories exactly, as long as its hardware and its controller are active.

    Args:
        node: named after the controller.
        states: node that publishes the merged joint states.
        robot: name of the robot description.
        hand: whose fingers are in the joint states.

    Attributes:
        follows: whether hardware and controller are active.
        frozen: whether joint states repeat the last ones for ever, with fresh stamps; the controller, which knows
            no better, counts its trajectories to their ends then and reports success.
        silent: whether there are none.
        gives_way: whether a controller that compensates gravity alone lets somebody lead the arm, who says on
            ``~/lead`` where to.
    """

    def __init__(self, node: Node, states: Node, robot: str, hand: HandDriver) -> None:
        description = load_robot(robot)
        self._names = description.arm_joint_names
        self._fingers = description.finger_joint_names
        self._node, self._states, self._hand = node, states, hand
        self._positions = np.array(description.home)
        self._velocities = np.zeros(len(self._names))
        self._generator = np.random.default_rng(0)
        self._newest: Any = None  # goal that is followed
        self._motion: tuple[JointTrajectory, float] | None = None  # that leads the arm, and when it began
        self._lock = threading.Lock()
        self._last = JointState()
        self.follows, self.frozen, self.silent, self.gives_way = True, False, False, False
        self._description, self._tf = description, TransformBroadcaster(states)
        node.create_subscription(JointState, "~/lead", self._lead, 1, callback_group=ReentrantCallbackGroup())
        self._publisher = states.create_publisher(JointState, "/joint_states", 10)
        states.create_timer(STATE_PERIOD, self._publish)
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            "~/follow_joint_trajectory",
            execute_callback=self._execute,
            goal_callback=lambda _: GoalResponse.ACCEPT if self.follows or self.frozen else GoalResponse.REJECT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _execute(self, goal: Any) -> FollowJointTrajectory.Result:
        trajectory = trajectory_from_message(goal.request.trajectory, self._names)
        positions, velocities = self._state()
        trajectory = preceded(trajectory, JointReference(positions, velocities, np.zeros_like(positions)))
        began, told = time.monotonic(), 0.0
        self._newest = goal
        with self._lock:
            self._motion = trajectory, began
        while self._newest is goal and (self.follows or self.frozen) and not goal.is_cancel_requested:
            self._state()
            elapsed = time.monotonic() - began
            positions, velocities, _ = sample(trajectory, min(elapsed, trajectory.duration), QUINTIC)
            if elapsed - told > FEEDBACK_PERIOD:
                told = elapsed
                self._feedback(goal, positions, velocities, elapsed)
            if elapsed >= trajectory.duration:
                self._rest(trajectory)
                goal.succeed()
                return FollowJointTrajectory.Result()
            time.sleep(0.005)
        self._rest(trajectory)
        end_goal(goal, succeeded=False, canceled=goal.is_cancel_requested)
        return FollowJointTrajectory.Result(error_code=FollowJointTrajectory.Result.INVALID_GOAL)

    def _rest(self, trajectory: JointTrajectory) -> None:
        """Stay where a trajectory has led to, unless another leads already."""
        with self._lock:
            if self._motion is not None and self._motion[0] is trajectory:
                self._motion, self._velocities = None, np.zeros_like(self._velocities)

    def _state(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities at this very moment: a servo keeps its pace, whenever this process gets its turn."""
        with self._lock:
            if self._motion is None or not self.follows:
                return self._positions, self._velocities
            trajectory, began = self._motion
            elapsed = min(time.monotonic() - began, trajectory.duration)
            self._positions, self._velocities, _ = sample(trajectory, elapsed, QUINTIC)
            return self._positions, self._velocities

    def _lead(self, target: JointState) -> None:
        """Somebody takes the arm by the hand, if it lets itself be taken."""
        wanted = dict(zip(target.name, target.position, strict=True))
        goal, start = np.array([wanted[name] for name in self._names]), self._positions
        for share in np.linspace(0.0, 1.0, round(LEAD_TIME / LEAD_STEP)):
            if not self.gives_way:
                return
            with self._lock:
                self._positions = start + share * (goal - start)
                self._velocities = (goal - start) / LEAD_TIME * (share < 1.0)
            time.sleep(LEAD_STEP)

    def _feedback(self, goal: Any, positions: np.ndarray, velocities: np.ndarray, elapsed: float) -> None:
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._names))
        feedback.header.stamp = self._node.get_clock().now().to_msg()
        for part in (feedback.desired, feedback.actual):
            part.positions, part.velocities = positions.tolist(), velocities.tolist()
            part.time_from_start = duration_from_seconds(elapsed)
        feedback.error.positions = [0.0] * len(self._names)
        goal.publish_feedback(feedback)

    def _publish(self) -> None:
        if self.silent:
            return
        stamp = self._states.get_clock().now().to_msg()
        if not self.frozen:
            positions, velocities = self._state()
            positions = positions + self._generator.normal(0.0, NOISE, len(self._names))
            self._last = JointState(
                name=[*self._names, *self._fingers],
                position=[*positions.tolist(), *[self._hand.published / 2.0] * 2],
                velocity=[*velocities.tolist(), 0.0, 0.0],
            )
        self._last.header.stamp = stamp
        self._publisher.publish(self._last)
        self._tf.sendTransform(
            [self._frame(child) for child in (self._description.hand_frame, self._description.tcp_frame)]
        )

    def _frame(self, child: str) -> TransformStamped:
        """As robot_state_publisher makes it of the joint states."""
        joints = dict(zip(self._last.name, self._last.position, strict=True))
        pose = self._description.forward_kinematics(joints)[child]
        header = Header(stamp=self._last.header.stamp, frame_id=self._description.base_frame)
        return TransformStamped(header=header, child_frame_id=child, transform=transform_from_matrix(pose))
