"""A double of the parts of RLBench and PyRep that the evaluation calls, for tests without CoppeliaSim.

It is no simulator: a red ball hangs above a table, the gripper goes where it is told, and closing it at the ball is
rewarded. Names, signatures and conventions (negative focal lengths, metric depth, poses xyz + xyzw) are RLBench's own,
and so is what its three distributions differ in: which tasks there are, whether an action has eight numbers or nine,
whether a reset takes a demonstration, from where on a gripper is called open, and what is known of the arm. What it was
told is kept in ``calls``.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.geometry import quaternion_from_matrix
from mini_diffuser_ros.robots import load_robot

TABLE = 0.75
SIZE = 0.05
CAMERA_HEIGHT = 2.0
BASE = np.array([-0.29, -0.01, 0.77])
JOINTS = (0.0, 0.3, 0.0, -1.6, 0.0, 1.9, 0.785)
ELBOW = "panda_link4"
HANDLE = (0.97, 0.3)
"""How far each finger is open around something that lies off centre: one hardly closes."""

_SETTINGS = "RLBENCH_DOUBLE"
_PACKAGE = f"""
import sys
from importlib.util import module_from_spec, spec_from_file_location

if "rlbench_double" not in sys.modules:
    spec = spec_from_file_location("rlbench_double", {__file__!r})
    sys.modules["rlbench_double"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["rlbench_double"])
    sys.modules["rlbench_double"].install_from_environment()
