"""guard_node: a process apart from motion_node that stops the arm when anything lies or falls silent while it moves.

It shares nothing with motion_node but what both can measure, plans nothing and needs no torch, so that it lives on when
that hangs or dies. motion_node in turn moves nothing while the guard is silent.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any, NoReturn

from control_msgs.action import FollowJointTrajectory
from mini_diffuser_msgs.msg import Heartbeat
from rclpy.action import ActionClient
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.motion.arm_brake import ArmBrake
from mini_diffuser_ros.nodes.motion.controller_state import FRANKA_GRIPPER, ControllerState, beside
from mini_diffuser_ros.nodes.ros.cell_parameter import cell_from, drivers_from
from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.nodes.ros.heartbeat import Heart, Listener
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.messages import seconds
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, run_node
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.robots import load_robot, with_limits_of_file
from mini_diffuser_ros.sensing.arm_watch import HEARD_WITHIN, ArmWatch, WatchConfig
from mini_diffuser_ros.sensing.errors import ContradictoryJointsError, FrozenJointsError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig
from mini_diffuser_ros.sensing.speed_watch import SpeedWatch
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import Health, HealthLevel

PERIOD = 0.02  # seconds between two looks
CANCEL_PERIOD = 0.05  # seconds between two requests to end what goes on although the arm is stopped
SETTLING = 1.5  # seconds that an arm may move after its controller's goal: motion_node knows more, and is to be first
REST_TIMEOUT = 1.5  # seconds for the arm to come to rest after a stop
PATIENCE = 0.15  # seconds for which joint states and controller have to disagree: motion_node sees and ends it as well
SPEED_PATIENCE = 0.02  # seconds for which the arm has to be too fast
CLOSING_TIMEOUT = 3.0  # seconds that the end of the node waits for motion_node to bring the arm to rest


class GuardNode(ManagedNode):
    """Watches the arm while a controller has a goal, and until it is measured to rest afterwards.

    As soon as something is wrong it cancels every goal, and brakes an arm that goes on.

    An arm that has come to rest without a goal is nobody's: who moves it then, a hand or another controller, is left
    alone, unless a stop holds.

    Its stop holds until motion_node, which serves the resume, says in its heartbeat that somebody resumed. It remembers
    for another motion_node whether the one that it heard last was stopped or moving, and how fast people wanted it.
    While it stands still itself, motion_node finds it silent and brings the arm to rest; it blames nobody for that
    time, and has to hear the others anew as soon as if they had fallen silent when it woke.
    """

    threads = 6

    def __init__(self) -> None:
        super().__init__("guard_node")
        parameters = Parameters(self)
        cell = cell_from(self, parameters)
        robot = parameters.text(
            "robot", cell.robot if cell else "panda", "robot description, for the names of its joints"
        )
        urdf = parameters.text(
            "urdf",
            "",
            "file of the robot's own URDF, as motion_node's parameter: both have to judge by the same limits",
        )
        description = load_robot(robot)
        if urdf:
            description = with_limits_of_file(description, Path(urdf))
        arm_action, gripper_action = drivers_from(parameters, cell, description)
        max_joint_age = parameters.number(
            "max_joint_age", 0.4, "seconds without joint states after which a moving arm is stopped", 0.02, 5.0
        )
        self._motion_timeout = parameters.number(
            "motion_timeout",
            0.4,
            "seconds without motion_node's heartbeat after which a moving arm is stopped",
            0.1,
            10.0,
        )
        self._feedback_timeout = parameters.number(
            "feedback_timeout",
            0.7,
            "seconds without the controller's feedback after which the arm is stopped",
            0.05,
            10.0,
        )
        own = cell.speeds.max_tool_speed if cell else None
        self._max_tool_speed = parameters.number(
            "max_tool_speed",
            own or 10.0,
            "m/s of the tool that motion_node may plan with at most; what it plans with holds, in any case",
            0.001,
            10.0,
        )
        # motion_node is to notice first what it can notice: it brakes more gently, and knows what it was doing.
        watch = parameters.settings(WatchConfig(deviation=0.15, lag=0.35), "watch")
        self._joints = JointStateMonitor(description, max_joint_age, RestConfig(), 0.9, with_fingers=False)
        self._speed = SpeedWatch(description)
        self._limits = description.limits_digest()
        self._watch = ArmWatch(self._joints, watch, self.awake)
        self._stop = 0  # number of the stop that holds
        self._number = random.SystemRandom().randrange(1, 2**31)  # of the next one
        self._reason = ""
        self._remembered = Heartbeat()  # the last of motion_node that said what the next one has to know
        self._active_since: float | None = None
        self._ended: float | None = None  # when the last goal did; None once the arm has rested since
        self._wrong_since: float | None = None
        self._fast_since: float | None = None
        self._canceled = -float("inf")

        group = ReentrantCallbackGroup()
        self._arm = ControllerState(self, arm_action, group)
        # To cancel goals of franka_msgs, and to hear of them, its package need not be there.
        names = (gripper_action, *(beside(gripper_action, name) for name in FRANKA_GRIPPER))
        self._gripper = [ControllerState(self, name, group) for name in names]
        client = ActionClient(self, FollowJointTrajectory, arm_action, callback_group=group)
        self._brake = ArmBrake(client, self._joints, self.get_logger())
        feedback, kind = f"{arm_action}/_action/feedback", FollowJointTrajectory.Impl.FeedbackMessage
        heard = MutuallyExclusiveCallbackGroup()
        self.create_subscription(kind, feedback, self._on_feedback, 10, callback_group=heard)
        subscribe_joint_states(self, self._on_joints)
        self._heart = Heart(self, "guard", self._fill_beat)
        self._motion = Listener(self, "motion", self._on_motion, self._motion_timeout)
        self.create_service(
            Trigger, "mini_diffuser/stop", self._on_stop, callback_group=MutuallyExclusiveCallbackGroup()
        )
        Diagnostics(self, robot).add("guard", self._health)
        self._timer = steady_timer(self, PERIOD, self._look)
        self.get_logger().info(f"guarding {arm_action} and {gripper_action}")

    def close(self) -> None:
        """Guard until motion_node, which has heard the same signal, has brought the arm to rest."""
        if not self._heart.is_serving():
            return  # another one does
        deadline = time.monotonic() + CLOSING_TIMEOUT
        while (self._arm.active() or self._goes_on()) and time.monotonic() < deadline:
            time.sleep(PERIOD)
        if self._arm.active():
            self._cancel()
        if self._goes_on():
            self._brake.bring_to_rest(REST_TIMEOUT)

    # What is heard

    def _on_feedback(self, message: Any) -> None:
        said = message.feedback
        desired, actual = said.desired, said.actual
        now, stamp = time.monotonic(), seconds(said.header.stamp)
        self._watch.hear(said.joint_names, desired.positions, desired.velocities, actual.positions, now, stamp)

    def _on_joints(self, *state: Any) -> None:
        self._joints.take(*state)
        self._speed.take(*state)

    def _on_motion(self, beat: Heartbeat) -> None:
        if beat.max_tool_speed > 0.0:
            self._speed.max_tool_speed = min(beat.max_tool_speed, self._max_tool_speed)
        if not self._stop and self._heart.is_serving() and (disagreement := self._disagreement(beat)):
            self._hold(disagreement)
        if beat.known:
            self._remembered = beat
        if self._stop and beat.stop == self._stop:
            self._stop = 0
            self._joints.trust()
            self.get_logger().info("resumed")

    def _fill_beat(self, beat: Heartbeat) -> None:
        beat.hears = self._motion.heard()
        beat.stop, beat.reason = self._stop, self._reason
        last = self._remembered
        beat.known, beat.latched, beat.speed = last.known, last.latched, last.speed

    def _disagreement(self, beat: Heartbeat) -> str:
        """What motion_node plans with that is not what is guarded here; empty if nothing."""
        if beat.max_tool_speed > 1.001 * self._max_tool_speed:
            return (
                f"motion_node plans with up to {beat.max_tool_speed:.2f} m/s at the tool, guard_node allows "
                f"{self._max_tool_speed:.2f} m/s: give both the same max_tool_speed"
            )
        if beat.limits not in (0, self._limits):
            return "motion_node plans with other limits of the arm than guard_node: give both the same robot and urdf"
        return ""

    # Looking

    def _look(self) -> None:
        now = time.monotonic()
        self._note(now)
        if self._stop:
            if any(one.active() for one in (self._arm, *self._gripper)) and now - self._canceled >= CANCEL_PERIOD:
                self._cancel()
            self._brake.look()  # where a hand guides the arm its controller is not active, and takes no goal
        elif self._heart.is_serving() and (problem := self._problem(now)):
            self._hold(problem)

    def _note(self, now: float) -> None:
        """Whether the controller has a goal, by its status or its feedback, and whether the arm has rested since."""
        if self._arm.active() or self._watch.silence() < HEARD_WITHIN:
            self._ended = None
            self._active_since = self._active_since or now
        elif self._active_since is not None:
            self._active_since, self._ended = None, now
        elif self._ended is not None and self._joints.is_known_to_rest():
            self._ended = None

    def _is_under_way(self) -> bool:
        return self._active_since is not None or self._ended is not None

    def _goes_on(self) -> bool:
        """Whether the arm moves although its controller's goal has ended."""
        return self._ended is not None and self._joints.is_seen_to_move()

    def _problem(self, now: float) -> str:
        """What is wrong while the arm's controller moves it; empty if nothing is, or nothing moves."""
        if not self._is_under_way() or self._motion.silence() == float("inf"):
            return ""  # without a motion_node, whatever moves is not ours
        if (silence := self._motion.silence()) > self._motion_timeout:
            return f"motion_node has been silent for {silence:.1f} s while the arm moves"
        since = self._active_since
        if since is not None and min(self.awake.since(since), self._watch.silence()) > self._feedback_timeout:
            return f"{self._arm.name} has a goal and says nothing of it"
        try:
            if self._ended is not None and self.awake.since(self._ended) > SETTLING and self._goes_on():
                return f"{self._joints.describe_unrest()}, and {self._arm.name} has no goal any more"
            self._watch.check()
            self._wrong_since = None
        except UserError as error:
            self._wrong_since = self._wrong_since or now
            if self.awake.since(self._wrong_since) < PATIENCE:
                return ""
            if isinstance(error, (FrozenJointsError, ContradictoryJointsError)):
                self._joints.doubt(str(error))
            return str(error)
        if not (problem := self._speed.problem()):
            self._fast_since = None
            return ""
        self._fast_since = self._fast_since or now
        return problem if self.awake.since(self._fast_since) >= SPEED_PATIENCE else ""

    def _health(self) -> Health:
        if self._stop:
            return Health(HealthLevel.WARN, f"stopped: {self._reason}")
        if self._motion.silence() == float("inf"):
            return Health(HealthLevel.OK, "no motion_node was heard of yet: nothing to guard")
        if self._motion.silence() > self._motion_timeout:
            return Health(HealthLevel.WARN, "motion_node is not heard")
        return Health(HealthLevel.OK, "watching")

    # Stopping

    def _cancel(self) -> None:
        self._canceled = time.monotonic()
        for controller in (self._arm, *self._gripper):
            controller.cancel_all()

    def _hold(self, reason: str) -> None:
        """End every goal, and hold the stop until somebody resumes."""
        self._cancel()
        self._reason, self._stop = reason, self._number
        self._number = self._number % (2**32 - 1) + 1
        self._heart.beat()
        self.get_logger().error(f"stopped the arm: {reason}")

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._hold("a stop was called")
        response.success, state = self._joints.describe_stop(REST_TIMEOUT)
        response.message = f"{state}; call mini_diffuser/resume to go on"
        return response


def main() -> NoReturn:
    """Entry point of the executable ``guard_node``."""
    run_node(GuardNode)


if __name__ == "__main__":
    main()
