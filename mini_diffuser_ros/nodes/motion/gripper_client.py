"""Opening and closing the gripper, and carrying what it holds, decided by the measured fingers alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.callback_groups import CallbackGroup

from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.gripper_actions import (
    FrankaActions,
    GripperCommandActions,
    GripperCommandConfig,
    Verdict,
    franka_actions,
)
from mini_diffuser_ros.nodes.ros.action_goal import (
    ACCEPT_TIMEOUT,
    ActionRejectedError,
    ActionUnavailableError,
    carry_out,
    poll,
)
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.grip import (
    FingerTravel,
    GripConfig,
    GripperError,
    GripperFault,
    check_opened,
    grip_fault,
    held_width,
    millimetres,
)
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.health import Health, HealthLevel

Result = MoveToKeyframe.Result

GRIPPER_TIMEOUT = 20.0  # seconds; a Franka hand takes two for its whole range at its usual speed
REST_TIMEOUT = 5.0  # seconds for the fingers to rest once the driver says that it is done
FINGERS_REST = 1.0  # seconds that fingers may take to end up where they go
LOOK_PERIOD = 0.05  # seconds between two looks at what is carried
LONGEST_BLINDNESS = 1.0  # seconds without the fingers' joint states while something is carried

FAULTS = {
    GripperFault.UNMOVED: Result.GRIPPER_UNMOVED,
    GripperFault.MISSED: Result.GRIPPER_FAILED,
    GripperFault.SLIPPED: Result.OBJECT_SLIPPED,
    GripperFault.LOST: Result.OBJECT_LOST,
}
"""Result code of each fault."""


class GripperMissingError(ActionUnavailableError):
    """Nobody serves the gripper's actions, as with the fake hardware of franka_ros2."""


class _Carrying:
    """A motion with something in the hand.

    Attributes:
        token: interrupts it.
        width: metres of what is held.
        seen: monotonic seconds, when the fingers were measured last.
        said, where: the fault and the tool's place, once there is a fault.
    """

    def __init__(self, token: CancellationToken, width: float) -> None:
        self.token, self.width = token, width
        self.seen = time.monotonic()
        self.said = self.where = ""


