"""The arm: a joint trajectory controller without physics, and joint states with the noise of encoders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory
from geometry_msgs.msg import TransformStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from mini_diffuser_ros.nodes.ros.goal_tokens import end_goal
from mini_diffuser_ros.nodes.ros.messages import (
    duration_from_seconds,
    trajectory_from_message,
    transform_from_matrix,
)
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.realtime.trajectory_sampling import QUINTIC, JointReference, preceded, sample

from .hand import HandDriver

STATE_PERIOD = 1.0 / 30.0  # seconds, of the joint_state_publisher that merges arm and hand
FEEDBACK_PERIOD = 0.05  # seconds
NOISE = 1e-5  # radians
LEAD_TIME = 0.4  # seconds


@dataclass(frozen=True)
class Led:
    """What leads the arm: a servo keeps its pace, whenever this process gets its turn.

    Attributes:
        at: positions and velocities, radians and radians per second, after so many seconds.
        duration: seconds.
        began: seconds by the clock that stamps joint states, so that each is true at its stamp.
        by_hand: by somebody's, not by the controller that follows trajectories.
    """

    at: Callable[[float], tuple[np.ndarray, np.ndarray]]
    duration: float
    began: float
    by_hand: bool = False


def seconds(stamp: Time) -> float:
    """Of a clock, since its beginning."""
    return float(stamp.nanoseconds) * 1e-9


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
        self._motion: Led | None = None
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
        stamp, positions, velocities = self._state()
        began, told = seconds(stamp), 0.0
        trajectory = preceded(trajectory, JointReference(positions, velocities, np.zeros_like(positions)))
        motion = Led(lambda elapsed: sample(trajectory, elapsed, QUINTIC)[:2], trajectory.duration, began)
        self._newest = goal
        with self._lock:
            self._motion = motion
        while self._newest is goal and (self.follows or self.frozen) and not goal.is_cancel_requested:
            now = self._state()[0]
            elapsed = seconds(now) - began
            if elapsed - told > FEEDBACK_PERIOD:
                told = elapsed
                self._feedback(goal, now, *motion.at(min(elapsed, motion.duration)), elapsed)
            if elapsed >= motion.duration:
                self._rest(motion)
                goal.succeed()
                return FollowJointTrajectory.Result()
            time.sleep(0.005)
        self._rest(motion)
        end_goal(goal, succeeded=False, canceled=goal.is_cancel_requested)
        return FollowJointTrajectory.Result(error_code=FollowJointTrajectory.Result.INVALID_GOAL)

    def _rest(self, motion: Led) -> None:
        """Stay where a motion has led to, unless another leads already."""
        with self._lock:
            if self._motion is motion:
                self._motion, self._velocities = None, np.zeros_like(self._velocities)

    def _state(self) -> tuple[Time, np.ndarray, np.ndarray]:
        """Now, and positions and velocities of that very moment, whenever this thread gets its turn."""
        with self._lock:
            stamp, motion = self._states.get_clock().now(), self._motion
            if motion is not None and (self.gives_way if motion.by_hand else self.follows):
                elapsed = min(max(seconds(stamp) - motion.began, 0.0), motion.duration)
                self._positions, self._velocities = motion.at(elapsed)
            return stamp, self._positions, self._velocities

    def _lead(self, target: JointState) -> None:
        """Somebody takes the arm by the hand, if it lets itself be taken."""
        wanted = dict(zip(target.name, target.position, strict=True))
        stamp, start, _ = self._state()
        began = seconds(stamp)
        way = np.array([wanted[name] for name in self._names]) - start
        motion = Led(
            lambda elapsed: (start + elapsed / LEAD_TIME * way, way / LEAD_TIME), LEAD_TIME, began, by_hand=True
        )
        if self.gives_way:
            with self._lock:
                self._motion = motion
        while self._motion is motion and self.gives_way and seconds(self._state()[0]) < began + LEAD_TIME:
            time.sleep(0.005)
        self._rest(motion)

    def _feedback(self, goal: Any, now: Time, positions: np.ndarray, velocities: np.ndarray, elapsed: float) -> None:
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._names))
        feedback.header.stamp = now.to_msg()
        for part in (feedback.desired, feedback.actual):
            part.positions, part.velocities = positions.tolist(), velocities.tolist()
            part.time_from_start = duration_from_seconds(elapsed)
        feedback.error.positions = [0.0] * len(self._names)
        goal.publish_feedback(feedback)

    def _publish(self) -> None:
        if self.silent:
            return
        stamp, positions, velocities = self._state()
        if not self.frozen:
            positions = positions + self._generator.normal(0.0, NOISE, len(self._names))
            self._last = JointState(
                name=[*self._names, *self._fingers],
                position=[*positions.tolist(), *[self._hand.published / 2.0] * 2],
                velocity=[*velocities.tolist(), 0.0, 0.0],
            )
        self._last.header.stamp = stamp.to_msg()
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
