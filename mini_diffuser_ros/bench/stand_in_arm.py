"""The drivers of a Franka as franka_ros2 and ros2_control's joint_trajectory_controller behave, and their faults.

A trajectory goal replaces the one before it and begins by its stamp, a canceled one has the controller hold the
measured position from its next cycle on, feedback comes twenty times a second, path and goal tolerances of the goal are
kept. Joint states of the arm and of the gripper come from publishers of their own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import rclpy
from control_msgs.action import FollowJointTrajectory, GripperCommand
from numpy.typing import NDArray
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from mini_diffuser_ros.nodes.ros.messages import (
    MalformedMessageError,
    seconds,
    stamp_from_seconds,
    trajectory_from_message,
)
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.nodes.simulation.sim_actions import degree_of
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription, load_robot
from mini_diffuser_ros.simulation.realtime.arm_controller import ArmController

Array = NDArray[np.float64]
Result = FollowJointTrajectory.Result

CYCLE = 0.002  # seconds; a real controller's is 0.001
FEEDBACK_PERIOD = 0.05  # seconds, the controller's default
GRIPPER_PERIOD = 0.03  # seconds
BUNCH = 20  # joint states that a fast driver makes up for at most
STIFFNESS, DAMPING = 1600.0, 80.0  # 1/s^2 and 1/s: of a servo that is critically damped
FROZEN_JOINT = 0
HASTE = 1.8  # times as fast as it was told
NOISE = 2e-6  # radians, of an encoder


class StandInArm:
    """An arm with its drivers, in threads of its own.

    Args:
        robot: its description, of which the drivers take the names.
        namespace: of the drivers.
        rate: joint states of the arm a second, as far as the processor allows.
        jitter: seconds by which their stamps are too late at most.

    Attributes:
        fault: what is broken now, empty for nothing. Of the joint states ``silent``, ``frozen``, ``frozen_stamps``,
            ``nan``, ``nan_velocities``, ``doubled``, ``doubled_slightly``, ``split``, ``shuffled``, ``foreign``,
            ``dithers`` (frozen, with the noise of an encoder) or ``joint_frozen`` (one alone). Of the controller
            ``rejects``, ``aborts``, ``never_ends``, ``mute``, ``hasty`` (it plays trajectories too fast), ``leaves``
            (success early, and it moves on), ``stands`` (success early, and it holds), ``runs_on`` (an abort, and it
            moves on) or ``deaf`` (cancels are granted, and it moves on). Of both ``clock_forth`` or ``clock_back``: set
            by an hour. Of the arm ``blocked``.
        speeds: (monotonic seconds, fastest commanded rad/s, fastest real rad/s) of the last cycles.
        commanded: (monotonic seconds, (J,) rad/s, (J,) rad/s^2) that the controller wanted in the last cycles.
        goals: trajectories that were accepted.
        states: joint states of the arm that were published.
        held_at: monotonic seconds at which a cancel last had the controller hold its position.
    """

    def __init__(self, robot: str = "fr3", namespace: str = "/", rate: float = 100.0, jitter: float = 0.0) -> None:
        self.robot: RobotDescription = load_robot(robot)
        self.arm_action, self.gripper_action = self.robot.arm_action, self.robot.gripper_action
        self.fault = ""
        self.speeds: deque[tuple[float, float, float]] = deque(maxlen=20000)
        self.commanded: deque[tuple[float, Array, Array]] = deque(maxlen=20000)
        self.goals = self.states = 0
        self.held_at = -float("inf")
        self._period, self._jitter = 1.0 / rate, jitter
        self._names = self.robot.arm_joint_names
        self._positions, self._velocities = np.array(self.robot.home), np.zeros(len(self._names))
        self._finger, self._finger_goal = 0.04, 0.04
        self._rng = np.random.default_rng(0)
        self._controller = ArmController(self.robot.home, self.robot.acceleration_limits)
        self._lock = threading.RLock()
        self._active: _Goal | None = None
        self._ended = threading.Event()
        self._frozen: tuple[Array, Any] | None = None

        self.node = rclpy.create_node("stand_in_arm", namespace=namespace)
        # A controller's cycle has one time, by which it samples, stamps and begins.
        self._clock = ros_seconds(self.node) - time.monotonic()
        group = ReentrantCallbackGroup()
        self._states = self.node.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        self._gripper_states = self.node.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        self._second: Any = None
        self._servers = [
            ActionServer(
                self.node,
                FollowJointTrajectory,
                self.arm_action,
                execute_callback=self._execute,
                goal_callback=self._on_goal,
                handle_accepted_callback=self._on_accepted,
                cancel_callback=self._on_cancel,
                callback_group=group,
            ),
            ActionServer(
                self.node,
                GripperCommand,
                self.gripper_action,
                execute_callback=self._grip,
                cancel_callback=lambda _: CancelResponse.ACCEPT,
                callback_group=group,
            ),
        ]
        self._executor = MultiThreadedExecutor(num_threads=6)
        self._executor.add_node(self.node)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._spin, self._cycle)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Withdraw everything."""
        self._ended.set()
        self._executor.shutdown(timeout_sec=1.0)
        for thread in self._threads:
            thread.join(2.0)
        self.node.destroy_node()

    def positions(self) -> Array:
        """(J,) radians, where the arm truly is."""
        with self._lock:
            return self._positions.copy()

    def finger_position(self) -> float:
        """Metres, of one finger."""
        return self._finger

    def fingers_move(self) -> bool:
        """Whether the gripper is under way."""
        return abs(self._finger - self._finger_goal) > 1e-3

    def speed(self) -> float:
        """Of the fastest joint, rad/s, truly."""
        with self._lock:
            return float(np.abs(self._velocities).max())

    def commanded_speed(self) -> float:
        """Of the fastest joint, rad/s, as the controller wants it."""
        with self._lock:
            return float(np.abs(self._controller.reference(time.monotonic()).velocities).max())

    @contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        """A fault while entered."""
        with self._lock:
            self._frozen = None
            self.fault = fault
        try:
            yield
        finally:
            with self._lock:
                self.fault = ""

    def lead(self, offsets: Array, seconds: float) -> None:
        """Move the arm by (J,) radians without a goal, as a hand does, or somebody's own controller."""
        with self._lock:
            now, still = time.monotonic(), np.zeros((1, len(self._names)))
            end = JointTrajectory(self._names, np.array([seconds]), (self._positions + offsets)[None], still, still)
            self._controller.follow(end, now)

    def _shift(self) -> float:
        return {"clock_forth": 3600.0, "clock_back": -3600.0}.get(self.fault, 0.0)

    # The controller

    def _on_goal(self, goal: Any) -> GoalResponse:
        if self.fault == "rejects":
            return GoalResponse.REJECT
        try:
            trajectory_from_message(goal.trajectory, self._names)
        except MalformedMessageError:
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_accepted(self, handle: Any) -> None:
        with self._lock:
            now = time.monotonic()
            trajectory = trajectory_from_message(
                handle.request.trajectory, self._names, now + self._clock + self._shift()
            )
            if self._active is not None:
                self._active.end(Result.INVALID_GOAL, "Current goal cancelled due to new incoming action.")
            played = _hastened(trajectory) if self.fault == "hasty" else trajectory
            self._controller.follow(played, now, degree_of(handle.request.trajectory))
            self._active = _Goal(handle, now, float(trajectory.times[-1]), trajectory.positions[-1], self._names)
            self.goals += 1
        handle.execute()

    def _on_cancel(self, handle: Any) -> CancelResponse:
        with self._lock:
            if self._active is not None and self._active.handle is handle:
                if self.fault != "deaf":
                    self._controller.hold(self._positions)
                self.held_at = time.monotonic()
                self._active.end(Result.SUCCESSFUL, "", canceled=True)
                self._active = None
        return CancelResponse.ACCEPT

    def _execute(self, handle: Any) -> FollowJointTrajectory.Result:
        goal: _Goal = handle.followed
        goal.ended.wait()
        if goal.canceled:
            while not handle.is_cancel_requested and not self._ended.is_set():
                time.sleep(0.001)
            handle.canceled()
        elif goal.code == Result.SUCCESSFUL:
            handle.succeed()
        else:
            handle.abort()
        return Result(error_code=goal.code, error_string=goal.reason)

    def _grip(self, handle: Any) -> GripperCommand.Result:
        with self._lock:
            self._finger_goal = float(np.clip(handle.request.command.position, 0.0, 0.04))
        while abs(self._finger - self._finger_goal) > 1e-4 and not self._ended.is_set():
            time.sleep(0.01)
        handle.succeed()
        return GripperCommand.Result(position=self._finger, reached_goal=True)

    # Time

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _cycle(self) -> None:
        then = time.monotonic()
        next_state = next_feedback = next_gripper = then
        cycle = min(CYCLE, self._period)
        while not self._ended.wait(max(0.0, then + cycle - time.monotonic())):
            now = time.monotonic()
            with self._lock:
                reference = self._controller.reference(now)
                passed = self._follow(then, now)
                self.speeds.append(
                    (now, float(np.abs(reference.velocities).max()), float(np.abs(self._velocities).max()))
                )
                self.commanded.append((now, reference.velocities, reference.accelerations))
                self._judge(reference, now)
                goal = self._active
            then = now
            if goal is not None and now >= next_feedback and self.fault != "mute":
                next_feedback = now + FEEDBACK_PERIOD
                self._tell(goal, reference, now)
            # A fast driver measures whatever a busy machine does, and what it has measured arrives in a bunch, of which
            # queues keep the last; who made up for all of it would fall behind ever farther. Nobody makes up for those
            # of slow drivers.
            is_fast = self._period < CYCLE
            if is_fast or now >= next_state:
                next_state = now + self._period
                for state in passed[-BUNCH:] if is_fast else passed[-1:]:
                    self._publish(*state)
            if now >= next_gripper:
                next_gripper = now + GRIPPER_PERIOD
                self._publish_gripper()

    def _follow(self, then: float, now: float) -> list[tuple[float, Array, Array]]:
        """The servo: stiff, and no stronger than the arm's limits of acceleration.

        Returns:
            moments of the steady clock since, the last of which is now, with (J,) radians and rad/s.
        """
        elapsed = now - then
        self._finger += float(np.clip(self._finger_goal - self._finger, -0.1 * elapsed, 0.1 * elapsed))
        if self.fault == "blocked":
            self._velocities[:] = 0.0
            return [(now, self._positions.copy(), self._velocities.copy())]
        # A servo keeps its pace whatever a busy machine does.
        steps, passed = max(1, round(elapsed / min(CYCLE, self._period))), []
        for number in range(1, steps + 1):
            moment = then + elapsed * number / steps
            reference = self._controller.reference(moment)
            pull = STIFFNESS * (reference.positions - self._positions)
            pull += DAMPING * (reference.velocities - self._velocities) + reference.accelerations
            limits = 2.0 * self.robot.acceleration_limits
            self._velocities += np.clip(pull, -limits, limits) * elapsed / steps
            self._positions += self._velocities * elapsed / steps
            passed.append((moment, self._positions.copy(), self._velocities.copy()))
        return passed

    def _judge(self, reference: Any, now: float) -> None:
        """As the controller does in each cycle: path tolerance, then the goal's."""
        goal = self._active
        if goal is None:
            return
        error, elapsed = np.abs(reference.positions - self._positions), now - goal.began
        code, reason = None, ""
        if self.fault in ("leaves", "stands", "runs_on") and goal.duration > 1.0 and elapsed > 0.35 * goal.duration:
            if self.fault == "stands":
                self._controller.hold(self._positions)
            goal.end(*((Result.INVALID_GOAL, "lost") if self.fault == "runs_on" else (Result.SUCCESSFUL, "done")))
            self._active = None
            return
        if self.fault == "aborts" and elapsed > 0.5 * goal.duration:
            code, reason = Result.INVALID_GOAL, "libfranka: cartesian_reflex"
        elif elapsed < goal.duration and np.any(error > goal.path_tolerance):
            code, reason = Result.PATH_TOLERANCE_VIOLATED, "Aborted due to path tolerance violation"
        elif elapsed >= goal.duration and self.fault != "never_ends":
            if np.all(np.abs(goal.end_positions - self._positions) <= goal.goal_tolerance):
                code, reason = Result.SUCCESSFUL, "Goal successfully reached!"
            elif elapsed > goal.duration + goal.goal_time:
                code, reason = Result.GOAL_TOLERANCE_VIOLATED, "Aborted due to goal_time_tolerance exceeding"
        if code is not None:
            if code != Result.SUCCESSFUL:
                self._controller.hold(self._positions)
            goal.end(code, reason)
            self._active = None

    # What is published

    def _tell(self, goal: _Goal, reference: Any, now: float) -> None:
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._names))
        feedback.header.stamp = stamp_from_seconds(now + self._clock + self._shift())
        feedback.desired.positions = reference.positions.tolist()
        feedback.desired.velocities = reference.velocities.tolist()
        feedback.actual.positions = self._positions.tolist()
        feedback.actual.velocities = self._velocities.tolist()
        feedback.error.positions = (reference.positions - self._positions).tolist()
        with suppress(Exception):  # the goal may have ended meanwhile
            goal.handle.publish_feedback(feedback)

    def _publish(self, moment: float, true: Array, velocities: Array) -> None:
        with self._lock:
            positions = true + NOISE * self._rng.standard_normal(len(self._names))
            velocities, fault = velocities.copy(), self.fault
            late = self._rng.uniform(0.0, self._jitter)  # the stamp, not the place
            stamp = stamp_from_seconds(moment + self._clock + self._shift() + late)
            if self._frozen is None:
                self._frozen = positions, stamp
            if fault == "joint_frozen":
                positions[FROZEN_JOINT], velocities[FROZEN_JOINT] = self._frozen[0][FROZEN_JOINT], 0.0
            elif fault == "dithers":
                positions, velocities = positions - true + self._frozen[0], np.zeros_like(velocities)
            elif fault.startswith("frozen"):
                positions, velocities = self._frozen[0], np.zeros_like(velocities)
                stamp = self._frozen[1] if fault == "frozen_stamps" else stamp
        if fault == "silent":
            return
        names, header = list(self._names), Header(stamp=stamp)
        if fault == "nan":
            positions = np.full_like(positions, np.nan)
        if fault == "nan_velocities":
            velocities = np.full_like(velocities, np.nan)
        order = list(self._rng.permutation(len(names))) if fault == "shuffled" else list(range(len(names)))
        parts = [order[:3], order[3:]] if fault == "split" else [order]
        for part in parts:
            state = JointState(header=header, name=[names[index] for index in part])
            state.position, state.velocity = positions[part].tolist(), velocities[part].tolist()
            self._states.publish(state)
        self.states += 1
        if fault in ("doubled", "doubled_slightly", "foreign"):
            self._publish_second(names, positions, header)

    def _publish_second(self, names: list[str], positions: Array, header: Header) -> None:
        """Somebody else's joint states: of this arm and wrong, or of another one."""
        if self._second is None:
            self._second = self.node.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        offset = 0.01 if self.fault == "doubled_slightly" else 0.3
        if self.fault == "doubled_slightly":  # with stamps of its own
            header = Header(stamp=stamp_from_seconds(seconds(header.stamp) + 0.3 * self._period))
        if self.fault == "foreign":
            names = [f"left_{name}" for name in names]
        self._second.publish(JointState(header=header, name=names, position=(positions + offset).tolist()))

    def _publish_gripper(self) -> None:
        names = list(self.robot.finger_joint_names)
        stamp = Header(stamp=self.node.get_clock().now().to_msg())
        self._gripper_states.publish(JointState(header=stamp, name=names, position=[self._finger] * len(names)))


