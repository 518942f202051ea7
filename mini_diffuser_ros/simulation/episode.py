"""Scripted demonstrations: the expert's waypoints, carried out by the motion planner, seen at each keyframe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import same_grasp
from mini_diffuser_ros.perception import keyframe_from_views
from mini_diffuser_ros.perception.content import ContentConfig, worth_recording
from mini_diffuser_ros.records import TABLE, Episode, JointTrajectory, Keyframe, Provenance
from mini_diffuser_ros.running.task_world import DemonstrationFailed
from mini_diffuser_ros.simulation.task import Waypoint
from mini_diffuser_ros.simulation.world import TabletopWorld

Array = NDArray[np.float64]

MISHAP_PROBABILITY: Final = 0.12
"""Share of demonstrations that begin after an attempt that failed."""

_BLOCKED_RAD: Final = 0.02


class Planner(Protocol):
    """What a demonstration needs of the motion planner."""

    def plan(self, start: Array, pose: Array) -> JointTrajectory:
        """A trajectory from joint positions (7,) to a pose (7,), or a ``RuntimeError`` or ``ValueError``."""
        ...


def demonstrate(world: TabletopWorld, planner: Planner, task: str, seed: int) -> Episode:
    """Lays a task out and solves it.

    Keyframe 0 is what was seen before the first motion. About one demonstration in eight begins after a mishap, so
    that a policy learns to try again where an empty gripper was lifted; the mishap itself is not recorded, since
    nobody should learn to fail.

    Args:
        world: is reset.
        planner: makes every motion.
        task: name of a task.
        seed: of layout, start and mishap.

    Returns:
        An episode whose keyframes hold their images in memory.

    Raises:
        DemonstrationFailed: if a motion is refused or blocked, or if the goal is not reached at the end.
    """
    goal = world.reset(task, seed)
    rng = world.tasks[task].generator(seed, "mishap")
    if rng.random() < MISHAP_PROBABILITY:
        _follow(world, planner, world.tasks[task].mishap(world, goal.slots, rng))
    keyframes = [observe(world)]
    keyframes += run_expert(world, planner)
    if not world.success():
        raise DemonstrationFailed(f"{task}, seed {seed}: the goal {dict(goal.slots)} was not reached")
    seen_by = () if world.sensor.exact else (str(world.sensor),)
    source, made_in = f"tabletop seed {seed}", Provenance((TABLE,), sensors=seen_by)
    return Episode(task, goal.variation, goal.sentences, tuple(keyframes), source, made_in)


def run_expert(world: TabletopWorld, planner: Planner) -> list[Keyframe]:
    """Carries the expert's waypoints for the present goal out; one keyframe after each.

    Raises:
        DemonstrationFailed: if a motion is refused or blocked.
    """
    task = world.tasks[world.goal.task]
    keyframes = []
    for waypoint in task.expert(world, world.goal.slots):
        _follow(world, planner, [waypoint])
        keyframes.append(observe(world, waypoint))
    return keyframes


def _follow(world: TabletopWorld, planner: Planner, waypoints: Sequence[Waypoint]) -> None:
    for waypoint in waypoints:
        try:
            trajectory = planner.plan(world.arm_positions(), waypoint.pose)
        except (RuntimeError, ValueError) as refusal:
            raise DemonstrationFailed(f"{world.goal.task}: {refusal}") from refusal
        error = world.execute(trajectory)
        if error > _BLOCKED_RAD:
            raise DemonstrationFailed(f"{world.goal.task}: the arm stopped {error:.3f} rad before {waypoint.pose[:3]}")
        if world.gripper_is_open() != waypoint.gripper_open:
            world.set_gripper(waypoint.gripper_open)


def observe(world: TabletopWorld, waypoint: Waypoint | None = None) -> Keyframe:
    """What is seen and where the hand is; at a waypoint turned as that says, where two turns are the same grasp.

    Raises:
        DemonstrationFailed: no camera measures anything.
    """
    views = worth_recording(world.views(), ContentConfig())
    if not views:
        raise DemonstrationFailed(f"{world.goal.task}: no camera measures anything")
    joints = world.joint_positions()
    pose = world.tcp_pose()
    if waypoint is not None:
        pose = same_grasp(pose, waypoint.pose)

    return keyframe_from_views(views, pose, world.gripper_is_open(), world.time, joints, world.robot)
