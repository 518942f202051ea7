"""The steps that bring a robot back, each followed by a look at what it has brought about."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.recovery.controller_manager import ControllerManager
from mini_diffuser_ros.nodes.recovery.service_calls import ServiceCalls, interface
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.recovery import Deed, RecoveryError, Step, recovery_steps, wanted_controller
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.grip import millimetres
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.printable import printable

STOP, RESUME = "mini_diffuser/stop", "mini_diffuser/resume"
RECOVERY_TIMEOUT = 30.0  # seconds for the robot to clear its error
HOMING_TIMEOUT = 30.0  # seconds
JOINTS_TIMEOUT = 8.0  # seconds for joint states to flow and for the arm to rest
WATCHED = 0.5  # seconds of joint states that count as a flow
MAX_JOINT_AGE = 0.5  # seconds
HOMING_TRAVEL = 0.03  # metres that fingers move at least in a homing, which takes them through their range

Say = Callable[[str], None]
"""Takes a line for the user."""


@dataclass(frozen=True)
class DriverNames:
    """What the robot's drivers are called.

    Attributes:
        robot: name of the robot description.
        arm_action: FollowJointTrajectory action of the arm, below the name of its controller.
        gripper_action: GripperCommand action of the gripper, beside which its homing lies.
    """

    robot: str
    arm_action: str
    gripper_action: str

    @property
    def controller(self) -> str:
        """Name of the arm's controller."""
        return self.arm_action.strip("/").split("/")[-2]

    @property
    def gripper(self) -> str:
        """Name of the gripper's driver."""
        return self.gripper_action.rpartition("/")[0]


def names_of_motion_node(node: Node, calls: ServiceCalls | None = None) -> DriverNames | None:
    """What the running motion_node calls the drivers, None where there is none.

    Args:
        node: that asks; somebody else has to spin it.
        calls: of that node, for who asks more than once.
    """
    calls, service = calls or ServiceCalls(node), "motion_node/get_parameters"
    if not calls.is_there(GetParameters, service):
        return None
    request = GetParameters.Request(names=["robot", "arm_action", "gripper_action"])
    return DriverNames(*(value.string_value for value in calls.call(GetParameters, service, request).values))