class _Goal:
    """A goal that the controller follows."""

    def __init__(self, handle: Any, began: float, duration: float, end: Array, names: Any) -> None:
        request = handle.request
        self.handle, self.began, self.duration, self.end_positions = handle, began, duration, end
        self.path_tolerance = _tolerances(request.path_tolerance, names)
        self.goal_tolerance = _tolerances(request.goal_tolerance, names)
        self.goal_time = seconds(request.goal_time_tolerance)
        self.ended, self.canceled = threading.Event(), False
        self.code, self.reason = Result.SUCCESSFUL, ""
        handle.followed = self

    def end(self, code: int, reason: str, canceled: bool = False) -> None:
        """Say how it ended."""
        self.code, self.reason, self.canceled = code, reason, canceled
        self.ended.set()


def _hastened(trajectory: JointTrajectory) -> JointTrajectory:
    """The same way in a fraction of the time."""
    return replace(
        trajectory,
        times=trajectory.times / HASTE,
        velocities=trajectory.velocities * HASTE,
        accelerations=trajectory.accelerations * HASTE**2,
    )


def _tolerances(tolerances: Any, names: Any) -> Array:
    """(J,) radians; 0 stands for none."""
    given = {one.name: one.position for one in tolerances if one.position > 0.0}
    return np.array([given.get(name, np.inf) for name in names])
