"""Pictures and joints that a calibration is made of: a folder of its own kind, or recorded demonstrations.

The folder holds ``shots.yaml`` (robot, joints of each shot), and for each camera a folder with ``camera_info.yaml`` as
ROS's camera_info_manager writes it, ``<shot>.png`` and, where the camera has depth, ``<shot>_depth.png`` of 16 bits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens, read_lens, write_lens
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.data.formats.images import DEPTH_UNIT, decode_color, decode_depth, encode_color, encode_depth
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.settings import SettingsError, from_mapping, read_yaml

SHOTS_FILE = "shots.yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")


@dataclass(frozen=True, eq=False)
class Picture:
    """What one camera saw.

    Attributes:
        lens: of the camera.
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres, 0 where there is no measurement; None where the camera has none.
        base_from_camera: (4, 4) where it was believed to be; None where nobody said.
    """

    lens: Lens
    color: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    base_from_camera: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Shot:
    """The arm at rest, seen by cameras.

    Attributes:
        name: for messages and files.
        joints: joint name to radians, metres for fingers.
        pictures: by camera.
    """

    name: str
    joints: Mapping[str, float]
    pictures: Mapping[str, Picture]


@dataclass(frozen=True)
class _ShotEntry:
    name: str
    joints: dict[str, float]


@dataclass(frozen=True)
class _ShotsFile:
    robot: str
    shots: tuple[_ShotEntry, ...]
    depth_unit: float = DEPTH_UNIT
    cameras: tuple[str, ...] = field(default=())


def read_shots(path: Path) -> list[Shot]:
    """Shots of a folder, or the keyframes of recorded demonstrations.

    Raises:
        CalibrationError: in one line, what cannot be read.
        DataError: if it is neither.
    """
    if not (path / SHOTS_FILE).is_file():
        return _from_episodes(path)
    try:
        content = from_mapping(_ShotsFile, read_yaml(path / SHOTS_FILE), str(path / SHOTS_FILE))
    except SettingsError as error:
        raise CalibrationError(str(error)) from error
    for name in (*content.cameras, *(shot.name for shot in content.shots)):
        check_name(name)
    lenses = {camera: read_lens(path / camera / "camera_info.yaml") for camera in content.cameras}
    return [
        Shot(
            shot.name,
            shot.joints,
            {camera: _read(path / camera, shot.name, lens, content.depth_unit) for camera, lens in lenses.items()},
        )
        for shot in content.shots
    ]


def write_shots(path: Path, robot: str, shots: list[Shot]) -> None:
    """Write shots as :func:`read_shots` reads them; ``shots.yaml`` comes last, so that it names only what is there.

    Raises:
        CalibrationError: if a name is none for a file.
        OSError: if it cannot be written.
    """
    cameras = sorted({camera for shot in shots for camera in shot.pictures})
    for name in (*cameras, *(shot.name for shot in shots)):
        check_name(name)
    for shot in shots:
        for camera, picture in shot.pictures.items():
            folder = path / camera
            folder.mkdir(parents=True, exist_ok=True)
            write_lens(picture.lens, camera, folder / "camera_info.yaml")
            write_whole(folder / f"{shot.name}.png", encode_color(picture.color))
            if picture.depth is not None:
                write_whole(folder / f"{shot.name}_depth.png", encode_depth(picture.depth))
    content = {
        "robot": robot,
        "cameras": cameras,
        "depth_unit": DEPTH_UNIT,
        "shots": [{"name": shot.name, "joints": {k: float(v) for k, v in shot.joints.items()}} for shot in shots],
    }
    path.mkdir(parents=True, exist_ok=True)
    write_whole(path / SHOTS_FILE, yaml.safe_dump(content, sort_keys=False))


def robot_of(path: Path) -> str | None:
    """The robot that a folder of shots names; None for demonstrations."""
    file = path / SHOTS_FILE
    return from_mapping(_ShotsFile, read_yaml(file), str(file)).robot if file.is_file() else None


def check_name(name: str) -> None:
    """Refuse a name that is none for a file.

    Raises:
        CalibrationError: naming it.
    """
    if not _NAME.fullmatch(name):
        raise CalibrationError(f"{name!r} is no name for a file: letters, digits and _ are")


def _read(folder: Path, name: str, lens: Lens, unit: float) -> Picture:
    depth_file = folder / f"{name}_depth.png"
    try:
        color = decode_color((folder / f"{name}.png").read_bytes())
        depth = decode_depth(depth_file.read_bytes(), unit) if depth_file.exists() else None
    except (OSError, ValueError) as error:
        raise CalibrationError(f"{folder / name}.png or its depth cannot be read: {error}") from error
    if color.shape[:2] != (lens.height, lens.width):
        raise CalibrationError(
            f"{folder / name}.png has {color.shape[1]}x{color.shape[0]} pixels, camera_info.yaml is of "
            f"{lens.width}x{lens.height}: calibrate at the resolution that is used"
        )
    return Picture(lens, color, depth)


def _from_episodes(path: Path) -> list[Shot]:
    shots = []
    for number, episode in enumerate(open_episodes(path)):
        for index, keyframe in enumerate(episode.keyframes):
            pictures = {view.name: _picture(view) for view in keyframe.views}
            if not keyframe.joint_positions or not pictures:
                raise CalibrationError(f"{episode.source} holds no joints or no images: use recordings of our recorder")
            shots.append(Shot(f"e{number}k{index}", keyframe.joint_positions, pictures))
    return shots


def _picture(view: CameraView) -> Picture:
    height, width = view.depth.shape
    lens = Lens(width, height, np.asarray(view.intrinsics, np.float64), view.distortion)
    return Picture(lens, view.color, np.asarray(view.depth, np.float32), np.asarray(view.base_from_camera, np.float64))
