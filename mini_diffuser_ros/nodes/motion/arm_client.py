"""Having the arm's controller follow a trajectory, and bringing the arm to rest when something interrupts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
from rclpy.callback_groups import CallbackGroup

from mini_diffuser_ros.motion import MotionPlanner, interpolate
from mini_diffuser_ros.motion.braking import MATCH_PERIOD, braking_trajectory, continued, is_followed
from mini_diffuser_ros.motion.retiming import SLOWEST, PacedTrajectory, UnchangeableError
from mini_diffuser_ros.motion.speed_override import SpeedOverride
from mini_diffuser_ros.nodes.motion.arm_brake import OBEYS, ArmBrake
from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.motion_goal import MotionFaultError, Result
from mini_diffuser_ros.nodes.motion.paced_goal import PacedGoal, longest_step
from mini_diffuser_ros.nodes.motion.start_check import START_TOLERANCE, StartCheck
from mini_diffuser_ros.nodes.ros.action_goal import (
    ActionRejectedError,
    ActionUnavailableError,
    SentGoal,
    cancel_on_acceptance,
    send_goal,
)
from mini_diffuser_ros.nodes.ros.messages import duration_from_seconds, in_order, seconds, trajectory_to_message
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.running.keyframe_motion import TellProgress, missed_joint
from mini_diffuser_ros.sensing.arm_watch import ArmWatch, WatchConfig
from mini_diffuser_ros.sensing.errors import (
    ArmMovesError,
    ContradictoryJointsError,
    FrozenJointsError,
    StaleJointsError,
)
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.printable import printable

SLOWNESS, GRACE = 1.5, 5.0  # times its duration, and seconds, that a controller may take for a trajectory
REST_GRACE = 0.4  # seconds that the arm may lag behind the end of a braking trajectory
CANCELED_GRACE = 0.8  # seconds that an arm may need to come to rest once its goal is canceled
BRAKED_GRACE = 2.0  # the same for one that does not obey, and has to be given another goal
HOLDS = 0.15  # seconds within which an arm that nobody leads any more is seen to brake
EARLY = 0.3  # seconds before the end of its trajectory from which on a controller may call it done
LEAD = 0.1  # seconds that a controller has to pass from where it is to the first point
CHANGE_LEAD = 0.15  # the same for another speed, which takes a while to be computed
LEAST_LEAD = 0.05  # seconds that have to be left of a lead for a stop
LOOKING = 0.05  # seconds between looks whether a motion that is held may go on
EXPLANATION = 0.3  # seconds within which a stop explains why a controller ended a goal
# A controller compares at the same instant, we with where the arm was meant to be a moment ago.
PATH_SLACK = 2.0
MEASURED_ROOM = 0.03  # radians by which a servo may swing beyond where its reference may be
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

    A motion goes at the speed that holds: when that changes, the rest of the motion at the new speed replaces the goal.
    At a speed of 0 the goal ends on the path, and the motion waits there without one.

    Args:
        node: that sends the goals.
        name: of the action.
        group: of all callbacks.
        planner: for stops.
        joints: where the arm is.
        watch: config of the comparison of joint states with the controller.
        arrival_tolerance: radians by which a joint may miss the end of a trajectory.
        speed: that holds.

    Attributes:
        commands: trajectories that the controller was given so far.
        watch: compares joint states with the controller's feedback.
        brake: brings an arm to rest that goes on.
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
        speed: SpeedOverride,
    ) -> None:
        super().__init__(node, FollowJointTrajectory, name, group)
        self._speed = speed
        self._start = StartCheck(name, self._send, joints)
        self._planner = planner
        self._joints = joints
        self._awake = node.awake
        self._deviation = watch.deviation
        self._arrival_tolerance = arrival_tolerance
        self._begun: float | None = None  # monotonic, of the trajectory that is followed
        self._goal: PacedGoal | None = None  # that is followed
        self.watch = ArmWatch(joints, watch, node.awake)
        self.brake = ArmBrake(self.client, joints, self._logger)
        self.commands = 0

    def silence(self) -> float:
        """Seconds for which the controller has said nothing of the trajectory that it follows; 0 if it follows none."""
        begun = self._begun
        return 0.0 if begun is None else min(self.watch.silence(), self._awake.since(begun))

    def check(self) -> None:
        """Compare what is measured with the controller's word, and with the clock.

        Raises:
            StaleJointsError, DeviationError: as :meth:`ArmWatch.check`.
            MotionFaultError: the arm is ahead of its trajectory.
        """
        self.watch.check()
        goal = self._goal
        if goal is not None and (ahead := goal.ahead(self._joints.positions(), time.monotonic(), MEASURED_ROOM)):
            raise MotionFaultError(Result.OVERRIDDEN, f"the arm moves faster than its trajectory: {ahead}")

    def disbelieve(self, error: UserError) -> None:
        """What has ended a motion: joint states that were found to be wrong do not testify that the arm rests."""
        if isinstance(error, (FrozenJointsError, ContradictoryJointsError)):
            self._joints.doubt(str(error))

    def follow(self, trajectory: JointTrajectory, token: CancellationToken, tell: TellProgress) -> None:
        """Follow a trajectory to its end and check by measurement that the arm arrived.

        Raises:
            InterruptionError: when the token is interrupted, after the arm has been brought to rest.
            MotionFaultError: if the controller refuses or fails, or the arm is not where it should be; it rests then,
                or the message says that it does not.
            ActionUnavailableError, StaleJointsError, DeviationError: before anything has moved.
        """
        with self.busy():
            self._await_speed(0.0, token, tell)
            self._start.check(trajectory, token)
            held: PacedTrajectory | None = PacedTrajectory.held(trajectory, 0.0)
            while held is not None:
                held = self._follow(held, token, tell)
            self._check_arrival(trajectory, token)

    # In a motion

    def _speed_now(self) -> float:
        speed = self._speed.speed()
        return speed if speed >= SLOWEST else 0.0

    def _await_speed(self, part: float, token: CancellationToken, tell: TellProgress) -> float:
        """The speed that holds, as soon as it is not 0."""
        if (speed := self._speed_now()) > 0.0:
            return speed
        self._logger.info(f"the arm holds: {self._speed.state().reason}")
        tell("held", part)
        while True:
            try:
                return token.wait_for(lambda: self._speed_now() or None, LOOKING)
            except TimeoutError:
                continue
            except InterruptionError as interruption:
                reason = f"{interruption}; it was held: {self._speed.state().reason}"
                raise InterruptionError(interruption.outcome, reason) from interruption

    def _follow(self, held: PacedTrajectory, token: CancellationToken, tell: TellProgress) -> PacedTrajectory | None:
        """From where the arm rests on its path to the goal, or to where it is held again; None at the goal."""
        planned, nominal = held.planned, held.pace(0.0).nominal
        speed = self._await_speed(nominal / max(planned.duration, 1e-3), token, tell)
        if nominal > 0.0:
            self._start.check(held.trajectory, token)
            paced = self._planner.retimed(held, 0.0, speed)
        else:
            paced = PacedTrajectory.of(planned, speed)
        goal = PacedGoal(paced, time.monotonic() + LEAD)
        self._begin(goal, replace(paced.trajectory, times=paced.trajectory.times + LEAD), token, tell)
        try:
            return self._lead(goal, token, tell)
        except ActionRejectedError as error:  # the speed that was to replace another
            self.cancel_all()
            raise MotionFaultError(Result.REJECTED, f"{error}{self._unrest()}") from error
        except ActionUnavailableError as error:
            self.cancel_all()
            raise MotionFaultError(Result.OVERDUE, f"{error}{self._unrest()}") from error
        finally:
            self._begun = self._goal = None

    def _lead(self, goal: PacedGoal, token: CancellationToken, tell: TellProgress) -> PacedTrajectory | None:
        """See a goal, and those that replace it, through to the end of the trajectory; None unless it holds there."""
        while True:
            timeout = SLOWNESS * goal.paced.trajectory.duration + GRACE
            due = partial(goal.is_to_change, self._speed_now)
            try:
                wrapped = goal.sent.result(token, timeout, or_when=due)
                if wrapped is None:
                    if not (changed := self._changed(goal, token, tell)):
                        return self._held_by_cancel(goal)
                    goal = changed
                    continue
            except InterruptionError as interruption:
                problem = self._bring_to_rest(goal, interruption.outcome in GENTLE)
                raise InterruptionError(interruption.outcome, f"{interruption}{problem}") from interruption
            self._judge(wrapped, goal.sent, token)
            self._check_over(goal)
            if not goal.paced.holds:
                return None
            return PacedTrajectory.held(goal.paced.planned, goal.paced.pace(goal.paced.trajectory.duration).nominal)

    def _changed(self, goal: PacedGoal, token: CancellationToken, tell: TellProgress) -> PacedGoal | None:
        """The goal that has replaced one at another speed; None if there is no such goal."""
        now = time.monotonic()
        elapsed = goal.progress.elapsed(now)
        if elapsed is None:
            return None
        try:
            paced = self._planner.retimed(goal.paced, elapsed + CHANGE_LEAD, self._speed_now())
        except UnchangeableError as error:
            self._logger.warning(str(error))
            return None
        if time.monotonic() > now + CHANGE_LEAD - LEAD:
            return goal  # too late: computed anew
        goal.is_led = False
        changed = PacedGoal(paced, now + CHANGE_LEAD, before=goal)
        trajectory, start = _replacing(goal, elapsed, now, paced.trajectory, CHANGE_LEAD)
        self._begin(changed, trajectory, token, tell, start)
        return changed

    def _held_by_cancel(self, goal: PacedGoal) -> PacedTrajectory:
        """A lower speed holds, and where the controller is on its trajectory is not known: the arm rests where it is,
        which is measured, and goes on from there."""
        self._logger.warning(f"{self.name} does not say where it is on its trajectory: canceled, to go on slower")
        self.cancel_all()
        goal.sent.cancel()
        if unrest := self._unrest():
            raise MotionFaultError(Result.OVERDUE, f"{self.name} was to go slower{unrest}")
        planned = goal.paced.planned
        times = np.arange(0.0, planned.duration, MATCH_PERIOD)
        places = interpolate(planned, planned.times[0] + times)[0]
        misses = np.abs(places - self._joints.positions()).max(axis=1)
        nearest = int(misses.argmin())
        if misses[nearest] > START_TOLERANCE:
            raise MotionFaultError(Result.DEVIATED, f"the arm rests {misses[nearest]:.3f} rad beside its path")
        return PacedTrajectory.held(planned, max(float(times[nearest]), MATCH_PERIOD))

    def _begin(
        self,
        goal: PacedGoal,
        trajectory: JointTrajectory,
        token: CancellationToken,
        tell: TellProgress,
        start: float = 0.0,
    ) -> None:
        """Have the controller follow a goal by a trajectory that leads over to it, ``start`` on its clock."""

        def on_feedback(feedback: Any) -> None:
            self._hear(feedback, goal, token)
            tell("moving", goal.part())
            token.notify()

        self.commands += 1
        goal.sent = self._send(trajectory, token, on_feedback, start)
        goal.taken_over_at = self._begun = time.monotonic()
        self._goal = goal

    def _send(
        self,
        trajectory: JointTrajectory,
        token: CancellationToken,
        on_feedback: Callable[[Any], None],
        start: float = 0.0,
    ) -> SentGoal:
        goal = FollowJointTrajectory.Goal(trajectory=trajectory_to_message(trajectory, start))
        for tolerances, radians in (
            (goal.path_tolerance, PATH_SLACK * self._deviation),
            (goal.goal_tolerance, self._arrival_tolerance),
        ):
            tolerances.extend(JointTolerance(name=name, position=radians) for name in trajectory.joint_names)
        goal.goal_time_tolerance = duration_from_seconds(GOAL_TIME)
        return send_goal(self.client, goal, token, name=self.name, on_feedback=on_feedback)

    def _hear(self, feedback: Any, goal: PacedGoal, token: CancellationToken) -> None:
        """Take the controller's word, and interrupt the motion if it follows something else."""
        now, desired, actual = time.monotonic(), feedback.desired, feedback.actual
        stamp = seconds(feedback.header.stamp)
        self.watch.hear(feedback.joint_names, desired.positions, desired.velocities, actual.positions, now, stamp)
        if ahead := goal.ahead(in_order(feedback.joint_names, desired.positions, goal.paced.planned.joint_names), now):
            token.interrupt(Result.OVERRIDDEN, f"{self.name} plays its trajectory too fast: {ahead}")
        name, miss = goal.hear(feedback, now)
        if miss > max(self._deviation, longest_step(goal.paced.planned)):
            token.interrupt(Result.OVERRIDDEN, f"{self.name} leads {name} {miss:.3f} rad off the planned motion")

    def _judge(self, wrapped: Any, sent: SentGoal, token: CancellationToken) -> None:
        """What the controller says of the end of the motion, once the arm rests."""
        result = wrapped.result
        if wrapped.status == GoalStatus.STATUS_SUCCEEDED and result.error_code == result.SUCCESSFUL:
            return
        reason = f"{self.name}: error {result.error_code} {printable(result.error_string)}".rstrip()
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

    def _check_over(self, goal: PacedGoal) -> None:
        """A controller that reports success too early, or on the path, has to hold the arm: it may lead it anywhere."""
        left, sent = goal.left(time.monotonic()), self.brake.sent
        if left <= EARLY and not goal.paced.holds:
            return
        rests = self.brake.bring_to_rest(BRAKED_GRACE, HOLDS if left > EARLY else OBEYS)
        if self.brake.sent > sent or (left > EARLY and not rests):
            early = f", {left:.1f} s early" if left > EARLY else ""
            raise MotionFaultError(
                Result.ABORTED, f"{self.name} reported success{early}, and the arm moved on{self._unrest()}"
            )

    def _check_arrival(self, trajectory: JointTrajectory, token: CancellationToken) -> None:
        """What the controller reports is checked against what is measured."""
        try:
            positions = self._joints.await_rest(token)
        except InterruptionError as interruption:
            raise InterruptionError(interruption.outcome, f"{interruption}{self._unrest()}") from interruption
        except ArmMovesError as error:
            unrest = self._unrest(HOLDS)
            raise MotionFaultError(Result.ABORTED, f"{self.name} reported success, but {error}{unrest}") from error
        if problem := missed_joint(trajectory, positions, self._arrival_tolerance):
            raise MotionFaultError(Result.MISSED, problem)

    def _bring_to_rest(self, goal: PacedGoal, gently: bool) -> str:
        """Brake, and cancel if that is not wanted, not safe or does not help; what remains to be said about it."""
        now = time.monotonic()
        elapsed = goal.progress.elapsed(now) if gently and goal.is_led else None
        if (
            elapsed is not None
            and self._is_followed(goal.paced.trajectory, elapsed)
            and self._brake(goal, elapsed, now)
        ):
            return ""
        self.cancel_all()
        goal.sent.cancel()
        return self._unrest()

    def _is_followed(self, trajectory: JointTrajectory, elapsed: float) -> bool:
        try:
            return is_followed(trajectory, elapsed, self._joints.positions())
        except StaleJointsError:
            return False

    def _brake(self, followed: PacedGoal, elapsed: float, now: float) -> bool:
        """Whether the controller took the stop up and the arm is known to rest."""
        stop = braking_trajectory(self._planner, followed.paced, elapsed)
        lead = float(stop.times[0])
        stop, start = _replacing(followed, elapsed, now, replace(stop, times=stop.times - lead), lead)
        goal = FollowJointTrajectory.Goal(trajectory=trajectory_to_message(stop, start))
        accepted = self.client.send_goal_async(goal)
        token = CancellationToken()  # nothing interrupts a stop
        stop_time = float(stop.times[-1])
        try:
            handle = token.result_of(accepted, stop_time)
            if not handle.accepted:
                self._logger.warning(f"{self.name} rejected a braking trajectory; canceling instead")
                return False
            # An arm that creeps is as slow as one that rests: the stop has to be over, too.
            ends = time.monotonic() + stop_time
            self._joints.wait_for(
                token, lambda: time.monotonic() >= ends and self._joints.rests(), stop_time + REST_GRACE
            )
        except TimeoutError:
            self._logger.warning(f"{self.name} did not brake within {stop_time:.2f} s; canceling instead")
            cancel_on_acceptance(accepted)
            return False
        return True

    def _unrest(self, obeys: float = OBEYS) -> str:
        """Wait until the arm rests, and brake it if it does not within ``obeys`` seconds; what remains to be said."""
        if self.brake.bring_to_rest(BRAKED_GRACE if self._joints.is_seen_to_move() else CANCELED_GRACE, obeys):
            return ""
        try:
            return f"; {self._joints.describe_unrest()}"
        except StaleJointsError as error:
            return f"; whether the arm rests is not known: {error}"


def _replacing(
    goal: PacedGoal, elapsed: float, now: float, after: JointTrajectory, lead: float
) -> tuple[JointTrajectory, float]:
    """What to send in the place of a goal, and when it starts on the controller's clock, 0 for when it is received.

    Args:
        goal: that is followed.
        elapsed: seconds of its trajectory that were over ``now``, monotonic seconds.
        after: what is to come, from ``lead`` seconds after that on; times from 0.
        lead: as said.
    """
    at, branch = elapsed + time.monotonic() - now, elapsed + lead
    start, first = goal.progress.stamp(at), at + LEAD
    if start > 0.0 and first < branch:
        sent = continued(goal.paced.trajectory, first, branch, after)
        return replace(sent, times=sent.times - at), start
    return replace(after, times=after.times + max(branch - at, LEAST_LEAD)), start


def _outcome_of(wrapped: Any) -> int:
    result = wrapped.result
    if wrapped.status == GoalStatus.STATUS_CANCELED:
        return int(Result.OVERRIDDEN)
    by_code = {
        result.PATH_TOLERANCE_VIOLATED: Result.DEVIATED,
        result.GOAL_TOLERANCE_VIOLATED: Result.MISSED,
    }
    return int(by_code.get(result.error_code, Result.ABORTED))