class GripperClient:
    """A gripper of two fingers.

    What its driver reports ends the wait for it, and stands in messages; whether it opened, closed, holds or lost
    something is told from the fingers' joint states.

    Args:
        node: that sends the goals.
        name: of the GripperCommand action; those of franka_msgs are looked for beside it.
        group: of all callbacks.
        joints: how far the fingers are apart, and where the arm is.
        command: how the gripper is commanded.
        grip: how the fingers are judged.

    Attributes:
        name: of the GripperCommand action.
        last_command: what became of the last one, in a few words.
    """

    def __init__(
        self,
        node: ManagedNode,
        name: str,
        group: CallbackGroup,
        joints: JointStateMonitor,
        command: GripperCommandConfig,
        grip: GripConfig,
    ) -> None:
        self.name = name
        self._joints = joints
        self._grip = grip
        self._awake = node.awake
        robot, actions = joints.robot, franka_actions()
        plain = GripperCommandActions(node, name, group, command, float(robot.finger_position_limits[1]))
        self._kinds: tuple[FrankaActions | GripperCommandActions, ...] = (plain,)
        if actions is not None:
            self._kinds = (FrankaActions(node, actions, name, group, command, robot.max_gripper_width), plain)
        self._held = 0.0  # metres between the fingers when they closed on what they hold, 0.0 for nothing
        self._closed = False  # whether somebody has told the fingers to close since they were open last
        self._widest = 0.0  # metres that they were apart at most since then, until they close
        self._obeyed: bool | None = None  # whether the fingers did as they were told last
        self.last_command = "none"
        self._carrying: _Carrying | None = None
        steady_timer(node, LOOK_PERIOD, self._look)

    # The controller's side, as of ControllerClient

    def is_there(self) -> bool:
        """Whether a driver is known."""
        return any(kind.are_there() for kind in self._kinds)

    def await_server(self, token: CancellationToken) -> None:
        """Wait a while for a driver, and until it follows nobody else's goals.

        Raises:
            GripperMissingError: if none comes.
            ActionUnavailableError: if it does not answer.
            InterruptionError: when the token is interrupted.
        """
        if not poll(self.is_there, token, ACCEPT_TIMEOUT):
            raise GripperMissingError(f"no action server on {self.name} within {ACCEPT_TIMEOUT:.1f} s: no gripper")
        for client in self._chosen().clients:
            client.await_server(token)

    def servers(self) -> list[str]:
        """Full names of the nodes that serve one of its actions, where they are more than one; they move the same hand,
        or say what another one does."""
        for kind in self._kinds:
            for client in kind.clients:
                if len(names := client.state.servers()) > 1:
                    return names
        return []

    def take_over(self) -> bool:
        """End, once, what an earlier process may have left under way; whether that is done."""
        done = [client.take_over() for kind in self._kinds for client in kind.clients if client.is_there()]
        return bool(done) and all(done)

    def cancel_all(self) -> None:
        """Ask for the end of every client's goals; what is held stays held."""
        for kind in self._kinds:
            for client in kind.clients:
                client.cancel_all()

    # Opening, closing, carrying

    def has_to_act(self, wanted_open: bool) -> bool:
        """Whether the gripper has to be told. Fingers that merely stand half open are not closed on something."""
        width = self._joints.finger_width()
        if width is None:
            return True
        if wanted_open:
            return self._holds(width) or width < self._joints.open_width
        return not self._holds(width) and width > self._grip.empty_width

    def take_state(self, wanted_open: bool, token: CancellationToken) -> float:
        """Open or close; returns metres of what is held afterwards, 0.0 for nothing.

        Raises:
            InterruptionError: when the token is interrupted.
            GripperError: if the measured fingers did not do it.
            StaleJointsError: if they are not measured.
        """
        before, held_before, self._held = self._width(), self._held, 0.0
        self._closed = self._closed or not wanted_open
        kind = self._chosen()
        client, goal = kind.command(wanted_open)
        try:
            verdict = _verdict_of(kind, client, goal, token)
            held = self._judge(wanted_open, self._await_rest(before, token), verdict)
        except InterruptionError:
            self._held = held_before  # the fingers may not have moved; what they hold is measured before each motion
            raise
        except GripperError as error:
            self.last_command, self._obeyed = str(error), False
            raise GripperError(error.fault, f"{error} ({client.name}: {verdict.text})") from None
        self._held, self._obeyed = held, True
        self._closed = not wanted_open
        self.last_command = self._describe(wanted_open, held)
        return held

    def check_held(self, expected: float) -> None:
        """Whether something is still held. What nobody expects is forgotten where it is not measured any more.

        Args:
            expected: metres that it is wide, 0.0 where nobody expects anything.

        Raises:
            GripperError: if it is not.
        """
        width = self._joints.finger_width()
        if width is None:
            return
        if expected <= 0.0:
            if self._held > 0.0 and not self._holds(width) and self._fault_at_rest(self._held):
                self._held = 0.0  # somebody else has taken it, or opened the hand
            return
        fault = grip_fault(expected, width, self._grip) and self._fault_at_rest(expected)
        self._held = expected if fault is None else 0.0
        if fault is not None:
            raise GripperError(fault.fault, f"{fault}, since before this motion")

    def is_empty(self) -> bool:
        """Whether the fingers are measured to hold nothing: they stand open, or have closed entirely."""
        width = self._joints.finger_width()
        return width is not None and not self._holds(width) and not self._standing()

    def holding(self) -> float:
        """Metres of what the fingers are measured to hold, whoever closed them; 0.0 for nothing, or if not known.

        After a stop while they closed, all that is known is that they were told to and stand between open and closed.
        """
        width = self._joints.finger_width()
        if width is None or self._holds(width):
            return self._held
        return self._standing() if self._closed else 0.0

    @contextmanager
    def carrying(self, token: CancellationToken) -> Iterator[None]:
        """Around a motion: it is interrupted when what the fingers hold is lost or slips."""
        held = self._held or self._standing()
        carrying = self._carrying = _Carrying(token, held) if held > 0.0 else None
        try:
            yield
        except InterruptionError as interruption:
            if carrying is None or not carrying.said:
                raise
            raise self._named_at_rest(carrying, interruption) from interruption
        finally:
            self._carrying = None

    def health(self) -> Health:
        """Of the gripper: whether it does as it is told, how far its fingers are apart, and its last command."""
        width = self._joints.finger_width()
        homed = {None: "not known yet", True: "yes, it does as it is told", False: "perhaps not"}[self._obeyed]
        values: dict[str, float | str] = {"homed": homed, "last command": self.last_command}
        values["driver"] = self._chosen().clients[0].name if self.is_there() else "none"
        if width is not None:
            values["width (mm)"] = 1e3 * width
        if self._held > 0.0 and (width is None or self._holds(width)):
            values["held (mm)"] = 1e3 * self._held
        if width is None:
            return Health(HealthLevel.ERROR, self._unmeasured(), values)
        if not self.is_there():
            return Health(HealthLevel.WARN, f"no action server on {self.name}: keyframes that need it fail", values)
        if self._obeyed is False:
            return Health(HealthLevel.WARN, self.last_command, values)
        return Health(HealthLevel.OK, f"fingers {millimetres(width)} apart", values)

    def _chosen(self) -> FrankaActions | GripperCommandActions:
        """The first that is served."""
        return next((kind for kind in self._kinds if kind.are_there()), self._kinds[-1])

    def _holds(self, width: float) -> bool:
        """Whether what the fingers closed on is still between them, by metres that they are apart."""
        return self._held > 0.0 and grip_fault(self._held, width, self._grip) is None

    def _standing(self) -> float:
        """Metres between fingers that stand between open and closed, whoever closed them; 0.0 elsewhere."""
        width = self._joints.finger_width() or 0.0
        return width if self._grip.empty_width < width < self._joints.open_width else 0.0

    def _width(self) -> float:
        width = self._joints.finger_width()
        if width is None:
            raise StaleJointsError(self._unmeasured())
        return width

    def _unmeasured(self) -> str:
        if fault := self._joints.finger_fault():
            return fault
        names = ", ".join(self._joints.robot.finger_joint_names)
        return (
            f"no fresh joint states of {names}, so that it is not known what the gripper does; its driver's own topic, "
            f"e.g. {self.name.rpartition('/')[0]}/joint_states, has to be merged into joint_states"
        )

    def _await_rest(self, before: float, token: CancellationToken) -> FingerTravel:
        """Watch the fingers from the driver's answer on, until they have rested for a while."""
        answered = time.monotonic()
        first_rest: float | None = None
        since: float | None = None  # when the rest began that they are in

        def look() -> FingerTravel | None:
            nonlocal first_rest, since
            width, now = self._joints.finger_width(), time.monotonic()
            if width is None or not self._joints.fingers_rest():
                since = None
                return None
            since = now if since is None else since
            if first_rest is None and abs(width - before) > self._grip.least_travel:
                first_rest = width
            settled = now - max(since, answered) >= self._grip.settle_time
            return FingerTravel(before, first_rest, width) if settled else None

        try:
            return self._joints.wait_for(token, look, REST_TIMEOUT)
        except TimeoutError:
            width = self._width()
            raise GripperError(
                GripperFault.MISSED,
                f"the fingers do not come to rest within {REST_TIMEOUT:g} s after the answer of {self.name}, they are "
                f"{millimetres(width)} apart",
            ) from None

    def _judge(self, wanted_open: bool, travel: FingerTravel, verdict: Verdict) -> float:
        if wanted_open:
            check_opened(travel, self._joints.open_width, self._grip)
            return 0.0
        return held_width(travel, verdict.good, self._joints.open_width, self._grip)

    @staticmethod
    def _describe(wanted_open: bool, held: float) -> str:
        if wanted_open:
            return "opened"
        return f"closed, holds {millimetres(held)}" if held else "closed on nothing"

    def _look(self) -> None:
        """Runs on the steady clock."""
        self._see_closing()
        carrying = self._carrying
        if carrying is None or carrying.said:
            return
        width, now = self._joints.finger_width(), time.monotonic()
        if width is None:
            if self._awake.since(carrying.seen) > LONGEST_BLINDNESS:
                carrying.token.interrupt(Result.STALE, f"{self._unmeasured()}; something is being carried")
            return
        carrying.seen = now
        fault = grip_fault(carrying.width, width, self._grip)
        if fault is None:
            return
        self._held, carrying.where, carrying.said = 0.0, self._where(), str(fault)
        carrying.token.interrupt(FAULTS[fault.fault], carrying.said)

    def _see_closing(self) -> None:
        """Notice fingers that come together, whoever told them to, and those that stand open."""
        width = self._joints.finger_width()
        if width is None:
            return
        if width >= self._joints.open_width:
            self._closed, self._widest = False, width
        elif self._widest - width > self._grip.slip:
            self._closed, self._widest = True, width
        self._widest = max(self._widest, width)

    def _fault_at_rest(self, held: float) -> GripperError | None:
        """What became of what was held, once the fingers rest: what is being lost looks as if it slipped."""
        with suppress(TimeoutError):
            self._joints.wait_for(CancellationToken(), self._joints.fingers_rest, FINGERS_REST)
        width = self._joints.finger_width()
        return None if width is None else grip_fault(held, width, self._grip)

    def _named_at_rest(self, carrying: _Carrying, interruption: InterruptionError) -> InterruptionError:
        """The interruption, named by where the fingers came to rest."""
        fault = self._fault_at_rest(carrying.width)
        if fault is None:
            return interruption
        self.last_command = f"{fault}{carrying.where}"
        arm = str(interruption).removeprefix(carrying.said)  # what there is to be said of its stop
        return InterruptionError(FAULTS[fault.fault], f"{self.last_command}{arm}")

    def _where(self) -> str:
        """Place of the tool, for a message."""
        robot = self._joints.robot
        try:
            positions = dict(zip(robot.arm_joint_names, self._joints.positions(), strict=True))
        except StaleJointsError:
            return ""
        x, y, z = robot.forward_kinematics(positions)[robot.tcp_frame][:3, 3]
        return f", on the way at ({x:.3f}, {y:.3f}, {z:.3f}) m"


def _verdict_of(
    kind: FrankaActions | GripperCommandActions, client: ControllerClient, goal: Any, token: CancellationToken
) -> Verdict:
    """What the driver says of a goal, or why it did not take it."""
    try:
        with client.busy():
            wrapped = carry_out(client.client, goal, token, name=client.name, timeout=GRIPPER_TIMEOUT)
        return kind.verdict(wrapped)
    except (ActionUnavailableError, ActionRejectedError) as error:  # the fingers tell what has become of it
        return Verdict(good=False, text=str(error))