"""


class IKError(Exception):
    """As pyrep.errors."""


class ConfigurationPathError(Exception):
    """As pyrep.errors."""


class PyRepError(Exception):
    """As pyrep.errors."""


class InvalidActionError(Exception):
    """As rlbench.backend.exceptions."""


class TaskEnvironmentError(Exception):
    """As rlbench.backend.exceptions."""


@dataclass
class Behaviour:
    """What the double is to do, and what it was told.

    Attributes:
        distribution: S, P or G: stepjam's RLBench, PerAct's, GemBench's.
        tasks: files of its tasks.
        short_by: metres by which each move ends above its goal; the last one counts for all moves after it.
        refuse_at: number of the step that raises, None for never.
        variations: of its tasks.
        handle: whether the ball is a handle that is grasped off centre.
        unplaceable, broken, deadly: variations whose reset fails, in which a step fails, or ends the process.
        uncounted: whether its variations cannot be counted.
        unlaunched: launches that fail, of those of this process.
        no_display: whether starting it ends the process.
        calls: what was called, in order.
        actions: (n, 8 or 9) actions so far.
        released: whether something that was held was let go.
    """

    distribution: str = "S"
    tasks: tuple[str, ...] = ("touch_ball",)
    short_by: list[float] = field(default_factory=lambda: [0.0])
    refuse_at: int | None = None
    variations: int = 3
    handle: bool = False
    unplaceable: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()
    deadly: tuple[int, ...] = ()
    uncounted: bool = False
    unlaunched: int = 0
    no_display: bool = False
    arm_in_sight: bool = False
    calls: list[Any] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    released: bool = False
    configuration: Any = None


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


class EndEffectorPoseViaPlanning:
    """As rlbench.action_modes.arm_action_modes of S and G."""

    def __init__(self, collision_checking: bool) -> None:
        self.collision_checking = collision_checking

    def action(self, scene: TaskEnvironment, action: np.ndarray) -> None:
        _move(scene, action, avoiding=self.collision_checking)


class PeractEndEffectorPoseViaPlanning(EndEffectorPoseViaPlanning):
    """As that of P, which does not ask how it was made."""

    def action(self, scene: TaskEnvironment, action: np.ndarray, ignore_collisions: bool = True) -> None:  # type: ignore[override]
        _move(scene, action, avoiding=not ignore_collisions)


class Discrete:
    """As rlbench.action_modes.gripper_action_modes."""

    def action(self, scene: TaskEnvironment, action: np.ndarray) -> None:
        if np.shape(action) != (1,):
            raise InvalidActionError(f"Expected the action shape to be: (1,), but was shape: {np.shape(action)}")
        to_open = bool(action[0] > 0.5)
        if to_open == all(amount > 0.9 for amount in scene.fingers):
            return
        scene.behaviour.released |= to_open and scene.holds
        scene.holds = not to_open and scene.is_at_ball()
        scene.fingers = (1.0, 1.0) if to_open else HANDLE if scene.holds and scene.behaviour.handle else (0.0, 0.0)


class MoveArmThenGripper:
    """As rlbench.action_modes.action_mode of S and G."""

    def __init__(self, arm: EndEffectorPoseViaPlanning, gripper: Discrete) -> None:
        self.arm_action_mode, self.gripper_action_mode = arm, gripper

    def action(self, scene: TaskEnvironment, action: np.ndarray) -> None:
        self.arm_action_mode.action(scene, np.array(action[:7]))
        self.gripper_action_mode.action(scene, np.array(action[7:]))


class PeractMoveArmThenGripper(MoveArmThenGripper):
    """As that of P, with numpy 2.2 and later."""

    def action(self, scene: TaskEnvironment, action: np.ndarray) -> None:
        if np.size(action[8:9]) == 0:
            raise ValueError("The truth value of an empty array is ambiguous.")
        self.arm_action_mode.action(scene, np.array(action[:7]), bool(action[8]))  # type: ignore[call-arg]
        self.gripper_action_mode.action(scene, np.array(action[7:8]))


class TaskEnvironment:
    """As rlbench.task_environment of P and G; that of S below can repeat a demonstration's resets."""

    def __init__(self, behaviour: Behaviour, mode: MoveArmThenGripper, file: str) -> None:
        self.behaviour = behaviour
        self._mode = mode
        self._file = file
        self._variation = 0
        self.ball = np.zeros(3)
        self.pose = np.zeros(7)
        self.fingers = (1.0, 1.0)
        self.holds = False

    def variation_count(self) -> int:
        if self.behaviour.uncounted:
            raise RuntimeError("Handle holder does not exist.")
        return self.behaviour.variations

    def set_variation(self, variation: int) -> None:
        if variation >= self.variation_count():
            raise TaskEnvironmentError(f"Requested variation {variation}, but there are only {self.variation_count()}")
        self._variation = variation

    def reset(self) -> tuple[list[str], SimpleNamespace]:
        return self._lay_out(1)

    def step(self, action: np.ndarray) -> tuple[SimpleNamespace, float, bool]:
        behaviour = self.behaviour
        behaviour.actions.append(np.array(action))
        if behaviour.refuse_at == len(behaviour.actions) - 1:
            raise IKError("Could not perform IK via Jacobian for tip\npose")
        if self._variation in behaviour.broken:
            raise RuntimeError("The call failed on the V-REP side. Return value: -1")
        if self._variation in behaviour.deadly:
            os._exit(139)
        self._mode.action(self, action)
        done = max(self.fingers) < 1.0 and self.is_at_ball()
        return self._observation(), float(done), done

    def is_at_ball(self) -> bool:
        return bool(np.linalg.norm(self.pose[:3] - self.ball) < 0.03)

    def _lay_out(self, attempts: int) -> tuple[list[str], SimpleNamespace]:
        if self._variation in self.behaviour.unplaceable:
            raise TaskEnvironmentError(f"Could not place the task {self._file} in the scene.")
        for _ in range(attempts):
            x, y = np.random.uniform(-0.1, 0.1, 2)
        self.ball = np.array([0.25 + x, y, TABLE + 0.2])
        self.pose = self._start()
        self.fingers, self.holds = (1.0, 1.0), False
        self.behaviour.calls.append(("reset", self._variation, tuple(self.ball)))
        name = self._file.replace("_", " ")
        return [f"{name}, variation {self._variation}", "another sentence"], self._observation()

    def _start(self) -> np.ndarray:
        hand = load_robot("panda").tcp_pose(np.array(JOINTS))
        return np.array([*(BASE + hand[:3, 3]), *quaternion_from_matrix(hand)])

    def _observation(self) -> SimpleNamespace:
        """What one camera above the middle of the table, looking straight down, sees."""
        size = self.behaviour.configuration.front_camera.image_size[0]
        focal = size * 1.2
        # Camera frame: x left, y up, z forward; the image's right is the world's -y, its bottom the world's -x.
        world_from_camera = np.eye(4)
        world_from_camera[:3, :3] = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
        world_from_camera[:3, 3] = (0.25, 0.0, CAMERA_HEIGHT)
        intrinsics = np.array([[-focal, 0.0, size / 2], [0.0, -focal, size / 2], [0.0, 0.0, 1.0]])
        pixels = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).reshape(-1, 2)
        rays = np.c_[pixels, np.ones(len(pixels))] @ np.linalg.inv(intrinsics).T @ world_from_camera[:3, :3].T
        depth = np.full(len(rays), CAMERA_HEIGHT - TABLE, np.float32)
        color = np.full((len(rays), 3), 90, np.uint8)
        shown = [(self.ball, SIZE / 2, (200, 20, 20))]
        elbow = load_robot("panda").forward_kinematics(dict(zip(_JOINT_NAMES, JOINTS, strict=True)))[ELBOW]
        if self.behaviour.arm_in_sight:
            shown.append((BASE + elbow[:3, 3], 0.03, (20, 20, 200)))
        for center, radius, shade in shown:
            at = world_from_camera[:3, 3] + rays * (CAMERA_HEIGHT - center[2])
            hit = np.linalg.norm(at - center, axis=1) < radius
            depth[hit], color[hit] = CAMERA_HEIGHT - center[2], shade
        misc = {"front_camera_extrinsics": world_from_camera, "front_camera_intrinsics": intrinsics}
        if self.behaviour.distribution == "G":
            misc["Panda_link4_respondable_bbox"] = np.array([-0.06, 0.06] * 3)
            misc["Panda_link4_respondable_pose"] = np.array([*(BASE + elbow[:3, 3]), *quaternion_from_matrix(elbow)])
        is_open = self.fingers[0] > (0.95 if self.behaviour.distribution == "P" else 0.9)
        return SimpleNamespace(
            front_rgb=color.reshape(size, size, 3),
            front_depth=depth.reshape(size, size),
            gripper_pose=self.pose,
            gripper_open=float(is_open),
            joint_positions=np.array(JOINTS) if self.behaviour.configuration.joint_positions else None,
            misc=misc,
        )


