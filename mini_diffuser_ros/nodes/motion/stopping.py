"""The services that stop the arm and let it go on, and the topic that tells which of the two holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mini_diffuser_msgs.msg import Heartbeat
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.motion.arm_brake import LOOKING
from mini_diffuser_ros.nodes.motion.arm_client import ArmClient
from mini_diffuser_ros.nodes.motion.gripper_client import GripperClient
from mini_diffuser_ros.nodes.motion.speed_control import SpeedControl
from mini_diffuser_ros.nodes.ros.heartbeat import PERIOD, Heart, Listener
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.awake import IN_DOUBT
from mini_diffuser_ros.support.printable import printable

TIMEOUT = 1.5  # seconds for the arm to come to rest
STANDSTILL = 0.3  # seconds of this node, after which it does not know in which order calls came that waited for it
GUARD_ANSWER = 2.0  # seconds for the guard to follow a stop or a resume
NUMBERS = 2**32 - 1  # of the guard, after which they begin at 1 again
MOST_AHEAD = 1000  # stops by which the guard may be ahead of this node; beyond that it is another guard
AGAIN = 4 * PERIOD  # seconds after a resume in which a guard that still has its reason stops again


class Stopping:
    """Holds the stop: serves mini_diffuser/stop and mini_diffuser/resume, and takes over the guard's stops.

    The guard serves mini_diffuser/stop as well and reacts to the same calls by itself. What it has stopped is stopped
    here until a resume, which is served here alone; the guard lets go when it hears so in a beat of this node.

    The guard also remembers what this node says in its beats: whether it is stopped or moves the arm, and how fast
    people want it. The first beat of the guard that a node hears tells what the one before it said last, however that
    ended.

    Args:
        node: that serves.
        latch: holds the stop.
        arm, gripper: whose goals end.
        joints: tells whether the arm rests.
        interrupt: ends the goals of this node; called after the latch is closed.
        fill: completes each beat.
        guard_timeout: seconds of the guard's silence that are noticed.
        speed: is told what people wanted of the node before this one.
    """

    def __init__(
        self,
        node: ManagedNode,
        latch: StopLatch,
        arm: ArmClient,
        gripper: GripperClient,
        joints: JointStateMonitor,
        interrupt: Callable[[str], None],
        fill: Callable[[Heartbeat], None],
        guard_timeout: float,
        speed: SpeedControl,
    ) -> None:
        self._logger, self._awake = node.get_logger(), node.awake
        self._latch = latch
        self._arm = arm
        self._gripper = gripper
        self._joints = joints
        self._interrupt, self._complete, self._speed = interrupt, fill, speed
        self._has_met_guard = False
        self._guard_timeout = guard_timeout
        self._heard = -float("inf")  # monotonic, when the guard said last that it hears this node
        self._lock = threading.Lock()  # a beat from before a resume is not to be taken for one from after it
        self._resumed = 0  # number of the guard's stop that was resumed last
        self._held = Heartbeat()  # the guard's last beat
        self._stopped_at = -float("inf")  # monotonic, when the last stop was heard of
        self._answered = -float("inf")  # monotonic, when the last stop was answered
        self._called_at = -float("inf")  # monotonic, when mini_diffuser/stop was heard last
        self._under_way = False  # whether a call of it is being answered
        self._known = 0  # number of the guard's stop that belongs to the last call that was answered
        self._telling = threading.Lock()  # what is told last is what holds
        self._state = node.create_publisher(Bool, "mini_diffuser/stopped", LATCHED)
        self._state.publish(Bool(data=bool(latch.reason)))
        if latch.reason:
            self._logger.warning(f"the arm is stopped: {latch.reason}; call mini_diffuser/resume to go on")
        self.heart = Heart(node, "motion", self._fill)
        self.guard = Listener(node, "guard", self._on_guard, guard_timeout)
        # A group each: a resume is heard when it comes, and so it is known which stops came after it.
        for name, serve in (("stop", self._on_stop), ("resume", self._on_resume)):
            group = MutuallyExclusiveCallbackGroup()
            node.create_service(Trigger, f"mini_diffuser/{name}", serve, callback_group=group)
        self._timer = steady_timer(node, LOOKING, self._look)

    def is_released(self) -> bool:
        """Whether the guard holds no stop that was resumed here."""
        return self._held.stop == 0

    def problem(self) -> str:
        """Why what moves would not be guarded; empty if it would be: guard and this node hear each other."""
        if (silence := self.guard.silence()) > self._guard_timeout:
            since = "was not heard of" if silence == float("inf") else f"has been silent for {silence:.1f} s"
            return f"guard_node {since}: nothing moves without it"
        if self._awake.since(self._heard) > self._guard_timeout:
            return (
                "guard_node does not hear this motion_node, and would not stop what it moves: it listens to another "
                "one until that has been silent for its motion_timeout, or messages arrive in one direction alone"
            )
        return ""

    def stop(self, reason: str) -> None:
        """Stop until somebody resumes."""
        self._latch.stop(reason)
        self._end_goals(reason)

    def _end_goals(self, reason: str) -> None:
        """What follows when the latch is closed."""
        self._interrupt(reason)
        self._tell()

    def _tell(self) -> None:
        with self._telling:
            self._state.publish(Bool(data=bool(self._latch.reason)))

    def _look(self) -> None:
        """Nothing moves while a stop holds, though the arm has rested in between and no goal was sent."""
        if self._latch.reason and not self._arm.is_busy():
            self._arm.brake.look()

    def _fill(self, beat: Heartbeat) -> None:
        beat.stop = self._resumed
        self._complete(beat)
        now = self._latch.remembered
        # Not before the guard has told what it remembers, which this would replace.
        beat.known, beat.latched, beat.speed = self._has_met_guard, now.stopped, now.speed

    def _on_guard(self, beat: Heartbeat) -> None:
        if not self._has_met_guard:
            self._take_over_from(beat)
        if beat.hears == self.heart.instance:
            self._heard = time.monotonic()
        reason = printable(beat.reason)
        with self._lock:
            self._held = beat
            if beat.stop and self._ahead() > MOST_AHEAD:  # the first, or another guard's
                self._known = beat.stop - 1
            is_new = beat.stop not in (0, self._resumed) and not self._latch.reason
            if is_new:
                self._stopped_at = time.monotonic()
                self._latch.stop(reason)
        if is_new:
            self._logger.warning(f"guard_node has stopped the arm: {reason}; call mini_diffuser/resume to go on")
            self._end_goals(reason)

    def _take_over_from(self, beat: Heartbeat) -> None:
        """Begin as the motion_node before this one ended."""
        if beat.known and 0.0 <= beat.speed <= 100.0:
            self._speed.recall(beat.speed)
        if beat.known and beat.latched and not beat.stop and not self._latch.reason:
            reason = printable(beat.latched)
            self._logger.warning(f"the arm is stopped: {reason}; call mini_diffuser/resume to go on")
            self.stop(reason)
        self._has_met_guard = True

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._stopped_at = self._called_at = time.monotonic()
            self._under_way = True
        try:
            return self._answer_stop(response)
        finally:
            self._answered = time.monotonic()
            self._under_way = False

    def _answer_stop(self, response: Trigger.Response) -> Trigger.Response:
        # First of all the controllers: everything else is bookkeeping.
        self._arm.cancel_all()
        self._gripper.cancel_all()
        self.stop("a stop was called")
        self._arm.await_quiet(TIMEOUT)
        self._arm.cancel_all()  # what was on its way to the controller meanwhile
        self._arm.brake.bring_to_rest(TIMEOUT)
        response.success, state = self._joints.describe_stop(0.0)
        # The guard has heard the same call. A resume that comes before it has followed would be followed by a stop.
        # Each call has a number of the guard: while this node answers one, the guard follows those that wait.
        self._await_guard(self._is_ahead)
        with self._lock:
            if self._is_ahead():
                self._known = self._known % NUMBERS + 1
        response.message = f"{state}; call mini_diffuser/resume to go on"
        self._logger.warning(response.message)
        return response

    def _ahead(self) -> int:
        """How many stops the guard has followed beyond the last that was answered here."""
        return (self._held.stop - self._known) % NUMBERS

    def _is_ahead(self) -> bool:
        return self._held.stop != 0 and self._ahead() > 0

    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        asked = time.monotonic()
        # A node that has just begun does not know yet what the guard holds, which would stop it again, as would a
        # guard that still waits for the node before this one.
        self._await_guard(lambda: self._has_met_guard)
        resumed = self._held.stop
        while self._under_way and self._called_at <= asked:
            time.sleep(PERIOD / 2.0)
        self._await_guard(lambda: not self.problem())
        if not (doubt := self._doubt(resumed)):
            with self._lock:
                if not (doubt := self._overtaken(resumed, asked)):
                    self._resumed = resumed
                    was_stopped = self._latch.resume()
                    if resumed:
                        self._known = resumed
        if doubt:
            response.message = f"{doubt}: the arm stays stopped; look, and call mini_diffuser/resume again"
            self._logger.warning(response.message)
            return response
        response.success = True
        response.message = "resumed" if was_stopped else "was not stopped"
        if hold := self._speed.hold():
            response.message += f"; {hold}"
        self.heart.beat()
        self._tell()
        self._await_guard(self.is_released)
        self._await_guard(lambda: bool(self._latch.reason), AGAIN)
        if reason := self._latch.reason:
            response.success = False
            response.message = f"stopped again: {reason}; mend it, and call mini_diffuser/resume again"
        self._logger.info(response.message)
        return response

    def _overtaken(self, resumed: int, asked: float) -> str:
        """Why a resume that was heard at ``asked``, monotonic, is older than a stop; empty if it is not."""
        is_older = self._called_at > asked or self._held.stop not in (0, resumed)
        return "a stop came after this resume" if is_older else ""

    def _doubt(self, resumed: int) -> str:
        """Why a resume of this stop of the guard is not to be followed now; empty if it is.

        Requests have no stamps: of a stop and a resume that both waited for this node, the stop counts.
        """
        if self.guard.silence() <= self._guard_timeout and (problem := self.problem()):
            return problem
        began, ended = self._awake.last_standstill(STANDSTILL)
        stop_waited = began <= self._stopped_at <= ended + IN_DOUBT
        resume_waited = time.monotonic() <= max(ended, self._answered) + IN_DOUBT
        if not (stop_waited and resume_waited):
            return ""
        return f"motion_node stood still for {ended - began:.1f} s, and a stop came then, maybe after this resume"

    def _await_guard(self, follows: Callable[[], bool], seconds: float = GUARD_ANSWER) -> None:
        """Until the guard follows, is known to be silent, or time is up."""
        deadline = time.monotonic() + seconds
        while not follows() and time.monotonic() < deadline:
            if self._has_met_guard and self.guard.silence() >= GUARD_ANSWER:
                break
            time.sleep(PERIOD / 2.0)
