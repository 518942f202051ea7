"""RLBench as a world to run sentences in: its simulator in this process, what it is told and what it shows.

RLBench and PyRep are imported when a world is made and nowhere else: everything but this evaluation works without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data import DataError, arm_boxes, camera_view, rlbench_cloud
from mini_diffuser_ros.data.formats.restricted_pickle import read_pickle
from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running import MotionReport
from mini_diffuser_ros.support.errors import UserError, one_line

NEAR = 0.05
"""Metres; a move that ends within this distance of its goal has arrived."""

NEAR_TO_GRIP = 0.02
"""Metres; the same where the gripper is going to open or close."""

CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "wrist", "front")

_INSTALL = (
    "RLBench evaluates in CoppeliaSim 4.1 through PyRep: install those, then `pip install "
    "git+https://github.com/stepjam/PyRep.git git+https://github.com/stepjam/RLBench.git`; RLBench is not on PyPI, and "
    "PyPI's pyrep is an unrelated package"
)


class RefusedMoveError(UserError, RuntimeError):
    """The simulator cannot carry out an action: no inverse kinematics, no path, or an action it does not accept."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What an instant of an episode shows.

    Attributes:
        cloud: the scene without the arm's links, world frame.
        pose: (7,) xyz + xyzw of the gripper, world frame.
        gripper_open: True if it is open.
        reward: 1 once the task is done.
    """

    cloud: Cloud
    pose: NDArray[np.float64]
    gripper_open: bool
    reward: float


class RlbenchWorld:
    """One simulator. A process can have one.

    Args:
        cameras: which of :data:`CAMERAS` to look through.
        image_size: width and height of their images, pixels.
        fusion: how images become a cloud, as in training.

    Attributes:
        sight: what the last instant showed; there is none before the first ``reset``.

    Raises:
        EvaluationError: if RLBench is not installed, or it has no such camera.
    """

    sight: Sight

    def __init__(self, cameras: Sequence[str], image_size: int, fusion: FusionConfig) -> None:
        unknown = [camera for camera in cameras if camera not in CAMERAS]
        if unknown:
            raise EvaluationError(f"unknown camera '{unknown[0]}'; cameras of rlbench: {', '.join(CAMERAS)}")
        self._cameras = tuple(cameras)
        self._fusion = fusion
        self._task: Any = None
        self._refusals = (
            _member("pyrep.errors", "IKError"),
            _member("pyrep.errors", "ConfigurationPathError"),
            _member("rlbench.backend.exceptions", "InvalidActionError"),
        )
        self._environment = _member("rlbench.environment", "Environment")(
            action_mode=_action_mode(), obs_config=_observation_config(self._cameras, image_size), headless=True
        )
        self._environment.launch()

    def choose(self, task: str) -> int:
        """Load a task by its file's name, e.g. ``close_jar``; returns the number of its variations.

        Raises:
            EvaluationError: if RLBench has no such task.
        """
        find = _member("rlbench.backend.utils", "task_file_to_task_class")
        try:
            task_class = find(task)
        except (ImportError, AttributeError) as error:
            raise EvaluationError(f"unknown task '{task}': rlbench has no file tasks/{task}.py") from error
        self._task = self._environment.get_task(task_class)
        return int(self._task.variation_count())

    def reset(self, variation: int, state: int | tuple[Any, ...]) -> tuple[str, ...]:
        """Lay out the chosen task; returns RLBench's own sentences for it.

        Args:
            variation: number of the variation.
            state: seed of the layout, or the state of numpy's generator that a demonstration was recorded from.
        """
        # RLBench draws layouts from numpy's global generator and knows no other.
        if isinstance(state, int):
            np.random.seed(state)
        else:
            np.random.set_state(state)
        self._task.set_variation(variation)
        sentences, observation = self._task.reset()
        self.sight = self._sight(observation, 0.0)
        return tuple(sentences)

    def look(self, settle_time: float) -> Cloud:
        """The scene after the last move, world frame.

        The simulator shows what the published protocol judges, the instant at which a move has ended; nothing can be
        waited for.
        """
        return self.sight.cloud

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """Move, with the gripper as it is, to the first candidate that the simulator accepts; there, the gripper."""
        refusals: list[str] = []
        for index, candidate in enumerate(candidates):
            try:
                arrived = self._move_to(candidate)
            except RefusedMoveError as refusal:
                refusals.append(str(refusal))
                continue
            message = f"candidate {index + 1} of {len(candidates)} {'reached' if arrived else 'missed'}"
            return MotionReport(index, message, tuple(refusals), missed=not arrived, rewarded=self.success())
        return MotionReport(None, f"the simulator refused: {'; '.join(refusals)}", tuple(refusals))

    def success(self) -> bool:
        """Whether the last move was rewarded."""
        return self.sight.reward == 1.0

    def _move_to(self, mode: KeyframeMode) -> bool:
        """Whether the gripper got there, where it changes unless the move alone was rewarded."""
        held = self.sight.gripper_open
        near = NEAR if mode.gripper_open == held else NEAR_TO_GRIP
        self.step(mode.pose, held)
        arrived = float(np.linalg.norm(self.sight.pose[:3] - mode.pose[:3])) < near
        if arrived and mode.gripper_open != held and not self.success():
            self.step(mode.pose, mode.gripper_open)
        return arrived

    def step(self, pose: NDArray[np.floating], gripper_open: bool) -> None:
        """Move the gripper to a pose (7,) xyz + xyzw, world frame, then open or close it.

        Raises:
            RefusedMoveError: if the simulator cannot.
        """
        action = np.array([*pose[:3], *(pose[3:] / np.linalg.norm(pose[3:])), float(gripper_open)])
        try:
            observation, reward, _ = self._task.step(action)
        except self._refusals as error:
            raise RefusedMoveError(one_line(error)) from error
        self.sight = self._sight(observation, float(reward))

    def close(self) -> None:
        """End the simulator."""
        self._environment.shutdown()

    def _sight(self, observation: Any, reward: float) -> Sight:
        views = [
            camera_view(
                camera,
                getattr(observation, f"{camera}_rgb"),
                getattr(observation, f"{camera}_depth"),
                observation.misc[f"{camera}_camera_intrinsics"],
                observation.misc[f"{camera}_camera_extrinsics"],
            )
            for camera in self._cameras
        ]
        return Sight(
            cloud=rlbench_cloud(views, arm_boxes(observation.misc), self._fusion),
            pose=np.asarray(observation.gripper_pose, dtype=np.float64),
            gripper_open=bool(observation.gripper_open > 0.5),
            reward=reward,
        )


def check_installed() -> None:
    """Say at once, before a simulator is started, if there is none.

    Raises:
        EvaluationError: if RLBench or PyRep are not installed.
    """
    _module("pyrep.errors")
    _module("rlbench.environment")


def stored_layouts(root: Path, task: str) -> list[tuple[int, tuple[Any, ...]]]:
    """Variation and generator state of each demonstration of a task in the raw RLBench layout, in natural order.

    Raises:
        EvaluationError: if there are none, or one cannot be read.
    """
    folders = [
        (int(file.parents[2].name.removeprefix("variation")), int(file.parent.name.removeprefix("episode")), file)
        for file in (root / task).glob("variation*/episodes/episode*/low_dim_obs.pkl")
    ]
    if not folders:
        raise EvaluationError(f"{root / task}: holds no variation<N>/episodes/episode<M>/low_dim_obs.pkl")
    return [(variation, _generator_state(file)) for variation, _, file in sorted(folders)]


def _generator_state(file: Path) -> tuple[Any, ...]:
    try:
        state: Any = getattr(read_pickle(file), "random_seed", None)
        np.random.RandomState().set_state(state)
    except DataError as error:
        raise EvaluationError(str(error)) from error
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{file}: random_seed is no state of numpy's generator ({error})") from error
    return tuple(state)


def _action_mode() -> Any:
    arm = _member("rlbench.action_modes.arm_action_modes", "EndEffectorPoseViaPlanning")(collision_checking=False)
    gripper = _member("rlbench.action_modes.gripper_action_modes", "Discrete")()
    return _member("rlbench.action_modes.action_mode", "MoveArmThenGripper")(arm, gripper)


def _observation_config(cameras: Sequence[str], image_size: int) -> Any:
    """Colour and metric depth of the cameras, and the gripper; nothing else."""
    config = _member("rlbench.observation_config", "ObservationConfig")()
    config.set_all(False)
    for camera in cameras:
        settings = getattr(config, f"{camera}_camera")
        settings.rgb = settings.depth = settings.depth_in_meters = True
        settings.image_size = (image_size, image_size)
        settings.render_mode = _member("pyrep.const", "RenderMode").OPENGL
    config.gripper_pose = config.gripper_open = True
    return config


def _member(module: str, name: str) -> Any:
    return getattr(_module(module), name)


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise EvaluationError(f"--world rlbench: cannot import {name} ({error}). {_INSTALL}") from error
