"""What a world of tasks offers: policies are evaluated, and demonstrations recorded, in whatever has these methods.

``mini-diffuser eval --world package.module:Class`` and ``mini-diffuser record`` take a class by its name, the
table-top, RLBench and LIBERO included. docs/worlds.md has it on one page, examples/your_own_world.py as an example.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from mini_diffuser_ros.records import CameraView, Cloud, FloatArray, FusionConfig, KeyframeMode
from mini_diffuser_ros.running.instruction_run import MotionReport
from mini_diffuser_ros.support.errors import UserError

HANGS_AFTER = 3600.0
"""Seconds after which a world counts as hanging that is at one episode; 25 keyframes of ten moves each take minutes."""


class WorldError(RuntimeError):
    """A world has failed, its simulator or the way to it, which says nothing about the policy.

    It is none of a user's errors, which end a sentence as the policy's failure: the episode counts for no rate, and the
    process that it was in is replaced. So it is with anything else that a world raises and that is no UserError.
    """


class WorldStartError(WorldError):
    """A world does not start at all; several of these in a row end the evaluation or the recording."""


class LayoutError(UserError, RuntimeError):
    """A task cannot be laid out with this seed: recording takes the next one, evaluation counts the episode apart."""


class DemonstrationFailed(RuntimeError):  # noqa: N818 - a demonstration may fail without any error
    """A scripted expert did not solve a layout; the message says where it stopped. The next seed takes its place."""


@dataclass(frozen=True)
class LaidTask:
    """A task as it lies before the arm.

    Attributes:
        sentences: the instruction in words, one or more. A policy is told the first; recordings hold all of them.
        variation: number of the task's variation, from 0 on; 0 where it has none.

    Raises:
        ValueError: there is no sentence, or they are no texts in a tuple or list, or the number is none.
    """

    sentences: tuple[str, ...]
    variation: int = 0

    def __post_init__(self) -> None:
        told, number = self.sentences, self.variation
        if not isinstance(told, tuple | list) or not told or not all(isinstance(text, str) for text in told):
            raise ValueError(f"LaidTask.sentences is {reprlib.repr(told)}, expected a tuple of one or more texts")
        if not all(text.strip() for text in told):
            raise ValueError(f"LaidTask.sentences is {reprlib.repr(told)}, of which one is empty")
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
            raise ValueError(f"LaidTask.variation is {reprlib.repr(number)}, expected a whole number of at least 0")
        object.__setattr__(self, "sentences", tuple(map(str, told)))
        object.__setattr__(self, "variation", int(number))


@dataclass(frozen=True, eq=False)
class KeyframeAction:
    """What an expert wants done next: a motion, and after it the gripper.

    Attributes:
        pose: (7,) xyz + xyzw to bring the tool centre point to, base frame.
        gripper_open: gripper state to take after the arm has arrived.
        begins: the demonstration begins anew with what is seen before this action. What was done until then is not
            recorded, as nobody should learn to fail: after a grasp in vain, say, the first action of the next attempt.
    """

    pose: FloatArray
    gripper_open: bool
    begins: bool = False


class TaskWorld(Protocol):
    """A world in which tasks are laid out, looked at, worked on and judged.

    It is made as ``Class(Class.Settings(...))``, where ``Settings`` is a frozen dataclass with defaults that
    ``--world-options key=value`` change. Making one starts nothing, as it is also done to ask for the tasks; what is
    expensive starts with the first ``lay_out``. All methods are called from one thread. Poses, views and joints are
    metres and radians in the base frame of the arm, whose axes and tool centre point are those of its description.
    """

    @property
    def name(self) -> str:
        """By which recordings know where they were made, e.g. ``LIBERO``; ``records.LAB`` is a real arm's."""
        ...

    @property
    def robot(self) -> str | None:
        """Name of the arm's description, with which it is taken out of the clouds; None for an arm without one."""
        ...

    @property
    def tasks(self) -> Sequence[str]:
        """Names of the tasks, in the order of reports: lower-case letters, digits and ``_``."""
        ...

    def lay_out(self, task: str, seed: int) -> LaidTask:
        """Lay a task out, whatever was there before, with the arm where it starts.

        The same task and seed give the same layout in any process, after any others. A world that draws invalid ones
        draws again by itself. What has to come to rest has done so on return.

        Args:
            task: one of ``tasks``.
            seed: episode i of an evaluation or recording that begins at S has seed S + i. A world with a list of start
                states takes ``seed % len(states)``, so that other multiples repeat them with other noise of decisions.

        Raises:
            LayoutError: this seed cannot be laid out.
            WorldStartError: the world does not start.
        """
        ...

    def settle(self, seconds: float) -> None:
        """Let time pass with the arm where it is; nothing to do where the world stands between motions."""
        ...

    def views(self) -> Sequence[CameraView]:
        """RGB-D images of all cameras now, with their calibration, as :class:`CameraView` says."""
        ...

    def joint_positions(self) -> Mapping[str, float]:
        """Joint name, as in the arm's description, to position now: radians; metres for each finger."""
        ...

    def tcp_pose(self) -> FloatArray:
        """(7,) xyz + xyzw of the tool centre point as measured now."""
        ...

    def gripper_is_open(self) -> bool:
        """Whether the gripper was last told to open; one that holds something wide is closed all the same."""
        ...

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """Move to the first candidate that is safe, with the gripper as it is, then have the gripper do as it says.

        The report has in ``reached`` the pose measured when the arm had come to rest and the fingers had not yet moved,
        and in ``missed`` whether that is short of the candidate's. Where no candidate is safe, it says why.

        Raises:
            UserError: the motion failed on the way, as the arm was blocked, say; it ends the sentence.
        """
        ...

    def success(self) -> bool:
        """Whether the task is done, as the world stands now."""
        ...

    def close(self) -> None:
        """Give back what was started; nothing is called after it."""
        ...


@runtime_checkable
class ExpertWorld(Protocol):
    """What a :class:`TaskWorld` offers besides to have demonstrations recorded: a scripted expert."""

    def expert(self) -> Iterator[KeyframeAction]:
        """What to do on the layout as it is, one action after the other.

        Each action is carried out by ``move`` before the next is asked for, so that the expert may look at the world
        and change its mind. What it does with the world before its first action is not recorded. The last action ends
        the task: ``success`` holds after it.

        Raises:
            DemonstrationFailed: it does not know how to go on.
        """
        ...


@runtime_checkable
class SelfFusingWorld(Protocol):
    """What a :class:`TaskWorld` offers besides if its clouds are not ``fuse_views`` of its views and its robot."""

    def fuse(self, fusion: FusionConfig) -> Cloud:
        """What is seen now, as one cloud in the base frame, made as the policy was trained."""
        ...


@runtime_checkable
class HeavyWorld(Protocol):
    """What a :class:`TaskWorld` says besides if another task costs it seconds, or memory that is not given back.

    A process does all episodes of a task before it takes another, and ends after so many tasks.

    Attributes:
        tasks_per_process: at least 1.
    """

    tasks_per_process: int


@runtime_checkable
class DistributedWorld(Protocol):
    """What a :class:`TaskWorld` says besides if results depend on what is installed.

    Attributes:
        distributions: names as pip has them. With another version of one an evaluation begins anew.
    """

    distributions: Sequence[str]
