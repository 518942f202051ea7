"""RLBench as a world to run sentences in: its simulator in this process, what it is told and what it shows."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data import ArmBox, ArmPosture, arm_boxes, camera_view, rlbench_cloud
from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.evaluation.rlbench_install import member, task_class
from mini_diffuser_ros.evaluation.rlbench_layouts import Layout
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import CameraView, Cloud, KeyframeMode
from mini_diffuser_ros.running import MotionReport, WorldError, WorldStartError
from mini_diffuser_ros.support.errors import UserError, one_line

NEAR = 0.05
"""Metres; a move that ends within this distance of its goal has arrived."""

NEAR_TO_GRIP = 0.02
"""Metres; the same where the gripper is going to open or close."""

CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "wrist", "front")


class RefusedMoveError(UserError, RuntimeError):
    """The simulator cannot carry out an action: no inverse kinematics, no path, or an action it does not accept."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What an instant of an episode shows.

    Attributes:
        views: RGB-D images, world frame.
        boxes: around the arm's links, where RLBench says them.
        posture: of the arm, where it is known.
        pose: (7,) xyz + xyzw of the gripper, world frame.
        gripper_open: True if it is measured as open, which RLBench also says of one that holds something off centre.
        reward: 1 once the task is done.
    """

    views: tuple[CameraView, ...]
    boxes: tuple[ArmBox, ...]
    posture: ArmPosture | None
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
        WorldStartError: if its simulator does not start.
    """

    sight: Sight

    def __init__(self, cameras: Sequence[str], image_size: int, fusion: FusionConfig) -> None:
        unknown = [camera for camera in cameras if camera not in CAMERAS]
        if unknown:
            raise EvaluationError(f"unknown camera '{unknown[0]}'; cameras of rlbench: {', '.join(CAMERAS)}")
        self._cameras = tuple(cameras)
        self._fusion = fusion
        self._task: Any = None
        self._name = ""
        self._variation: int | None = None
        self._commanded_open = True
        self._refusals = (
            member("pyrep.errors", "IKError"),
            member("pyrep.errors", "ConfigurationPathError"),
            member("rlbench.backend.exceptions", "InvalidActionError"),
        )
        arm, mode = _action_mode()
        self._ending = _ending_of_actions(arm)
        configuration = _observation_config(self._cameras, image_size)
        environment = member("rlbench.environment", "Environment")
        place = Path.cwd()
        try:
            self._environment = environment(action_mode=mode, obs_config=configuration, headless=True)
            self._environment.launch()
        except Exception as error:
            os.chdir(place)  # which a launch leaves for CoppeliaSim's folder, and comes back if it succeeds
            raise WorldStartError(f"the simulator does not start: {one_line(error)}") from error

    def choose(self, task: str) -> int:
        """Load a task by its file's name, e.g. ``close_jar``, unless it is; returns the number of its variations.

        Raises:
            EvaluationError: if RLBench has no such task.
            WorldError: if it cannot be loaded.
        """
        if task != self._name:
            self._load(task)
        with self._simulating(f"{task}: its variations cannot be counted"):
            return int(self._task.variation_count())

    def reset(self, layout: Layout) -> tuple[str, ...]:
        """Lay out the chosen task, loaded anew for each variation; returns RLBench's own sentences for it.

        Raises:
            WorldError: if the task cannot be placed, or the simulator fails.
        """
        if self._variation not in (None, layout.variation):
            self._load(self._name)
        self._variation = layout.variation
        with self._simulating(f"{self._name}, variation {layout.variation}, cannot be laid out"):
            # RLBench draws layouts from numpy's global generator and knows no other.
            if isinstance(layout.state, int):
                np.random.seed(layout.state)
            else:
                np.random.set_state(layout.state)
            self._task.set_variation(layout.variation)
            sentences, observation = self._task.reset(*_placed_as(layout, self._task.reset))
            self.sight = self._sight(observation, 0.0)
        # Nothing is between the fingers yet, so that what is measured is what they are.
        self._commanded_open = self.sight.gripper_open
        return tuple(sentences)

    def look(self, settle_time: float) -> Cloud:
        """The scene after the last move, world frame.

        The simulator shows what the published protocol judges, the instant at which a move has ended; nothing can be
        waited for.
        """
        return self.cloud(self._fusion)

    def cloud(self, fusion: FusionConfig) -> Cloud:
        """The scene without the arm's links, world frame.

        Raises:
            WorldError: the simulator's images cannot be fused.
        """
        sight = self.sight
        with self._simulating(f"{self._name}: what the simulator shows cannot be fused"):
            return rlbench_cloud(sight.views, sight.boxes, fusion, sight.posture)

    @property
    def commanded_open(self) -> bool:
        """Whether the gripper was last told to open."""
        return self._commanded_open

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
        """Whether the gripper got there, where it changes unless the move alone was rewarded.

        On the way it is held as it was last told to be. What is measured may say open of a gripper that holds
        something, and telling it so would let go.
        """
        held = self._commanded_open
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
            WorldError: if the simulator fails.
        """
        action = np.array([*pose[:3], *(pose[3:] / np.linalg.norm(pose[3:])), float(gripper_open), *self._ending])
        with self._simulating(f"{self._name}: the simulator failed in a move"):
            try:
                observation, reward, _ = self._task.step(action)
            except self._refusals as error:
                raise RefusedMoveError(one_line(error)) from error
            self._commanded_open = gripper_open
            self.sight = self._sight(observation, float(reward))

    def close(self) -> None:
        """End the simulator."""
        self._environment.shutdown()

    def _load(self, task: str) -> None:
        found = task_class(task)
        self._name, self._variation = "", None
        with self._simulating(f"{task} cannot be loaded"):
            self._task = self._environment.get_task(found)
        self._name = task

    @contextmanager
    def _simulating(self, what: str) -> Iterator[None]:
        """Whatever RLBench raises in the block, and does not call a refusal, is a failure of the simulator."""
        try:
            yield
        except (RefusedMoveError, WorldError):
            raise
        except Exception as error:
            raise WorldError(f"{what}: {type(error).__name__}: {one_line(error)}") from error

    def _sight(self, observation: Any, reward: float) -> Sight:
        pose = np.asarray(observation.gripper_pose, dtype=np.float64)
        if pose.shape != (7,) or not np.isfinite(pose).all():
            raise WorldError(
                f"{self._name}: the gripper's pose is {pose.tolist()}; stepjam/PyRep divides by zero on a path without "
                "length, cshizhe/PyRep does not"
            )
        views = tuple(
            camera_view(
                camera,
                getattr(observation, f"{camera}_rgb"),
                getattr(observation, f"{camera}_depth"),
                observation.misc[f"{camera}_camera_intrinsics"],
                observation.misc[f"{camera}_camera_extrinsics"],
            )
            for camera in self._cameras
        )
        joints = getattr(observation, "joint_positions", None)
        return Sight(
            views=views,
            boxes=arm_boxes(observation.misc),
            posture=None if joints is None else ArmPosture(np.asarray(joints, dtype=np.float64), pose),
            pose=pose,
            gripper_open=bool(observation.gripper_open > 0.5),
            reward=reward,
        )


def _action_mode() -> tuple[Any, Any]:
    """The arm's, and that of arm and gripper."""
    arm = member("rlbench.action_modes.arm_action_modes", "EndEffectorPoseViaPlanning")(collision_checking=False)
    gripper = member("rlbench.action_modes.gripper_action_modes", "Discrete")()
    return arm, member("rlbench.action_modes.action_mode", "MoveArmThenGripper")(arm, gripper)


