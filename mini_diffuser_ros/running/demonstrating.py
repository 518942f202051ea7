"""Demonstrations of the scripted expert of a world of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from mini_diffuser_ros.geometry import same_grasp
from mini_diffuser_ros.perception import keyframe_from_views
from mini_diffuser_ros.perception.content import ContentConfig, worth_recording
from mini_diffuser_ros.records import Episode, FloatArray, Keyframe, KeyframeMode, Provenance
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.task_world import DemonstrationFailed, ExpertWorld, KeyframeAction, TaskWorld
from mini_diffuser_ros.running.world_answers import checked_views, moved, succeeded
from mini_diffuser_ros.running.world_names import check_name
from mini_diffuser_ros.support.errors import UserError, one_line

LONGEST = 200
"""Actions after which an expert is taken to have lost its way."""

_SETTLE_TIME = 0.35  # seconds; as long as policies are kept waiting by default


def demonstrate_in(world: TaskWorld, task: str, seed: int) -> Episode:
    """Lay a task out and have the world's expert solve it.

    Keyframe 0 is what was seen before the first action that counts, see :class:`KeyframeAction`. The pose of a keyframe
    is the one that the motion's report has, which was measured before the fingers moved: also that of an arm that ended
    short of where it was sent, as one does that pushes something.

    Args:
        world: with an expert, see :class:`ExpertWorld`.
        task: one of its tasks.
        seed: of the layout.

    Returns:
        An episode whose keyframes hold their images in memory.

    Raises:
        DemonstrationFailed: a motion was refused or failed, the expert gave up, or the task is not done at the end.
        LayoutError: the seed cannot be laid out.
        WorldError: the world failed.
        WorldNameError: the world calls itself what it is not.
        TypeError: the world has no expert.
    """
    if not isinstance(world, ExpertWorld):
        raise TypeError(f"{type(world).__name__} has no expert")
    check_name(world)
    laid = world.lay_out(task, seed)
    keyframes: list[Keyframe] = []
    for number, action in enumerate(world.expert()):
        if number >= LONGEST:
            raise DemonstrationFailed(f"{task}: the expert has not come to an end after {LONGEST} actions")
        if action.begins or not keyframes:
            keyframes = [_observed(world)]
        pose = _carried_out(world, action, task)
        keyframes.append(_observed(world, pose))
    if not succeeded(world):
        raise DemonstrationFailed(f"{task}, seed {seed}: the task is not done at the end")
    about = Provenance((world.name,))
    return Episode(task, laid.variation, laid.sentences, _timed(keyframes), f"{world.name} seed {seed}", about)


def _carried_out(world: TaskWorld, action: KeyframeAction, task: str) -> FloatArray:
    """(7,) where the hand came to rest, of the two turns of the gripper that grasp alike the one that was wanted."""
    mode = KeyframeMode(action.pose, action.gripper_open, False, 1.0, 0.0)
    try:
        report = moved(world, [mode])
    except UserError as error:
        raise DemonstrationFailed(f"{task}: {one_line(error)}") from error
    if report.chosen is None:
        raise DemonstrationFailed(f"{task}: {report.message}")
    return same_grasp(world.tcp_pose() if report.reached is None else report.reached, action.pose)


def _observed(world: TaskWorld, pose: FloatArray | None = None) -> Keyframe:
    """What is seen now, with the hand at ``pose``, by default where it is measured."""
    world.settle(_SETTLE_TIME)
    views = worth_recording(checked_views(world), ContentConfig())
    if not views:
        raise DemonstrationFailed("no camera measures anything")
    return keyframe_from_views(
        views,
        world.tcp_pose() if pose is None else pose,
        world.gripper_is_open(),
        max(view.stamp for view in views),
        world.joint_positions(),
        None if world.robot is None else load_robot(world.robot),
    )


def _timed(keyframes: Sequence[Keyframe]) -> tuple[Keyframe, ...]:
    """The same with stamps from 0 on; in a world without a clock a keyframe takes a second."""
    if any(after.stamp <= before.stamp for before, after in pairwise(keyframes)):
        return tuple(_at(keyframe, float(number), None) for number, keyframe in enumerate(keyframes))
    start = keyframes[0].stamp
    return tuple(_at(keyframe, keyframe.stamp - start, start) for keyframe in keyframes)


def _at(keyframe: Keyframe, stamp: float, start: float | None) -> Keyframe:
    """A keyframe with another stamp, those of its images counted from ``start``, or the same as its own."""
    views = tuple(
        replace(view, stamp=round(stamp if start is None else view.stamp - start, 6)) for view in keyframe.views
    )
    return replace(keyframe, stamp=round(stamp, 6), load_views=lambda: views)
