"""The policy's side of motion: candidates go there, and what became of them comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mini_diffuser_msgs.action import ExecuteInstruction, MoveToKeyframe
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_msgs.msg import Header

from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.ros.action_goal import carry_out
from mini_diffuser_ros.nodes.ros.messages import mode_to_message
from mini_diffuser_ros.records import KeyframeMode
from mini_diffuser_ros.running import MotionReport
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError

NAME = "mini_diffuser/move_to_keyframe"
TIMEOUT = 120.0  # seconds for one keyframe, planning and gripper included


class MotionClient(ControllerClient):
    """Sends ranked keyframes to motion_node.

    Args:
        node: that sends the goals.
        group: of all callbacks.
        max_silence: seconds without a sign of life of motion_node after which its goal counts as lost.
    """

    def __init__(self, node: Node, group: CallbackGroup, max_silence: float) -> None:
        super().__init__(node, MoveToKeyframe, NAME, group)
        self._clock = node.get_clock()
        self._max_silence = max_silence

    def move(
        self,
        modes: Sequence[KeyframeMode],
        frame: str,
        token: CancellationToken,
        tell: Callable[[str, str], None],
        held: float = 0.0,
    ) -> MotionReport:
        """Have motion try modes in order.

        Args:
            modes: the most probable first.
            frame: of their poses.
            token: what may interrupt; motion has brought the arm to rest then.
            tell: takes phases and their progress.
            held: metres that what the last report says to be held is wide, 0.0 for nothing.

        Raises:
            InterruptionError: when the token is interrupted, or motion ended the keyframe for another reason than
                that it refuses every candidate.
            NodeError: if motion_node is absent or falls silent.
        """
        self.await_server(token)
        goal = MoveToKeyframe.Goal(header=Header(frame_id=frame, stamp=self._clock.now().to_msg()))
        goal.candidates = [mode_to_message(mode) for mode in modes]
        goal.held = held
        with self.busy():
            wrapped = carry_out(
                self.client,
                goal,
                token,
                name=self.name,
                timeout=TIMEOUT,
                on_feedback=lambda feedback: tell(feedback.phase, f"{feedback.progress:.0%}"),
                max_silence=self._max_silence,
            )
        result, motion = wrapped.result, MoveToKeyframe.Result
        if result.outcome == motion.REACHED:
            return MotionReport(result.chosen, result.message, tuple(result.refusals), held=result.held)
        if result.outcome == motion.REFUSED:
            return MotionReport(None, result.message, tuple(result.refusals))
        ended = ExecuteInstruction.Result
        raise InterruptionError(ended.STOPPED if result.outcome == motion.STOPPED else ended.FAILED, result.message)
