"""A world of tasks as a world to run sentences in: its cameras become the clouds that a policy decides on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mini_diffuser_ros.perception import fuse_views
from mini_diffuser_ros.records import Cloud, FusionConfig, KeyframeMode
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.instruction_run import MotionReport
from mini_diffuser_ros.running.task_world import SelfFusingWorld, TaskWorld


class SeenWorld:
    """A :class:`TaskWorld` that is looked at as the policy was trained, and whose judgement is known after each motion.

    Args:
        world: laid out when it is looked at.
        fusion: how images become a cloud.

    Raises:
        UnknownRobotError: there is no description of the world's robot.
    """

    def __init__(self, world: TaskWorld, fusion: FusionConfig) -> None:
        self._world = world
        self._fusion = fusion
        self._robot = None if world.robot is None else load_robot(world.robot)

    def look(self, settle_time: float) -> Cloud:
        """What is seen once ``settle_time`` seconds have passed, base frame.

        Raises:
            PerceptionError: views that cannot be fused.
        """
        self._world.settle(settle_time)
        if isinstance(self._world, SelfFusingWorld):
            return self._world.fuse(self._fusion)
        return fuse_views(self._world.views(), self._fusion, self._robot, self._world.joint_positions())

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """As :meth:`TaskWorld.move`; ``rewarded`` is what the world judges then."""
        report = self._world.move(candidates)
        return replace(report, rewarded=report.chosen is not None and self.success())

    def success(self) -> bool:
        """Whether the task is done, as the world stands now."""
        return self._world.success()
