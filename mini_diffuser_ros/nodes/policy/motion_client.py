"""The policy's side of motion: candidates go there, and what became of them comes back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from mini_diffuser_msgs.action import ExecuteInstruction, MoveToKeyframe
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_msgs.msg import Header
from unique_identifier_msgs.msg import UUID

from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.motion_goal import REFUSALS
from mini_diffuser_ros.nodes.ros.action_goal import ActionUnavailableError, carry_out
from mini_diffuser_ros.nodes.ros.messages import mode_to_message, pose_from_message
from mini_diffuser_ros.records import KeyframeMode
from mini_diffuser_ros.running import MotionReport
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.printable import printable

NAME = "mini_diffuser/move_to_keyframe"
# Seconds for one keyframe, also slow or held by a person: motion_node supervises it, and its silence tells.
TIMEOUT = 3600.0


class MotionEndedError(InterruptionError):
    """Motion, or its silence, has ended the sentence.

    Args:
        outcome: of the sentence, constant of ExecuteInstruction's result.
        message: one line that says why.
        motion_outcome: of the motion, constant of MoveToKeyframe's result; -1 if motion gave none.
    """

    def __init__(self, outcome: int, message: str, motion_outcome: int) -> None:
        super().__init__(outcome, message)
        self.motion_outcome = motion_outcome


class MotionClient(ControllerClient):
    """Sends ranked keyframes to motion_node.

    Args:
        node: that sends the goals.
        group: of all callbacks.
        max_silence: seconds without a sign of life of motion_node after which its goal counts as lost.

    Attributes:
        goal_id: of the motion that is waited for, all zeros if none is.
    """

    def __init__(self, node: Node, group: CallbackGroup, max_silence: float) -> None:
        super().__init__(node, MoveToKeyframe, NAME, group)
        self._clock = node.get_clock()
        self._max_silence = max_silence
        self.goal_id = UUID()

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
            InterruptionError: when the token is interrupted.
            MotionEndedError: if motion ended the keyframe for another reason than that it refuses every candidate,
                that something came into the way or that what was held is lost, or is absent or falls silent.
        """
        goal = MoveToKeyframe.Goal(header=Header(frame_id=frame, stamp=self._clock.now().to_msg()), with_heartbeat=True)
        goal.candidates = [mode_to_message(mode) for mode in modes]
        goal.held = held
        goal_id = UUID(uuid=list(uuid.uuid4().bytes))
        try:
            self.await_server(token)
            with self.busy():
                self.goal_id = goal_id  # beats for it may come before it
                result = carry_out(
                    self.client,
                    goal,
                    token,
                    name=self.name,
                    timeout=TIMEOUT,
                    on_feedback=lambda feedback: tell(feedback.phase, _shown(feedback.progress)),
                    max_silence=self._max_silence,
                    goal_id=goal_id,
                ).result
        except ActionUnavailableError as error:
            raise MotionEndedError(ExecuteInstruction.Result.MOTION_LOST, str(error), -1) from error
        finally:
            self.goal_id = UUID()
        return _report(result)


def _shown(progress: float) -> str:
    """Nothing at the begin of a phase: some of them have no progress that could be told."""
    return f"{progress:.0%}" if progress > 0.0 else ""


def _report(result: MoveToKeyframe.Result) -> MotionReport:
    message, refusals = printable(result.message), tuple(map(printable, result.refusals))
    if result.outcome == result.REACHED:
        measured = pose_from_message(result.reached)
        reached = measured if measured[:3].any() else None  # a server of an earlier version measures nothing
        return MotionReport(result.chosen, message, refusals, held=result.held, reached=reached)
    if result.outcome in (result.OBJECT_LOST, result.OBJECT_SLIPPED):
        return MotionReport(None, message, lost=True)
    if result.outcome in REFUSALS:
        return MotionReport(None, message, refusals)
    ended = ExecuteInstruction.Result
    outcome = {result.STOPPED: ended.STOPPED, result.PLANNED: ended.PLANNED}.get(result.outcome, ended.FAILED)
    raise MotionEndedError(outcome, message, result.outcome)
