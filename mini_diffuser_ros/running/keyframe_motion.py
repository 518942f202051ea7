"""One keyframe: plan to the first candidate that passes every check, move there, open or close the gripper."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mini_diffuser_ros.motion import MotionPlanner, PlannedKeyframe
from mini_diffuser_ros.nodes.motion.arm_client import ArmClient
from mini_diffuser_ros.nodes.motion.gripper_client import GripperClient
from mini_diffuser_ros.nodes.motion.measured_arm import MeasuredArm
from mini_diffuser_ros.nodes.motion.motion_goal import MotionOutcome, Result
from mini_diffuser_ros.records import KeyframeMode
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.support.cancellation import CancellationToken

Tell = Callable[[str, float], None]
"""Takes a phase and its progress, 0 to 1."""


class KeyframeMotion:
    """Carries out one goal at a time.

    Args:
        planner: makes the trajectories.
        measured: where the arm is.
        latch: to be told of motions.
        arm: follows trajectories.
        gripper: acts after arrival.
        on_planned: takes the seconds that each planning took.
    """

    def __init__(
        self,
        planner: MotionPlanner,
        measured: MeasuredArm,
        latch: StopLatch,
        arm: ArmClient,
        gripper: GripperClient,
        on_planned: Callable[[float], None],
    ) -> None:
        self._planner = planner
        self._measured = measured
        self._latch = latch
        self._arm = arm
        self._gripper = gripper
        self._on_planned = on_planned

    def carry_out(self, candidates: Sequence[KeyframeMode], token: CancellationToken, tell: Tell) -> MotionOutcome:
        """Move to the first candidate that can be reached.

        Raises:
            InterruptionError: when the token is interrupted; the arm rests then.
            AllRefused: no candidate passed the checks.
            NodeError: a controller is absent or failed, or the arm is not where it should be.
        """
        tell("planning", 0.0)
        self._arm.await_server(token)
        planned = self._plan(candidates, token)
        mode = candidates[planned.index]
        if self._gripper.has_to_act(mode.gripper_open):
            # A gripper that is not there is noticed before the arm has moved.
            self._gripper.await_server(token)
        tell("moving", 0.0)
        with self._latch.supervised():
            self._arm.follow(planned.trajectory, token, lambda progress: tell("moving", progress))
        if self._gripper.has_to_act(mode.gripper_open):
            tell("gripper", 0.0)
            self._gripper.take_state(mode.gripper_open, token)
        message = f"reached candidate {planned.index + 1} of {len(candidates)}"
        return MotionOutcome(Result.REACHED, message, planned.index, tuple(map(str, planned.refusals)))

    def _plan(self, candidates: Sequence[KeyframeMode], token: CancellationToken) -> PlannedKeyframe:
        start = self._measured.await_rest(token)
        began = time.monotonic()
        try:
            return self._planner.plan_first(start, candidates, before_each=token.check)
        finally:
            self._on_planned(time.monotonic() - began)