class RobotRecovery:
    """Recovery and homing of one robot.

    Args:
        node: that calls; somebody else has to spin it.
        names: of the drivers.
        manager: name of the controller_manager.
        recovery: name of the action that clears the robot's error.
        say: takes a line about each step.
    """

    def __init__(self, node: Node, names: DriverNames, manager: str, recovery: str, say: Say) -> None:
        self._names, self._recovery, self._say = names, recovery, say
        self._calls = ServiceCalls(node)
        self._manager = ControllerManager(self._calls, manager)
        self._joints = JointStateMonitor(load_robot(names.robot), MAX_JOINT_AGE, RestConfig(), 0.9, with_fingers=False)
        self._token = CancellationToken()
        self._widths: list[float] = []  # metres between the fingers, as they were measured
        subscribe_joint_states(node, self._take)

    def plan(self, controller: str) -> tuple[Step, ...]:
        """What is to be done.

        Args:
            controller: that is to command the arm; empty for the one that motion_node or the drivers' states tell.

        Raises:
            RecoveryError: if that cannot be told.
        """
        controllers = self._manager.controllers()
        loaded = {one.name for one in controllers}
        known = self._names.controller if self._names.controller in loaded else ""
        wanted = wanted_controller(controllers, controller or known)
        return recovery_steps(controllers, self._manager.hardware(), wanted, self._recovery)

    def stop_the_stack(self) -> bool:
        """Have motion_node stopped, so that nothing moves the arm as soon as it can; whether there is one."""
        if not self._calls.is_there(Trigger, STOP):
            self._say("no motion_node is there to be stopped")
            return False
        self._say(f"stop the stack: {self._calls.call(Trigger, STOP).message}")
        return True

    def do(self, step: Step) -> None:
        """Carry out one step and look at what it has brought about.

        Raises:
            RecoveryError: if that is not what it should be.
        """
        self._say(f"{step}: {self._done(step)}")

    def check_joints(self) -> None:
        """Wait until joint states flow and the arm rests.

        Raises:
            RecoveryError: if they do not, or it does not.
        """
        before, began = self._joints.changes(), time.monotonic()

        def flow_at_rest() -> bool:
            return time.monotonic() - began >= WATCHED and self._joints.rests()

        try:
            self._joints.wait_for(self._token, flow_at_rest, JOINTS_TIMEOUT)
        except TimeoutError:
            try:
                raise RecoveryError(self._joints.describe_unrest()) from None
            except StaleJointsError as error:
                raise RecoveryError(f"{error}: no joint states flow") from None
        states, changes = (after - one for after, one in zip(self._joints.changes(), before, strict=True))
        rate = states / (time.monotonic() - began)
        frozen = "" if changes else "; but no value has changed by a bit: frozen, unless this is fake hardware"
        self._say(f"look at the joint states: {rate:.0f} a second, the arm rests{frozen}")

    def home_gripper(self) -> None:
        """Have the gripper find its range; what it holds falls.

        Raises:
            RecoveryError: if the fingers did not go through it, by measurement.
        """
        homing = interface("franka_msgs", "action", "Homing")
        self._widths = [self._width()]
        wrapped = self._calls.execute(homing, f"{self._names.gripper}/homing", HOMING_TIMEOUT)
        self._await_fingers()
        widths = list(self._widths)
        travel = max(widths) - min(widths)
        why = printable(wrapped.result.error)
        said = "" if wrapped.status == GoalStatus.STATUS_SUCCEEDED else f" (its driver says: {why})"
        if travel < HOMING_TRAVEL:
            raise RecoveryError(
                f"{self._names.gripper}/homing: the fingers moved by {millimetres(travel)} only, from "
                f"{millimetres(widths[0])} to {millimetres(widths[-1])}; is something between them?{said}"
            )
        self._say(
            f"home the gripper: its fingers went from {millimetres(widths[0])} through {millimetres(min(widths))} to "
            f"{millimetres(max(widths))} apart, now {millimetres(widths[-1])}{said}"
        )

    def resume(self) -> None:
        """Let motion_node go on.

        Raises:
            RecoveryError: if it does not, with its reason.
        """
        answer = self._calls.call(Trigger, RESUME)
        if not answer.success:
            raise RecoveryError(f"{RESUME}: {answer.message}")
        self._say(f"let the stack go on: {printable(answer.message)}")

    def _done(self, step: Step) -> str:
        if step.deed is Deed.DEACTIVATE:
            return self._manager.switch(step.name, activate=False)
        if step.deed is Deed.CLEAR:
            return self._clear()
        if step.deed is Deed.SET_ACTIVE:
            return self._manager.set_active(step.name)
        if step.deed is Deed.CONFIGURE:
            return self._manager.configure(step.name)
        return self._manager.switch(step.name, activate=True)

    def _clear(self) -> str:
        kind = interface("franka_msgs", "action", "ErrorRecovery")
        wrapped = self._calls.execute(kind, self._recovery, RECOVERY_TIMEOUT)
        if wrapped.status != GoalStatus.STATUS_SUCCEEDED:
            raise RecoveryError(
                f"{self._recovery} did not clear the error (status {wrapped.status}): an arm that touches something or "
                "stands at a limit, has to be led free by hand in Desk first"
            )
        return "cleared, says the robot; the next step shows it"

    def _take(self, *state: Any) -> None:
        self._joints.take(*state)
        width = self._joints.finger_width()
        if width is not None:
            self._widths.append(width)

    def _await_fingers(self) -> None:
        """Joint states lag behind what a driver answers."""
        answered = time.monotonic()

        def rest() -> bool:
            return time.monotonic() - answered >= WATCHED and self._joints.fingers_rest()

        with suppress(TimeoutError):
            self._joints.wait_for(self._token, rest, JOINTS_TIMEOUT)

    def _width(self) -> float:
        try:
            return self._joints.wait_for(self._token, self._joints.finger_width, JOINTS_TIMEOUT)
        except TimeoutError:
            names = ", ".join(self._joints.robot.finger_joint_names)
            raise RecoveryError(f"no joint states of {names}: a homing could not be measured") from None
