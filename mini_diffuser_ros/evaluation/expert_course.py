"""What the expert would do on a laid table, to compare decisions with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.evaluation.rollout import JudgedDecision
from mini_diffuser_ros.running import Decision
from mini_diffuser_ros.simulation import TASKS, Goal, TabletopWorld
from mini_diffuser_ros.training.frames import frame_kinds


@dataclass(frozen=True, eq=False)
class ExpertCourse:
    """The expert's keyframes from the start of an episode.

    Attributes:
        positions: (K, 3) metres.
        gripper_open: (K,) gripper at them.
        chooses_object: for each whether only the sentence tells which object it goes to.
    """

    positions: NDArray[np.floating]
    gripper_open: NDArray[np.bool_]
    chooses_object: tuple[bool, ...]

    @classmethod
    def of(cls, world: TabletopWorld, goal: Goal) -> ExpertCourse:
        """The course on a table as it lies now."""
        waypoints = TASKS[goal.task].expert(world, goal.slots)
        poses = np.array([world.tcp_pose(), *(waypoint.pose for waypoint in waypoints)])
        opens = np.array([world.gripper_is_open(), *(waypoint.gripper_open for waypoint in waypoints)])
        return cls(poses[1:, :3], opens[1:], tuple(kind.decides_object for kind in frame_kinds(poses, opens)))

    def judge(self, decisions: Sequence[Decision]) -> tuple[JudgedDecision, ...]:
        """Compare executed decisions with the expert's, as long as their grippers have done the same."""
        judged = []
        step, followed = 0, True
        for decision in decisions:
            mode = decision.executed
            if mode is None or not followed or step == len(self.positions):
                judged.append(JudgedDecision(decision))
                continue
            distance = float(np.linalg.norm(mode.pose[:3] - self.positions[step]))
            judged.append(JudgedDecision(decision, self.chooses_object[step], distance))
            followed = bool(mode.gripper_open == self.gripper_open[step])
            step += 1
        return tuple(judged)
