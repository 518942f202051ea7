"""The simulated table as a world to run sentences in: its cameras fused, its arm planned for and checked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion import AllRefused, MotionConfig, MotionPlanner
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.records import Cloud, JointTrajectory, KeyframeMode
from mini_diffuser_ros.running import MotionReport
from mini_diffuser_ros.running.keyframe_motion import ARRIVAL_TOLERANCE, KeyframeMotion, TellProgress, missed_joint
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.sensing.grip import GripConfig
from mini_diffuser_ros.sensing.joint_monitor import OPEN_FRACTION
from mini_diffuser_ros.simulation import TabletopWorld
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.errors import UserError


class SimulatedMotionError(UserError, RuntimeError):
    """The simulated arm or gripper is not where it was sent; the text says by how much."""


class TabletopCell:
    """A :class:`TabletopWorld` with the planner and the checks of motion_node.

    Args:
        world: to be laid out by its ``reset``.
        fusion: how images become a cloud, as the policy was trained.
        planner: of motions; by default one with the limits of motion_node.
    """

    def __init__(self, world: TabletopWorld, fusion: FusionConfig, planner: MotionPlanner | None = None) -> None:
        self.world = world
        self._fusion = fusion
        arm, gripper = _SimulatedArm(world), _SimulatedGripper(world)
        planner = planner or MotionPlanner(world.robot, MotionConfig())
        self._motion = KeyframeMotion(planner, arm, StopLatch(), arm, gripper)

    def look(self, settle_time: float) -> Cloud:
        """What the cameras see after ``settle_time`` seconds of physics, in the arm's base frame."""
        self.world.step(settle_time)
        return fuse_views(self.world.views(), self._fusion, self.world.robot, self.world.joint_positions())

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """Execute the first candidate that the planner accepts.

        Raises:
            SimulatedMotionError: if arm or gripper are not where they were sent.
        """
        try:
            report = self._motion.carry_out(candidates, CancellationToken())
        except AllRefused as error:
            return MotionReport(None, str(error), tuple(map(str, error.refusals)))
        return replace(report, rewarded=self.success())

    def success(self) -> bool:
        """Whether the world's present goal is reached."""
        return self.world.success()


class _SimulatedArm:
    """The arm's controller and its joint states in one: both are at hand."""

    def __init__(self, world: TabletopWorld) -> None:
        self._world = world

    def await_server(self, token: CancellationToken) -> None:
        token.check()

    def await_rest(self, token: CancellationToken) -> NDArray[np.float64]:
        token.check()
        return self._world.arm_positions()

    def follow(self, trajectory: JointTrajectory, token: CancellationToken, tell: TellProgress) -> None:
        self._world.execute(trajectory)
        tell("moving", 1.0)
        problem = missed_joint(trajectory, self._world.arm_positions(), ARRIVAL_TOLERANCE)
        if problem:
            raise SimulatedMotionError(problem)


class _SimulatedGripper:
    def __init__(self, world: TabletopWorld) -> None:
        self._world = world

    def await_server(self, token: CancellationToken) -> None:
        token.check()

    def has_to_act(self, wanted_open: bool) -> bool:
        return self._is_open() != wanted_open

    def take_state(self, wanted_open: bool, token: CancellationToken) -> float:
        width = self._world.set_gripper(wanted_open).width
        if self.has_to_act(wanted_open):
            verb = "open" if wanted_open else "close"
            raise SimulatedMotionError(f"the gripper did not {verb}: the fingers are measured {width:.3f} m apart")
        return 0.0 if wanted_open or width <= GripConfig().empty_width else width

    def check_held(self, expected: float) -> None:
        pass  # a policy that is evaluated sees what became of it

    def is_empty(self) -> bool:
        return self._is_open() or self._world.gripper_width() <= GripConfig().empty_width

    def holding(self) -> float:
        return 0.0 if self.is_empty() else self._world.gripper_width()

    def carrying(self, token: CancellationToken) -> AbstractContextManager[None]:
        return nullcontext()

    def _is_open(self) -> bool:
        return self._world.gripper_width() >= OPEN_FRACTION * self._world.robot.max_gripper_width
