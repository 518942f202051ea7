"""One episode in closed loop: look, decide, move, until the policy says that it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.evaluation.protocol import EvaluationProtocol
from mini_diffuser_ros.motion import AllRefused, MotionPlanner
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.policy import Policy
from mini_diffuser_ros.records import KeyframeMode
from mini_diffuser_ros.simulation import TASKS, Goal, TabletopWorld
from mini_diffuser_ros.training.frames import frame_kinds


@dataclass(frozen=True)
class Decision:
    """One decision of the policy.

    Attributes:
        seconds: from the images to the ranked modes.
        chooses_object: True if only the sentence tells which object the keyframe goes to.
        distance: metres between the chosen position and the expert's, None once the episode has left the expert's
            course (a second attempt, say), where the two are no longer about the same step.
    """

    seconds: float
    chooses_object: bool
    distance: float | None


@dataclass(frozen=True)
class EpisodeResult:
    """How an episode went."""

    task: str
    seed: int
    sentence: str
    success: bool
    outcome: str
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, eq=False)
class _ExpertCourse:
    """What the expert would do from the start, to compare decisions with."""

    positions: NDArray[np.floating]
    gripper_open: NDArray[np.bool_]
    chooses_object: tuple[bool, ...]

    @classmethod
    def of(cls, world: TabletopWorld, goal: Goal) -> _ExpertCourse:
        waypoints = TASKS[goal.task].expert(world, goal.slots)
        poses = np.array([world.tcp_pose(), *(waypoint.pose for waypoint in waypoints)])
        opens = np.array([world.gripper_is_open(), *(waypoint.gripper_open for waypoint in waypoints)])
        return cls(poses[1:, :3], opens[1:], tuple(kind.decides_object for kind in frame_kinds(poses, opens)))

    def compare(self, index: int, history: Sequence[KeyframeMode]) -> tuple[bool, float | None]:
        """Whether decision ``index`` chooses an object, and its distance from the expert's, metres."""
        followed = all(mode.gripper_open == self.gripper_open[i] for i, mode in enumerate(history[:-1][: len(self)]))
        if index >= len(self) or not followed:
            return False, None
        return self.chooses_object[index], float(np.linalg.norm(history[-1].pose[:3] - self.positions[index]))

    def __len__(self) -> int:
        return len(self.positions)


def roll_out(
    policy: Policy,
    world: TabletopWorld,
    planner: MotionPlanner,
    goal: Goal,
    sentence: str,
    seed: int,
    protocol: EvaluationProtocol,
    fusion: FusionConfig,
) -> EpisodeResult:
    """Run the policy on a table that has been laid, until it ends the task, the limit or a refusal.

    Args:
        policy: the checkpoint.
        world: laid for ``goal`` by its ``reset``.
        planner: motion for the world's robot.
        goal: what the world judges success by.
        sentence: all that the policy is told of it.
        seed: of the decisions' noise.
        protocol: samples, DDIM steps, limit of keyframes.
        fusion: how images become a cloud, as in training.
    """
    course = _ExpertCourse.of(world, goal)
    history: list[KeyframeMode] = []
    decisions: list[Decision] = []
    outcome = "keyframe limit"
    for index in range(protocol.max_keyframes):
        started = time.perf_counter()
        positions = world.joint_positions()
        cloud = fuse_views(world.views(), fusion, world.robot, positions)
        modes = policy.decide(cloud, sentence, samples=protocol.samples, steps=protocol.steps, seed=seed + index)
        seconds = time.perf_counter() - started
        try:
            planned = planner.plan_first(world.arm_positions(), modes)
        except AllRefused as refusal:
            outcome = f"no keyframe could be reached: {refusal}"
            break
        mode = modes[planned.index]
        history.append(mode)
        decisions.append(Decision(seconds, *course.compare(index, history)))
        world.execute(planned.trajectory)
        if mode.gripper_open != world.gripper_is_open():
            world.set_gripper(mode.gripper_open)
        if mode.terminate:
            outcome = "terminated"
            break
    return EpisodeResult(goal.task, seed, sentence, world.success(), outcome, tuple(decisions))
