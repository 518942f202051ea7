"""What a world of tasks answers, as far as it can be: what it gets wrong is its own failure, never the policy's."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from mini_diffuser_ros.perception import check_view, fuse_views
from mini_diffuser_ros.perception.content import ContentConfig, measures
from mini_diffuser_ros.records import CameraView, Cloud, FusionConfig, KeyframeMode
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.running.instruction_run import MotionReport
from mini_diffuser_ros.running.task_world import SelfFusingWorld, TaskWorld, WorldError
from mini_diffuser_ros.support.errors import UserError, one_line

_ANY = ContentConfig(least_depth=0.0)


def seen(world: TaskWorld, fusion: FusionConfig, robot: RobotDescription | None) -> Cloud:
    """What is seen now, as one cloud in the base frame.

    Args:
        world: is looked at.
        fusion: how images become a cloud.
        robot: to be taken out of it; None takes none out.

    Raises:
        WorldError: there is no view or one that is malformed, none measures anything, or looking fails otherwise.
    """
    try:
        if isinstance(world, SelfFusingWorld):
            cloud = world.fuse(fusion)
            if not len(cloud):
                _refuse_blind(world, world.views())
            return cloud
        views = world.views()
        cloud = fuse_views(views, fusion, robot, world.joint_positions())
    except UserError as error:
        raise WorldError(f"{_called(world)}: {one_line(error)}") from error
    _refuse_blind(world, views)
    return cloud


def checked_views(world: TaskWorld) -> tuple[CameraView, ...]:
    """What the cameras of a world show now, each as a :class:`CameraView` is to be.

    Raises:
        WorldError: one is malformed, or looking fails otherwise.
    """
    try:
        views = tuple(world.views())
        for view in views:
            check_view(view)
    except UserError as error:
        raise WorldError(f"{_called(world)}: {one_line(error)}") from error
    return views


def moved(world: TaskWorld, candidates: Sequence[KeyframeMode]) -> MotionReport:
    """What became of a motion to one of the candidates.

    Raises:
        UserError: the motion failed on the way.
        WorldError: the world reports what cannot be.
    """
    report = world.move(candidates)
    if not isinstance(report, MotionReport):
        _refuse(world, "move()", report, "a MotionReport")
    chosen = report.chosen
    if chosen is not None:
        if isinstance(chosen, bool) or not isinstance(chosen, int | np.integer):
            _refuse(world, "chosen of a report", chosen, "the number of a candidate, or None")
        if not 0 <= chosen < len(candidates):
            _refuse(world, "chosen of a report", chosen, f"0 to {len(candidates) - 1}, or None")
        chosen = int(chosen)
    texts = (report.message, *report.refusals) if isinstance(report.refusals, tuple | list) else (report.refusals,)
    for text in texts:
        if not isinstance(text, str):
            _refuse(world, "message or refusals of a report", text, "text")
    reached = report.reached
    if reached is not None and not _is_pose(reached):
        _refuse(world, "reached of a report", reached, "(7,) finite numbers, or None")
    return replace(
        report,
        chosen=chosen,
        refusals=tuple(report.refusals),
        missed=_truth(world, "missed of a report", report.missed),
        lost=_truth(world, "lost of a report", report.lost),
    )


def succeeded(world: TaskWorld) -> bool:
    """Whether the task is done, as the world stands now.

    Raises:
        WorldError: the world says neither that it is nor that it is not.
    """
    try:
        said = world.success()
    except UserError as error:
        raise WorldError(f"{_called(world)}: success(): {one_line(error)}") from error
    return _truth(world, "success()", said)


def _refuse_blind(world: TaskWorld, views: Sequence[CameraView]) -> None:
    if not any(measures(view.depth, _ANY) for view in views):
        raise WorldError(f"{_called(world)}: no camera measures anything: depth of {_names(views)} has no distance")


def _names(views: Sequence[CameraView]) -> str:
    return ", ".join(view.name for view in views) or "no view"


def _is_pose(value: Any) -> bool:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return numbers.shape == (7,) and bool(np.isfinite(numbers).all())


def _truth(world: TaskWorld, what: str, said: Any) -> bool:
    """Numpy's truth values are as good as Python's; nothing else is one."""
    if not isinstance(said, bool | np.bool_):
        _refuse(world, what, said, "True or False")
    return bool(said)


def _refuse(world: TaskWorld, what: str, found: Any, expected: str) -> NoReturn:
    raise WorldError(
        f"{_called(world)}: {what} is {reprlib.repr(found)}, a {type(found).__name__}, expected {expected}"
    )


def _called(world: TaskWorld) -> str:
    return type(world).__name__
