"""Opening and closing the gripper, checked by measurement."""

from __future__ import annotations

from control_msgs.action import GripperCommand
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.ros.action_goal import carry_out
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.cancellation import CancellationToken

GRIPPER_TIMEOUT = 10.0  # seconds
MEASURED_WITHIN = 1.0  # seconds that joint states may lag behind a gripper's result


class GripperClient(ControllerClient):
    """The GripperCommand action of the gripper.

    Args:
        node: that sends the goals.
        name: of the action.
        group: of all callbacks.
        joints: how far the fingers are apart.
        effort: newtons that the gripper may squeeze with.
    """

    def __init__(self, node: Node, name: str, group: CallbackGroup, joints: JointStateMonitor, effort: float) -> None:
        super().__init__(node, GripperCommand, name, group)
        self._joints = joints
        self._effort = effort

    def has_to_act(self, wanted_open: bool) -> bool:
        """Whether the measured state is another; where none is measured the gripper is always commanded."""
        return self._joints.gripper_is_open() != wanted_open

    def take_state(self, wanted_open: bool, token: CancellationToken) -> None:
        """Open or close.

        Raises:
            InterruptionError: when the token is interrupted.
            NodeError: if the gripper is absent, or did not do it by its own word or by measurement.
        """
        command = GripperCommand.Goal()
        # Position of one finger, as MoveIt's controllers and franka_gripper take it.
        command.command.position = float(self._joints.robot.finger_position_limits[1]) if wanted_open else 0.0
        command.command.max_effort = self._effort
        with self.busy():
            wrapped = carry_out(self.client, command, token, name=self.name, timeout=GRIPPER_TIMEOUT)
        result = wrapped.result
        verb = "open" if wanted_open else "close"
        # A closing gripper that stalls has something between its fingers, which is what closing is for.
        if not (result.reached_goal or (result.stalled and not wanted_open)):
            raise NodeError(f"{self.name}: the gripper did not {verb}, finger at {result.position:.3f} m")
        try:
            self._joints.wait_for(token, lambda: self._is_as(wanted_open), MEASURED_WITHIN)
        except TimeoutError:
            width = self._joints.finger_width() or 0.0
            raise NodeError(
                f"{self.name} reports success, but the gripper did not {verb}: the fingers are measured "
                f"{width:.3f} m apart"
            ) from None

    def _is_as(self, wanted_open: bool) -> bool:
        measured = self._joints.gripper_is_open()
        return measured is None or measured == wanted_open
