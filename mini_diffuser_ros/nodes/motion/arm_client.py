"""Having the arm's controller follow a trajectory, and bringing the arm to rest when something interrupts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.motion.braking import TrajectoryProgress, braking_trajectory, is_followed
from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.ros.action_goal import SentGoal, cancel_on_acceptance, send_goal
from mini_diffuser_ros.nodes.ros.messages import seconds, trajectory_to_message
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.running.keyframe_motion import missed_joint
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError

TRAJECTORY_GRACE = 10.0  # seconds that a controller may take longer than its trajectory
REST_GRACE = 0.4  # seconds that the arm may lag behind the end of a braking trajectory
CANCELED_GRACE = 0.8  # seconds that an arm may need to come to rest once its goal is canceled


class ArmClient(ControllerClient):
    """The arm's FollowJointTrajectory controller.

    An interruption does not merely cancel: a controller that loses its goal holds its position at once, which is a
    jerk. Instead the fastest jerk-limited stop replaces the goal, and measured velocities tell whether the arm rests.
    A controller that does not take the stop up within the time that the stop would have needed, or does not follow
    it, has its goals canceled: the fallback comes later than a plain cancel by no more than that time. Where the
    controller's own feedback does not tell that it is in step with the trajectory, or joint states do not tell that
    the arm follows, the goal is canceled at once.

    Args:
        node: that sends the goals.
        name: of the action.
        group: of all callbacks.
        planner: for stops.
        joints: where the arm is.
        arrival_tolerance: radians by which a joint may miss the end of a trajectory.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        group: CallbackGroup,
        planner: MotionPlanner,
        joints: JointStateMonitor,
        arrival_tolerance: float,
    ) -> None:
        super().__init__(node, FollowJointTrajectory, name, group)
        self._planner = planner
        self._joints = joints
        self._arrival_tolerance = arrival_tolerance

    def follow(
        self, trajectory: JointTrajectory, token: CancellationToken, on_progress: Callable[[float], None]
    ) -> None:
        """Follow a trajectory to its end and check by measurement that the arm arrived.

        Raises:
            InterruptionError: when the token is interrupted, after the arm has been brought to rest.
            NodeError: if the controller is absent, refuses or fails, or the arm is not where it should be.
        """

        goal = FollowJointTrajectory.Goal(trajectory=trajectory_to_message(trajectory))
        with self.busy():
            progress = TrajectoryProgress(trajectory, time.monotonic())

            def on_feedback(feedback: Any) -> None:
                self._take_reference(progress, trajectory, feedback)
                on_progress(min(1.0, seconds(feedback.desired.time_from_start) / max(trajectory.duration, 1e-3)))

            sent = send_goal(self.client, goal, token, name=self.name, on_feedback=on_feedback)
            try:
                wrapped = sent.result(token, 2.0 * trajectory.duration + TRAJECTORY_GRACE)
            except InterruptionError as interruption:
                problem = self._bring_to_rest(trajectory, progress, sent)
                raise InterruptionError(interruption.outcome, f"{interruption}{problem}") from interruption
        result = wrapped.result
        if wrapped.status != GoalStatus.STATUS_SUCCEEDED or result.error_code != result.SUCCESSFUL:
            raise NodeError(f"{self.name}: error {result.error_code} {result.error_string}".rstrip())
        self._check_arrival(trajectory, token)

    def _check_arrival(self, trajectory: JointTrajectory, token: CancellationToken) -> None:
        """What the controller reports is checked against what is measured."""
        problem = missed_joint(trajectory, self._joints.await_rest(token), self._arrival_tolerance)
        if problem:
            raise NodeError(problem)

    @staticmethod
    def _take_reference(progress: TrajectoryProgress, trajectory: JointTrajectory, feedback: Any) -> None:
        reference = dict(zip(feedback.joint_names, feedback.desired.positions, strict=False))
        if all(name in reference for name in trajectory.joint_names):
            progress.heard([reference[name] for name in trajectory.joint_names], time.monotonic())

    def _bring_to_rest(self, trajectory: JointTrajectory, progress: TrajectoryProgress, sent: SentGoal) -> str:
        """Brake, and cancel if that is not safe or does not help; returns what remains to be said about it."""
        elapsed = progress.elapsed(time.monotonic())
        if (
            elapsed is not None
            and self._is_followed(trajectory, elapsed)
            and self._brake(braking_trajectory(self._planner, trajectory, elapsed))
        ):
            return ""
        sent.cancel()
        self.cancel_all()
        return self._unrest()

    def _is_followed(self, trajectory: JointTrajectory, elapsed: float) -> bool:
        try:
            return is_followed(trajectory, elapsed, self._joints.positions())
        except StaleJointsError:
            return False

    def _brake(self, stop: JointTrajectory) -> bool:
        """Whether the controller took the stop up and the arm is known to rest."""
        goal = FollowJointTrajectory.Goal(trajectory=trajectory_to_message(stop))
        accepted = self.client.send_goal_async(goal)
        token = CancellationToken()  # nothing interrupts a stop
        stop_time = float(stop.times[-1])
        try:
            handle = token.result_of(accepted, stop_time)
            if not handle.accepted:
                self._logger.warning(f"{self.name} rejected a braking trajectory; canceling instead")
                return False
            self._joints.wait_for(token, self._joints.rests, stop_time + REST_GRACE)
        except TimeoutError:
            self._logger.warning(f"{self.name} did not brake within {stop_time:.2f} s; canceling instead")
            cancel_on_acceptance(accepted)
            return False
        return True

    def _unrest(self) -> str:
        try:
            self._joints.wait_for(CancellationToken(), self._joints.rests, CANCELED_GRACE)
        except TimeoutError:
            try:
                return f"; {self._joints.describe_unrest()}"
            except StaleJointsError as error:
                return f"; whether the arm rests is not known: {error}"
        return ""
