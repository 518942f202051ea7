"""motion_node: ranked keyframes become trajectories of the arm and commands of the gripper, or refusals."""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from control_msgs.action import FollowJointTrajectory, GripperCommand
from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Empty
from std_srvs.srv import Trigger

from mini_diffuser_ros.motion import AllRefused, MotionConfig, MotionPlanner
from mini_diffuser_ros.nodes.action_goal import actions_of_kind, carry_out
from mini_diffuser_ros.nodes.errors import ActionUnavailableError, InterruptionError, NodeError, StaleJointsError
from mini_diffuser_ros.nodes.goal_ending import end_goal
from mini_diffuser_ros.nodes.joint_tracker import JointTracker
from mini_diffuser_ros.nodes.messages import mode_from_message, seconds, trajectory_to_message
from mini_diffuser_ros.nodes.parameters import Parameters
from mini_diffuser_ros.nodes.process import ManagedNode, run_node
from mini_diffuser_ros.nodes.watch import Watch
from mini_diffuser_ros.records import JointTrajectory, KeyframeMode
from mini_diffuser_ros.robots import load_robot

Result = MoveToKeyframe.Result
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
GUARD_PERIOD = 0.05  # seconds between looks at the joint states' and the client's age
REST_TIMEOUT = 1.5  # seconds that a stop waits for the goal under way to end
GRIPPER_TIMEOUT = 10.0  # seconds
JOINTS_TIMEOUT = 2.0  # seconds that a resting arm waits for a fresh joint state
TRAJECTORY_GRACE = 10.0  # seconds that a controller may take longer than its trajectory


@dataclass(frozen=True)
class MotionOutcome:
    """What became of a goal; fields as in MoveToKeyframe's result."""

    outcome: int
    message: str
    chosen: int = -1
    refusals: tuple[str, ...] = ()


