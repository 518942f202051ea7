"""Whether a motion begins where the arm is, by each that knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from control_msgs.action import FollowJointTrajectory

from mini_diffuser_ros.nodes.motion.motion_goal import MotionFaultError, Result
from mini_diffuser_ros.nodes.ros.action_goal import SentGoal
from mini_diffuser_ros.nodes.ros.messages import in_order
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.sensing.arm_watch import nearest_miss
from mini_diffuser_ros.sensing.errors import ContradictoryJointsError, DeviationError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.cancellation import CancellationToken

ASKING = 1.0  # seconds of the motion by which the controller is asked where the arm is; it hardly begins
START_TOLERANCE = 0.05  # radians between where a motion begins and where the arm is, by each that knows

Send = Callable[[JointTrajectory, CancellationToken, Callable[[FollowJointTrajectory.Feedback], None]], SentGoal]
"""Has the controller follow a trajectory; takes what is to hear its feedback."""


class StartCheck:
    """Compares the start of a trajectory with joint states and with the controller's own word.

    Args:
        name: of the controller.
        send: to it.
        joints: where the arm is.
    """

    def __init__(self, name: str, send: Send, joints: JointStateMonitor) -> None:
        self._name, self._send, self._joints = name, send, joints

    def check(self, trajectory: JointTrajectory, token: CancellationToken) -> None:
        """A trajectory that begins where the arm is not makes the controller jump there.

        Raises:
            DeviationError, ContradictoryJointsError, StaleJointsError: it does not, or that is not known.
            MotionFaultError: the controller gives no feedback.
            InterruptionError: the token is interrupted.
        """
        start = trajectory.positions[0]
        joint, miss = nearest_miss(self._joints.positions()[None], start)
        if not miss <= START_TOLERANCE:
            name = trajectory.joint_names[joint]
            raise DeviationError(f"{name} has moved by {miss:.3f} rad since the motion was planned")
        actual = self._ask_controller(trajectory, token)
        joint, miss = nearest_miss(actual[None], start)
        if not miss <= START_TOLERANCE:
            raise ContradictoryJointsError(
                f"{trajectory.joint_names[joint]} is at {start[joint]:.3f} rad by its joint state and at "
                f"{actual[joint]:.3f} rad by {self._name}: one of the two is wrong"
            )
        self._joints.trust()

    def _ask_controller(self, trajectory: JointTrajectory, token: CancellationToken) -> np.ndarray:
        """(J,) radians, where the controller says that the arm is: the first word about a motion to where it is said
        to be, slow enough to be over before it counts."""
        still = np.zeros((1, len(trajectory.joint_names)))
        there = replace(
            trajectory,
            times=np.array([ASKING]),
            positions=trajectory.positions[:1],
            velocities=still,
            accelerations=still,
        )
        said: list[np.ndarray] = []

        def on_feedback(feedback: FollowJointTrajectory.Feedback) -> None:
            place = feedback.actual.positions if len(feedback.actual.positions) else feedback.desired.positions
            positions = in_order(feedback.joint_names, place, trajectory.joint_names)
            if np.isfinite(positions).all():
                said.append(positions)
                token.notify()

        sent = self._send(there, token, on_feedback)
        try:
            token.wait_for(lambda: bool(said), ASKING)
        except TimeoutError:
            raise MotionFaultError(
                Result.OVERDUE, f"{self._name} says nothing of where the arm is: it gives no feedback"
            ) from None
        finally:
            sent.cancel()
        return said[0]