class PlacingTaskEnvironment(TaskEnvironment):
    """As rlbench.task_environment of S."""

    def reset(self, demo: Any = None) -> tuple[list[str], SimpleNamespace]:
        attempts = getattr(demo, "num_reset_attempts", None)
        return self._lay_out(1 if attempts is None else attempts)


_JOINT_NAMES = tuple(f"panda_joint{number}" for number in range(1, 8))


def _move(scene: TaskEnvironment, action: np.ndarray, avoiding: bool) -> None:
    if action.shape != (7,) or not np.isclose(np.linalg.norm(action[3:7]), 1.0):
        raise InvalidActionError("Action contained non unit quaternion!")
    if avoiding:
        raise InvalidActionError("A path could not be found. Most likely due to a collison was detected.")
    short_by = scene.behaviour.short_by
    short = short_by.pop(0) if len(short_by) > 1 else short_by[0]
    scene.pose = np.array([*action[:2], action[2] + short, *action[3:7]])


def install(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Behaviour:
    """Put the double where ``import rlbench`` and ``import pyrep`` of this process find it."""
    behaviour = Behaviour(**settings)
    for name, module in _modules(behaviour).items():
        monkeypatch.setitem(sys.modules, name, module)
    return behaviour


def install_in_workers(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: Any) -> None:
    """Put the double where this process and those that it starts find it, as one that is installed."""
    behaviour = asdict(Behaviour(**settings))
    plain = {name: value for name, value in behaviour.items() if name not in ("calls", "actions", "configuration")}
    monkeypatch.setenv(_SETTINGS, json.dumps(plain))
    for package in ("rlbench", "pyrep"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(_PACKAGE)
    for name in ("rlbench_double", *_modules(Behaviour())):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # so that what was there comes back at the end
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(folder))


def install_from_environment() -> None:
    """What the packages of :func:`install_in_workers` do when they are imported."""
    values = json.loads(os.environ[_SETTINGS])
    listed = {
        name: tuple(value) if name != "short_by" else value for name, value in values.items() if isinstance(value, list)
    }
    for name, module in _modules(Behaviour(**{**values, **listed})).items():
        if "." in name:
            sys.modules[name] = module


def _modules(behaviour: Behaviour) -> dict[str, ModuleType]:
    class Environment:
        def __init__(self, action_mode: MoveArmThenGripper, obs_config: ObservationConfig, headless: bool) -> None:
            self._mode = action_mode
            behaviour.configuration = obs_config
            behaviour.calls.append(("environment", action_mode.arm_action_mode.collision_checking, headless))

        def launch(self) -> None:
            behaviour.calls.append(("launch",))
            home = Path.cwd()
            os.chdir(Path(__file__).parent)  # CoppeliaSim's folder
            if behaviour.no_display:
                os._exit(134)
            if behaviour.calls.count(("launch",)) <= behaviour.unlaunched:
                raise PyRepError("COPPELIASIM_ROOT not defined. See installation instructions.")
            os.chdir(home)

        def get_task(self, task_class: type) -> TaskEnvironment:
            behaviour.calls.append(("load", task_class.__name__))
            kind = PlacingTaskEnvironment if behaviour.distribution == "S" else TaskEnvironment
            return kind(behaviour, self._mode, task_class.__name__)

        def shutdown(self) -> None:
            behaviour.calls.append(("shutdown",))

    def task_file_to_task_class(file: str) -> type:
        name = file.replace(".py", "")
        "".join(word[0].upper() for word in name.split("_"))
        if name not in behaviour.tasks:
            raise ModuleNotFoundError(f"No module named 'rlbench.tasks.{name}'", name=f"rlbench.tasks.{name}")
        return type(name, (), {})

    is_peract = behaviour.distribution == "P"
    members: dict[str, dict[str, Any]] = {
        "pyrep": {},
        "pyrep.const": {"RenderMode": SimpleNamespace(OPENGL="opengl")},
        "pyrep.errors": {
            "IKError": IKError,
            "ConfigurationPathError": ConfigurationPathError,
            "PyRepError": PyRepError,
        },
        "rlbench": {},
        "rlbench.environment": {"Environment": Environment},
        "rlbench.observation_config": {"ObservationConfig": ObservationConfig},
        "rlbench.action_modes": {},
        "rlbench.action_modes.action_mode": {
            "MoveArmThenGripper": PeractMoveArmThenGripper if is_peract else MoveArmThenGripper
        },
        "rlbench.action_modes.arm_action_modes": {
            "EndEffectorPoseViaPlanning": PeractEndEffectorPoseViaPlanning if is_peract else EndEffectorPoseViaPlanning
        },
        "rlbench.action_modes.gripper_action_modes": {"Discrete": Discrete},
        "rlbench.backend": {},
        "rlbench.backend.exceptions": {
            "InvalidActionError": InvalidActionError,
            "TaskEnvironmentError": TaskEnvironmentError,
        },
        "rlbench.backend.utils": {"task_file_to_task_class": task_file_to_task_class},
    }
    modules = {}
    for name, content in members.items():
        modules[name] = ModuleType(name)
        vars(modules[name]).update(content)
    return modules