class MotionNode(ManagedNode):
    """Executes one keyframe at a time and stops from any state.

    The planner refuses, it never clips: a keyframe beyond a limit is the policy's to replace.
    """

    def __init__(self) -> None:
        super().__init__("motion_node")
        parameters = Parameters(self)
        robot = parameters.text("robot", "panda", "robot description to plan for")
        self._arm_action = parameters.text(
            "arm_action", "panda_arm_controller/follow_joint_trajectory", "FollowJointTrajectory action of the arm"
        )
        self._gripper_action = parameters.text(
            "gripper_action", "panda_gripper/gripper_action", "GripperCommand action of the gripper"
        )
        self._gripper_effort = parameters.number(
            "gripper_effort", 20.0, "newtons that the gripper may squeeze with", 0.0, 140.0
        )
        self._open_fraction = parameters.number(
            "gripper_open_fraction", 0.9, "of the largest width, from which the gripper counts as open", 0.1, 1.0
        )
        self._max_joint_age = parameters.number(
            "max_joint_age", 0.25, "seconds without joint states after which motion stops", 0.02, 5.0
        )
        self._client_timeout = parameters.number(
            "client_timeout", 1.0, "seconds without the policy's heartbeat after which its motion stops", 0.2, 30.0
        )
        self._arrival_tolerance = parameters.number(
            "arrival_tolerance", 0.05, "radians by which a joint may miss the end of a trajectory", 0.001, 1.0
        )
        limits = parameters.config(MotionConfig, "planner", without=("boxes", "max_state_age"))
        self._robot = load_robot(robot)
        self._planner = MotionPlanner(self._robot, replace(limits, max_state_age=self._max_joint_age))
        self._joints = JointTracker()
        self._state_lock = threading.Lock()
        self._active: Watch | None = None
        self._moving = False
        self._at_rest = threading.Event()
        self._at_rest.set()
        self._stopped = False
        self._heartbeat: float | None = None  # when the last one was received
        self._heartbeat_watched = False

        self.create_subscription(
            JointState,
            "joint_states",
            self._on_joints,
            qos_profile_sensor_data,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self.create_subscription(
            Empty,
            "mini_diffuser/heartbeat",
            self._on_heartbeat,
            1,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        goals = ReentrantCallbackGroup()
        self._arm = ActionClient(self, FollowJointTrajectory, self._arm_action, callback_group=goals)
        self._gripper = ActionClient(self, GripperCommand, self._gripper_action, callback_group=goals)
        self._cancel_all = [
            self.create_client(CancelGoal, f"{action}/_action/cancel_goal", callback_group=goals)
            for action in (self._arm_action, self._gripper_action)
        ]
        self._server = ActionServer(
            self,
            MoveToKeyframe,
            "mini_diffuser/move_to_keyframe",
            execute_callback=self._execute,
            cancel_callback=self._on_cancel,
            callback_group=goals,
        )
        self._stopped_state = self.create_publisher(Bool, "mini_diffuser/stopped", LATCHED)
        self._stopped_state.publish(Bool(data=False))
        stops = MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, "mini_diffuser/stop", self._on_stop, callback_group=stops)
        self.create_service(Trigger, "mini_diffuser/resume", self._on_resume, callback_group=stops)
        self.create_timer(GUARD_PERIOD, self._guard, callback_group=MutuallyExclusiveCallbackGroup())
        self.get_logger().info(f"planning for {robot}, arm at {self._arm_action}, gripper at {self._gripper_action}")

    def close(self) -> None:
        """Cancel the motion under way and wait until the controllers have let go of it."""
        self._interrupt(Result.FAILED, "motion_node is shutting down")
        self._at_rest.wait(REST_TIMEOUT)

    # Messages and services

    def _on_joints(self, message: JointState) -> None:
        try:
            self._joints.update(message.name, message.position, message.velocity, time.monotonic())
        except ValueError as error:
            self.get_logger().warning(f"joint_states: {error}", throttle_duration_sec=5.0)
        active = self._active
        if active is not None:
            active.notify()

    def _on_heartbeat(self, _: Empty) -> None:
        self._heartbeat = time.monotonic()

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._state_lock:
            self._stopped = True
        self._interrupt(Result.STOPPED, "a stop was called")
        # Motions of other clients of the controllers end as well: a goal id of zeros cancels all.
        for client in self._cancel_all:
            if client.service_is_ready():
                client.call_async(CancelGoal.Request())
        self._stopped_state.publish(Bool(data=True))
        response.success = self._at_rest.wait(REST_TIMEOUT)
        rest = "stopped" if response.success else f"the motion under way did not end within {REST_TIMEOUT} s"
        response.message = f"{rest}; call mini_diffuser/resume to go on"
        self.get_logger().warning(response.message)
        return response

    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._state_lock:
            was_stopped, self._stopped = self._stopped, False
        self._stopped_state.publish(Bool(data=False))
        response.success = True
        response.message = "resumed" if was_stopped else "was not stopped"
        self.get_logger().info(response.message)
        return response

    def _guard(self) -> None:
        """Stop the motion under way when the joint states or the policy that asked for it fall silent."""
        if self._active is None:
            return
        now = time.monotonic()
        try:
            if self._moving:
                self._joints.positions(self._robot.arm_joint_names, now, self._max_joint_age)
        except StaleJointsError as error:
            self._interrupt(Result.STALE, str(error))
        if self._heartbeat_watched and self._heartbeat is not None:
            silence = now - self._heartbeat
            if silence > self._client_timeout:
                self._interrupt(Result.STALE, f"no heartbeat of the policy for {silence:.1f} s")

    def _interrupt(self, outcome: int, message: str) -> None:
        with self._state_lock:
            active = self._active
        if active is not None:
            active.interrupt(outcome, message)

    # The action

    def _on_cancel(self, goal: Any) -> CancelResponse:
        self._interrupt(Result.CANCELED, "canceled by its client")
        return CancelResponse.ACCEPT

    def _execute(self, goal: Any) -> Any:
        """Runs in a thread of the executor until the keyframe is reached or not."""
        ended = self._claim_and_move(goal)
        log = self.get_logger().info if ended.outcome == Result.REACHED else self.get_logger().warning
        log(ended.message)
        for refusal in ended.refusals:
            self.get_logger().warning(refusal)
        end_goal(goal, succeeded=ended.outcome == Result.REACHED, canceled=ended.outcome == Result.CANCELED)
        return Result(
            outcome=ended.outcome,
            success=ended.outcome == Result.REACHED,
            message=ended.message,
            chosen=ended.chosen,
            refusals=list(ended.refusals),
        )

    def _claim_and_move(self, goal: Any) -> MotionOutcome:
        watch = Watch()
        with self._state_lock:
            if self._stopped:
                return MotionOutcome(Result.STOPPED, "the arm is stopped; call mini_diffuser/resume first")
            if self._active is not None:
                return MotionOutcome(Result.FAILED, "another keyframe is under way")
            self._active = watch
            self._at_rest.clear()
            # Goals from the command line have no heart to beat.
            heartbeat = self._heartbeat
            self._heartbeat_watched = heartbeat is not None and time.monotonic() - heartbeat < self._client_timeout
        if goal.is_cancel_requested:  # before there was anything to interrupt
            watch.interrupt(Result.CANCELED, "canceled by its client")
        try:
            return self._move(goal, watch)
        except InterruptionError as interruption:
            return MotionOutcome(interruption.outcome, str(interruption))
        except StaleJointsError as error:
            return MotionOutcome(Result.STALE, str(error))
        except AllRefused as error:
            return MotionOutcome(Result.REFUSED, str(error), refusals=tuple(map(str, error.refusals)))
        except ActionUnavailableError as error:
            return MotionOutcome(Result.FAILED, f"{error}; {self._known_controllers()}")
        except NodeError as error:
            return MotionOutcome(Result.FAILED, str(error))
        except Exception as error:  # the client has to hear of it, and the node goes on
            self.get_logger().error(traceback.format_exc())
            return MotionOutcome(Result.FAILED, f"{type(error).__name__}: {error}")
        finally:
            with self._state_lock:
                self._active = None
            self._at_rest.set()

    def _known_controllers(self) -> str:
        """What else could be meant: drivers differ in the names of their actions."""
        arms = actions_of_kind(self, "control_msgs/action/FollowJointTrajectory")
        grippers = actions_of_kind(self, "control_msgs/action/GripperCommand")
        return f"arms found: {', '.join(arms) or 'none'}; grippers found: {', '.join(grippers) or 'none'}"

    def _move(self, goal: Any, watch: Watch) -> MotionOutcome:
        frame = goal.request.header.frame_id
        if frame not in ("", self._robot.base_frame):
            reason = f"the candidates are given in frame '{frame}', expected '{self._robot.base_frame}'"
            return MotionOutcome(Result.REFUSED, reason, refusals=(reason,))
        watch.check()
        candidates = [mode_from_message(message) for message in goal.request.candidates]
        self._tell(goal, "planning", 0.0)
        start = self._arm_positions(watch)
        planned = self._planner.plan_first(start, candidates)
        watch.check()
        self._follow(goal, planned.trajectory, watch)
        mode = candidates[planned.index]
        if self._gripper_is_open() != mode.gripper_open:
            self._tell(goal, "gripper", 0.0)
            self._command_gripper(mode, watch)
        refusals = tuple(map(str, planned.refusals))
        message = f"reached candidate {planned.index + 1} of {len(candidates)}"
        return MotionOutcome(Result.REACHED, message, planned.index, refusals)

    def _follow(self, goal: Any, trajectory: JointTrajectory, watch: Watch) -> None:
        """Have the arm's controller follow a trajectory and check that the arm arrived."""

        def on_feedback(feedback: Any) -> None:
            elapsed = seconds(feedback.desired.time_from_start)
            self._tell(goal, "moving", min(1.0, elapsed / max(trajectory.duration, 1e-3)))

        self._tell(goal, "moving", 0.0)
        self._moving = True
        try:
            wrapped = carry_out(
                self._arm,
                FollowJointTrajectory.Goal(trajectory=trajectory_to_message(trajectory)),
                watch,
                name=self._arm_action,
                timeout=2.0 * trajectory.duration + TRAJECTORY_GRACE,
                on_feedback=on_feedback,
            )
        finally:
            self._moving = False
        result = wrapped.result
        if wrapped.status != GoalStatus.STATUS_SUCCEEDED or result.error_code != result.SUCCESSFUL:
            raise NodeError(f"{self._arm_action}: error {result.error_code} {result.error_string}".rstrip())
        # What the controller reports is checked against what is measured.
        misses = np.abs(self._arm_positions(watch) - trajectory.positions[-1])
        worst = int(np.argmax(misses))
        if misses[worst] > self._arrival_tolerance:
            raise NodeError(
                f"{trajectory.joint_names[worst]} is {misses[worst]:.3f} rad from its goal, allowed are "
                f"{self._arrival_tolerance:.3f} rad: something holds the arm, or the controller lags"
            )

    def _command_gripper(self, mode: KeyframeMode, watch: Watch) -> None:
        command = GripperCommand.Goal()
        # Position of one finger, as MoveIt's controllers and franka_gripper take it.
        command.command.position = float(self._robot.finger_position_limits[1]) if mode.gripper_open else 0.0
        command.command.max_effort = self._gripper_effort
        wrapped = carry_out(self._gripper, command, watch, name=self._gripper_action, timeout=GRIPPER_TIMEOUT)
        # A closing gripper that stalls has something between its fingers, which is what closing is for.
        stalled_well = wrapped.result.stalled and not mode.gripper_open
        if not (wrapped.result.reached_goal or stalled_well):
            raise NodeError(
                f"{self._gripper_action}: the gripper did not {'open' if mode.gripper_open else 'close'}, "
                f"finger at {wrapped.result.position:.3f} m"
            )

    def _gripper_is_open(self) -> bool | None:
        """Measured state of the gripper, None if its joints are not published."""
        try:
            fingers = self._joints.positions(self._robot.finger_joint_names, time.monotonic(), self._max_joint_age)
        except StaleJointsError:
            return None
        return float(fingers.sum()) >= self._open_fraction * self._robot.max_gripper_width

    def _arm_positions(self, watch: Watch) -> Any:
        """(7,) radians; while the arm rests there is time to wait for a fresh joint state.

        Raises:
            StaleJointsError: if none comes.
        """

        def fresh() -> Any:
            try:
                return self._joints.positions(self._robot.arm_joint_names, time.monotonic(), self._max_joint_age)
            except StaleJointsError:
                return None

        try:
            return watch.wait_for(fresh, JOINTS_TIMEOUT)
        except TimeoutError:
            return self._joints.positions(self._robot.arm_joint_names, time.monotonic(), self._max_joint_age)

    @staticmethod
    def _tell(goal: Any, phase: str, progress: float) -> None:
        goal.publish_feedback(MoveToKeyframe.Feedback(phase=phase, progress=float(progress)))


def main() -> NoReturn:
    """Entry point of the executable ``motion_node``."""
    run_node(MotionNode, threads=8)


if __name__ == "__main__":
    main()
