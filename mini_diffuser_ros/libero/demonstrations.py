"""LIBERO's own demonstrations, HDF5 files of states at 20 Hz, as episodes of keyframes: replayed, seen anew with depth.

The files hold colour images without depth, of cameras whose calibration they do not say, and the simulator's states.
From the states everything can be seen again, by any camera. They are not part of LIBERO's wheels; whoever has them
reads them with ``h5py``, and with a world that shows states.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.data.keyframes import discover_keyframes
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.records import CameraView, Cloud, Episode, FloatArray, Keyframe, Provenance
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.support.errors import one_line

Array = NDArray[np.float64]

SECONDS_PER_FRAME: Final = 0.05
_ARM_JOINTS: Final = 7
_DEMO: Final = re.compile(r"demo_(\d+)")
_LONGEST: Final = 20_000  # frames; the longest of LIBERO's has some five hundred


class ReplayWorld(Protocol):
    """What can show a state of a demonstration."""

    @property
    def name(self) -> str:
        """By which recordings know where they were made."""
        ...

    @property
    def description(self) -> RobotDescription:
        """Of the arm."""
        ...

    def show(self, state: Array, fixtures: Mapping[str, Array]) -> None:
        """Take a state (1 + nq + nv,), MuJoCo's time, positions and velocities, with fixtures (7,) where they stood.

        Args:
            state: of one frame.
            fixtures: body name to its pose xyz + xyzw in its parent.

        Raises:
            UserError: the state is of another model.
        """
        ...

    def arm_velocities(self, state: Array) -> Array:
        """(7,) rad/s of the arm's joints in a state."""
        ...

    def views(self) -> Sequence[CameraView]:
        """RGB-D images of the state that is shown."""
        ...

    def joint_positions(self) -> Mapping[str, float]:
        """By the names of the description."""
        ...

    def tcp_pose(self) -> FloatArray:
        """(7,) of the tool centre point."""
        ...


@dataclass(frozen=True, eq=False)
class StoredDemonstration:
    """One demonstration of a file, its images left where they are.

    Attributes:
        source: of messages and records, e.g. ``pick_up_the_milk_demo demo_7``.
        sentence: the instruction.
        states: (T, 1 + nq + nv) MuJoCo's time, positions and velocities.
        gripper_open: (T,) what the gripper was told at each frame.
        fixtures: body name to its pose (7,) xyz + xyzw in its parent, of bodies that stand where the layout put them.
    """

    source: str
    sentence: str
    states: Array
    gripper_open: NDArray[np.bool_]
    fixtures: Mapping[str, Array]


def read_demonstrations(file: Path) -> Iterator[StoredDemonstration]:
    """The demonstrations of one of LIBERO's HDF5 files, ``<task>_demo.hdf5``, in the order of their numbers.

    Raises:
        DataError: h5py is not installed.
        EpisodeFileError: naming the file, the member and what is wrong with it.
    """
    try:
        h5py: Any = importlib.import_module("h5py")
    except ImportError as error:
        raise DataError(f"{file}: reading HDF5 needs h5py: pip install 'mini_diffuser_ros[hdf5]'") from error
    try:
        with h5py.File(file, "r") as content:
            data = content.get("data")
            if data is None or not hasattr(data, "keys"):
                raise EpisodeFileError(file, "has no group 'data'; is it one of LIBERO's demonstrations?")
            sentence = _sentence(file, data.attrs)
            names = sorted((name for name in data if _DEMO.fullmatch(name)), key=lambda name: int(name[5:]))
            if not names:
                raise EpisodeFileError(file, "data: has no demonstrations, expected demo_0 and so on")
            for name in names:
                yield _demonstration(file, name, data[name], sentence)
    except OSError as error:
        raise EpisodeFileError(file, f"cannot be read as HDF5 ({one_line(error)})") from error


def replay(demonstration: StoredDemonstration, world: ReplayWorld, task: str) -> Episode:
    """The demonstration as an episode of keyframes, each seen anew.

    Keyframes are found by the rule of the RLBench literature. A frame's gripper is what it was told, which a hand that
    holds something differs from; of a keyframe at which it changes, the pose is that of the frame before, as the arm
    came to it.

    Args:
        demonstration: to be shown.
        world: in which its task is laid out; shows its states afterwards.
        task: name of the task in the episode.

    Raises:
        UserError: the states are of another model.
    """
    speeds = np.stack([world.arm_velocities(state) for state in demonstration.states])
    frames = discover_keyframes(demonstration.gripper_open.astype(np.float64), speeds)
    keyframes = tuple(_keyframe(demonstration, world, frame) for frame in frames)
    made_in = Provenance((world.name,), (world.description.name,))
    return Episode(task, 0, (demonstration.sentence,), keyframes, demonstration.source, made_in)


