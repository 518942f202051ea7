"""Having the arm's controller follow a trajectory, and bringing the arm to rest when something interrupts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
from rclpy.callback_groups import CallbackGroup

from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.motion.braking import TrajectoryProgress, braking_trajectory, is_followed
from mini_diffuser_ros.motion.retiming import PacedTrajectory
from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.motion_goal import MotionFaultError, Result
from mini_diffuser_ros.nodes.ros.action_goal import (
    ActionUnavailableError,
    SentGoal,
    cancel_on_acceptance,
    send_goal,
)
from mini_diffuser_ros.nodes.ros.messages import duration_from_seconds, trajectory_to_message
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.running.keyframe_motion import missed_joint
from mini_diffuser_ros.sensing.arm_watch import ArmWatch, WatchConfig, nearest_miss
from mini_diffuser_ros.sensing.errors import ContradictoryJointsError, DeviationError, StaleJointsError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError

SLOWNESS, GRACE = 1.5, 5.0  # times its duration, and seconds, that a controller may take for a trajectory
REST_GRACE = 0.4  # seconds that the arm may lag behind the end of a braking trajectory
CANCELED_GRACE = 0.8  # seconds that an arm may need to come to rest once its goal is canceled
LEAD = 0.1  # seconds that a controller has to pass from where it is to the first point
ASKING = 1.0  # seconds of the motion by which the controller is asked where the arm is; it hardly begins
START_TOLERANCE = 0.05  # radians between where a motion begins and where the arm is, by each that knows
EXPLANATION = 0.3  # seconds within which a stop explains why a controller ended a goal
# A controller compares at the same instant, we with where the arm was meant to be a moment ago.
PATH_SLACK = 2.0
GOAL_TIME = 1.0  # seconds that a controller may take after the end of a trajectory to be at its goal
# What a stop within the limits of acceleration and jerk is for. Anything else that ends a motion does not wait for it.
GENTLE = (
    Result.CANCELED,
    Result.CLIENT_LOST,
    Result.UNGUARDED,
    Result.BLOCKED,
    Result.FAILED,
    Result.OBJECT_SLIPPED,
    Result.OBJECT_LOST,
)


class ArmClient(ControllerClient):
    """The arm's FollowJointTrajectory controller.

    A motion begins only where the controller, too, says that the arm is, and goes on only as long as controller,
    joint states and plan agree.

    A stop, and whatever is not as planned, cancels the goal: the controller holds its position at once. Where a client
    merely wants no more of a motion, the fastest jerk-limited stop replaces the goal instead, and measured velocities
    tell whether the arm rests. A controller that does not take that up within the time that the stop would have
    needed, or does not follow it, has its goals canceled as well.

    Args:
        node: that sends the goals.
        name: of the action.
        group: of all callbacks.
        planner: for stops.
        joints: where the arm is.
        watch: config of the comparison of joint states with the controller.
        arrival_tolerance: radians by which a joint may miss the end of a trajectory.

    Attributes:
        commands: trajectories that the controller was given so far.
        watch: compares joint states with the controller's feedback.
    """

    def __init__(
        self,
        node: ManagedNode,
        name: str,
        group: CallbackGroup,
        planner: MotionPlanner,
        joints: JointStateMonitor,
        watch: WatchConfig,
        arrival_tolerance: float,
    ) -> None:
        super().__init__(node, FollowJointTrajectory, name, group)
        self._planner = planner
        self._joints = joints
        self._awake = node.awake
        self._deviation = watch.deviation
        self._arrival_tolerance = arrival_tolerance
        self._begun: float | None = None  # monotonic, of the trajectory that is followed
        self.watch = ArmWatch(joints, watch, node.awake)
        self.commands = 0

    def silence(self) -> float:
        """Seconds for which the controller has said nothing of the trajectory that it follows; 0 if it follows none."""
        begun = self._begun
        return 0.0 if begun is None else min(self.watch.silence(), self._awake.since(begun))

    def follow(
        self, trajectory: JointTrajectory, token: CancellationToken, on_progress: Callable[[float], None]
    ) -> None:
        """Follow a trajectory to its end and check by measurement that the arm arrived.

        Raises:
            InterruptionError: when the token is interrupted, after the arm has been brought to rest.
            MotionFaultError: if the controller refuses or fails, or the arm is not where it should be; it rests then,
                or the message says that it does not.
            ActionUnavailableError, StaleJointsError, DeviationError: before anything has moved.
        """
        with self.busy():
            self._check_start(trajectory, token)
            self._follow(trajectory, token, on_progress)
        self._check_arrival(trajectory, token)

    # Before

    def _check_start(self, trajectory: JointTrajectory, token: CancellationToken) -> None:
        """A trajectory that begins where the arm is not makes the controller jump there."""
        start = trajectory.positions[0]
        joint, miss = nearest_miss(self._joints.positions()[None], start)
        if miss > START_TOLERANCE:
            name = trajectory.joint_names[joint]
            raise DeviationError(f"{name} has moved by {miss:.3f} rad since the motion was planned")
        actual = self._ask_controller(trajectory, token)
        joint, miss = nearest_miss(actual[None], start)
        if miss > START_TOLERANCE:
            raise ContradictoryJointsError(
                f"{trajectory.joint_names[joint]} is at {start[joint]:.3f} rad by its joint state and at "
                f"{actual[joint]:.3f} rad by {self.name}: one of the two is wrong"
            )

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

        def on_feedback(feedback: Any) -> None:
            place = feedback.actual.positions if len(feedback.actual.positions) else feedback.desired.positions
            by_name = dict(zip(feedback.joint_names, place, strict=False))
            positions = np.array([by_name.get(name, np.nan) for name in trajectory.joint_names])
            if np.isfinite(positions).all():
                said.append(positions)
                token.notify()

        sent = self._send(there, token, on_feedback)
        try:
            token.wait_for(lambda: bool(said), ASKING)
        except TimeoutError:
            raise MotionFaultError(
                Result.OVERDUE, f"{self.name} says nothing of where the arm is: it gives no feedback"
            ) from None
        finally:
            sent.cancel()
        return said[0]

    # In a motion

    def _follow(
        self, trajectory: JointTrajectory, token: CancellationToken, on_progress: Callable[[float], None]
    ) -> None:
        late = replace(trajectory, times=trajectory.times + LEAD)
        begins = time.monotonic() + LEAD
        progress = TrajectoryProgress(trajectory, begins)

        def on_feedback(feedback: Any) -> None:
            self._hear(feedback, trajectory, progress, token)
            on_progress(float(np.clip((time.monotonic() - begins) / max(trajectory.duration, 1e-3), 0.0, 1.0)))

        self.commands += 1
        sent = self._send(late, token, on_feedback)
        self._begun = time.monotonic()
        try:
            wrapped = sent.result(token, SLOWNESS * trajectory.duration + GRACE)
        except InterruptionError as interruption:
            problem = self._bring_to_rest(trajectory, progress, sent, interruption.outcome in GENTLE)
            raise InterruptionError(interruption.outcome, f"{interruption}{problem}") from interruption
        except ActionUnavailableError as error:
            self.cancel_all()
            raise MotionFaultError(Result.OVERDUE, f"{error}{self._unrest()}") from error
        finally:
            self._begun = None
        self._judge(wrapped, sent, token)

    def _send(
        self, trajectory: JointTrajectory, token: CancellationToken, on_feedback: Callable[[Any], None]
    ) -> SentGoal:
        goal = FollowJointTrajectory.Goal(trajectory=trajectory_to_message(trajectory))
        for tolerances, radians in (
            (goal.path_tolerance, PATH_SLACK * self._deviation),
            (goal.goal_tolerance, self._arrival_tolerance),
        ):
            tolerances.extend(JointTolerance(name=name, position=radians) for name in trajectory.joint_names)
        goal.goal_time_tolerance = duration_from_seconds(GOAL_TIME)
        return send_goal(self.client, goal, token, name=self.name, on_feedback=on_feedback)

    def _hear(
        self, feedback: Any, trajectory: JointTrajectory, progress: TrajectoryProgress, token: CancellationToken
    ) -> None:
        """Take the controller's word, and interrupt the motion if it follows something else."""
        now, desired, actual = time.monotonic(), feedback.desired, feedback.actual
        self.watch.hear(feedback.joint_names, desired.positions, desired.velocities, actual.positions, now)
        by_name = dict(zip(feedback.joint_names, desired.positions, strict=False))
        reference = np.array([by_name.get(name, np.nan) for name in trajectory.joint_names])
        if not np.isfinite(reference).all():
            return
        progress.heard(reference, now)
        joint, miss = nearest_miss(trajectory.positions, reference)
        if miss > max(self._deviation, _longest_step(trajectory)):
            name = trajectory.joint_names[joint]
            token.interrupt(Result.OVERRIDDEN, f"{self.name} leads {name} {miss:.3f} rad off the planned motion")

    def _judge(self, wrapped: Any, sent: SentGoal, token: CancellationToken) -> None:
        """What the controller says of the end of the motion, once the arm rests."""
        result = wrapped.result
        if wrapped.status == GoalStatus.STATUS_SUCCEEDED and result.error_code == result.SUCCESSFUL:
            return
        reason = f"{self.name}: error {result.error_code} {result.error_string}".rstrip()
        if miss := self.watch.describe_miss():
            reason = f"{reason}; {miss}"
        try:
            token.wait_for(lambda: bool(self.state.active() - {sent.key}) or None, EXPLANATION)
            outcome, reason = Result.OVERRIDDEN, f"{reason}: it follows another client's goal, which is canceled"
            self.cancel_all()
        except InterruptionError as interruption:
            raise InterruptionError(interruption.outcome, f"{interruption}{self._unrest()}") from interruption
        except TimeoutError:
            outcome = _outcome_of(wrapped)
        raise MotionFaultError(outcome, f"{reason}{self._unrest()}")

    # After

    def _check_arrival(self, trajectory: JointTrajectory, token: CancellationToken) -> None:
        """What the controller reports is checked against what is measured."""
        problem = missed_joint(trajectory, self._joints.await_rest(token), self._arrival_tolerance)
        if problem:
            raise MotionFaultError(Result.MISSED, problem)

    def _bring_to_rest(
        self, trajectory: JointTrajectory, progress: TrajectoryProgress, sent: SentGoal, gently: bool
    ) -> str:
        """Brake, and cancel if that is not wanted, not safe or does not help; what remains to be said about it."""
        elapsed = progress.elapsed(time.monotonic()) if gently else None
        if (
            elapsed is not None
            and self._is_followed(trajectory, elapsed)
            and self._brake(braking_trajectory(self._planner, PacedTrajectory.of(trajectory), elapsed))
        ):
            return ""
        self.cancel_all()
        sent.cancel()
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


def _outcome_of(wrapped: Any) -> int:
    result = wrapped.result
    if wrapped.status == GoalStatus.STATUS_CANCELED:
        return int(Result.OVERRIDDEN)
    by_code = {
        result.PATH_TOLERANCE_VIOLATED: Result.DEVIATED,
        result.GOAL_TOLERANCE_VIOLATED: Result.MISSED,
    }
    return int(by_code.get(result.error_code, Result.ABORTED))


def _longest_step(trajectory: JointTrajectory) -> float:
    """Radians between two samples of a trajectory, at most."""
    return float(np.abs(np.diff(trajectory.positions, axis=0)).max(initial=0.0))
