"""A world of tasks as a world to run sentences in: its cameras become the clouds that a policy decides on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mini_diffuser_ros.records import Cloud, FusionConfig, KeyframeMode
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.instruction_run import MotionReport
from mini_diffuser_ros.running.task_world import TaskWorld, WorldError
from mini_diffuser_ros.running.world_answers import moved, seen, succeeded
from mini_diffuser_ros.support.errors import UserError, one_line


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
            WorldError: views that cannot be fused, or of which none measures anything.
        """
        try:
            self._world.settle(settle_time)
        except UserError as error:
            raise WorldError(f"settle(): {one_line(error)}") from error
        return seen(self._world, self._fusion, self._robot)

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """As :meth:`TaskWorld.move`; ``rewarded`` is what the world judges then.

        Raises:
            UserError: the motion failed on the way.
            WorldError: the world reports what cannot be.
        """
        report = moved(self._world, candidates)
        return replace(report, rewarded=report.chosen is not None and self.success())

    def success(self) -> bool:
        """Whether the task is done, as the world stands now.

        Raises:
            WorldError: the world says neither.
        """
        return succeeded(self._world)
