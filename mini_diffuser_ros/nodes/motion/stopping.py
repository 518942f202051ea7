"""The services that stop the arm and let it go on, and the topic that tells which of the two holds."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.gripper_client import GripperClient
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.cancellation import CancellationToken

TIMEOUT = 1.5  # seconds for the arm to come to rest


class Stopping:
    """Serves mini_diffuser/stop and mini_diffuser/resume, in a callback group that nothing else can block.

    Args:
        node: that serves.
        latch: holds the stop.
        arm, gripper: whose goals end.
        joints: tells whether the arm rests.
        interrupt: ends the goals of this node; called after the latch is closed.
    """

    def __init__(
        self,
        node: Node,
        latch: StopLatch,
        arm: ControllerClient,
        gripper: GripperClient,
        joints: JointStateMonitor,
        interrupt: Callable[[str], None],
    ) -> None:
        self._logger = node.get_logger()
        self._latch = latch
        self._arm = arm
        self._gripper = gripper
        self._joints = joints
        self._interrupt = interrupt
        self._state = node.create_publisher(Bool, "mini_diffuser/stopped", LATCHED)
        self._state.publish(Bool(data=bool(latch.reason)))
        if latch.reason:
            self._logger.warning(f"the arm is stopped: {latch.reason}; call mini_diffuser/resume to go on")
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(Trigger, "mini_diffuser/stop", self._on_stop, callback_group=group)
        node.create_service(Trigger, "mini_diffuser/resume", self._on_resume, callback_group=group)

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._latch.stop("a stop was called")
        self._interrupt("a stop was called")
        self._state.publish(Bool(data=True))
        self._gripper.cancel_all()
        # A motion of ours brakes, and a cancel request would end its braking. Whatever else moves the arm is canceled.
        self._arm.await_quiet(TIMEOUT)
        self._arm.cancel_all()
        response.success, state = self._await_rest()
        response.message = f"{state}; call mini_diffuser/resume to go on"
        self._logger.warning(response.message)
        return response

    def _await_rest(self) -> tuple[bool, str]:
        try:
            self._joints.wait_for(CancellationToken(), self._joints.rests, TIMEOUT)
        except TimeoutError:
            try:
                return False, f"stopped, but {self._joints.describe_unrest()}"
            except StaleJointsError as error:
                return False, f"stopped, but whether the arm rests is not known: {error}"
        return True, "stopped, the arm rests"

    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        response.message = "resumed" if self._latch.resume() else "was not stopped"
        self._state.publish(Bool(data=False))
        self._logger.info(response.message)
        return response
