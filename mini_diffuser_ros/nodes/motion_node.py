"""motion_node: ranked keyframes become trajectories of the arm and commands of the gripper, or refusals."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import Heartbeat
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup

from mini_diffuser_ros.cell import Cell
from mini_diffuser_ros.cell.quantities import check_numbers
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, MotionRefused
from mini_diffuser_ros.motion.config import fitted_to
from mini_diffuser_ros.motion.limits import tool_limits
from mini_diffuser_ros.motion.profiles import PROFILES, load_profile, slowed
from mini_diffuser_ros.motion.separation import SeparationConfig
from mini_diffuser_ros.motion.speed_override import SpeedOverride
from mini_diffuser_ros.nodes.motion.arm_client import ArmClient
from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.gripper_actions import command_in, opened_in
from mini_diffuser_ros.nodes.motion.gripper_client import FAULTS, GripperClient, GripperMissingError
from mini_diffuser_ros.nodes.motion.motion_goal import (
    LATCHING,
    GoalProgress,
    MotionFaultError,
    MotionOutcome,
    Result,
    outcome_of,
    refusal_of,
    refused,
)
from mini_diffuser_ros.nodes.motion.motion_health import MotionHealth
from mini_diffuser_ros.nodes.motion.motion_review import MotionReview
from mini_diffuser_ros.nodes.motion.obstacle_clouds import ObstacleClouds
from mini_diffuser_ros.nodes.motion.speed_control import SpeedControl
from mini_diffuser_ros.nodes.motion.stopping import Stopping
from mini_diffuser_ros.nodes.motion.watchdog import MotionWatchdog
from mini_diffuser_ros.nodes.ros.action_goal import ActionUnavailableError, actions_of_kind, poll
from mini_diffuser_ros.nodes.ros.cell_parameter import BOXES, boxes_from, cell_from, drivers_from
from mini_diffuser_ros.nodes.ros.clock_watch import ClockWatch
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.nodes.ros.goal_tokens import GoalTokens, end_goal
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.messages import mode_from_message
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, NodeError, run_node
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.records import KeyframeMode
from mini_diffuser_ros.robots import load_robot, with_limits_of_file
from mini_diffuser_ros.running import MotionReport
from mini_diffuser_ros.running.dry_run import PlannedOnlyError, StillArm, StillGripper
from mini_diffuser_ros.running.keyframe_motion import ARRIVAL_TOLERANCE, KeyframeMotion
from mini_diffuser_ros.running.obstacle_watch import ObstacleWatch
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.sensing.arm_watch import WatchConfig
from mini_diffuser_ros.sensing.grip import GripConfig, GripperError
from mini_diffuser_ros.sensing.joint_monitor import OPEN_FRACTION, JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import Health, HealthLevel

TAKEOVER_PERIOD = 0.2  # seconds between looks for controllers that an earlier process may have left moving
CLOSING_TIMEOUT = 1.5  # seconds that the end of the node waits for the arm to come to rest
HINDERED = 3.0  # seconds that a goal waits for what speaks against a motion to pass, such as a guard yet to be found


class MotionNode(ManagedNode):
    """Executes one keyframe at a time and stops from any state.

    It moves nothing while guard_node, a process of its own that stops the arm when this one fails, is silent.

    The planner refuses, it never clips: a keyframe beyond a limit is the policy's to replace. Before the first
    keyframe whatever an earlier motion_node left under way is canceled, and every motion begins at measured rest.
    """

    threads = 8

    def __init__(self) -> None:
        super().__init__("motion_node")
        parameters = Parameters(self)
        cell = cell_from(self, parameters)
        robot_name = parameters.text("robot", cell.robot if cell else "panda", "robot description to plan for")
        robot = load_robot(robot_name)
        arm_action, gripper_action = drivers_from(parameters, cell, robot)
        command = parameters.settings(command_in(cell, robot), "gripper")
        grip = parameters.settings(GripConfig(), "grip")
        open_fraction = parameters.number(
            "gripper_open_fraction",
            OPEN_FRACTION * opened_in(cell, robot),
            "of the largest width, from which the gripper counts as open",
            0.01,
            1.0,
        )
        max_joint_age = parameters.number(
            "max_joint_age", 0.25, "seconds without joint states after which motion stops", 0.02, 5.0
        )
        rest_speed = parameters.number("rest_speed", 0.03, "rad/s below which a joint counts as at rest", 0.001, 0.5)
        client_timeout = parameters.number(
            "client_timeout", 1.0, "seconds without the policy's heartbeat after which its motion stops", 0.2, 30.0
        )
        feedback_timeout = parameters.number(
            "feedback_timeout",
            0.5,
            "seconds without a word of the arm's controller after which motion stops",
            0.05,
            10.0,
        )
        self._guard_timeout = parameters.number(
            "guard_timeout", 0.5, "seconds without guard_node's heartbeat after which motion stops", 0.1, 10.0
        )
        watch = parameters.settings(WatchConfig(), "watch")
        arrival_tolerance = parameters.number(
            "arrival_tolerance",
            ARRIVAL_TOLERANCE,
            "radians by which a joint may miss the end of a trajectory",
            0.001,
            1.0,
        )
        self._max_candidates = parameters.integer("max_candidates", 100, "candidates that a goal may have", 1, 10000)
        stop_file = parameters.text(
            "stop_file",
            "",
            "file by which a node that is killed and started again knows that the arm was stopped or moving, and "
            "begins as stopped, and how fast people wanted it; empty: guard_node alone remembers it",
        )
        urdf = parameters.text(
            "urdf",
            "",
            "file of the robot's own URDF, whose ranges and velocities hold instead of the description's; empty: none",
        )
        dry_run = parameters.flag("dry_run", False, "plan and show, never move: the controllers get no goals")
        confirm = parameters.flag("confirm", False, "begin a motion only when a person consents: mini-diffuser confirm")
        confirm_timeout = parameters.number(
            "confirm_timeout", 60.0, "seconds without an answer after which a motion is given up", 1.0, 100.0
        )
        if urdf:
            robot = with_limits_of_file(robot, Path(urdf))
        config = planner_config(parameters, cell)
        self._planner = MotionPlanner(robot, config)
        rest = RestConfig(speed=rest_speed)
        self._joints = JointStateMonitor(robot, max_joint_age, rest, open_fraction, with_fingers=False)
        self._latch = StopLatch(Path(stop_file) if stop_file else None, self.get_logger().error)
        self._goals = GoalTokens()
        self._turn = threading.Lock()  # held by the goal that may move the arm

        group = ReentrantCallbackGroup()
        self._ros_time = ClockWatch(self)
        self._clouds: ObstacleClouds | None = None
        separation = parameters.settings(SeparationConfig(), "separation")
        tool_speed = tool_limits(robot, config).velocity
        speed = SpeedOverride(separation, tool_speed)
        self._speed_control = SpeedControl(self, speed, separation, tool_speed, self._latch)
        self._arm = ArmClient(self, arm_action, group, self._planner, self._joints, watch, arrival_tolerance, speed)
        self._gripper = GripperClient(self, gripper_action, group, self._joints, command, grip)
        self._watchdog = MotionWatchdog(
            self, self._arm, self._hindrance, client_timeout, feedback_timeout, self._guard_timeout
        )
        controllers: dict[str, ControllerClient | GripperClient] = {"arm": self._arm, "gripper": self._gripper}
        self._health = MotionHealth(self._joints, max_joint_age, self._latch, controllers)
        arm, gripper = (StillArm(), StillGripper()) if dry_run else (self._arm, self._gripper)
        obstacles = self._obstacle_watch(parameters, in_cell=cell is not None)
        self._review = MotionReview(self, robot, confirm and not dry_run, confirm_timeout)
        self._shows_on = dry_run  # what was planned, after its end: it is all that there is of it
        self._motion = KeyframeMotion(
            self._planner, self._joints, self._latch, arm, gripper, self._health.planned, obstacles, self._review
        )
        self._stopping = Stopping(
            self,
            self._latch,
            self._arm,
            self._gripper,
            self._joints,
            lambda reason: self._goals.interrupt_all(Result.STOPPED, reason),
            self._fill_beat,
            self._guard_timeout,
            self._speed_control,
        )
        self._start_listening(robot_name, dry_run)
        self.get_logger().info(f"planning for {robot_name}, arm at {arm_action}, gripper at {gripper_action}")

    def _obstacle_watch(self, parameters: Parameters, in_cell: bool) -> ObstacleWatch | None:
        """What the cameras see as obstacles, if that is wanted. It plans in a thread and with a planner of its own."""
        wanted = parameters.flag("obstacles.from_cloud", in_cell, f"keep away from what {CLOUD_TOPIC} shows")
        max_age = parameters.number(
            "obstacles.max_cloud_age", 2.0, "seconds without a cloud after which nothing moves", 0.1, 60.0
        )
        if not wanted:
            return None
        planner = MotionPlanner(self._planner.robot, self._planner.config)
        watch = ObstacleWatch(planner, self._joints, max_age, Result.BLOCKED, Result.STALE, since=self.awake.since)
        self._clouds = ObstacleClouds(self, watch, planner.robot.base_frame)
        return watch

    def _start_listening(self, hardware: str, dry_run: bool) -> None:
        subscribe_joint_states(self, self._on_joints)
        self._server = ActionServer(
            self,
            MoveToKeyframe,
            "mini_diffuser/move_to_keyframe",
            execute_callback=self._execute,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=lambda goal: self._goals.cancel(goal, Result.CANCELED),
            callback_group=ReentrantCallbackGroup(),
        )
        if not dry_run:  # which leaves alone whatever else may be moving the arm
            self._takeover = steady_timer(self, TAKEOVER_PERIOD, self._take_over)
        diagnostics = Diagnostics(self, hardware, self._ros_time)
        diagnostics.add("joint states", self._health.joint_states)
        diagnostics.add("controllers", self._health.controllers)
        diagnostics.add("gripper", self._gripper.health)
        diagnostics.add("motion", self._health.motion)
        diagnostics.add("speed", self._speed_control.health)
        diagnostics.add("supervision", self._supervision)

    def _fill_beat(self, beat: Heartbeat) -> None:
        """By what the guard is to judge the arm."""
        robot = self._planner.robot
        beat.max_tool_speed = tool_limits(robot, self._planner.config).velocity
        beat.limits = robot.limits_digest()

    def close(self) -> None:
        """Bring the motion under way to rest; what is remembered for the case of a crash is not needed."""
        self._goals.interrupt_all(Result.FAILED, "motion_node is shutting down")
        if self._turn.acquire(timeout=CLOSING_TIMEOUT):
            self._turn.release()
            self._latch.forget()
        self._stopping.heart.beat()  # that nothing moves any more, for the guard to remember

    def _on_joints(self, *state: Any) -> None:
        self._health.joint_state_arrived()
        self._joints.take(*state)

    def _supervision(self) -> Health:
        """Whether a motion would be supervised, for diagnostics."""
        if not self._stopping.heart.is_serving():
            return Health(HealthLevel.OK, "starting")
        if hindrance := self._hindrance():
            return Health(HealthLevel.ERROR, hindrance[1])
        return Health(HealthLevel.OK, "guard, clock and uniqueness are as they have to be")

    def _hindrance(self) -> tuple[int, str] | None:
        """What speaks against any motion now."""
        if not self._stopping.heart.is_serving():
            return Result.DUPLICATE, "motion_node still looks for another one of its kind"
        if rival := self._stopping.heart.rival():
            return Result.DUPLICATE, f"another motion_node serves as well, {rival}: end one of the two"
        if rivals := self._stopping.guard.rivals():
            return Result.DUPLICATE, f"two guard_nodes serve, {rivals}: end one of the two"
        if self._clouds is not None and (stranger := self._clouds.stranger()):
            return Result.DUPLICATE, stranger
        if problem := self._ros_time.problem():
            return Result.NO_CLOCK, problem
        if problem := self._stopping.problem():
            return Result.UNGUARDED, problem
        return None

    def _hindrance_at_start(self) -> tuple[int, str] | None:
        """What speaks against beginning a motion now."""
        if len(servers := self._arm.state.servers()) > 1:
            return Result.DUPLICATE, f"{self._arm.name} is served more than once, by {', '.join(servers)}: end one"
        if servers := self._gripper.servers():
            return Result.DUPLICATE, f"{self._gripper.name} is served more than once, by {', '.join(servers)}: end one"
        if hindrance := self._hindrance():
            return hindrance
        if not self._stopping.is_released():
            return Result.STOPPED, "guard_node holds its stop; call mini_diffuser/resume first"
        return None

    def _take_over(self) -> None:
        # Not before it is known that whatever is under way is not another motion_node's.
        if not self._stopping.heart.is_serving():
            return
        if all([self._arm.take_over(), self._gripper.take_over()]):
            self._takeover.cancel()

    def _on_accepted(self, goal: Any) -> None:
        token = self._goals.begin(goal)
        # Who asked may have gone away, or stand beside the arm by now. A stop that holds says so itself.
        if not self._latch.reason and (waited := self.awake.waited()):
            reason = f"this goal waited while motion_node stood still for {waited:.0f} s: ask again"
            token.interrupt(Result.UNGUARDED, reason)
        goal.execute()

    def _execute(self, goal: Any) -> Any:
        """Runs in a thread of the executor until the keyframe is reached or not."""
        progress = GoalProgress(goal)
        with self._goals.of(goal) as token:
            outcome = self._attempt(goal, token, progress)
        progress.end()
        self._report(outcome)
        end_goal(goal, succeeded=outcome.outcome == Result.REACHED, canceled=outcome.outcome == Result.CANCELED)
        return outcome.result()

    def _report(self, outcome: MotionOutcome) -> None:
        self._health.ended(outcome)
        # Two calls: rclpy wants the same severity from the same line, always.
        if outcome.outcome == Result.REACHED:
            self.get_logger().debug(outcome.message)  # what was planned stands in the log already
        else:
            self.get_logger().warning(outcome.message)
        for refusal in outcome.refusals:
            if refusal != outcome.message:
                self.get_logger().warning(refusal)

    def _attempt(self, goal: Any, token: CancellationToken, progress: GoalProgress) -> MotionOutcome:
        """What becomes of a goal, whatever happens."""
        commands = self._arm.commands
        outcome = self._outcome(goal, token, progress)
        if outcome.outcome in LATCHING and self._arm.commands > commands:
            self._stopping.stop(outcome.message)
            return replace(outcome, message=f"{outcome.message}; call mini_diffuser/resume to go on")
        return outcome

    def _outcome(self, goal: Any, token: CancellationToken, progress: GoalProgress) -> MotionOutcome:
        request = goal.request
        client = bytes(goal.goal_id.uuid) if request.with_heartbeat else None
        robot = self._planner.robot
        refusal = refusal_of(request, robot.base_frame, self._max_candidates, robot.max_gripper_width)
        if refusal is not None:
            return MotionOutcome(Result.REFUSED, refusal, refusals=(refusal,))
        candidates = [mode_from_message(message) for message in request.candidates]
        try:
            if not request.home:
                self._planner.check_poses(candidates)
            with self._turn_of(token), self._watchdog.watching(token, progress, client):
                report = self._carried_out(request, candidates, token, progress)
            chosen = report.chosen or 0
            return MotionOutcome(Result.REACHED, report.message, chosen, report.refusals, report.held, report.reached)
        except InterruptionError as interruption:
            return MotionOutcome(interruption.outcome, str(interruption))
        except PlannedOnlyError as end:
            return MotionOutcome(Result.PLANNED, str(end))
        except MotionRefused as error:
            return refused(error)
        except GripperError as error:
            return MotionOutcome(FAULTS[error.fault], str(error))
        except ActionUnavailableError as error:
            missing = isinstance(error, GripperMissingError)
            outcome = Result.GRIPPER_MISSING if missing else outcome_of(error)
            return MotionOutcome(outcome, f"{error}; {self._known_controllers()}")
        except UserError as error:
            return MotionOutcome(outcome_of(error), str(error))
        except Exception as error:  # the client has to hear of it, and the node goes on
            self.get_logger().error(traceback.format_exc())
            return MotionOutcome(Result.FAILED, f"{type(error).__name__}: {error}")

    def _carried_out(
        self,
        request: MoveToKeyframe.Goal,
        candidates: list[KeyframeMode],
        token: CancellationToken,
        progress: GoalProgress,
    ) -> MotionReport:
        try:
            if request.home:
                return self._motion.go_home(token, progress.tell, request.held)
            return self._motion.carry_out(candidates, token, progress.tell, request.held)
        finally:
            if not self._shows_on:
                self._review.clear()

    @contextmanager
    def _turn_of(self, token: CancellationToken) -> Iterator[None]:
        """Around a motion: one at a time, and none while the arm is stopped."""
        if not self._turn.acquire(blocking=False):
            raise NodeError("another keyframe is under way")
        try:
            token.check()
            if self._latch.reason:
                reason = f"the arm is stopped ({self._latch.reason}); call mini_diffuser/resume first"
                raise InterruptionError(Result.STOPPED, reason)
            # A node that was started a moment ago still looks for the others.
            if not poll(lambda: self._hindrance_at_start() is None, token, HINDERED) and (
                hindrance := self._hindrance_at_start()
            ):
                raise MotionFaultError(*hindrance)
            yield
        finally:
            self._turn.release()

    def _known_controllers(self) -> str:
        """What else could be meant: drivers differ in the names of their actions."""
        arms = actions_of_kind(self, "control_msgs/action/FollowJointTrajectory")
        grippers = actions_of_kind(self, "control_msgs/action/GripperCommand")
        return f"arms found: {', '.join(arms) or 'none'}; grippers found: {', '.join(grippers) or 'none'}"


def planner_config(parameters: Parameters, cell: Cell | None = None) -> MotionConfig:
    """Declare ``profile``, ``speed`` and ``planner.*`` and return what they say.

    Args:
        parameters: of the node.
        cell: what holds where no parameter is given; its boxes hold besides.

    Raises:
        SettingsError: if a value, or the number of values of the boxes, makes no sense.
    """
    profile = parameters.text(
        "profile",
        (cell.speeds.profile if cell else None) or "collaborative",
        f"limits to plan with, which planner.* overrides: {', '.join(PROFILES)}, or a file of your own",
    )
    defaults = load_profile(profile) if cell is None else fitted_to(cell, load_profile(profile))
    limits = parameters.settings(defaults, "planner", without=("boxes",))
    check_numbers("planner.table_height", "table.height", (limits.table_height,), "parameters")
    for end in ("lower", "upper"):
        check_numbers(f"planner.workspace.{end}", f"workspace.{end}", getattr(limits.workspace, end), "parameters")
    begin = 1.0 if cell is None else cell.speeds.speed / 100.0
    speed = parameters.number("speed", begin, "fraction of the profile's velocities, of joints and tool", 0.01, 1.0)
    boxes = boxes_from(parameters.numbers("planner.boxes", BOXES))
    return replace(slowed(limits, speed), boxes=(*limits.boxes, *boxes))


def main() -> NoReturn:
    """Entry point of the executable ``motion_node``."""
    run_node(MotionNode)


if __name__ == "__main__":
    main()