def _keyframe(demonstration: StoredDemonstration, world: ReplayWorld, frame: int) -> Keyframe:
    before = max(frame - 1, 0)
    changed = demonstration.gripper_open[frame] != demonstration.gripper_open[before]
    world.show(demonstration.states[before if changed else frame], demonstration.fixtures)
    pose = np.asarray(world.tcp_pose(), dtype=np.float64)
    world.show(demonstration.states[frame], demonstration.fixtures)
    views, joints = tuple(world.views()), dict(world.joint_positions())
    robot = world.description

    def load_cloud() -> Cloud:
        return fuse_views(views, FusionConfig(), robot, joints)

    return Keyframe(
        pose=pose,
        gripper_open=bool(demonstration.gripper_open[frame]),
        stamp=frame * SECONDS_PER_FRAME,
        load_cloud=load_cloud,
        load_views=lambda: views,
        joint_positions=joints,
    )


def _sentence(file: Path, attributes: Mapping[str, Any]) -> str:
    """The instruction, which files hold as JSON, by itself or in a text that quotes it once more."""
    try:
        told = json.loads(attributes["problem_info"])["language_instruction"]
    except (KeyError, TypeError, ValueError) as error:
        raise EpisodeFileError(file, "data: attribute problem_info says no language_instruction") from error
    words = "".join(told) if isinstance(told, list) else str(told)
    if not words.strip(' "'):
        raise EpisodeFileError(file, "data: attribute problem_info has an empty language_instruction")
    return words.strip(' "')


def _demonstration(file: Path, name: str, group: Any, sentence: str) -> StoredDemonstration:
    states, actions = _member(file, name, group, "states"), _member(file, name, group, "actions")
    if len(actions) != len(states) or actions.shape[1] < _ARM_JOINTS:
        raise EpisodeFileError(
            file, f"{name}: actions of shape {actions.shape} for {len(states)} states, expected seven numbers for each"
        )
    # +1 closes, -1 opens. What an action tells is seen in the state after it.
    told = actions[:, -1] < 0.0
    told = np.concatenate([[True], told[:-1]])
    return StoredDemonstration(
        f"{file.stem} {name}", sentence, states, told, _fixtures(file, name, group.attrs.get("model_file", ""))
    )


def _member(file: Path, name: str, group: Any, member: str) -> Array:
    if member not in group or not hasattr(group[member], "shape"):
        raise EpisodeFileError(file, f"{name}: has no {member}")
    shape = group[member].shape
    if len(shape) != 2 or not 2 <= shape[0] <= _LONGEST:
        raise EpisodeFileError(file, f"{name}: {member} of shape {shape}, expected some rows of numbers")
    values = np.asarray(group[member], dtype=np.float64)
    if not np.isfinite(values).all():
        raise EpisodeFileError(file, f"{name}: {member} holds what is no finite number")
    return values


def _fixtures(file: Path, name: str, model: str | bytes) -> dict[str, Array]:
    """Poses of the bodies that nothing moves and that have one of their own, from the model of a demonstration."""
    if not model:
        return {}
    text = model.decode("utf-8", "replace") if isinstance(model, bytes) else model
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise EpisodeFileError(file, f"{name}: model_file declares entities, which no MuJoCo model does")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise EpisodeFileError(file, f"{name}: model_file is no XML ({one_line(error)})") from error
    world = root.find("worldbody")
    found = {}
    for body in () if world is None else world.findall("body"):
        label = body.get("name", "")
        moves = body.find("joint") is not None or body.find("freejoint") is not None
        if label.endswith("_main") and not moves:
            position = np.array((body.get("pos") or "0 0 0").split(), dtype=np.float64)
            w, x, y, z = np.array((body.get("quat") or "1 0 0 0").split(), dtype=np.float64)
            found[label] = np.array([*position, x, y, z, w])
    return found