def _ending_of_actions(arm: Any) -> tuple[float, ...]:
    """What an action has after pose and gripper.

    PerAct's RLBench plans around things unless a ninth number says not to, and others refuse nine. They differ in what
    the arm's part of an action takes.
    """
    action = getattr(arm, "action", None)
    return (1.0,) if action is not None and "ignore_collisions" in inspect.signature(action).parameters else ()


def _placed_as(layout: Layout, reset: Any) -> tuple[Any, ...]:
    """What ``reset`` has to be given so that it places things as often as a demonstration did, where it can."""
    if layout.attempts is None or "demo" not in inspect.signature(reset).parameters:
        return ()
    return (SimpleNamespace(num_reset_attempts=layout.attempts),)


def _observation_config(cameras: Sequence[str], image_size: int) -> Any:
    """Colour and metric depth of the cameras, the gripper, and the joints; nothing else."""
    config = member("rlbench.observation_config", "ObservationConfig")()
    config.set_all(False)
    for camera in cameras:
        settings = getattr(config, f"{camera}_camera")
        settings.rgb = settings.depth = settings.depth_in_meters = True
        settings.image_size = (image_size, image_size)
        settings.render_mode = member("pyrep.const", "RenderMode").OPENGL
    config.gripper_pose = config.gripper_open = config.joint_positions = True
    return config
