"""A double of the parts of RLBench and PyRep that the evaluation calls, for tests without CoppeliaSim.

It is no simulator: a red ball hangs above a table, the gripper goes where it is told, and closing it at the ball is
rewarded. Names, signatures and conventions (negative focal lengths, metric depth, poses xyz + xyzw, an action of eight
numbers) are RLBench's own; what it was told is kept in ``calls``.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

TABLE = 0.75
SIZE = 0.05
CAMERA_HEIGHT = 2.0


class IKError(Exception):
    """As pyrep.errors."""


class ConfigurationPathError(Exception):
    """As pyrep.errors."""


class InvalidActionError(Exception):
    """As rlbench.backend.exceptions."""


class Behaviour:
    """What the double is to do, and what it was told.

    Attributes:
        short_by: metres by which each move ends above its goal; the last one counts for all moves after it.
        refuse_at: number of the step that raises, None for never.
        variations: of its only task.
        calls: what was called, in order.
        actions: (n, 8) actions so far.
    """

    def __init__(self) -> None:
        self.short_by: list[float] = [0.0]
        self.refuse_at: int | None = None
        self.variations = 3
        self.calls: list[Any] = []
        self.actions: list[np.ndarray] = []
        self.configuration: Any = None


class CameraConfig:
    """As rlbench.observation_config."""

    def __init__(self) -> None:
        self.rgb = self.depth = self.point_cloud = self.mask = True
        self.depth_in_meters = False
        self.image_size = (128, 128)
        self.render_mode: str | None = None

    def set_all(self, value: bool) -> None:
        self.rgb = self.depth = self.point_cloud = self.mask = value


class ObservationConfig:
    """As rlbench.observation_config."""

    def __init__(self) -> None:
        for camera in ("left_shoulder", "right_shoulder", "overhead", "wrist", "front"):
            setattr(self, f"{camera}_camera", CameraConfig())
        self.gripper_pose = self.gripper_open = self.joint_positions = True

    def set_all(self, value: bool) -> None:
        for camera in ("left_shoulder", "right_shoulder", "overhead", "wrist", "front"):
            getattr(self, f"{camera}_camera").set_all(value)
        self.gripper_pose = self.gripper_open = self.joint_positions = value


class TouchBall:
    """The only task."""


class TaskEnvironment:
    """As rlbench.task_environment."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._variation = 0
        self.ball = np.zeros(3)

    def variation_count(self) -> int:
        return self._behaviour.variations

    def set_variation(self, variation: int) -> None:
        self._variation = variation

    def reset(self) -> tuple[list[str], SimpleNamespace]:
        x, y = np.random.uniform(-0.1, 0.1, 2)
        self.ball = np.array([0.25 + x, y, TABLE + 0.2])
        self.pose = np.array([0.25, 0.0, 1.4, 1.0, 0.0, 0.0, 0.0])
        self.open = 1.0
        self._behaviour.calls.append(("reset", self._variation, tuple(self.ball)))
        return [f"touch the ball, variation {self._variation}", "another sentence"], self._observation()

    def step(self, action: np.ndarray) -> tuple[SimpleNamespace, float, bool]:
        behaviour = self._behaviour
        behaviour.actions.append(np.array(action))
        if behaviour.refuse_at == len(behaviour.actions) - 1:
            raise IKError("Could not perform IK via Jacobian for tip\npose")
        if action.shape != (8,) or not np.isclose(np.linalg.norm(action[3:7]), 1.0):
            raise InvalidActionError("Action contained non unit quaternion!")
        short = behaviour.short_by.pop(0) if len(behaviour.short_by) > 1 else behaviour.short_by[0]
        self.pose = np.array([*action[:2], action[2] + short, *action[3:7]])
        self.open = action[7]
        done = self.open == 0.0 and bool(np.linalg.norm(self.pose[:3] - self.ball) < 0.03)
        return self._observation(), float(done), done

    def _observation(self) -> SimpleNamespace:
        """What one camera above the middle of the table, looking straight down, sees."""
        size = self._behaviour.configuration.front_camera.image_size[0]
        focal = size * 1.2
        # Camera frame: x left, y up, z forward; the image's right is the world's -y, its bottom the world's -x.
        world_from_camera = np.eye(4)
        world_from_camera[:3, :3] = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
        world_from_camera[:3, 3] = (0.25, 0.0, CAMERA_HEIGHT)
        intrinsics = np.array([[-focal, 0.0, size / 2], [0.0, -focal, size / 2], [0.0, 0.0, 1.0]])
        pixels = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).reshape(-1, 2)
        rays = np.c_[pixels, np.ones(len(pixels))] @ np.linalg.inv(intrinsics).T @ world_from_camera[:3, :3].T
        on_ball = world_from_camera[:3, 3] + rays * (CAMERA_HEIGHT - self.ball[2])
        hit = np.linalg.norm(on_ball - self.ball, axis=1) < SIZE / 2
        depth = np.where(hit, CAMERA_HEIGHT - self.ball[2], CAMERA_HEIGHT - TABLE).astype(np.float32)
        color = np.where(hit[:, None], (200, 20, 20), (90, 90, 90)).astype(np.uint8)
        return SimpleNamespace(
            front_rgb=color.reshape(size, size, 3),
            front_depth=depth.reshape(size, size),
            gripper_pose=self.pose,
            gripper_open=self.open,
            misc={"front_camera_extrinsics": world_from_camera, "front_camera_intrinsics": intrinsics},
        )


def install(monkeypatch: pytest.MonkeyPatch) -> Behaviour:
    """Put the double where ``import rlbench`` and ``import pyrep`` find it."""
    behaviour = Behaviour()

    class Environment:
        def __init__(self, action_mode: Any, obs_config: ObservationConfig, headless: bool) -> None:
            behaviour.configuration = obs_config
            behaviour.calls.append(("environment", action_mode, headless))

        def launch(self) -> None:
            behaviour.calls.append(("launch",))

        def get_task(self, task_class: type) -> TaskEnvironment:
            assert task_class is TouchBall
            return TaskEnvironment(behaviour)

        def shutdown(self) -> None:
            behaviour.calls.append(("shutdown",))

    def task_file_to_task_class(name: str) -> type:
        if name != "touch_ball":
            raise ModuleNotFoundError(f"No module named 'rlbench.tasks.{name}'")
        return TouchBall

    members: dict[str, dict[str, Any]] = {
        "pyrep": {},
        "pyrep.const": {"RenderMode": SimpleNamespace(OPENGL="opengl")},
        "pyrep.errors": {"IKError": IKError, "ConfigurationPathError": ConfigurationPathError},
        "rlbench": {},
        "rlbench.environment": {"Environment": Environment},
        "rlbench.observation_config": {"ObservationConfig": ObservationConfig},
        "rlbench.action_modes": {},
        "rlbench.action_modes.action_mode": {"MoveArmThenGripper": lambda arm, gripper: (arm, gripper)},
        "rlbench.action_modes.arm_action_modes": {
            "EndEffectorPoseViaPlanning": lambda collision_checking: ("planned", collision_checking)
        },
        "rlbench.action_modes.gripper_action_modes": {"Discrete": lambda: "discrete"},
        "rlbench.backend": {},
        "rlbench.backend.exceptions": {"InvalidActionError": InvalidActionError},
        "rlbench.backend.utils": {"task_file_to_task_class": task_file_to_task_class},
    }
    for name, content in members.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return behaviour
